"""How long before its slots a block is reserved, in virtual time: as long as writing takes, whatever one write took."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast
from unittest.mock import Mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flexsms.core.exceptions import RevisionMismatch
from flexsms.core.time_slots import MICROSECONDS
from flexsms.twilio.broadcast import pace
from flexsms.twilio.broadcast.pace import SharedPace
from flexsms.twilio.sync.map import EPOCH, MapItem

LANE = {"account": 10.0}
APART = MICROSECONDS // 10
QUICK = MICROSECONDS // 5
NOW = 1_796_000_000 * MICROSECONDS

durations = st.integers(0, 60 * MICROSECONDS)
quick = st.integers(0, QUICK)


@dataclass
class Item:
    """The pace's item in Sync, the only one of its map, and how long each write takes."""

    now: int = NOW
    takes: int = 0
    began: int = 0  # the last write
    free_from: int = 0  # the lane, when that began
    revision: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)

    async def fetch(self, key: str) -> MapItem:
        return MapItem(key, self.data, str(self.revision), EPOCH, EPOCH)

    async def update(self, key: str, data: Mapping[str, Any], *, revision: str) -> MapItem:
        self.began, self.free_from = self.now, self.data.get("lanes", {}).get("account", 0)
        self.now += self.takes
        if revision != str(self.revision):
            raise RevisionMismatch("somebody wrote")
        self.revision, self.data = self.revision + 1, data
        return await self.fetch(key)

    def worker(self) -> SharedPace:
        found = SharedPace(Mock(), "IS", run="run", owner="me", stop_over=1, now=lambda: self.now)
        found._items = cast("Any", self)
        return found


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "LONGEST_PAUSE_S", 0)


def in_virtual_time() -> settings:
    return settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@in_virtual_time()
@given(
    st.lists(st.tuples(st.integers(0, 2), durations, durations, st.integers(1, 30)), min_size=1, max_size=12)
)
def test_however_long_writing_takes_no_two_texts_are_closer_than_the_rate_allows(
    steps: list[tuple[int, int, int, int]],
) -> None:
    item = Item()
    workers = [item.worker() for _ in range(3)]

    async def run() -> list[int]:
        slots = []
        for who, later, item.takes, texts in steps:
            item.now += later
            block = await workers[who].reserve([LANE] * texts)
            assert block[0] >= item.began
            slots += block
        return slots

    assert all(later - sooner >= APART for sooner, later in pairwise(asyncio.run(run())))


@in_virtual_time()
@given(st.lists(st.tuples(quick, st.none() | durations), min_size=2, max_size=12), st.integers(1, 3))
def test_one_slow_write_holds_up_no_later_text(steps: list[tuple[int, int | None]], others: int) -> None:
    """Between two slow ones each worker writes quickly once at least."""
    item = Item()
    workers = [item.worker() for _ in range(others)]

    async def run() -> None:
        for usual, slow in steps:
            for item.takes in [usual] if slow is None else [slow, usual]:
                for worker in workers:
                    block = await worker.reserve([LANE] * 20)
                    assert block[0] <= max(item.free_from, item.began) + QUICK

    for worker in workers:
        item.takes = QUICK
        asyncio.run(worker.reserve([]))
    asyncio.run(run())


@in_virtual_time()
@given(durations)
def test_where_every_write_is_slow_the_slots_have_not_gone_by(takes: int) -> None:
    item = Item(takes=takes)
    worker = item.worker()

    async def run() -> None:
        await worker.reserve([LANE])
        for _ in range(3):
            [slot] = await worker.reserve([LANE])
            assert slot >= item.now

    asyncio.run(run())
