"""The rows of every resource, in tables that know their order, their parents and their unique names.

Rows are flat dataclasses of JSON values, so that a snapshot is `orjson.dumps` and a restore is the
constructor. Moments are seconds since the epoch. Sub-second digits are kept; only the wire rounds them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from .ordered import Ordered
from .rows.conversations import (
    Address,
    Conversation,
    FlexChannel,
    FlexInteraction,
    FlexParticipant,
    Invite,
    Member,
    Receipt,
    Webhook,
)
from .rows.event_streams import Sink, Subscription
from .rows.row import Row, facts


@dataclass(slots=True)
class Service(Row):
    """A service of chat, proxy or sync."""

    parent: str  # the product: "chat", "proxy", "sync"
    name: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class FlexFlow(Row):
    parent: str
    friendly_name: str
    chat_service_sid: str
    channel_type: str
    contact_identity: str | None
    enabled: bool
    integration_type: str
    integration: dict[str, Any]
    long_lived: bool
    janitor_enabled: bool


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

    def facts(self) -> dict[str, Any]:
        return facts(self.attributes)

    @property
    def active(self) -> bool:
        # Compared without case: Twilio's error page writes `inactive`, every sample `INACTIVE` (facts A.3).
        return str(self.facts().get("status", "")).upper() == "ACTIVE"


@dataclass(slots=True)
class Message(Row):
    parent: str  # the channel or conversation
    author: str
    body: str | None
    attributes: str
    index: int
    member_sid: str | None = None  # who wrote it, of a conversation's participants


@dataclass(slots=True)
class Session(Row):
    parent: str  # the proxy service
    name: str | None
    mode: str
    status: str
    ttl: int
    expires: float | None = None
    closed_reason: str | None = None
    started: float | None = None
    ended: float | None = None
    last_interaction: float | None = None
    reopened: float | None = None


@dataclass(slots=True)
class Participant(Row):
    parent: str  # the session
    identifier: str
    proxy_identifier: str | None
    proxy_identifier_sid: str | None
    friendly_name: str | None
    deleted: float | None = None


@dataclass(slots=True)
class Interaction(Row):
    parent: str  # the session
    body: str
    inbound: dict[str, Any]  # participant, resource, status, type
    outbound: dict[str, Any]
    participant_sid: str | None = None  # for MessageInteractions


@dataclass(slots=True)
class Sms(Row):
    """What left for a handset."""

    parent: str  # the session or conversation
    to: str
    from_: str
    body: str
    status: str
    channel_sid: str | None
    message_sid: str | None = None
    interaction_sid: str | None = None  # Proxy's
    error_code: int | None = None
    history: list[list[Any]] = field(default_factory=list)


@dataclass(slots=True)
class SyncObject(Row):
    """A Document, Map or List (by its SID prefix), or an item of one of the latter two."""

    parent: str
    name: str | None
    revision: int = 0
    data: Any = None
    expires: float | None = None
    index: int = 0


@dataclass(slots=True)
class Task(Row):
    parent: str  # the workspace
    attributes: str
    status: str
    priority: int
    timeout: int
    workflow_sid: str
    queue_sid: str
    channel_name: str
    channel_sid: str | None  # of its attributes: the chat channel
    conversation_sid: str | None  # of its attributes, too
    routing_target: str | None = None
    ignore_capacity: bool = False
    virtual_start: float | None = None
    version: int = 0
    reason: str | None = None
    ended: float | None = None
    worker_sid: str | None = None
    reservation_sid: str | None = None


@dataclass(slots=True)
class Event(Row):
    parent: str  # the workspace
    type: str
    ms: int
    resource_type: str
    resource_sid: str
    actor_type: str
    actor_sid: str
    description: str
    data: Any


@dataclass(slots=True)
class Fixture(Row):
    """What is only looked at: workspace, worker, queue, workflow, Studio flow, phone number."""

    parent: str
    name: str
    settings: dict[str, Any] = field(default_factory=dict)


class _Rowlike(Protocol):
    sid: str
    seq: int
    parent: str


R = TypeVar("R", bound=_Rowlike)


class Table(Generic[R]):
    """Rows by SID, by parent in order, and by (parent, unique name) where rows have one.

    Parameters
    ----------
    kind: the dataclass of the rows, for restoring.
    position: what a list of this resource is ordered by, within its parent.
    named: whether `row.name` is a unique name.
    """

    def __init__(
        self, kind: Callable[..., R], *, position: Callable[[R], Any] | None = None, named: bool = False
    ) -> None:
        self.kind = kind
        self._position: Callable[[R], Any] = position or (lambda row: row.seq)
        self._named = named
        self.clear()

    def clear(self) -> None:
        self._rows: dict[str, R] = {}
        self._order: dict[str, Ordered[R]] = {}
        self._names: dict[tuple[str, str], str] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[R]:
        return iter(self._rows.values())

    def add(self, row: R) -> R:
        self._rows[row.sid] = row
        self.under(row.parent).add(self._position(row), row)
        if self._named and (name := row.name):  # type: ignore[attr-defined]
            self._names[row.parent, name] = row.sid
        return row

    def drop(self, row: R) -> None:
        if self._rows.pop(row.sid, None) is None:
            return
        self.under(row.parent).remove(self._position(row))
        if self._named and (name := row.name):  # type: ignore[attr-defined]
            self._names.pop((row.parent, name), None)

    def rename(self, row: R, name: str | None) -> None:
        if old := row.name:  # type: ignore[attr-defined]
            self._names.pop((row.parent, old), None)
        row.name = name  # type: ignore[attr-defined]
        if name:
            self._names[row.parent, name] = row.sid

    def get(self, sid: str | None) -> R | None:
        return self._rows.get(sid) if sid else None

    def within(self, parent: str, sid: str) -> R | None:
        row = self._rows.get(sid)
        return row if row is not None and row.parent == parent else None

    def named(self, parent: str, name: str) -> R | None:
        return self.get(self._names.get((parent, name)))

    def under(self, parent: str) -> Ordered[R]:
        order = self._order.get(parent)
        if order is None:
            order = self._order[parent] = Ordered()
        return order

    def drop_under(self, parent: str) -> None:
        for _, row in list(self.under(parent).forward()):
            self.drop(row)
        self._order.pop(parent, None)

    def restore(self, rows: list[dict[str, Any]]) -> None:
        self.clear()
        for row in rows:
            self.add(self.kind(**row))


class Store:
    """All tables, and the sequence that orders them."""

    def __init__(self) -> None:
        self.seq = 0
        self.services: Table[Service] = Table(Service)
        self.flows: Table[FlexFlow] = Table(FlexFlow)
        self.channels: Table[Channel] = Table(Channel, named=True)
        self.messages: Table[Message] = Table(Message, position=lambda row: row.index)
        self.sessions: Table[Session] = Table(Session, named=True)
        self.participants: Table[Participant] = Table(Participant)
        self.interactions: Table[Interaction] = Table(Interaction)
        self.outbox: Table[Sms] = Table(Sms)
        self.conversations: Table[Conversation] = Table(Conversation, named=True)
        self.members: Table[Member] = Table(Member)
        self.receipts: Table[Receipt] = Table(Receipt)
        self.webhooks: Table[Webhook] = Table(Webhook)
        self.addresses: Table[Address] = Table(Address)
        self.flex_interactions: Table[FlexInteraction] = Table(FlexInteraction)
        self.flex_channels: Table[FlexChannel] = Table(FlexChannel)
        self.invites: Table[Invite] = Table(Invite)
        self.flex_participants: Table[FlexParticipant] = Table(FlexParticipant)
        self.documents: Table[SyncObject] = Table(SyncObject, named=True)
        self.maps: Table[SyncObject] = Table(SyncObject, named=True)
        self.lists: Table[SyncObject] = Table(SyncObject, named=True)
        self.map_items: Table[SyncObject] = Table(SyncObject, position=lambda row: row.name)
        self.list_items: Table[SyncObject] = Table(SyncObject, position=lambda row: row.index)
        self.tasks: Table[Task] = Table(Task)
        self.events: Table[Event] = Table(Event, position=lambda row: (row.ms, row.seq))
        self.fixtures: Table[Fixture] = Table(Fixture)
        self.sinks: Table[Sink] = Table(Sink)
        self.subscriptions: Table[Subscription] = Table(Subscription)

    def next(self) -> int:
        self.seq += 1
        return self.seq

    def tables(self) -> dict[str, Table[Any]]:
        return {name: table for name, table in vars(self).items() if isinstance(table, Table)}
