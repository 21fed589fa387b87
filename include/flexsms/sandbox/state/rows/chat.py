"""The rows of Programmable Chat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .row import Row, parse_attributes


@dataclass(slots=True)
class Channel(Row):
    """A chat channel; with `flow_sid`, also a flex-api channel."""

    parent: str  # the chat service
    name: str | None
    friendly_name: str | None
    attributes: str
    type: str
    created_by: str
    messages: int = 0
    flow_sid: str | None = None
    user_sid: str | None = None
    task_sid: str | None = None
    customer: str | None = None
    number: str | None = None
    customer_name: str | None = None
    identity: str | None = None

    def parsed_attributes(self) -> dict[str, Any]:
        return parse_attributes(self.attributes)

    @property
    def active(self) -> bool:
        # Compared without case: Twilio's error page writes `inactive`, every sample `INACTIVE` (https://www.twilio.com/docs/flex/developer/messaging/chat-channel).
        return str(self.parsed_attributes().get("status", "")).upper() == "ACTIVE"


@dataclass(slots=True)
class Message(Row):
    parent: str  # the channel or conversation
    author: str
    body: str | None
    attributes: str
    index: int
    member_sid: str | None = None  # who wrote it, of a conversation's participants
