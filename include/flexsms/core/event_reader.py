"""Reading events, wherever they come from: one that cannot be right is named and takes no other with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from flexsms.core.cloud_events import Home, from_cloud_event
from flexsms.core.event_source import EventPage
from flexsms.core.exceptions import InvalidInput
from flexsms.core.inbound_messages import OptOutWord
from flexsms.core.task_events import Ignored, TaskEvent, Unplaced, printable, to_ms

# Clocks differ, and doctor complains from a minute on. An event dated later than so would count until then: its channel
# would neither be due nor take real events for newer.
MOST_AHEAD = timedelta(minutes=5)

T = TypeVar("T")


def read_events(
    values: Iterable[T],
    read: Callable[[T], TaskEvent | OptOutWord | Unplaced],
    name: Callable[[int, T], str],
    *,
    now: datetime,
    cursor: str | None = None,
) -> EventPage:
    """What can be read of some values.

    :param read: the event of a value, or why it concerns neither a messaging channel nor opt-outs
    :param name: what to call a value, by its number from 1 on
    :param now: the present, an aware datetime; what is dated later is no event
    """
    events, opt_outs, rejected, ends = [], [], [], []
    ignored: Counter[Ignored] = Counter()
    foreign: Counter[str] = Counter()
    latest_ms = to_ms("now", now + MOST_AHEAD)
    for number, value in enumerate(values, 1):
        try:
            event = read(value)
            if not isinstance(event, Unplaced):
                _check(event, now, latest_ms)
        except InvalidInput as error:
            rejected.append(f"{name(number, value)}: {error}")
            continue
        if isinstance(event, TaskEvent):
            events.append(event)
            continue
        if isinstance(event, OptOutWord):
            opt_outs.append(event)
            continue
        ignored[event.why] += 1
        if event.origin:
            foreign[event.origin] += 1
        # A call's task was never seen on a channel.
        if event.task_sid and event.why is not Ignored.VOICE and event.ended_ms <= latest_ms:
            ends.append((event.task_sid, event.ended_ms))
    return EventPage(events, rejected, ends, ignored, foreign, opt_outs, cursor)


def read_envelopes(
    values: Iterable[Any], *, now: datetime, home: Home | None = None, cursor: str | None = None
) -> EventPage:
    """What can be read of some CloudEvents; see :func:`read_events`.

    :param home: whose events count; None: everybody's
    """

    def read(value: Any) -> TaskEvent | OptOutWord | Unplaced:
        if not isinstance(value, Mapping):
            raise InvalidInput("data", "is not a JSON object", "expected a CloudEvent")
        return from_cloud_event(value, home)

    return read_events(values, read, _name, now=now, cursor=cursor)


def joined(pages: Iterable[EventPage], cursor: str | None) -> EventPage:
    """Several pages as one."""
    whole = EventPage([], [], [], Counter(), Counter(), [], cursor)
    for page in pages:
        for name in ("events", "rejected", "ends", "opt_outs"):
            getattr(whole, name).extend(getattr(page, name))
        for name in ("ignored", "foreign"):
            getattr(whole, name).update(getattr(page, name))
    return whole


def named(page: EventPage, where: str) -> EventPage:
    """The page with a place before each of its sentences."""
    return replace(page, rejected=[f"{where}{sentence}" for sentence in page.rejected])


def _name(number: int, value: Any) -> str:
    event_id = printable(value.get("id")) if isinstance(value, Mapping) else ""
    return f"event {number} ({event_id})" if event_id else f"event {number}"


def _check(event: TaskEvent | OptOutWord, now: datetime, latest_ms: int) -> None:
    if event.at_ms > latest_ms:
        moment = datetime.fromtimestamp(event.at_ms / 1000, UTC)
        raise InvalidInput(
            "timestamp",
            f"is {moment:%Y-%m-%d %H:%M} UTC, and now it is {now.astimezone(UTC):%Y-%m-%d %H:%M}",
            "check the clock of what has sent it, and this machine's",
        )
