"""What a source of task events has to offer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol

from flexsms.core.exceptions import FlexSmsError
from flexsms.core.inbound_messages import OptOutWord
from flexsms.core.task_events import Ignored, TaskEvent

# A page that carries a cursor is stored at once. In a long backlog the same channels come again and again: sparing
# cursors let them be written once for so many events.
EVENTS_PER_CURSOR = 20_000
# Of the events of a page or a post that cannot be read, so many are named one by one, wherever people read of them.
NAMED_REJECTS = 20


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events, in any order.

    :param rejected: one sentence per event that should have been readable and was not
    :param ends: tasks of which an event told the end and no channel, with the moment, milliseconds since 1970 UTC
    :param ignored: how many events concern no messaging channel of ours, by reason; those in ``ends`` are among them
    :param foreign: how many of these are another workspace's or account's, by its SID
    :param opt_outs: customers who have opted out or in again
    :param cursor: where to go on once this page and all before it are stored; None while that is not yet known
    """

    events: Sequence[TaskEvent] = ()
    rejected: Sequence[str] = field(default=())
    ends: Sequence[tuple[str, int]] = ()
    ignored: Mapping[Ignored, int] = field(default_factory=dict)
    foreign: Mapping[str, int] = field(default_factory=dict)
    opt_outs: Sequence[OptOutWord] = ()
    cursor: str | None = None


class EventSource(Protocol):
    """Where task events are pulled from.

    :ivar name: which kind of source it is
    :ivar scope: what it reads, since a cursor means nothing anywhere else: a SID, or what :func:`scope_of` makes
    """

    name: str
    scope: str

    def read(self, cursor: str | None) -> AsyncGenerator[EventPage, None]:
        """Everything since the cursor, or all there is when there is none. The last page carries the new cursor.

        Whoever reads stores a page that carries a cursor, and all before it, before asking for the next. A source may
        therefore put away behind such a ``yield`` what it has handed out; if storing fails it is not asked again. A
        source that fails on its way may yield how far it came before it raises. Whoever stops early closes it.
        """
        ...


def scope_of(*parts: str) -> str:
    """A short name for where events come from that gives nothing of it away, 16 hexadecimal digits.

    :param parts: whatever tells it from others; a URL among them may hold a secret
    """
    return blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()


def reason_of(error: Exception) -> str:
    """What an error of a store or a collector says, for a log: not all of it, since its URL may hold a secret."""
    if isinstance(error, FlexSmsError):
        return str(error)
    return getattr(error, "strerror", None) or type(error).__name__
