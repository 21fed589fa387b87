"""What customers write, as Event Streams tells it: kept of it is that somebody opts out or in, and never who or how.

Source: https://www.twilio.com/docs/events/event-types/messaging/inbound-message
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flexsms.core.attributes import is_sid
from flexsms.core.exceptions import InvalidInput
from flexsms.core.opt_out import opts_out
from flexsms.core.task_events import as_mapping, believable, printable, text_of, to_ms

PREFIX = "com.twilio.messaging."
RECEIVED = f"{PREFIX}inbound-message.received"
OPTS_OUT = "optsOut"  # what stands in a kept event in place of numbers and body


@dataclass(frozen=True, slots=True)
class OptOutWord:
    """A customer has sent STOP, START or the like.

    :param message_sid: SM… or MM…, which Twilio can be asked for the number
    :param at_ms: when, milliseconds since 1970 UTC
    :param out: whether the customer opts out; else in again
    """

    message_sid: str
    at_ms: int
    out: bool


def word_of(envelope: Mapping[str, Any]) -> OptOutWord | None:
    """The word in an event of a received message, as Twilio sends it or as :func:`keepable` leaves it.

    :return: None where the message says something else, or came by another way than SMS, which has rules of its own
    :raises InvalidInput: when it cannot be read; the sentence quotes neither a number nor a text
    """
    data = as_mapping("data", envelope.get("data"))
    out = data.get(OPTS_OUT)
    if not isinstance(out, bool):
        out = opts_out(text_of(data.get("body"))) if text_of(data.get("from")).startswith("+") else None
    if out is None:
        return None
    message_sid = data.get("messageSid")
    if not (is_sid(message_sid, "SM") or is_sid(message_sid, "MM")):
        raise InvalidInput("data.messageSid", "is no SID of a message", "expected SM… or MM…")
    at_ms = believable(to_ms("data.timestamp", data.get("timestamp") or envelope.get("time")), "the message")
    return OptOutWord(str(message_sid), at_ms, out)


def is_message(event: object) -> bool:
    """Whether something is a CloudEvent about a message, which may hold numbers and a text."""
    return isinstance(event, Mapping) and text_of(event.get("type")).startswith(PREFIX)


def keepable(events: Sequence[Any]) -> tuple[list[Any], list[str]]:
    """What may be stored of some CloudEvents: all but Messaging's, and of those that opt out or in what is needed.

    :return: these, and a sentence for each message that could not be read, which is left out
    """
    kept: list[Any] = []
    problems: list[str] = []
    for event in events:
        if not is_message(event):
            kept.append(event)
        elif event["type"] == RECEIVED:
            try:
                word = word_of(event)
            except InvalidInput as error:
                problems.append(str(error))
                continue
            if word is not None:
                kept.append(_without_numbers(event, word))
    return kept, problems


def _without_numbers(event: Mapping[str, Any], word: OptOutWord) -> dict[str, Any]:
    data = as_mapping("data", event.get("data"))
    account_sid = data.get("accountSid")
    return {
        "specversion": "1.0",
        "type": RECEIVED,
        "id": printable(event.get("id")),
        "data": {
            "messageSid": word.message_sid,
            "accountSid": account_sid if is_sid(account_sid, "AC") else None,
            "timestamp": data.get("timestamp") or event.get("time"),
            OPTS_OUT: word.out,
        },
    }
