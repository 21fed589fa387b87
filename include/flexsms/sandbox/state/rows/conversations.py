"""The rows of conversations v1 and of flex-api's interactions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .row import Row, parse_attributes


@dataclass(slots=True)
class Conversation(Row):
    parent: str  # the service
    name: str | None = None
    friendly_name: str | None = None
    attributes: str = "{}"
    state: str = "active"
    messaging_service_sid: str | None = None
    inactive_after: float | None = None  # seconds, both counted from `active_at`
    closed_after: float | None = None
    active_at: float = 0.0
    messages: int = 0

    def parsed_attributes(self) -> dict[str, Any]:
        return parse_attributes(self.attributes)

    @property
    def open(self) -> bool:
        return self.state != "closed"

    @property
    def date_inactive(self) -> float | None:
        due = self.state == "active" and self.inactive_after
        return self.active_at + due if due else None

    @property
    def date_closed(self) -> float | None:
        return self.active_at + self.closed_after if self.open and self.closed_after else None


@dataclass(slots=True)
class Member(Row):
    """A participant of a conversation: a handset (`address`, `proxy_address`) or a chat user (`identity`)."""

    parent: str  # the conversation
    identity: str | None = None
    address: str | None = None
    proxy_address: str | None = None
    attributes: str = "{}"
    role_sid: str | None = None
    last_read: int | None = None
    last_read_at: str | None = None


@dataclass(slots=True)
class Receipt(Row):
    """That a message was sent to one handset; what became of it is in the outbox."""

    parent: str  # the message
    sms_sid: str
    member_sid: str


@dataclass(slots=True)
class Webhook(Row):
    parent: str  # the conversation
    target: str
    configuration: dict[str, Any]
    task_sid: str | None = None  # the task that the Studio flow made and waits for


@dataclass(slots=True)
class Address(Row):
    """An address configuration: what a text does that finds no conversation."""

    parent: str
    kind: str
    address: str
    friendly_name: str | None = None
    country: str | None = None
    auto_creation: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class FlexInteraction(Row):
    parent: str
    type: str
    channel_sid: str = ""
    invite_sid: str = ""
    context_sid: str | None = None
    webhook_ttid: str | None = None


@dataclass(slots=True)
class FlexChannel(Row):
    """An interaction channel. `own` is whether it made its conversation, `used` when it was last active."""

    parent: str  # the interaction
    type: str
    status: str
    initiated_by: str
    conversation_sid: str
    customer: str | None
    number: str | None
    own: bool
    used: float
    error_code: int | None = None
    error_message: str | None = None


@dataclass(slots=True)
class Invite(Row):
    parent: str  # the interaction channel
    task_sid: str
    properties: dict[str, Any]  # of the task, as it was when it was made


@dataclass(slots=True)
class FlexParticipant(Row):
    parent: str  # the interaction channel
    type: str
    routing: dict[str, Any] | None = None  # task_sid, worker_sid, reservation_sid of an agent
    left: bool = False
