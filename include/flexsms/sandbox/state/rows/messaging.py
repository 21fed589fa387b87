"""The rows of Messaging."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .row import Row


@dataclass(slots=True)
class Sms(Row):
    """What left for a handset or came from one."""

    parent: str  # the session or conversation, or the account
    to: str
    from_: str
    body: str
    status: str
    channel_sid: str | None
    message_sid: str | None = None
    interaction_sid: str | None = None  # Proxy's
    error_code: int | None = None
    history: list[list[Any]] = field(default_factory=list)
    direction: str = "outbound-api"  # inbound, or outbound-reply for Twilio's own answer to a word like STOP
    held: list[Any] | None = None  # status and code, if somebody on the way holds it back
    sent: float | None = None  # when it left for the carrier, arrived or failed

    @property
    def inbound(self) -> bool:
        return self.direction == "inbound"

    @property
    def customer(self) -> str:
        return self.from_ if self.inbound else self.to

    @property
    def number(self) -> str:
        """The Twilio number."""
        return self.to if self.inbound else self.from_

    @property
    def position(self) -> tuple[float, int]:
        """Where it is in lists of texts, which are sorted by when each was sent."""
        return self.created if self.sent is None else self.sent, self.seq


@dataclass(slots=True)
class MessageEvent(Row):
    """A step of a text, as Event Streams tells it to who has subscribed to it."""

    parent: str  # the text
    type: str
    data: dict[str, Any]
