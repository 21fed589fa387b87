"""What is known of channels whose documents hold no state: nothing of it is lost, and it stays bounded."""

from __future__ import annotations

from typing import Any

import pytest

from flexsms.core.channel_state import ChannelState
from flexsms.core.exceptions import InvalidInput, UnreadableState
from flexsms.core.stack_name import StackName
from flexsms.core.task_events import TaskEvent, TaskEventType
from flexsms.twilio.tracking.parked_states import ParkedStates
from tests.support.kept import Kept

CHANNEL, OTHER = "CH" + "a" * 32, "CH" + "b" * 32
ERROR = UnreadableState("data", "is no channel state", "repair it")


def learnt(task: int, channel: str = CHANNEL) -> ChannelState:
    kind = TaskEventType.CREATED
    return ChannelState.of(TaskEvent("EV", kind, f"WT{task:032x}", channel, StackName.CHAT, task, {}))


def test_a_run_begins_with_what_the_one_before_has_kept() -> None:
    kept = Kept()
    first = ParkedStates(kept)
    first.park(learnt(1), ERROR)
    first.add(learnt(2))
    first.save()
    second = ParkedStates(kept)
    assert second.due() == [learnt(1).merge(learnt(2))]
    assert (second.channels, dict(second.news), second.is_unreadable(CHANNEL)) == ([CHANNEL], {}, False)
    second.park(second.due()[0], ERROR)
    assert (second.due(), dict(second.news), second.is_unreadable(CHANNEL)) == ([], {}, True)
    second.save()
    assert kept.written == 1  # nothing is new


def test_what_another_run_has_kept_meanwhile_stays() -> None:
    kept = Kept()
    ours, theirs = ParkedStates(kept), ParkedStates(kept)
    theirs.park(learnt(1), ERROR)
    theirs.park(learnt(1, OTHER), ERROR)
    theirs.save()
    ours.park(learnt(2), ERROR)
    ours.save()
    assert {state.channel_sid: state for state in ParkedStates(kept).due()} == {
        CHANNEL: learnt(1).merge(learnt(2)),
        OTHER: learnt(1, OTHER),
    }


def test_what_another_run_has_learnt_meanwhile_is_not_taken_for_stored() -> None:
    kept = Kept()
    first = ParkedStates(kept)
    first.park(learnt(1), ERROR)
    first.save()
    ours, theirs = ParkedStates(kept), ParkedStates(kept)
    theirs.park(learnt(2), ERROR)
    theirs.save()
    ours.release(learnt(1))
    ours.save()
    [left] = ParkedStates(kept).due()
    assert left == learnt(1).merge(learnt(2))
    ours = ParkedStates(kept)
    ours.release(left)
    ours.save()
    assert (kept.get(), ParkedStates(kept).channels) == ({}, [])


@pytest.mark.parametrize("value", [[], "text", {CHANNEL: {}}, {CHANNEL: {**learnt(1).to_json(), "v": 99}}])
def test_anything_else_in_the_memory_is_named(value: Any) -> None:
    kept = Kept()
    kept.set(value or [1])
    with pytest.raises(InvalidInput, match="parked: is no list of channel states; clear it"):
        ParkedStates(kept)
