"""Ends of tasks that come without their channels meet the tasks, whatever order they come in, and stay bounded."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Sequence
from itertools import count

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from flexsms.core.channel_state import ChannelState, fold
from flexsms.core.event_source import EventPage
from flexsms.core.stack_name import StackName
from flexsms.core.task_events import TaskEvent, TaskEventType
from flexsms.twilio.account import Account, connect
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.tracking import task_ends
from flexsms.twilio.tracking.task_ends import TaskEnds
from flexsms.twilio.tracking.tracker import track
from tests.support.kept import Kept

CHANNEL = "CH" + "a" * 32
BEGAN_MS = 1_700_000_000_000
MINUTE_MS = 60_000
_channels = count(0x5000)


def task(number: int) -> str:
    return f"WT{number:032x}"


def event(number: int, at_ms: int, kind: TaskEventType = TaskEventType.CREATED) -> TaskEvent:
    return TaskEvent("EV", kind, task(number), CHANNEL, StackName.CONVERSATIONS, at_ms, {})


def test_an_end_meets_the_task_that_an_earlier_run_has_seen() -> None:
    kept = Kept()
    first = TaskEnds(kept)
    first.note(event(1, 10))
    first.save()
    second = TaskEnds(kept)
    assert second.end(task(1), 20) == ChannelState(CHANNEL, StackName.CONVERSATIONS, ended={task(1): 20})
    second.save()
    assert json.dumps(kept.get()) == json.dumps({"seen": {}, "ended": {task(1): 20}})


def test_an_end_waits_for_a_task_that_nobody_has_seen_yet() -> None:
    kept = Kept()
    first = TaskEnds(kept)
    assert first.end(task(1), 20) is None
    assert first.end(task(1), 15) is None  # the newest counts
    first.save()
    waiting = TaskEnds(kept).waiting
    assert waiting == {task(1): 20}
    seen = ChannelState.of(event(1, 10))
    assert seen.end(waiting).open_tasks == frozenset()
    assert seen.end(waiting).last_ended_ms == 20
    assert ChannelState.of(event(2, 10)).end(waiting) == ChannelState.of(event(2, 10))


def test_a_task_that_ended_in_the_usual_way_is_kept_no_longer() -> None:
    kept = Kept()
    ends = TaskEnds(kept)
    ends.note(event(1, 10))
    ends.save()
    ends.note(event(1, 20, TaskEventType.COMPLETED))
    ends.note(event(1, 10))  # read again
    ends.save()
    assert kept.get() == {"seen": {}, "ended": {}}


def test_what_another_run_has_kept_meanwhile_stays() -> None:
    kept = Kept()
    ours, theirs = TaskEnds(kept), TaskEnds(kept)
    theirs.note(event(1, 10))
    theirs.end(task(8), 11)
    theirs.save()
    ours.note(event(2, 10))
    ours.end(task(9), 12)
    ours.save()
    again = TaskEnds(kept)
    assert again.waiting == {task(8): 11, task(9): 12}
    assert again.end(task(1), 20) is not None
    assert again.end(task(2), 20) is not None


def test_nothing_new_is_not_written() -> None:
    kept = Kept()
    ends = TaskEnds(kept)
    ends.note(event(1, 10))
    ends.note(event(1, 20, TaskEventType.CANCELED))
    ends.save()
    assert kept.written == 0


@pytest.mark.parametrize("value", [[], {"seen": 1}, {"seen": {"WT1": [1]}, "ended": {}}, "odd"])
def test_what_is_not_ours_is_begun_anew(value: object) -> None:
    kept = Kept()
    kept.set(value)
    ends = TaskEnds(kept)
    ends.end(task(1), 20)
    ends.save()
    assert kept.get() == {"seen": {}, "ended": {task(1): 20}}


def test_the_newest_stay_within_what_airflow_stores_without_a_warning() -> None:
    kept = Kept()
    ends = TaskEnds(kept)
    for number in range(1000):
        ends.note(event(number, BEGAN_MS + number))
        ends.end(task(10_000 + number), BEGAN_MS + number)
    ends.save()
    value = kept.get()
    assert min(at for at, *_ in value["seen"].values()) == BEGAN_MS + 1000 - task_ends.KEPT_TASKS
    assert min(value["ended"].values()) == BEGAN_MS + 1000 - task_ends.KEPT_ENDS
    assert len(json.dumps(value)) < 65_536


def test_a_long_run_holds_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_ends, "MOST_HELD", 10)
    ends = TaskEnds(None)
    for number in range(100):
        ends.end(task(number), number + 1)
    assert len(ends.waiting) <= 10
    assert task(99) in ends.waiting


class Portions:
    """A source that hands out events, and ends without channels, in portions."""

    name, scope = "portions", "here"

    def __init__(self, portion: Sequence[TaskEvent], hidden: frozenset[str]) -> None:
        self._portion, self._hidden = portion, hidden

    async def read(self, cursor: str | None) -> AsyncGenerator[EventPage, None]:
        named = [one for one in self._portion if not (one.ends_task and one.task_sid in self._hidden)]
        ends = [(one.task_sid, one.at_ms) for one in self._portion if one not in named]
        yield EventPage(events=named, ends=ends, cursor="1")


@given(
    lives=st.lists(st.booleans(), min_size=1, max_size=4),
    hidden=st.sets(st.integers(0, 3), min_size=1),
    chance=st.randoms(use_true_random=False),
)
@hypothesis.settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whether_an_end_names_its_channel_does_not_matter_in_any_order_and_portions(
    settings: TwilioSettings, lives: list[bool], hidden: set[int], chance: random.Random
) -> None:
    """Every portion is a run of its own."""
    sid, events = f"CH{next(_channels):032x}", []
    for number, is_over in enumerate(lives):
        begun = BEGAN_MS + number * MINUTE_MS
        kinds = [TaskEventType.CREATED, *([TaskEventType.COMPLETED] if is_over else [])]
        events += [
            TaskEvent("EV", kind, f"WT{sid[-8:]}{number:024x}", sid, StackName.CHAT, begun + step, {})
            for step, kind in enumerate(kinds)
        ]
    secret = frozenset(f"WT{sid[-8:]}{number:024x}" for number in hidden)
    order = chance.sample(
        [*events, *chance.sample(events, min(2, len(events)))], len(events) + min(2, len(events))
    )
    size = chance.randint(1, len(order))

    async def run(account: Account) -> ChannelState | None:
        kept = Kept()

        async def save(_: str) -> None: ...

        for start in range(0, len(order), size):
            source = Portions(order[start : start + size], secret)
            await track(source, account.store, cursor=None, save_cursor=save, at_once=1, ends=TaskEnds(kept))
        stored = await account.store.load(sid)
        return stored.state if stored else None

    async def play() -> ChannelState | None:
        async with connect(settings) as account:
            return await run(account)

    state, truth = asyncio.run(play()), fold(events)[sid]
    assert state is not None
    assert (state.open_tasks, state.last_ended_ms) == (truth.open_tasks, truth.last_ended_ms)
