"""What became of a text: how far it is known to have come, and what to do when it did not arrive.

Twilio accepts a text long before anybody knows whether it reached the handset. What it says in between may come late,
repeated and in any order, so what is known only ever grows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from flexsms.core.exceptions import InvalidInput

ERROR_PAGE = "https://www.twilio.com/docs/api/errors/"


class DeliveryStatus(StrEnum):
    """How far a text has come, in the order in which one outranks the other.

    Of the three that end its way, bad news outranks good news: where two of them are said of one message, it did not
    reach everybody it was meant for.
    """

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"

    @property
    def rank(self) -> int:
        """The higher outranks the lower."""
        return list(DeliveryStatus).index(self)

    @property
    def is_final(self) -> bool:
        """Whether nothing better or worse will follow."""
        return self.rank >= DeliveryStatus.DELIVERED.rank

    @classmethod
    def of(cls, word: str | None) -> DeliveryStatus:
        """What one of Twilio's words means; one that nobody knows says no more than that there is a text.

        Sources: https://www.twilio.com/docs/messaging/api/message-resource#message-status-values,
        https://www.twilio.com/docs/proxy/api/interaction, https://www.twilio.com/docs/conversations/api/receipt-resource

        :param word: a message's, a receipt's or a Proxy interaction's status
        """
        return _MEANING.get(str(word).lower().replace("_", "-"), cls.QUEUED)


_MEANING: Mapping[str, DeliveryStatus] = {
    "accepted": DeliveryStatus.QUEUED,
    "scheduled": DeliveryStatus.QUEUED,
    "queued": DeliveryStatus.QUEUED,
    "sending": DeliveryStatus.QUEUED,
    "sent": DeliveryStatus.SENT,
    "delivery-unknown": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.DELIVERED,
    "undelivered": DeliveryStatus.UNDELIVERED,
    "canceled": DeliveryStatus.FAILED,
    "failed": DeliveryStatus.FAILED,
}


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is known of one text.

    :param error_code: Twilio's, when it did not arrive and Twilio says why
    :param sms_sid: SM…, the SMS that carried it
    """

    status: DeliveryStatus
    error_code: int | None = None
    sms_sid: str | None = None

    def merge(self, other: Delivery) -> Delivery:
        """What is known once both are: commutative, associative, idempotent, and never back to an earlier status."""
        return max(self, other, key=lambda one: (one.status.rank, one.error_code or 0, one.sms_sid or ""))

    def to_json(self) -> dict[str, Any]:
        """The XCom value and the event of a trigger: no number and no text."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what :meth:`to_json` wrote.

        :raises InvalidInput: when it is something else
        """
        if not isinstance(value, Mapping) or value.get("status") not in list(DeliveryStatus):
            raise InvalidInput("delivery", "holds no known status", "give what a delivery's to_json returned")
        return cls(DeliveryStatus(value["status"]), value.get("error_code"), value.get("sms_sid"))

    def sentence(self) -> str:
        """What there is to say, and to do; SIDs and codes come last."""
        status = str(self.status) if self.status.rank > DeliveryStatus.DELIVERED.rank else ""
        error = f"error {self.error_code}" if self.error_code else ""
        named = ", ".join(filter(None, [status, error, self.sms_sid]))
        details = f" ({named})" if named else ""
        match self.status:
            case DeliveryStatus.QUEUED:
                return f"Not known yet: the SMS is still at Twilio, waiting to be sent{details}."
            case DeliveryStatus.SENT:
                return (
                    f"Not known yet: the carrier has the text, and the handset has not confirmed it{details}."
                )
            case DeliveryStatus.DELIVERED:
                return f"Delivered{details}."
            case _:
                return f"Not delivered: {reason(self.error_code)}{details}."


def reason(error_code: int | None) -> str:
    """Why a text did not arrive and what to do, without a full stop.

    :param error_code: Twilio's, None when it gave none
    """
    if error_code is None:
        return "Twilio gives no reason; look at the message in the Twilio Console"
    return REASONS.get(error_code) or f"the reason is explained at {ERROR_PAGE}{error_code}"


# What it means; what to do. https://www.twilio.com/docs/api/errors/<code>
REASONS: Mapping[int, str] = {
    21211: "Twilio takes the recipient for no valid number; correct to_number",
    21268: "the recipient is a premium or information number; use another number of the customer",
    21408: "texts to this country are switched off; allow the country in the Console's SMS geo permissions",
    21606: "the sender cannot send SMS; give a from_number that can",
    21608: "a trial account texts verified numbers only; verify the recipient or upgrade the account",
    21610: "the recipient has opted out (STOP); do not text this number until they send START",
    21612: "there is no route from this sender to the recipient; use another from_number",
    21614: "the recipient is no mobile number; use another number of the customer",
    21617: "the text is longer than 1600 characters; shorten body",
    30001: "more was queued than the sender may send; wait, then send again under another idempotency_key",
    30002: "the account was suspended; ask Twilio's support",
    30003: "the handset is switched off or out of reach; send again later under another idempotency_key",
    30004: "the recipient or the carrier blocks these texts; use another way to reach the customer",
    30005: "the number is unknown or no longer in service; ask the customer for the right one",
    30006: "the number is a landline, or its carrier is out of reach; use another number of the customer",
    30007: "the carrier or Twilio filtered the text as spam; reword body, and leave out shortened links",
    30008: "the carrier does not say why; send again once under another idempotency_key",
    30032: "the toll-free sender is not verified; have the number verified in the Twilio Console",
    30034: "the sender is not registered for US A2P 10DLC; add from_number to a registered campaign",
    30035: "the sender's US A2P 10DLC registration is not through yet; wait for it, or use another from_number",
    30450: "Twilio takes the traffic for SMS pumping; check the recipients, then the account's SMS protection",
    63018: "the sender's rate limit is exceeded; send fewer at a time, and this one again later",
}
