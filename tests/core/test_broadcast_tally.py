"""Counts over all workers: in any order the same, and stopped for good once too many failed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexsms.core.broadcast_tally import FEWEST_TRIED, BroadcastTally

TALLIES = st.builds(
    BroadcastTally,
    st.integers(0, 100),
    st.dictionaries(st.sampled_from(["0", "21211", "30007"]), st.integers(1, 100)),
    st.booleans(),
)


@given(TALLIES, TALLIES, TALLIES)
def test_the_order_does_not_matter(one: BroadcastTally, two: BroadcastTally, three: BroadcastTally) -> None:
    assert one.add(two) == two.add(one)
    assert one.add(two).add(three) == one.add(two.add(three))


@given(TALLIES)
def test_it_survives_json(tally: BroadcastTally) -> None:
    assert BroadcastTally.from_json({**json.loads(json.dumps(tally.to_json())), "at_ms": 1}) == tally


@pytest.mark.parametrize(
    ("sent", "failed", "stops"),
    [
        (0, FEWEST_TRIED - 1, False),
        (0, FEWEST_TRIED, True),
        (80, 20, False),
        (79, 21, True),
        (100, 0, False),
    ],
)
def test_it_stops_over_the_share(sent: int, failed: int, stops: bool) -> None:
    assert BroadcastTally(sent, {"30007": failed}).judge(0.2).stopped is stops


def test_it_stays_stopped() -> None:
    assert BroadcastTally(1000, {}, stopped=True).judge(1.0).stopped
