"""Whatever order events come in, however often and in what portions, and whenever their channel is marked in between,
its document in Sync ends up the same."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from itertools import count
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st

from flexsms.core.channel_state import ChannelState, fold
from flexsms.core.event_source import EventPage
from flexsms.core.stack_name import StackName
from flexsms.core.task_events import TaskEvent, TaskEventType, to_ms
from flexsms.twilio.account import Account, connect
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.sync.channel_states import StoredState
from flexsms.twilio.tracking.tracker import track

if TYPE_CHECKING:
    from tests.support.cleanup_scenarios import House

CREATED, WRAPUP, COMPLETED = TaskEventType.CREATED, TaskEventType.WRAPUP, TaskEventType.COMPLETED
BEGAN_MS = 1_700_000_000_000
MINUTE_MS = 60_000
_numbers = count(1)


def channel() -> str:
    """One that no example before had."""
    return f"CH{next(_numbers):032x}"


class Portions:
    """A source that hands out events in portions, each of which is stored for itself."""

    name, scope = "portions", "here"

    def __init__(self, portions: Sequence[Sequence[TaskEvent]]) -> None:
        self._portions = portions

    async def read(self, cursor: str | None) -> AsyncGenerator[EventPage, None]:
        for number, events in enumerate(self._portions, 1):
            yield EventPage(events=events, cursor=str(number))


async def follow(account: Account, portions: Sequence[Sequence[TaskEvent]]) -> None:
    async def save(_: str) -> None: ...

    await track(Portions(portions), account.store, cursor=None, save_cursor=save, at_once=4)


async def mark_retired(account: Account, stored: StoredState, at_ms: int) -> ChannelState:
    marked = stored.state.mark_retired(at_ms, "deactivate")
    await account.store.mark_retired(marked, stored.revision)
    return marked


@dataclass(frozen=True)
class Phase:
    """Some tasks, after which the channel is marked.

    :param kinds: of every task, what happens to it, a minute apart
    :param late: of every event, in which phase it comes in, counted from this one
    """

    kinds: list[list[TaskEventType]]
    late: list[int]


LIFE = st.sampled_from(
    [[CREATED, COMPLETED], [CREATED, WRAPUP, COMPLETED], [CREATED, TaskEventType.CANCELED]]
)
PHASES = st.lists(
    st.builds(
        Phase,
        kinds=st.lists(LIFE, min_size=1, max_size=2),
        late=st.lists(st.integers(0, 2), min_size=6, max_size=6),
    ),
    min_size=1,
    max_size=3,
)


@given(phases=PHASES, last_is_open=st.booleans(), chance=st.randoms(use_true_random=False))
@example(  # all at once, and marked before the end of the second task is known
    phases=[
        Phase([[CREATED, COMPLETED], [CREATED, COMPLETED]], [0, 0, 1, 1, 0, 0]),
        Phase([[CREATED, COMPLETED]], [0] * 6),
    ],
    last_is_open=True,
    chance=random.Random(1),
)
@hypothesis.settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_order_repetition_and_portions_do_not_matter_whenever_it_is_marked(
    settings: TwilioSettings, phases: list[Phase], last_is_open: bool, chance: random.Random
) -> None:
    async def play() -> None:
        async with connect(settings) as account:
            await check(account, phases, last_is_open=last_is_open, chance=chance)

    asyncio.run(play())


async def check(account: Account, phases: list[Phase], *, last_is_open: bool, chance: random.Random) -> None:
    sid, moment, tasks = channel(), BEGAN_MS, count(1)
    coming: list[list[TaskEvent]] = [[] for _ in range(len(phases) + 1)]
    told: list[TaskEvent] = []
    marked: list[ChannelState] = []
    for number, phase in enumerate(phases):
        late = iter(phase.late)
        for kinds in phase.kinds:
            is_open = last_is_open and number == len(phases) - 1 and kinds is phase.kinds[-1]
            task_sid = f"WT{next(tasks):032x}"
            for kind in kinds[:-1] if is_open else kinds:
                moment += MINUTE_MS
                event = TaskEvent("EV", kind, task_sid, sid, StackName.CHAT, moment, {})
                told.append(event)
                coming[min(number + next(late), len(phases))].append(event)
        again = chance.sample(told, min(len(told), 3))
        await follow(account, portions([*coming[number], *again], chance))
        stored = await account.store.load(sid)
        moment += MINUTE_MS
        # Cleanup leaves alone what has an open task, by the document or by TaskRouter.
        if stored and not stored.state.open_tasks and not fold(told)[sid].open_tasks:
            marked.append(await mark_retired(account, stored, moment))
    await follow(account, portions(coming[-1], chance))

    truth = fold(told)[sid]
    expected = reduce(ChannelState.merge, marked, truth)
    found = await account.store.load(sid)
    assert found is not None
    assert found.state == expected
    # The judgement is that of the events alone, unless the channel is marked and nothing has happened since.
    retired = marked[-1].retired if marked else None
    if retired and told[-1].at_ms <= retired[0]:
        assert found.state.is_retired
    else:
        assert not found.state.is_retired
        assert found.state.open_tasks == truth.open_tasks
        assert found.state.last_ended_ms == truth.last_ended_ms


def portions(events: Sequence[TaskEvent], chance: random.Random) -> list[list[TaskEvent]]:
    """The events in any order, in portions of one to all."""
    order = chance.sample(list(events), len(events))
    size = chance.randint(1, len(order) or 1)
    return [order[start : start + size] for start in range(0, len(order), size)]


@pytest.mark.anyio
async def test_events_that_are_late_while_a_channel_is_marked(house: House, account: Account) -> None:
    """TaskRouter lists them minutes after they happened: when cleanup has marked the channel already."""
    sid = house.conversation()
    await house.track()
    house.clock.advance(days=3)
    house.control.settings(event_list_delay_s=600)
    house.control.customer("+14155551001", house.number, "Me again")
    house.clock.advance(minutes=1)
    house.control.agent("complete", channel_sid=sid)
    house.clock.advance(minutes=1)
    await house.track()
    stored = await account.store.load(sid)
    assert stored is not None
    marked = await mark_retired(account, stored, to_ms("now", house.clock()))
    house.clock.advance(minutes=15)
    await house.track()
    late = await account.store.load(sid)
    assert late is not None
    told = [event async for page in account.taskrouter().read(None) for event in page.events]
    assert len({event.task_sid for event in told}) == 2
    assert late.state == fold(told)[sid].merge(marked)
    assert (late.state.open_tasks, late.state.is_retired) == (frozenset(), True)
    # What happens after it counts as ever, and what is read once more changes nothing.
    house.clock.advance(minutes=1)
    again = house.control.customer("+14155551001", house.number, "And again")
    house.clock.advance(minutes=15)
    house.cursor = (house.clock() - timedelta(days=4)).isoformat()
    await house.track()
    now: Any = await account.store.load(again["channel_sid"])
    assert now.state.open_tasks == {again["task_sid"]}
    assert not now.state.is_retired
