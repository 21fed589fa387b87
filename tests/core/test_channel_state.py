"""The channel state: any order, any repetition, any batches, and below 16 KiB."""

from __future__ import annotations

import functools
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexsms.core.channel_state import KEPT_TASKS, ChannelState, fold, from_recipe
from flexsms.core.exceptions import InvalidInput
from flexsms.core.retention import Verdict, judge
from flexsms.core.stack_name import StackName
from flexsms.core.task_events import TaskEvent, TaskEventType

CHANNEL = "CH" + "a" * 32
OTHER = "CH" + "b" * 32
DAY = 86_400_000
NOW = 1_795_000_000_000


def task(number: int) -> str:
    return f"WT{number:032x}"


def event(kind: TaskEventType, number: int, at_ms: int, channel: str = CHANNEL, **links: str) -> TaskEvent:
    return TaskEvent(f"EV{number}{kind}{at_ms}", kind, task(number), channel, StackName.CHAT, at_ms, links)


events = st.builds(
    event,
    st.sampled_from(TaskEventType),
    st.integers(0, 150),
    st.integers(1, 400),
    st.sampled_from([CHANNEL, OTHER]),
    session=st.sampled_from(["KC" + "1" * 32, "KC" + "2" * 32]),
)


@given(st.lists(events, max_size=250), st.randoms(use_true_random=False), st.data())
def test_order_repetition_and_batches_do_not_matter(
    history: list[TaskEvent], chance: random.Random, data: st.DataObject
) -> None:
    shuffled = history + data.draw(
        st.lists(st.sampled_from(history), max_size=40) if history else st.just([])
    )
    chance.shuffle(shuffled)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), max_size=5)))
    batches = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)]
    merged: dict[str, ChannelState] = {}
    for batch in batches:
        for sid, state in fold(batch).items():
            merged[sid] = merged[sid].merge(state) if sid in merged else state
    assert merged == fold(history)


def states() -> st.SearchStrategy[ChannelState]:
    of_one = st.lists(events.filter(lambda e: e.channel_sid == CHANNEL), min_size=1, max_size=120)
    folded = of_one.map(lambda history: fold(history)[CHANNEL])
    return st.one_of(
        folded, st.builds(lambda s, at: s.mark_retired(at, "deactivate"), folded, st.integers(1, 500))
    )


@given(states(), states(), states())
def test_merging_is_commutative_associative_and_idempotent(
    a: ChannelState, b: ChannelState, c: ChannelState
) -> None:
    assert a.merge(b) == b.merge(a)
    assert a.merge(b).merge(c) == a.merge(b.merge(c))
    assert a.merge(a) == a


@given(states())
def test_a_state_survives_its_document(state: ChannelState) -> None:
    assert ChannelState.from_json(json.loads(json.dumps(state.to_json()))) == state


def test_ten_thousand_tasks_fit_into_a_document() -> None:
    history = []
    for number in range(10_000):
        history.append(event(TaskEventType.CREATED, number, NOW + number, session="KC" + "1" * 32))
        if number % 3:
            history.append(event(TaskEventType.COMPLETED, number, NOW + number + 5))
    random.Random(7).shuffle(history)
    state = fold(history)[CHANNEL]
    # Sync refuses more.
    assert len(json.dumps(state.to_json(), separators=(",", ":")).encode()) < 16_384
    assert len(state.seen) == len(state.ended) == KEPT_TASKS
    assert state.last_ended_ms == NOW + 9_998 + 5


def test_a_late_event_of_an_ended_task_does_not_open_the_channel_again() -> None:
    state = fold([event(TaskEventType.COMPLETED, 1, 100)])[CHANNEL]
    late = state.merge(ChannelState.of(event(TaskEventType.WRAPUP, 1, 99)))
    assert late.open_tasks == frozenset()


def test_a_late_end_of_an_old_task_does_not_close_a_busy_channel() -> None:
    history = [event(TaskEventType.CREATED, 2, 200), event(TaskEventType.COMPLETED, 1, 300)]
    assert fold(history)[CHANNEL].open_tasks == {task(2)}


@pytest.mark.parametrize(
    "end",
    [TaskEventType.COMPLETED, TaskEventType.CANCELED, TaskEventType.DELETED, TaskEventType.SYSTEM_DELETED],
)
def test_each_way_a_task_can_end_ends_it(end: TaskEventType) -> None:
    state = fold([event(TaskEventType.CREATED, 1, 100), event(end, 1, 200)])[CHANNEL]
    assert (state.open_tasks, state.last_ended_ms) == (frozenset(), 200)


def test_the_channels_of_a_duplicate_long_forgotten_stay_ended() -> None:
    history = [
        event(kind, number, number * 10 + offset)
        for number in range(1, 3 * KEPT_TASKS)
        for kind, offset in ((TaskEventType.CREATED, 0), (TaskEventType.COMPLETED, 5))
    ]
    state = fold(history)[CHANNEL]
    assert task(1) not in state.ended
    assert state.merge(ChannelState.of(history[0])).open_tasks == frozenset()


@given(
    st.lists(st.tuples(st.integers(0, 5 * DAY), st.integers(1, DAY)), min_size=1, max_size=30),
    st.integers(1, 3 * DAY),
)
def test_the_window_counts_from_the_end_of_the_last_task(tasks: list[tuple[int, int]], window: int) -> None:
    history, ends = [], []
    for number, (began, lasted) in enumerate(tasks):
        history.append(event(TaskEventType.CREATED, number, NOW + began))
        history.append(event(TaskEventType.COMPLETED, number, NOW + began + lasted))
        ends.append(NOW + began + lasted)
    state = functools.reduce(ChannelState.merge, map(ChannelState.of, reversed(history)))
    assert judge(state, now_ms=max(ends) + window, window_ms=window) is Verdict.DUE
    assert judge(state, now_ms=max(ends) + window - 1, window_ms=window) is Verdict.TOO_RECENT


@given(st.integers(0, 10 * DAY))
def test_a_customer_who_wrote_again_is_never_due(later: int) -> None:
    history = [
        event(TaskEventType.CREATED, 1, NOW),
        event(TaskEventType.COMPLETED, 1, NOW + 10),
        event(TaskEventType.CREATED, 2, NOW + 20),
    ]
    state = fold(history)[CHANNEL]
    assert judge(state, now_ms=NOW + later, window_ms=1) is Verdict.OPEN_TASK


def test_a_retired_state_stays_retired_under_late_events_and_wakes_up_under_new_ones() -> None:
    state = fold([event(TaskEventType.CREATED, 1, 100), event(TaskEventType.COMPLETED, 1, 200)])[CHANNEL]
    retired = state.mark_retired(1000, "deactivate")
    assert retired.is_retired
    assert retired.last_ended_ms == 200
    assert retired.merge(ChannelState.of(event(TaskEventType.CREATED, 1, 100))).is_retired
    awake = retired.merge(ChannelState.of(event(TaskEventType.CREATED, 2, 2000)))
    assert not awake.is_retired
    assert awake.open_tasks == {task(2)}


def test_a_clock_behind_twilios_still_retires() -> None:
    state = fold([event(TaskEventType.COMPLETED, 1, 5000)])[CHANNEL]
    assert state.mark_retired(1000, "deactivate").is_retired


def test_the_newest_link_wins() -> None:
    old, new = "KC" + "1" * 32, "KC" + "2" * 32
    history = [
        event(TaskEventType.CREATED, 1, 100, session=new),
        event(TaskEventType.WRAPUP, 1, 90, session=old),
    ]
    assert fold(history)[CHANNEL].link("session") == new
    assert fold(history)[CHANNEL].link("interaction") is None


def test_states_of_different_channels_do_not_merge() -> None:
    with pytest.raises(ValueError, match="cannot merge"):
        ChannelState(CHANNEL, StackName.CHAT).merge(ChannelState(OTHER, StackName.CHAT))


@pytest.mark.parametrize(
    ("history", "status"),
    [
        ([], "new"),
        ([event(TaskEventType.CREATED, 1, 1)], "open"),
        ([event(TaskEventType.COMPLETED, 1, 1)], "ended"),
    ],
)
def test_the_document_says_how_the_channel_stands(history: list[TaskEvent], status: str) -> None:
    state = fold(history).get(CHANNEL, ChannelState(CHANNEL, StackName.CHAT))
    assert state.to_json()["status"] == status
    assert state.mark_retired(5, "deactivate").to_json()["status"] == "retired"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "no channel state"),
        ({"v": 2}, "newer flexsms"),
        ({"v": 1, "channel_sid": CHANNEL, "stack": "fax", "seen": {}, "ended": {}}, "no channel state"),
        ({"v": 1, "channel_sid": CHANNEL, "stack": "chat", "seen": [], "ended": {}}, "no channel state"),
        (
            {"v": 1, "channel_sid": CHANNEL, "stack": "chat", "seen": {}, "ended": {task(1): 10**15}},
            "no channel state",
        ),
        (
            {"v": 1, "channel_sid": CHANNEL, "stack": "chat", "seen": {}, "ended": {task(1): float("inf")}},
            "no channel state",
        ),
    ],
)
def test_a_strange_document_is_named(data: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        ChannelState.from_json(data)


class TestFromRecipe:
    def test_a_completed_task_counts_with_its_time(self) -> None:
        state = from_recipe(
            {
                "eventtype": "com.twilio.taskrouter.task.completed",
                "timestamp": "2026-11-18T16:42:07.105Z",
                "taskattributes": json.dumps({"channelSid": CHANNEL, "proxySession": "KC" + "7" * 32}),
                "channelsid": CHANNEL,
                "msg": "",
            }
        )
        assert state.last_ended_ms == 1_795_020_127_105
        assert state.link("session") == "KC" + "7" * 32

    def test_an_unfinished_task_proves_nothing(self) -> None:
        state = from_recipe({"eventtype": "task.created", "timestamp": "x", "channelsid": CHANNEL})
        assert state == ChannelState(CHANNEL, StackName.CHAT)
        assert judge(state, now_ms=NOW, window_ms=1) is Verdict.NEVER_ENDED

    @pytest.mark.parametrize(
        "data",
        [
            {},
            {"channelsid": "IS1"},
            {"channelsid": CHANNEL, "eventtype": "task.completed", "timestamp": "soon"},
            {"channelsid": CHANNEL, "eventtype": "task.completed", "timestamp": "9999-12-31T23:59:59.9999Z"},
        ],
    )
    def test_a_strange_one_is_named(self, data: dict[str, object]) -> None:
        with pytest.raises(InvalidInput):
            from_recipe(data)
