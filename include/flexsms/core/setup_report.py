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

from flexsms.core.inbound_messages import RECEIVED
from flexsms.core.task_events import TaskEventType

# By its description we recognise what is ours.
STREAM_NAME = "flexsms task events"
# With their schema versions; unpinned, Twilio would move on to the newest by itself.
# https://www.twilio.com/docs/events/event-types, below "taskrouter" and "messaging"
EVENT_TYPES: Mapping[str, int] = {
    **{f"com.twilio.taskrouter.{event}": 4 for event in TaskEventType},
    RECEIVED: 6,
}
SUBSCRIBED = f"{len(TaskEventType)} task events, and what customers write"
FAILED, ACTIVE = "failed", "active"
WEBHOOK, KINESIS = "webhook", "kinesis"
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


WOULD = (RowState.WOULD_MAKE, RowState.WOULD_CHANGE, RowState.WOULD_REMOVE)


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
    :param named: whether somebody has just asked for it, and not only the connection or the account as it is
    """

    kind: str
    configuration: Mapping[str, Any]
    named: bool = True

    @property
    def address(self) -> str:
        """The URL or the ARN."""
        return _address(self.kind, self.configuration)

    def replaces(self, sink: Sink) -> bool:
        """Whether a sink of ours that leads elsewhere has to go for it.

        The connection alone names only a URL: an old one may go for that, but not a stream, which takes a person, a
        role and a test event to be set up again.
        """
        return self.named or self.kind == sink.kind == WEBHOOK


def webhook(url: str, *, named: bool = True) -> Target:
    """Posts to a URL."""
    return Target(WEBHOOK, {"destination": url, "method": "POST", "batch_events": True}, named)


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

    @property
    def address(self) -> str:
        """The URL or the ARN."""
        return _address(self.kind, self.configuration)

    def posts_to(self, url: str) -> bool:
        """Whether it is a webhook with a URL."""
        return bool(url) and (self.kind, self.address) == (WEBHOOK, url)

    def writes_to(self, stream: str) -> bool:
        """Whether it feeds a Kinesis stream, given by name or ARN."""
        return bool(stream) and self.kind == KINESIS and stream in (self.address, _stream_name(self.address))

    def leads_to(self, target: Target) -> bool:
        """Whether it is what a target asks for. What Twilio does not show of a sink is not compared."""
        shown = {name: _plain(name, value) for name, value in self.configuration.items()}
        same_place = (self.kind, self.address) == (target.kind, target.address)
        return same_place and all(
            shown.get(name, _plain(name, value)) == _plain(name, value)
            for name, value in target.configuration.items()
        )


def _address(kind: str, configuration: Mapping[str, Any]) -> str:
    return str(configuration.get("destination" if kind == WEBHOOK else "arn", ""))


def _stream_name(arn: str) -> str:
    return arn.partition(":stream/")[2]


def _plain(name: str, value: Any) -> str:
    """A value for comparing: Twilio writes methods in lower case, and truth values in more than one way."""
    return str(value).lower() if name in ("method", "batch_events") else str(value)


@dataclass(frozen=True, slots=True)
class Choice:
    """What to do with the sinks that are there.

    :param keep: leads where we want it to; None: one has to be made
    :param dead: ours, failed, and without a subscription: nothing is lost with them
    :param replaced: ours, to be removed once another one has taken over
    :param left: ours, but only a run that names its target takes them away
    :param foreign: others', which nobody touches
    """

    keep: Sink | None = None
    dead: Sequence[Sink] = field(default_factory=list)
    replaced: Sequence[Sink] = field(default_factory=list)
    left: Sequence[Sink] = field(default_factory=list)
    foreign: Sequence[Sink] = field(default_factory=list)


def standing(sinks: Iterable[Sink], name: str, *, url: str, stream: str) -> Target | None:
    """Where events are to go when nobody has just said so: where they go already, else to the connection's URL.

    :param name: the description of our sinks
    :param url: the connection's, perhaps empty
    :param stream: name or ARN of the connection's Kinesis stream, perhaps empty
    """
    ours = [sink for sink in sinks if sink.description == name and sink.status != FAILED]
    found = min(
        ours,
        key=lambda sink: (not sink.writes_to(stream), not sink.posts_to(url), *_rank(sink)),
        default=None,
    )
    if found and (found.kind != WEBHOOK or not url):
        return Target(found.kind, found.configuration, named=False)
    return webhook(url, named=False) if url else None


def choose(sinks: Iterable[Sink], name: str, target: Target) -> Choice:
    """Sort the account's sinks, whatever earlier tries have left.

    :param name: the description of ours
    """
    sinks = list(sinks)
    ours = [sink for sink in sinks if sink.description == name]
    fitting = [sink for sink in ours if sink.leads_to(target) and sink.status != FAILED]
    keep = min(fitting, key=_rank, default=None)
    others = [sink for sink in ours if sink is not keep]
    going = [sink for sink in others if target.replaces(sink)]
    dead = [sink for sink in going if sink.status == FAILED and not sink.subscriptions]
    return Choice(
        keep=keep,
        dead=dead,
        replaced=[sink for sink in going if sink not in dead],
        left=[sink for sink in others if sink not in going],
        foreign=[sink for sink in sinks if sink.description != name],
    )


def _rank(sink: Sink) -> tuple[bool, bool, datetime, str]:
    """For sorting: one that works already comes first, then the oldest, so that every try chooses the same."""
    return not sink.subscriptions, sink.status != ACTIVE, sink.created or _LONG_AGO, sink.sid
