"""What Event Streams does: which events go to which sink, and what becomes of a request that failed.

Sources: Twilio's pages on delivery and duplication (https://www.twilio.com/docs/events/
event-delivery-and-duplication) and on the errors 91302 to 91308. Retried is 429, 5xx, no connection and no answer in
time, with exponential backoff and jitter for four hours. Any other 4xx discards the events (91305): a receiver that
refuses by mistake has lost them, and its tests should see that.

Unverified, and decided here: the first pause and the longest one; that the last attempt is made when the four hours
are over; that a redirection is not followed and retried; that events which waited when their subscription was deleted
are still delivered; that a failed request is repeated as it was, with the same events in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...state.clock import iso_ms
from ...state.delivery_queue import Delivery, draws
from ...state.rows.event_streams import Sink
from .cloud_events import cloud_event_id

if TYPE_CHECKING:
    from ...state.account import EmulatedAccount

# To these TaskRouter's events go and those of Messaging (the pages of their event types).
DELIVERED_TO = ("webhook", "kinesis")
RETRIED_FOR_S = 4 * 3600
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 900.0
# Kinesis takes at most 500 records per request (AWS, PutRecords).
MOST_RECORDS = 500

DROPPED = 91303


@dataclass(slots=True)
class Answer:
    """How a sink answered a delivery.

    Parameters
    ----------
    status: HTTP status, None when there was no answer.
    code: Twilio's, of its error log.
    retry, discard: the events that have not arrived.
    """

    status: int | None
    code: int | None = None
    retry: list[list[Any]] = field(default_factory=list)
    discard: list[list[Any]] = field(default_factory=list)


def publish(account: EmulatedAccount, kind: str, event_sid: str) -> None:
    """An event of this type has happened: post it to the sink of every subscription that wants it."""
    for sink_sid, version in _takers(account, kind):
        _post(account, sink_sid, event_sid, version)


def is_wanted(account: EmulatedAccount, kind: str) -> bool:
    """Whether anybody gets events of this type: nothing else shows them."""
    return any(True for _ in _takers(account, kind))


def _takers(account: EmulatedAccount, kind: str) -> Iterator[tuple[str, int]]:
    """Sinks, and the schema version that each has subscribed to."""
    for subscription in account.store.subscriptions:
        version = subscription.types.get(kind)
        sink = account.store.sinks.get(subscription.sink_sid)
        if version and sink and sink.status == "active" and sink.type in DELIVERED_TO:
            yield sink.sid, version


def _post(account: EmulatedAccount, sink_sid: str, event_sid: str, version: int) -> None:
    config, now = account.settings, account.clock.present()
    drop, double, late, later = draws(account.sids.seed, sink_sid, event_sid)
    if drop < config.stream_drops:
        account.delivery_queue.counts["enqueued"] += 1
        account.delivery_queue.counts["dropped"] += 1
        ids = [cloud_event_id(account, event_sid)]
        account.delivery_queue.note(at=iso_ms(now), sink_sid=sink_sid, events=ids, attempt=0, status=None, code=DROPPED,
                        outcome="dropped", next_at=None)  # fmt: skip
        return
    for share in (late, later) if double < config.stream_duplicates else (late,):
        due = now + config.stream_delay_s + config.stream_jitter_s * share
        account.delivery_queue.enqueue(sink_sid, [event_sid, version], due)


def test(account: EmulatedAccount, sink: Sink) -> None:
    """Send a test event. The newest one counts; a sink that is not active yet is `validating` from here on.

    That an active sink stays so is unverified: the page says `validating` for every sink, and was written when
    webhooks did not need this.
    """
    sink.test_id = account.sids.new("TE")
    if sink.status == "initialized":
        sink.status = "validating"
    sink.updated = account.clock.now()
    if sink.type in DELIVERED_TO:
        account.delivery_queue.enqueue(sink.sid, [sink.test_id, 1], account.clock.present())


def take(account: EmulatedAccount) -> list[Delivery]:
    """What is to be sent now."""
    if account.settings.stream_paused:
        return []
    rate = account.settings.stream_rate
    return account.delivery_queue.take(
        account.clock.present(), _places(account), lambda delivery: _room(account, delivery), rate
    )


def _places(account: EmulatedAccount) -> Callable[[str], int]:
    """How many requests a sink gets at a time. Twilio names no number.

    Kinesis gets one: its emulator moto says of itself that putting records "is not safe for concurrency", and
    loses some.
    """

    def places(sink_sid: str) -> int:
        sink = account.store.sinks.get(sink_sid)
        return 1 if sink and sink.type == "kinesis" else account.settings.stream_concurrency

    return places


def _room(account: EmulatedAccount, delivery: Delivery) -> int:
    sink = account.store.sinks.get(delivery.sink_sid)
    if sink is None or not sink.batches:
        return 1
    least, most = account.settings.stream_batch
    size = least + int(draws(account.sids.seed, "batch", delivery.n)[0] * (most - least + 1))
    return size if sink.type == "webhook" else min(size, MOST_RECORDS)


def wait_s(account: EmulatedAccount) -> float | None:
    """Seconds until something is to be sent or happens by itself; None when nothing is."""
    due = None if account.settings.stream_paused else account.delivery_queue.next_due(_places(account))
    moments = [moment for moment in (due, account.next_timer()) if moment is not None]
    return max(min(moments) - account.clock.present(), 0.0) if moments else None


def conclude(account: EmulatedAccount, delivery: Delivery, answer: Answer) -> None:
    """Book what a sink answered, and queue again what did not arrive."""
    # A retry counts as made at the moment it was due: when the clock jumps four hours ahead, all of them are made.
    moment = max(delivery.due, delivery.since or 0.0)
    ids = [cloud_event_id(account, event[0]) for event in delivery.events]
    deadline = (delivery.since or 0.0) + RETRIED_FOR_S
    outcome, due = "delivered", None
    account.delivery_queue.end(
        delivery, "delivered", len(delivery.events) - len(answer.retry) - len(answer.discard)
    )
    if answer.discard:
        outcome = "discarded"
        account.delivery_queue.end(delivery, outcome, len(answer.discard))
    if answer.retry and (moment >= deadline or account.store.sinks.get(delivery.sink_sid) is None):
        outcome = "lost"
        account.delivery_queue.end(delivery, outcome, len(answer.retry))
    elif answer.retry:
        outcome = "retry"
        jitter = draws(account.sids.seed, "pause", delivery.n, delivery.attempt)[0]
        pause = min(FIRST_PAUSE_S * 2**delivery.attempt, LONGEST_PAUSE_S) * (0.5 + 0.5 * jitter)
        due = min(moment + pause, deadline)
    delivery.attempt += 1
    account.delivery_queue.note(at=iso_ms(moment), sink_sid=delivery.sink_sid, events=ids, attempt=delivery.attempt,
                    status=answer.status, code=answer.code, outcome=outcome,
                    next_at=None if due is None else iso_ms(due))  # fmt: skip
    if due is not None:
        delivery.due, delivery.events = due, answer.retry
        account.delivery_queue.put(delivery)
