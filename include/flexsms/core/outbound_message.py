"""An SMS that is to start or continue a Flex conversation, checked before anything is sent."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from flexsms.core.exceptions import InvalidInput
from flexsms.core.phone_numbers import parse_number, remark
from flexsms.core.redaction import mask_number
from flexsms.core.validation import parse_choice, parse_sid, parse_text

MAX_BODY_CHARACTERS = 1600  # https://www.twilio.com/docs/glossary/what-sms-character-limit
MAX_TASK_ATTRIBUTES_BYTES = 4096
FINGERPRINT = "2"  # the version of fingerprints
# What https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html asks for with SHA-256.
ROW_KEY_ROUNDS = 600_000

# Written by flexsms and by Flex itself; a caller who could overwrite them would cut the task off its channel.
# A text and its task bear the digest of the idempotency key in this attribute.
DIGEST_ATTRIBUTE = "flexsms_key"
RESERVED_TASK_ATTRIBUTES = frozenset(
    {"channelSid", "conversationSid", "channelType", "from", "to", "name", "direction"}
    | {"customerAddress", "customerName"}
    | {"flexInteractionSid", "flexInteractionChannelSid", "sourceChatChannelSid", "targetWorkerSid"}
    | {DIGEST_ATTRIBUTE}
)

_GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ.¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM7_EXTENSION = frozenset("^{}\\[~]|€\f")
_ALL_GSM7 = _GSM7 | _GSM7_EXTENSION


class Route(StrEnum):
    """Where the customer's reply goes."""

    AGENT = "agent"
    STUDIO = "studio"


@dataclass(frozen=True, slots=True)
class Segments:
    """How a text is cut for the air: the encoding and the number of billed parts."""

    encoding: str
    count: int


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """A checked text. Make it with :meth:`parse`; numbers are E.164, and no ``repr`` shows them.

    :param route: ``agent`` opens a task, ``studio`` is fire-and-forget
    :param from_number: the Twilio number, E.164
    :param to_number: the customer's number, E.164
    :param body: the text, empty only with route ``agent``
    :param target_worker_sid: the agent who should get the task
    :param worker_only: nobody else may get it
    :param channel_type: the kind of channel, like ``sms``; another one only where a customer goes on in a fresh one
    """

    route: Route
    from_number: str = field(repr=False)
    to_number: str = field(repr=False)
    body: str = field(repr=False)
    to_name: str = field(default="", repr=False)
    target_worker_sid: str | None = None
    worker_only: bool = False
    source_channel_sid: str | None = None
    task_attributes: Mapping[str, Any] = field(default_factory=dict, repr=False)
    channel_type: str = "sms"

    @classmethod
    def parse(
        cls,
        *,
        from_number: str,
        to_number: str,
        body: str | None = None,
        route: str = Route.AGENT,
        to_name: str | None = None,
        target_worker_sid: str | None = None,
        worker_only: bool = False,
        source_channel_sid: str | None = None,
        task_attributes: Mapping[str, Any] | None = None,
    ) -> OutboundMessage:
        """Check every field and normalise the numbers.

        :raises InvalidInput: naming the first field that is wrong and what to do about it
        """
        parsed_route = parse_choice(Route, "route", "is not a route", route)
        sender = parse_number("from_number", from_number)
        recipient = parse_number("to_number", to_number)
        if sender == recipient:
            raise InvalidInput("to_number", "is the same as from_number", "give the customer's number")
        message = cls(
            route=parsed_route,
            from_number=sender,
            to_number=recipient,
            body=_parse_body(body, parsed_route),
            to_name=parse_text("to_name", to_name),
            target_worker_sid=parse_sid("target_worker_sid", "WK", target_worker_sid),
            worker_only=worker_only,
            source_channel_sid=parse_sid("source_channel_sid", "CH", source_channel_sid),
            task_attributes=_parse_attributes(task_attributes),
        )
        if message.route is Route.STUDIO and message.target_worker_sid:
            raise InvalidInput(
                "target_worker_sid",
                "has no meaning with route 'studio'",
                "leave it empty or use route 'agent'",
            )
        if message.worker_only and not message.target_worker_sid:
            raise InvalidInput(
                "worker_only", "is on, and no agent is named", "give target_worker_sid, or switch it off"
            )
        return message

    @property
    def name(self) -> str:
        """What agents see: the customer's name, or the last four digits of the number."""
        return self.to_name or mask_number(self.to_number)

    @property
    def segments(self) -> Segments:
        """How many parts are billed (https://www.twilio.com/docs/glossary/what-sms-character-limit)."""
        return count_segments(self.body)

    def remarks(self) -> list[str]:
        """What whoever sends should know, though it keeps nobody from sending; a sentence each."""
        numbers = {"from_number": self.from_number, "to_number": self.to_number}
        return [told for name, number in numbers.items() if (told := remark(name, number))]

    def routing_attributes(self) -> dict[str, Any]:
        """The task attributes by which the workflow routes and the agent sees who is meant; with personal data."""
        attributes = {
            **self.task_attributes,
            "to": self.to_number,
            "from": self.from_number,
            "direction": "outbound",
            "name": self.name,
        }
        if self.source_channel_sid:
            attributes["sourceChatChannelSid"] = self.source_channel_sid
        if self.target_worker_sid:
            attributes["targetWorkerSid"] = self.target_worker_sid
        return attributes

    def fingerprint(self, secret: str) -> str:
        """A digest by which a second use of an idempotency key for another text is noticed.

        Without the secret nobody can find a number by trying all of them.

        :param secret: what whoever keeps the digest does not know
        """
        material = self._material()
        return f"{FINGERPRINT}.{_secret_id(secret)}.{_keyed(secret, material)}"

    def is_text_of(self, fingerprint: str, secret: str) -> bool:
        """Whether a fingerprint may be this text's; where it was made with another secret, nobody can tell, so it may.

        :param fingerprint: of this version or of an earlier one, which had no secret
        """
        version, _, rest = fingerprint.partition(".")
        if version != FINGERPRINT:
            return fingerprint == hashlib.sha256(self._material()).hexdigest()[:32]
        return not rest.startswith(_secret_id(secret)) or fingerprint == self.fingerprint(secret)

    def row_key(self, task: str) -> str:
        """The idempotency key of a row in a list that a task maps over: who is texted what, wherever the row stands.

        It is slow to make, so that whoever sees its digest cannot try all numbers at leisure. Keyed like a fingerprint
        it would be another key once the connection's secret has changed, and a text that left would leave again.

        :param task: whose list it is: DAG, run and task
        """
        row = json.dumps([self.from_number, self.to_number, self.body]).encode()
        return f"{task}/{hashlib.pbkdf2_hmac('sha256', row, task.encode(), ROW_KEY_ROUNDS).hex()}"

    def _material(self) -> bytes:
        return json.dumps([self.route, self.from_number, self.to_number, self.body]).encode()


def _keyed(secret: str, material: bytes) -> str:
    return hmac.new(secret.encode(), material, hashlib.sha256).hexdigest()[:32]


def _secret_id(secret: str) -> str:
    """Tells one secret from the next, and nothing else of it."""
    return _keyed(secret, b"flexsms: which secret")[:8]


def count_segments(body: str) -> Segments:
    """Encoding and number of parts of a text: GSM-7 160 or 153 septets, UCS-2 70 or 67 units.

    Where a messaging service sends it with Smart Encoding, a text with curly quotes or dashes costs less.

    Source: https://www.twilio.com/docs/messaging/services#smart-encoding
    """
    characters = {*body}
    if characters <= _ALL_GSM7:
        encoding, single, part = "GSM-7", 160, 153
        of_two = characters & _GSM7_EXTENSION
    else:
        encoding, single, part = "UCS-2", 70, 67
        of_two = {character for character in characters if ord(character) > 0xFFFF}
    if len(body) + sum(map(body.count, of_two)) <= single:
        return Segments(encoding, 1 if body else 0)
    if not of_two:
        return Segments(encoding, -(-len(body) // part))
    costs = [2 if character in of_two else 1 for character in body]
    # A character of two units is never split over two parts, so the parts are filled one by one.
    count, room = 1, part
    for cost in costs:
        if cost > room:
            count, room = count + 1, part
        room -= cost
    return Segments(encoding, count)


def first_outside_gsm7(body: str) -> str:
    """The character that makes a text UCS-2, empty where none does."""
    return next((character for character in body if character not in _ALL_GSM7), "")


def _parse_body(value: str | None, route: Route) -> str:
    body = parse_text("body", value)
    if not body and route is Route.STUDIO:
        raise InvalidInput(
            "body", "is empty", "write a text, or use route 'agent' and let the agent write first"
        )
    if len(body) > MAX_BODY_CHARACTERS:
        raise InvalidInput(
            "body",
            f"has {len(body)} characters",
            f"shorten it to {MAX_BODY_CHARACTERS}, the most Twilio takes",
        )
    return body


def _parse_attributes(value: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidInput(
            "task_attributes", f"is {type(value).__name__}, not an object", 'write JSON like {"vip": true}'
        )
    reserved = sorted(RESERVED_TASK_ATTRIBUTES & set(value))
    if reserved:
        raise InvalidInput(
            "task_attributes",
            f"{', '.join(reserved)} belong to Flex",
            "use other names or the fields of the form",
        )
    try:
        size = len(json.dumps(value, allow_nan=False).encode())
    except (TypeError, ValueError):
        raise InvalidInput(
            "task_attributes", "cannot be written as JSON", "use texts, numbers and lists only"
        ) from None
    if size > MAX_TASK_ATTRIBUTES_BYTES:
        raise InvalidInput(
            "task_attributes",
            f"has {size} bytes",
            f"keep it within {MAX_TASK_ATTRIBUTES_BYTES}; store a reference",
        )
    return dict(value)
