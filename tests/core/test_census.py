"""The counts of channels."""

from __future__ import annotations

from typing import Any

import pytest

from flexsms.core.census import AGES, Census
from flexsms.core.channel_state import ChannelState
from flexsms.core.retention import MS_PER_DAY
from flexsms.core.stack_name import StackName

NOW = 1_000 * MS_PER_DAY
TASK, OTHER = "WT" + "1" * 32, "WT" + "2" * 32


def ended(days_ago: float, **more: Any) -> ChannelState:
    return ChannelState(
        "CH" + "1" * 32, StackName.CHAT, ended={TASK: round(NOW - days_ago * MS_PER_DAY)}, **more
    )


def count(*states: ChannelState, due_after: float = 2) -> dict[str, Any]:
    census = Census()
    for state in states:
        age = NOW - (state.last_ended_ms or NOW)
        census.count(state, now_ms=NOW, is_due=age >= due_after * MS_PER_DAY)
    return census.to_json()


def test_each_channel_is_open_waiting_or_due() -> None:
    found = count(
        ended(9, seen={OTHER: NOW - 1}),
        ended(1),
        ended(1.99),
        ended(2),
        ended(2).mark_retired(NOW, "deactivate"),
        ChannelState("CH" + "2" * 32, StackName.CONVERSATIONS),
        ChannelState(
            "CH" + "3" * 32, StackName.CONVERSATIONS, seen={TASK: NOW - 1}, links={"type": (1, "whatsapp")}
        ),
    )
    assert found["channels"] == {"open": 2, "waiting": 2, "due": 1}
    assert found["by_stack"] == {"chat": 4, "conversations": 1}
    assert found["by_type"] == {"unknown": 4, "whatsapp": 1}
    assert sum(number for _, number in found["ages"]) == 3


@pytest.mark.parametrize(
    ("days", "bucket"),
    [(0, 1), (0.99, 1), (1, 2), (2, 3), (6.9, 7), (7, 14), (364.9, 365), (365, None), (900, None)],
)
def test_an_age_counts_up_to_but_not_including_its_days(days: float, bucket: int | None) -> None:
    ages = count(ended(days))["ages"]
    assert [[name, number] for name, number in ages if number] == [[bucket, 1]]
    assert [name for name, _ in ages] == [*AGES, None]


def test_what_is_dated_ahead_is_of_today() -> None:
    assert count(ended(-0.01))["ages"][0] == [1, 1]
