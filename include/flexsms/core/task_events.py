"""Task events, the same whether the list of TaskRouter or Event Streams delivered them, and those of the list."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from flexsms.core.attributes import CHANNEL_KEYS, channel_of, is_sid, links_of, parse_attributes
from flexsms.core.exceptions import InvalidInput
from flexsms.core.stack_name import StackName


class TaskEventType(StrEnum):
    """The task events that decide whether a channel is in use.

    Source: https://www.twilio.com/docs/taskrouter/api/event/reference
    """

    CREATED = "task.created"
    WRAPUP = "task.wrapup"
    COMPLETED = "task.completed"
    CANCELED = "task.canceled"
    DELETED = "task.deleted"
    SYSTEM_DELETED = "task.system-deleted"


KNOWN_TYPES = frozenset(TaskEventType)
# After one of these the task is over; "completed" alone would leave channels of canceled tasks open for ever.
ENDING = frozenset(
    {TaskEventType.COMPLETED, TaskEventType.CANCELED, TaskEventType.DELETED, TaskEventType.SYSTEM_DELETED}
)

# 2015-01-01: Twilio had no TaskRouter before. What is dated earlier, like by seconds taken for milliseconds, would make
# a channel look long ended.
TOO_EARLY_MS = 1_420_070_400_000
# 2100-01-01. Core has no clock; what is later than this is a slip all the same, and would leave a channel open, or
# freshly ended, for ever. The sources know the present, and are stricter.
TOO_LATE_MS = 4_102_444_800_000

MOST_PRINTED = 64


class Ignored(StrEnum):
    """Why an event tells of no channel."""

    OTHER_TYPE = "other type"
    VOICE = "voice"
    NO_CHANNEL = "no channel"
    FOREIGN = "foreign"
    REDACTED = "redacted"
    UNREADABLE = "unreadable attributes"
    NO_TYPE = "no type"


# What comes of a collector that takes away too much, or hands on something else than CloudEvents.
NOT_UNDERSTOOD = frozenset({Ignored.REDACTED, Ignored.UNREADABLE, Ignored.NO_TYPE})


@dataclass(frozen=True, slots=True)
class Unplaced:
    """An event that names no channel of ours.

    :param why: what it is instead
    :param task_sid: the task that it ended, which may have been seen on a channel before; None: it ended none
    :param ended_ms: when, in milliseconds since 1970 UTC, by Twilio's clock
    :param origin: the workspace or account of a foreign one
    """

    why: Ignored
    task_sid: str | None = None
    ended_ms: int = 0
    origin: str = ""


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """Something happened to a task of a messaging channel.

    :param at_ms: when, in milliseconds since 1970 UTC, by Twilio's clock
    :param links: what the event tells of the channel that retiring it needs, by name: SIDs, and the ``type``
    """

    event_id: str
    type: TaskEventType
    task_sid: str
    channel_sid: str
    stack: StackName
    at_ms: int
    links: Mapping[str, str]

    @property
    def ends_task(self) -> bool:
        """Whether the task is over."""
        return self.type in ENDING


def from_taskrouter(record: Mapping[str, Any]) -> TaskEvent | Unplaced:
    """Read one record of ``GET /v1/Workspaces/{WS}/Events``.

    :param record: at least ``sid``, ``event_type``, ``event_date_ms`` (or ``event_date``) and ``event_data``
    :return: the event, or why it does not concern a messaging channel (voice, callbacks, workers)
    :raises InvalidInput: when it should concern one and cannot be read
    """
    data = as_mapping("event_data", record.get("event_data"))
    return task_event_of(
        event_id=printable(record.get("sid")),
        type_name=text_of(record.get("event_type")),
        at_ms=_listed_ms(record),
        task_sid=data.get("task_sid") or record.get("resource_sid"),
        data=data,
        workspace_sid=record.get("workspace_sid") or data.get("workspace_sid"),
    )


def to_ms(field: str, moment: object) -> int:
    """Milliseconds since 1970 UTC of an ISO 8601 text or a datetime; without an offset it is UTC."""
    if isinstance(moment, int | float):
        raise InvalidInput(field, "is a number", "expected ISO 8601, like 2026-11-18T16:42:07Z")
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            raise InvalidInput(
                field, "is not a date", "expected ISO 8601, like 2026-11-18T16:42:07Z"
            ) from None
    if not isinstance(moment, datetime):
        raise InvalidInput(field, "is missing", "an event without its time cannot be ordered")
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)


def from_ms(at_ms: int) -> datetime:
    """The moment of milliseconds since 1970 UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def printable(value: object) -> str:
    """What a stranger calls something, as it may stand in a log line, an XCom or a file.

    :return: at most 64 printable characters, others replaced by question marks; empty when it is no text
    """
    text = text_of(value)[:MOST_PRINTED]
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


def believable(at_ms: int, of: str) -> int:
    """The moment, if it may be one of which Twilio tells.

    :param of: what it belongs to, for the error
    :raises InvalidInput: when it cannot be right
    """
    if not TOO_EARLY_MS <= at_ms < TOO_LATE_MS:
        raise InvalidInput("timestamp", f"of {of} is not after 2014 and before 2100", "expected UTC")
    return at_ms


def _listed_ms(record: Mapping[str, Any]) -> int:
    at_ms = record.get("event_date_ms")
    if at_ms is None:
        return to_ms("event_date", record.get("event_date"))
    try:
        return int(at_ms)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput("event_date_ms", "is not a number", "expected milliseconds since 1970") from None


def task_event_of(
    *,
    event_id: str,
    type_name: str,
    at_ms: int,
    task_sid: object,
    data: Mapping[str, Any],
    workspace_sid: object,
) -> TaskEvent | Unplaced:
    """The event that these parts make, from wherever they come, or why it does not concern a messaging channel.

    :param data: holds the task's attributes
    :raises InvalidInput: when it should concern one and cannot be read
    """
    if type_name not in KNOWN_TYPES:
        return Unplaced(Ignored.OTHER_TYPE)
    type_ = TaskEventType(type_name)
    given = data.get("task_attributes")
    parsed = parse_attributes(given)
    channel = channel_of(parsed)
    is_task = is_sid(task_sid, "WT")
    if channel is None:
        why = _why_unplaced(given, parsed, data.get("task_channel_unique_name"))
        if type_ not in ENDING or not is_task or not TOO_EARLY_MS <= at_ms < TOO_LATE_MS:
            return Unplaced(why)
        return Unplaced(why, str(task_sid), at_ms)
    if not is_task:
        raise InvalidInput("task_sid", f"is missing in event {event_id or '(without id)'}", "expected WT…")
    return TaskEvent(
        event_id=event_id,
        type=type_,
        task_sid=str(task_sid),
        channel_sid=channel[0],
        stack=channel[1],
        at_ms=believable(at_ms, f"event {event_id or '(without id)'}"),
        links=links_of(parsed, workspace_sid),
    )


def _why_unplaced(given: object, attributes: Mapping[str, Any], task_channel: object) -> Ignored:
    """What a task is whose attributes name no channel.

    Twilio itself redacts the attributes of events that are older than 30 days:
    https://www.twilio.com/docs/taskrouter/api/event
    """
    if task_channel == "voice" or "call_sid" in attributes:
        return Ignored.VOICE
    if given in (None, "") or any(text_of(attributes.get(name)) for name in CHANNEL_KEYS):
        return Ignored.REDACTED
    if not attributes and not _is_empty_object(given):
        return Ignored.UNREADABLE
    return Ignored.NO_CHANNEL


def _is_empty_object(given: object) -> bool:
    return given == {} or (isinstance(given, str) and given.split() in (["{}"], ["{", "}"]))


def text_of(value: object) -> str:
    """The value if it is a text. Any other need not even have one: Python gives up on deep lists."""
    return value if isinstance(value, str) else ""


def as_mapping(field: str, value: object) -> Mapping[str, Any]:
    """An object that may have come as a JSON text.

    :raises InvalidInput: when it is neither
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, Mapping):
        raise InvalidInput(field, "is not a JSON object", "the event cannot be read and is left out")
    return value
