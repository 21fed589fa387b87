"""Reading events, wherever they come from: one that cannot be right is named and takes no other with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from flexsms.core.errors import InvalidInput
from flexsms.core.events import TaskEvent, from_cloud_event, printable, to_ms
from flexsms.twilio.sources.protocol import EventPage

# Clocks differ, and doctor complains from a minute on. An event dated later than so would count until then: its channel
# would neither be due nor take real events for newer.
MOST_AHEAD = timedelta(minutes=5)

T = TypeVar("T")


def read_events(
    values: Iterable[T],
    read: Callable[[T], TaskEvent | None],
    name: Callable[[int, T], str],
    *,
    now: datetime,
    cursor: str | None = None,
) -> EventPage:
    """What can be read of some values.

    :param read: the event of a value, None: it concerns no messaging channel
    :param name: what to call a value, by its number from 1 on
    :param now: the present, an aware datetime; what is dated later is no event
    """
    events, rejected, ignored = [], [], 0
    for number, value in enumerate(values, 1):
        try:
            event = read(value)
            if event is not None:
                _check(event, now)
        except InvalidInput as error:
            rejected.append(f"{name(number, value)}: {error}")
            continue
        if event is None:
            ignored += 1
        else:
            events.append(event)
    return EventPage(events=events, rejected=rejected, ignored=ignored, cursor=cursor)


def read_envelopes(values: Iterable[Any], *, now: datetime, cursor: str | None = None) -> EventPage:
    """What can be read of some CloudEvents; see :func:`read_events`."""
    return read_events(values, _read, _name, now=now, cursor=cursor)


def _read(value: Any) -> TaskEvent | None:
    if not isinstance(value, Mapping):
        raise InvalidInput("data", "is not a JSON object", "expected a CloudEvent")
    return from_cloud_event(value)


def _name(number: int, value: Any) -> str:
    event_id = printable(value.get("id")) if isinstance(value, Mapping) else ""
    return f"event {number} ({event_id})" if event_id else f"event {number}"


def _check(event: TaskEvent, now: datetime) -> None:
    if event.at_ms > to_ms("now", now + MOST_AHEAD):
        moment = datetime.fromtimestamp(event.at_ms / 1000, UTC)
        raise InvalidInput(
            "timestamp",
            f"is {moment:%Y-%m-%d %H:%M} UTC, and now it is {now.astimezone(UTC):%Y-%m-%d %H:%M}",
            "check the clock of what has sent it, and this machine's",
        )
