"""Only the newest try of a batch writes, and a look that is old suspends nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flexsms.core.exceptions import LeaseExpired, TryReplaced
from flexsms.twilio.cleanup import attempt as cleanup_attempt
from flexsms.twilio.cleanup.attempt import KEY, Attempt
from flexsms.twilio.cleanup.outcomes import Action, BatchReport, Outcome
from tests.support.cleanup_scenarios import BATCH, House, Memory

pytestmark = pytest.mark.anyio

LEASE, GRACE = timedelta(seconds=30), timedelta(seconds=20)


class Time:
    """Both clocks of a machine, which stand still until they are told."""

    def __init__(self) -> None:
        self.wall = datetime(2026, 1, 1, tzinfo=UTC)
        self.monotonic_s = 0.0
        self.slept: list[float] = []

    def passes(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.monotonic_s += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passes(seconds)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr("flexsms.twilio.client.clock.utc_now", lambda: time.wall)
    monkeypatch.setattr("flexsms.twilio.client.clock.monotonic_s", lambda: time.monotonic_s)
    monkeypatch.setattr(cleanup_attempt, "sleep", time.sleep)
    return time


def attempt(memory: Memory, number: int, batch: str = BATCH) -> Attempt:
    return Attempt(memory, batch=batch, number=number, lease=LEASE, grace=GRACE)


class TestTheNewestTry:
    async def test_the_first_one_waits_for_nobody(self, time: Time) -> None:
        first = attempt(Memory(), 1)
        await first.begin()
        assert (first.resumed, time.slept) == (False, [])

    async def test_the_next_one_waits_until_the_one_before_is_out_of_the_way(self, time: Time) -> None:
        memory = Memory()
        await attempt(memory, 1).begin()
        second = attempt(memory, 2)
        await second.begin()
        assert (second.resumed, sum(time.slept)) == (True, 50)
        second.check()

    async def test_one_that_came_to_its_end_keeps_nobody_waiting(self, time: Time) -> None:
        memory = Memory()
        first, second = attempt(memory, 1), attempt(memory, 2)
        await first.begin()
        await first.end()
        await second.begin()
        assert (second.resumed, time.slept) == (True, [])

    async def test_one_with_another_batch_waits_too_and_starts_from_scratch(self, time: Time) -> None:
        memory = Memory()
        first, second = attempt(memory, 1), attempt(memory, 2, "another")
        await first.begin()
        await first.remember("key", 7)
        await second.begin()
        assert (second.resumed, sum(time.slept), await second.recall("key")) == (False, 50, None)
        with pytest.raises(TryReplaced):
            await first.renew()

    async def test_one_that_was_replaced_is_told_when_it_renews(self, time: Time) -> None:
        memory = Memory()
        first, second = attempt(memory, 1), attempt(memory, 2)
        await first.begin()
        await second.begin()
        for ask in (first.renew, first.keep, first.end, first.begin):
            with pytest.raises(TryReplaced):
                await ask()
        await second.renew()

    async def test_an_older_one_that_begins_late_changes_nothing(self, time: Time) -> None:
        memory = Memory()
        await attempt(memory, 2).begin()
        with pytest.raises(TryReplaced):
            await attempt(memory, 1).begin()
        assert memory.saved[KEY]["number"] == 2

    async def test_an_older_one_that_began_at_the_same_moment_is_overruled(self, time: Time) -> None:
        memory = Memory()
        second = attempt(memory, 2)
        await second.begin()
        await memory.set(KEY, {"number": 1, "batch": BATCH, "ended": False})  # read before, written after
        await second.renew()
        with pytest.raises(TryReplaced):
            await attempt(memory, 1).renew()


class TestTheLease:
    @pytest.mark.parametrize("stands_still", ["", "wall", "monotonic_s"])
    async def test_nothing_leaves_after_it(self, time: Time, stands_still: str) -> None:
        only = attempt(Memory(), 1)
        await only.begin()
        only.check()
        held = {stands_still: getattr(time, stands_still)} if stands_still else {}
        time.passes(31)
        for name, value in held.items():
            setattr(time, name, value)
        with pytest.raises(LeaseExpired, match="30 s"):
            only.check()
        await only.keep()
        only.check()

    async def test_it_is_renewed_when_half_of_it_is_over(self, time: Time) -> None:
        memory = Memory()
        first = attempt(memory, 1)
        await first.begin()
        await memory.set(KEY, {"number": 2, "batch": BATCH, "ended": False})
        time.passes(15)
        await first.keep()
        time.passes(1)
        with pytest.raises(TryReplaced):
            await first.keep()

    async def test_a_task_that_was_stopped_sends_nothing(self, time: Time) -> None:
        only = attempt(Memory(), 1)
        await only.begin()
        only.stop()
        with pytest.raises(TryReplaced, match="stopped"):
            only.check()


class FrozenAt:
    """A worker that stands still for a long time, at one of its requests, while all else goes on."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.house = house
        self.stands = asyncio.Event()
        self.goes_on = asyncio.Event()
        self._ahead = timedelta()
        monkeypatch.setattr(
            "flexsms.twilio.client.clock.utc_now", lambda: datetime.now(UTC) + self._ahead, raising=True
        )

    async def freeze(self) -> None:
        """To be awaited where the worker stands still."""
        if not self.stands.is_set():
            self.stands.set()
            await self.goes_on.wait()

    async def thaw(self) -> None:
        """An hour has gone by."""
        self._ahead += timedelta(hours=1)
        self.goes_on.set()


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("replaced", [True, False], ids=["replaced", "not replaced"])
async def test_a_try_that_was_frozen_suspends_nothing_by_its_old_look(
    house: House, monkeypatch: pytest.MonkeyPatch, action: Action, *, replaced: bool
) -> None:
    """It stood still between its look and its first change; by then the customer has written."""
    live, quiet = house.conversation(), house.conversation("+14155551002")
    before = await house.attributes(live)
    due = await house.due()
    worker = FrozenAt(house, monkeypatch)
    stack = type(house.retiring)
    fetch: Callable[..., Any] = stack.fetch

    async def frozen(self: Any, channel_sid: str) -> Any:
        snapshot = await fetch(self, channel_sid)
        await worker.freeze()
        return snapshot

    monkeypatch.setattr(stack, "fetch", frozen)
    old = Attempt(house.memory, batch=BATCH, number=1, lease=timedelta(minutes=5), grace=timedelta())
    retire = house.account.cleaner(action=action, run_id="test").retire
    first = asyncio.create_task(retire(due, scanned_at=house.scanned_at, attempt=old))
    report = BatchReport()
    await worker.stands.wait()
    house.control.perform(house.writes())
    if replaced:
        house.memory.died()  # the newer one has waited long enough
        new = Attempt(house.memory, batch=BATCH, number=2, lease=timedelta(minutes=5), grace=timedelta())
        report = await retire(due, scanned_at=house.scanned_at, attempt=new)
        house.control.clear_journal()
    await worker.thaw()
    if not replaced:
        report = await first
    else:
        with pytest.raises(TryReplaced):
            await first
        assert house.written() == []
    assert report.outcomes[live] is Outcome.SKIPPED_OPEN_TASK
    assert report.outcomes[quiet] in (Outcome.DEACTIVATED, Outcome.DELETED)
    await house.assert_live(live, before)


async def test_a_task_that_is_stopped_starts_nothing_new(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    sids = [house.conversation(f"+1415555{1000 + n}") for n in range(3)]
    due = await house.due()
    only = Attempt(house.memory, batch=BATCH, number=1, lease=timedelta(minutes=5), grace=timedelta())
    stack = type(house.retiring)
    fetch: Callable[..., Any] = stack.fetch

    async def stopped(self: Any, channel_sid: str) -> Any:
        only.stop()
        return await fetch(self, channel_sid)

    monkeypatch.setattr(stack, "fetch", stopped)
    with pytest.raises(TryReplaced):
        await house.account.cleaner(action=Action.DEACTIVATE, run_id="test").retire(
            due, scanned_at=house.scanned_at, attempt=only
        )
    assert house.touched() == []
    monkeypatch.setattr(stack, "fetch", fetch)
    house.memory.died()
    assert (await house.retire(due)).outcomes == dict.fromkeys(sids, Outcome.DEACTIVATED)
