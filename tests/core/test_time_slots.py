"""Slots of time: in no lane two closer than its rate allows, whoever reserved them, and none wasted."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from flexsms.core.time_slots import MICROSECONDS, Lanes

NOW = 1_796_000_000 * MICROSECONDS
RATES = {"account": 20.0, "one": 1.0, "two": 3.0, "three": 7.5}
BLOCKS = st.lists(
    st.tuples(
        st.integers(0, 3 * MICROSECONDS),  # since the block before
        st.lists(st.sets(st.sampled_from(sorted(RATES)), min_size=1), max_size=40),
    ),
    max_size=8,
)


@given(BLOCKS)
def test_no_lane_is_ever_faster_than_its_rate(
    blocks: list[tuple[int, list[set[str]]]],
) -> None:
    lanes, now, taken = Lanes(), NOW, defaultdict(list)
    for later, texts in blocks:
        now += later
        slots, lanes = lanes.reserve([{name: RATES[name] for name in text} for text in texts], now)
        assert slots == sorted(slots)
        assert all(slot >= now for slot in slots)
        for slot, text in zip(slots, texts, strict=True):
            for name in text:
                taken[name].append(slot)
    for name, slots in taken.items():
        apart = ceil(MICROSECONDS / RATES[name])
        assert all(later - sooner >= apart for sooner, later in pairwise(slots))


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.sampled_from([1.0, 10.0, 30.0]))
def test_no_two_reservations_overlap_and_none_leaves_a_gap(sizes: list[int], per_second: float) -> None:
    """All at the same moment, as four workers that begin together."""
    lanes, slots = Lanes(), []
    for size in sizes:
        block, lanes = lanes.reserve([{"account": per_second}] * size, NOW)
        slots += block
    apart = ceil(MICROSECONDS / per_second)
    assert slots == [NOW + number * apart for number in range(sum(sizes))]


def test_what_nobody_used_in_time_is_lost_and_not_made_up_for() -> None:
    _, lanes = Lanes().reserve([{"account": 10}] * 20, NOW)
    later = NOW + 60 * MICROSECONDS
    slots, _ = lanes.reserve([{"account": 10}] * 3, later)
    assert slots == [later, later + 100_000, later + 200_000]


def test_a_lane_that_is_free_is_forgotten() -> None:
    _, lanes = Lanes({f"sender {number}": NOW + number for number in range(100)}).reserve([], NOW + 98)
    assert lanes.free_from == {"sender 99": NOW + 99}


def test_a_slow_sender_does_not_hold_up_the_other_ones_of_a_block() -> None:
    texts = [{"account": 10.0, name: 1.0} for name in ("one", "two", "three")]
    slots, _ = Lanes().reserve(2 * texts, NOW)
    assert [(slot - NOW) / MICROSECONDS for slot in slots] == [0, 0.1, 0.2, 1, 1.1, 1.2]


def test_without_lanes_all_may_leave_at_once() -> None:
    assert Lanes().reserve([{}] * 3, NOW) == ([NOW] * 3, Lanes())


def test_a_block_ends_with_its_span_and_has_one_slot_at_least() -> None:
    slots, lanes = Lanes().reserve([{"account": 10.0}] * 50, NOW, span=2 * MICROSECONDS)
    assert len(slots) == 20
    assert lanes.free_from == {"account": NOW + 2 * MICROSECONDS}
    slow, _ = Lanes().reserve([{"account": 0.1}] * 5, NOW, span=2 * MICROSECONDS)
    assert slow == [NOW]
