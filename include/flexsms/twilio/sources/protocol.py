"""What a source of task events has to offer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from flexsms.core.events import TaskEvent

# A page that carries a cursor is stored at once. In a long backlog the same channels come again and again: sparing
# cursors let them be written once for so many events.
EVENTS_PER_CURSOR = 20_000


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events, in any order.

    :param rejected: one sentence per event that should have been readable and was not
    :param ignored: events that concern no messaging channel
    :param cursor: where to go on once this page and all before it are stored; None while that is not yet known
    """

    events: Sequence[TaskEvent] = ()
    rejected: Sequence[str] = field(default=())
    ignored: int = 0
    cursor: str | None = None


class EventSource(Protocol):
    """Where task events are pulled from."""

    name: str

    def read(self, cursor: str | None) -> AsyncIterator[EventPage]:
        """Everything since the cursor, or all there is when there is none. The last page carries the new cursor.

        Whoever reads stores a page that carries a cursor, and all before it, before asking for the next. A source may
        therefore put away behind such a ``yield`` what it has handed out; if storing fails it is not asked again.
        """
        ...


class OpenTasks(Protocol):
    """Who knows for certain which channels are in use right now."""

    async def open_channels(self) -> frozenset[str]:
        """The channels that have a task which is not over."""
        ...
