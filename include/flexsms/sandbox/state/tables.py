"""Tables: rows with their order, their parents and their unique names.

Rows are flat dataclasses of JSON values, so that a snapshot is `orjson.dumps` and a restore is the
constructor. Moments are seconds since the epoch. Sub-second digits are kept; only the wire rounds them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from .ordered import Ordered
from .rows.chat import Channel, Message
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
from .rows.flex import FlexFlow
from .rows.messaging import MessageEvent, Sms
from .rows.proxy import Interaction, Participant, Session
from .rows.shared import Fixture, Service
from .rows.sync import SyncObject
from .rows.taskrouter import Event, Task


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
        self.inbox: Table[Sms] = Table(Sms)
        self.message_events: Table[MessageEvent] = Table(MessageEvent)
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
