"""What events over several sources at once have to come to: nothing confirmed is lost, and every state is right."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sized
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from bench.figures import Spread, Target
from flexsms.core.channel_state import ChannelState
from flexsms.core.event_source import EventPage, EventSource
from flexsms.core.stack_name import StackName
from flexsms.core.task_events import TaskEvent, TaskEventType


@dataclass(frozen=True, slots=True)
class Load:
    """How much of everything.

    :param kills: how often each receiver is killed
    """

    events: int = 100_000
    channels: int = 5_000
    kills: int = 10


QUICK = Load(events=10_000, channels=1_000, kills=2)


@dataclass(slots=True)
class Story:
    """What one source was told, and what it told.

    :param confirmed: IDs of the events for which its sink got a 2xx
    :param read: IDs of the events that tracking has read from it and stored
    :param states: what the events that it read say, by channel
    :param curve: seconds since the beginning, and how many different events were read by then
    """

    confirmed: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)
    states: dict[str, ChannelState] = field(default_factory=dict)
    curve: list[tuple[float, int]] = field(default_factory=list)


@dataclass(slots=True)
class Outcome:
    """What came out.

    :param delivered: events that arrived at a sink, copies included
    :param killed_at: seconds since the beginning
    :param expected: the fold of the clean list, by channel
    :param stored: what is in Sync
    """

    load: Load
    stories: dict[str, Story]
    delivered: int = 0
    attempts: int = 0
    failed_attempts: int = 0
    killed_at: list[float] = field(default_factory=list)
    seconds: float = 0.0
    expected: dict[str, ChannelState] = field(default_factory=dict)
    stored: dict[str, ChannelState | None] = field(default_factory=dict)

    @property
    def targets(self) -> list[Target]:
        """Nothing lost, nothing wrong."""
        events = range(self.load.events)
        return [
            _none("Sync: states that differ from the clean list's", _differing(self.expected, self.stored)),
            *(
                target
                for name, story in self.stories.items()
                for target in (
                    _none(f"{name}: events that its sink never confirmed", events[len(story.confirmed) :]),
                    _none(f"{name}: events that got a 2xx and were not read", story.confirmed - story.read),
                    _none(
                        f"{name}: states that differ, by it alone", _differing(self.expected, story.states)
                    ),
                )
            ),
        ]


class Recorded:
    """A source, and what is read from it."""

    def __init__(self, source: EventSource, story: Story, clock: Callable[[], float]) -> None:
        self.name, self.scope = source.name, source.scope
        self._source, self._story, self._clock = source, story, clock

    async def read(self, cursor: str | None) -> AsyncGenerator[EventPage, None]:
        """Whoever asks for the next page has stored this one if it has a cursor."""
        unstored: list[TaskEvent] = []
        async with aclosing(self._source.read(cursor)) as pages:
            async for page in pages:
                yield page
                unstored += page.events
                if page.cursor is not None:
                    self._book(unstored)
                    unstored = []
        self._book(unstored)

    def _book(self, events: Iterable[TaskEvent]) -> None:
        story = self._story
        story.read.update(event.event_id for event in events)
        fold(events, story.states)
        story.curve.append((self._clock(), len(story.read)))


def fold(events: Iterable[TaskEvent], states: dict[str, ChannelState]) -> dict[str, ChannelState]:
    """Each channel's state, by the reducer alone."""
    for event in events:
        learnt, known = ChannelState.of(event), states.get(event.channel_sid)
        states[event.channel_sid] = learnt if known is None else known.merge(learnt)
    return states


def clean(raw: Mapping[str, Any], workspace_sid: str) -> TaskEvent:
    """The event that the sandbox was told of, without the way through any source."""
    attributes = json.loads(raw["data"]["task_attributes"])
    kind = TaskEventType(raw["type"])
    links = {"type": attributes["channelType"], "workspace": workspace_sid}
    return TaskEvent(
        "", kind, raw["resource_sid"], attributes["channelSid"], StackName.CHAT, raw["at_ms"], links
    )


def _none(name: str, things: Sized) -> Target:
    return Target(name, Spread.of([len(things)]), 0, at_least=False, form=".0f")


def _differing(expected: Mapping[str, ChannelState], found: Mapping[str, ChannelState | None]) -> list[str]:
    return [sid for sid in expected.keys() | found.keys() if expected.get(sid) != found.get(sid)]
