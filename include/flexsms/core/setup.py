"""What setting an account up comes to: a table of what is there and what was made, and which sink to keep.

Event Streams' rules that decide here (https://www.twilio.com/docs/events): a sink cannot be given another address, so
a changed one means another sink; a sink has at most one subscription; events that arrive twice do no harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from flexsms.core.events import TaskEventType

# By its description we recognise what is ours.
STREAM_NAME = "flexsms task events"
EVENT_TYPES: Sequence[str] = tuple(f"com.twilio.taskrouter.{event}" for event in TaskEventType)
# Of https://events-schemas.twilio.com/TaskRouter.WDSEvent. Unpinned, Twilio would move on to its newest by itself.
SCHEMA_VERSION = 4
FAILED, ACTIVE = "failed", "active"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class RowState(StrEnum):
    """What became of a thing."""

    EXISTS = "exists"
    MADE = "made"
    CHANGED = "changed"
    REMOVED = "removed"
    WOULD_MAKE = "would be made"
    WOULD_CHANGE = "would be changed"
    WOULD_REMOVE = "would be removed"
    LEFT = "left as it is"
    NOT_OURS = "not ours"
    SKIPPED = "skipped"
    WAITS = "waits for you"


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    :param what: the kind of thing, for people
    :param sid: its SID; empty while there is none
    :param note: a sentence or less; no phone number but its last four digits
    """

    what: str
    state: RowState
    sid: str = ""
    note: str = ""


def table(rows: Iterable[Row]) -> str:
    """The rows below each other, in columns, for a log."""
    cells = [(row.what, row.state, row.sid, row.note) for row in rows]
    widths = [max((len(line[column]) for line in cells), default=0) for column in range(3)]
    return "\n".join(
        "  ".join(
            [*(text.ljust(width) for text, width in zip(line[:3], widths, strict=True)), line[3]]
        ).rstrip()
        for line in cells
    )


@dataclass(frozen=True, slots=True)
class Target:
    """Where Event Streams is to send events.

    :param kind: ``webhook`` or ``kinesis``
    :param configuration: what Twilio wants to know of such a sink
    """

    kind: str
    configuration: Mapping[str, Any]

    @property
    def address(self) -> str:
        """The URL or the ARN."""
        return _address(self.kind, self.configuration)


@dataclass(frozen=True, slots=True)
class Sink:
    """A sink of the account.

    :param subscriptions: the SIDs of its subscriptions; Twilio lets it have one
    """

    sid: str
    description: str
    kind: str
    configuration: Mapping[str, Any]
    status: str
    created: datetime | None = None
    subscriptions: Sequence[str] = ()

    def leads_to(self, target: Target) -> bool:
        """Whether it is what a target asks for. What Twilio does not show of a sink is not compared."""
        shown = {name: _plain(name, value) for name, value in self.configuration.items()}
        same_place = (self.kind, _address(self.kind, self.configuration)) == (target.kind, target.address)
        return same_place and all(
            shown.get(name, _plain(name, value)) == _plain(name, value)
            for name, value in target.configuration.items()
        )


def _address(kind: str, configuration: Mapping[str, Any]) -> str:
    return str(configuration.get("destination" if kind == "webhook" else "arn", ""))


def _plain(name: str, value: Any) -> str:
    """A value for comparing: Twilio writes methods in lower case, and truth values in more than one way."""
    return str(value).lower() if name in ("method", "batch_events") else str(value)


@dataclass(frozen=True, slots=True)
class Choice:
    """What to do with the sinks that are there.

    :param keep: leads where we want it to; None: one has to be made
    :param dead: ours, failed, and without a subscription: nothing is lost with them
    :param replaced: ours, to be removed once another one has taken over
    :param foreign: others', which nobody touches
    """

    keep: Sink | None = None
    dead: Sequence[Sink] = field(default_factory=list)
    replaced: Sequence[Sink] = field(default_factory=list)
    foreign: Sequence[Sink] = field(default_factory=list)


def choose(sinks: Iterable[Sink], name: str, target: Target) -> Choice:
    """Sort the account's sinks, whatever earlier tries have left.

    :param name: the description of ours
    """
    sinks = list(sinks)
    ours = [sink for sink in sinks if sink.description == name]
    fitting = [sink for sink in ours if sink.leads_to(target) and sink.status != FAILED]
    # One that works already comes first, then the oldest: every try chooses the same.
    fitting.sort(
        key=lambda sink: (not sink.subscriptions, sink.status != ACTIVE, sink.created or _LONG_AGO, sink.sid)
    )
    keep = fitting[0] if fitting else None
    dead = [sink for sink in ours if sink.status == FAILED and not sink.subscriptions]
    return Choice(
        keep=keep,
        dead=dead,
        replaced=[sink for sink in ours if sink is not keep and sink not in dead],
        foreign=[sink for sink in sinks if sink.description != name],
    )
