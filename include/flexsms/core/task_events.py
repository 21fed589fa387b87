"""Task events, the same whether TaskRouter's event list or Event Streams delivered them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson

from flexsms.core.exceptions import InvalidInput


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


# After one of these the task is over; "completed" alone would leave channels of canceled tasks open for ever.
ENDING = frozenset(
    {TaskEventType.COMPLETED, TaskEventType.CANCELED, TaskEventType.DELETED, TaskEventType.SYSTEM_DELETED}
)

CLOUD_EVENT_PREFIX = "com.twilio.taskrouter."

# 2015-01-01: Twilio had no TaskRouter before. What is dated earlier, like by seconds taken for milliseconds, would make
# a channel look long ended.
TOO_EARLY_MS = 1_420_070_400_000
# 2100-01-01. Core has no clock; what is later than this is a slip all the same, and would leave a channel open, or
# freshly ended, for ever. The sources know the present, and are stricter.
TOO_LATE_MS = 4_102_444_800_000

MOST_PRINTED = 64

# An event of Twilio's is nested six deep. Parsers give up somewhere about 1000, each of them elsewhere.
MAX_DEPTH = 100

_KNOWN_TYPES = frozenset(TaskEventType)
_SID = {
    prefix: re.compile(rf"{prefix}[0-9a-fA-F]{{32}}") for prefix in ("AC", "CH", "KC", "KD", "UO", "WS", "WT")
}
# What Flex calls a kind of channel: sms, whatsapp, web, custom, …
CHANNEL_TYPE = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class StackName(StrEnum):
    """The two generations of Flex messaging."""

    CHAT = "chat"
    CONVERSATIONS = "conversations"


# The task attributes that name a channel.
_CHANNEL_KEYS = {"conversationSid": StackName.CONVERSATIONS, "channelSid": StackName.CHAT}


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
class Home:
    """Whose events count: channels of any other workspace can neither be looked after nor be protected.

    :param account_sid: AC…
    :param workspace_sid: WS…; decides where an event names one
    """

    account_sid: str
    workspace_sid: str


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
    data = _as_mapping("event_data", record.get("event_data"))
    return _build(
        event_id=printable(record.get("sid")),
        type_name=_text(record.get("event_type")),
        at_ms=_listed_ms(record),
        task_sid=data.get("task_sid") or record.get("resource_sid"),
        data=data,
        workspace_sid=record.get("workspace_sid") or data.get("workspace_sid"),
    )


def envelopes(body: bytes) -> list[Any]:
    """The CloudEvents of one post of Event Streams: an array of them, or a single one.

    What is in the array is not looked at. Twilio documents the array only; single objects have been seen.

    :raises InvalidInput: when the body is neither, or nested deeper than :data:`MAX_DEPTH`
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = _without_half_characters(body)
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        raise InvalidInput("body", "is neither an array nor an object", "expected what Event Streams posts")
    if _is_deeper(value, MAX_DEPTH):
        raise InvalidInput(
            "body", f"is nested more than {MAX_DEPTH} deep", "expected what Event Streams posts"
        )
    return value


def from_cloud_event(envelope: Mapping[str, Any], home: Home | None = None) -> TaskEvent | Unplaced:
    """Read one CloudEvent of Twilio Event Streams.

    Some products deliver ``data`` or ``payload`` as a JSON string; both are decoded.
    Source: https://www.twilio.com/docs/events/event-types/taskrouter/task

    :param home: whose events count; None: everybody's
    :return: the event, or why it does not concern a messaging channel of ours
    :raises InvalidInput: when it should concern one and cannot be read
    """
    type_name = _text(envelope.get("type")).removeprefix(CLOUD_EVENT_PREFIX)
    if type_name not in _KNOWN_TYPES:
        return Unplaced(Ignored.OTHER_TYPE if type_name else Ignored.NO_TYPE)
    data = _as_mapping("data", envelope.get("data"))
    payload = _as_mapping("data.payload", data.get("payload"))
    workspace_sid = payload.get("workspace_sid") or data.get("workspace_sid")
    account_sid = payload.get("account_sid") or data.get("account_sid")
    origin = _foreign(home, workspace_sid, account_sid) if home else ""
    if origin:
        return Unplaced(Ignored.FOREIGN, origin=origin)
    moment = data.get("timestamp") or payload.get("timestamp") or envelope.get("time")
    return _build(
        event_id=printable(envelope.get("id") or data.get("sid")),
        type_name=type_name,
        at_ms=to_ms("data.timestamp", moment),
        task_sid=payload.get("task_sid") or payload.get("resource_sid"),
        data=payload,
        workspace_sid=workspace_sid,
    )


def _foreign(home: Home, workspace_sid: object, account_sid: object) -> str:
    """The workspace or account of an event, if it is another one than ours; empty when it is ours or nobody knows."""
    for prefix, named, ours in (
        ("WS", workspace_sid, home.workspace_sid),
        ("AC", account_sid, home.account_sid),
    ):
        if isinstance(named, str) and _SID[prefix].fullmatch(named):
            return "" if named == ours else named
    return ""


def channel_of(attributes: Mapping[str, Any]) -> tuple[str, StackName] | None:
    """The channel that a task belongs to, by the task's attributes: None for voice and callbacks."""
    for key, stack in _CHANNEL_KEYS.items():
        sid = attributes.get(key)
        if isinstance(sid, str) and _SID["CH"].fullmatch(sid):
            return sid, stack
    return None


def parse_attributes(value: object) -> Mapping[str, Any]:
    """Task attributes as Twilio delivers them: a JSON string, redacted to nothing after 30 days."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, Mapping) else {}


def write_attributes(attributes: Mapping[str, Any]) -> str:
    """Attributes as Twilio takes them: short, unless they hold half an emoji, which only an escape can carry."""
    text = json.dumps(attributes, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(attributes)
    return text


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


def printable(value: object) -> str:
    """What a stranger calls something, as it may stand in a log line, an XCom or a file.

    :return: at most 64 printable characters, others replaced by question marks; empty when it is no text
    """
    text = _text(value)[:MOST_PRINTED]
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


def believable(at_ms: int, of: str) -> int:
    """The moment, if it may be one of which Twilio tells.

    :param of: what it belongs to, for the error
    :raises InvalidInput: when it cannot be right
    """
    if not TOO_EARLY_MS <= at_ms < TOO_LATE_MS:
        raise InvalidInput("timestamp", f"of {of} is not after 2014 and before 2100", "expected UTC")
    return at_ms


def _is_deeper(value: object, most: int) -> bool:
    """Whether arrays and objects are in each other deeper than that."""
    level = [value]
    for _ in range(most):
        level = [
            inner
            for one in level
            for inner in (one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def _listed_ms(record: Mapping[str, Any]) -> int:
    at_ms = record.get("event_date_ms")
    if at_ms is None:
        return to_ms("event_date", record.get("event_date"))
    try:
        return int(at_ms)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput("event_date_ms", "is not a number", "expected milliseconds since 1970") from None


def _without_half_characters(body: bytes) -> Any:
    """A text cut in the middle of an emoji ends in half a surrogate pair, which JSON allows and orjson refuses.

    Nobody could print or store it, so it becomes a question mark. What else is wrong, orjson refuses once more.
    """
    try:
        text = json.dumps(json.loads(body.decode()), ensure_ascii=False)
        return orjson.loads(text.encode(errors="replace"))
    except (ValueError, RecursionError):
        raise InvalidInput("body", "is not JSON", "expected what Event Streams posts") from None


def _build(
    *,
    event_id: str,
    type_name: str,
    at_ms: int,
    task_sid: object,
    data: Mapping[str, Any],
    workspace_sid: object,
) -> TaskEvent | Unplaced:
    if type_name not in _KNOWN_TYPES:
        return Unplaced(Ignored.OTHER_TYPE)
    type_ = TaskEventType(type_name)
    given = data.get("task_attributes")
    parsed = parse_attributes(given)
    channel = channel_of(parsed)
    is_task = isinstance(task_sid, str) and _SID["WT"].fullmatch(task_sid)
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
        links=_links(parsed, workspace_sid),
    )


def _why_unplaced(given: object, attributes: Mapping[str, Any], task_channel: object) -> Ignored:
    """What a task is whose attributes name no channel.

    Twilio itself redacts the attributes of events that are older than 30 days:
    https://www.twilio.com/docs/taskrouter/api/event
    """
    if task_channel == "voice" or "call_sid" in attributes:
        return Ignored.VOICE
    if given in (None, "") or any(_text(attributes.get(name)) for name in _CHANNEL_KEYS):
        return Ignored.REDACTED
    if not attributes and not _is_empty_object(given):
        return Ignored.UNREADABLE
    return Ignored.NO_CHANNEL


def _is_empty_object(given: object) -> bool:
    return given == {} or (isinstance(given, str) and given.split() in (["{}"], ["{", "}"]))


_LINKS = (
    ("session", "proxySession", "KC"),
    ("interaction", "flexInteractionSid", "KD"),
    ("interaction_channel", "flexInteractionChannelSid", "UO"),
)


def _links(attributes: Mapping[str, Any], workspace_sid: object = None) -> Mapping[str, str]:
    found = {}
    for name, key, prefix in _LINKS:
        sid = attributes.get(key)
        if isinstance(sid, str) and _SID[prefix].fullmatch(sid):
            found[name] = sid
    kind = channel_type_of(attributes)
    if kind:
        found["type"] = kind
    if isinstance(workspace_sid, str) and _SID["WS"].fullmatch(workspace_sid):
        found["workspace"] = workspace_sid
    return found


def channel_type_of(attributes: Mapping[str, Any]) -> str | None:
    """The kind of channel that a task names, like ``sms``, ``whatsapp`` or ``web``; None when it names none."""
    kind = _text(attributes.get("channelType")).lower()
    return kind if CHANNEL_TYPE.fullmatch(kind) else None


def _text(value: object) -> str:
    """The value if it is a text. Any other need not even have one: Python gives up on deep lists."""
    return value if isinstance(value, str) else ""


def _as_mapping(field: str, value: object) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, Mapping):
        raise InvalidInput(field, "is not a JSON object", "the event cannot be read and is left out")
    return value
