"""CloudEvents of Twilio Event Streams: those of one post, and the task event or the opt-out in each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from flexsms.core.attributes import is_sid
from flexsms.core.exceptions import InvalidInput
from flexsms.core.inbound_messages import RECEIVED, OptOutWord, word_of
from flexsms.core.task_events import (
    KNOWN_TYPES,
    Ignored,
    TaskEvent,
    Unplaced,
    as_mapping,
    printable,
    task_event_of,
    text_of,
    to_ms,
)

CLOUD_EVENT_PREFIX = "com.twilio.taskrouter."
# An event of Twilio's is nested six deep. Parsers give up somewhere about 1000, each of them elsewhere.
MAX_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Home:
    """Whose events count: channels of any other workspace can neither be looked after nor be protected.

    :param account_sid: AC…
    :param workspace_sid: WS…; decides where an event names one
    """

    account_sid: str
    workspace_sid: str


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


def from_cloud_event(
    envelope: Mapping[str, Any], home: Home | None = None
) -> TaskEvent | OptOutWord | Unplaced:
    """Read one CloudEvent of Twilio Event Streams.

    Some products deliver ``data`` or ``payload`` as a JSON string; both are decoded.
    Source: https://www.twilio.com/docs/events/event-types/taskrouter/task

    :param home: whose events count; None: everybody's
    :return: the event, or why it concerns neither a messaging channel of ours nor opt-outs
    :raises InvalidInput: when it should concern one and cannot be read
    """
    if envelope.get("type") == RECEIVED:
        return _from_message(envelope, home)
    type_name = text_of(envelope.get("type")).removeprefix(CLOUD_EVENT_PREFIX)
    if type_name not in KNOWN_TYPES:
        return Unplaced(Ignored.OTHER_TYPE if type_name else Ignored.NO_TYPE)
    data = as_mapping("data", envelope.get("data"))
    payload = as_mapping("data.payload", data.get("payload"))
    workspace_sid = payload.get("workspace_sid") or data.get("workspace_sid")
    account_sid = payload.get("account_sid") or data.get("account_sid")
    origin = _foreign(home, workspace_sid, account_sid) if home else ""
    if origin:
        return Unplaced(Ignored.FOREIGN, origin=origin)
    moment = data.get("timestamp") or payload.get("timestamp") or envelope.get("time")
    return task_event_of(
        event_id=printable(envelope.get("id") or data.get("sid")),
        type_name=type_name,
        at_ms=to_ms("data.timestamp", moment),
        task_sid=payload.get("task_sid") or payload.get("resource_sid"),
        data=payload,
        workspace_sid=workspace_sid,
    )


def _from_message(envelope: Mapping[str, Any], home: Home | None) -> OptOutWord | Unplaced:
    word = word_of(envelope)
    if word is None:
        return Unplaced(Ignored.OTHER_TYPE)
    account_sid = as_mapping("data", envelope.get("data")).get("accountSid")
    origin = _foreign(home, None, account_sid) if home else ""
    return Unplaced(Ignored.FOREIGN, origin=origin) if origin else word


def _foreign(home: Home, workspace_sid: object, account_sid: object) -> str:
    """The workspace or account of an event, if it is another one than ours; empty when it is ours or nobody knows."""
    for prefix, named, ours in (
        ("WS", workspace_sid, home.workspace_sid),
        ("AC", account_sid, home.account_sid),
    ):
        if is_sid(named, prefix):
            return "" if named == ours else named
    return ""


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


def _without_half_characters(body: bytes) -> Any:
    """A text cut in the middle of an emoji ends in half a surrogate pair, which JSON allows and orjson refuses.

    Nobody could print or store it, so it becomes a question mark. What else is wrong, orjson refuses once more.
    """
    try:
        text = json.dumps(json.loads(body.decode()), ensure_ascii=False)
        return orjson.loads(text.encode(errors="replace"))
    except (ValueError, RecursionError):
        raise InvalidInput("body", "is not JSON", "expected what Event Streams posts") from None
