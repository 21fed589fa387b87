"""One pace for several workers: slots that never overlap, counts that add up, and a clock that does not jump."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from flexsms.core.broadcast_tally import BroadcastTally
from flexsms.core.time_slots import MICROSECONDS
from flexsms.twilio.account import Account, connect
from flexsms.twilio.broadcast.pace import KEY, OPENING_S, RUNS_KEPT, SharedPace, SteadyClock
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.sync.digest_key import PACE
from flexsms.twilio.sync.map import SyncMap

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio

NOW = 1_796_000_000 * MICROSECONDS
TENTH = MICROSECONDS // 10
CLOCK = "flexsms.twilio.client.clock"
UPDATE = {"method": "POST", "host": "sync.twilio.com", "path": "/Items/pace$"}


def pace(
    account: Account, run: str = "run", stop_over: float = 0.5, now: int = NOW, owner: str = "me"
) -> SharedPace:
    service_sid = account.settings.need("sync_service_sid")
    return SharedPace(account.client, service_sid, run=run, owner=owner, stop_over=stop_over, now=lambda: now)


async def test_one_call_reserves_two_seconds(account: Account, calls: Callable[[], Counter[str]]) -> None:
    one = pace(account)
    first = await one.reserve([{"account": 10.0}] * 50)
    assert first == [NOW + number * TENTH for number in range(20)]
    before = calls().total()
    second = await one.reserve([{"account": 10.0}] * 5)
    assert second == [NOW + (20 + number) * TENTH for number in range(5)]
    assert calls().total() == before + 1


async def test_workers_never_share_a_slot(settings: TwilioSettings, anyio_backend: str) -> None:
    async with AsyncExitStack() as stack:
        workers = [pace(await stack.enter_async_context(connect(settings))) for _ in range(4)]

        async def work(one: SharedPace) -> list[int]:
            return [slot for _ in range(5) for slot in await one.reserve([{"account": 10.0}] * 7)]

        slots = [slot for found in await asyncio.gather(*map(work, workers)) for slot in found]
    assert sorted(slots) == [NOW + number * TENTH for number in range(4 * 5 * 7)]


async def test_a_lost_answer_costs_no_slot_and_counts_nothing_twice(
    account: Account, sandbox: SandboxProcess
) -> None:
    one = pace(account)
    await one.reserve([{"account": 10.0}])
    sandbox.control.fault(match=UPDATE, action="drop_after", times=1)
    assert await one.reserve([{"account": 10.0}], BroadcastTally(sent=3)) == [NOW + TENTH]
    assert one.tally == BroadcastTally(sent=3)
    assert await one.reserve([{"account": 10.0}]) == [NOW + 2 * TENTH]


async def test_all_stop_once_too_many_fail_over_all_workers(account: Account) -> None:
    one, two, other_run = pace(account), pace(account), pace(account, run="another")
    assert await one.reserve([{}], BroadcastTally(sent=15, failed={"30007": 20}))
    assert await two.reserve([{}], BroadcastTally(sent=10, failed={"21211": 5}))
    assert await two.reserve([{}], BroadcastTally(failed={"21211": 1})) == []
    assert await one.reserve([{}]) == []
    assert one.tally == BroadcastTally(25, {"30007": 20, "21211": 6}, stopped=True)
    assert await other_run.reserve([{}])


async def test_what_is_remembered_does_not_grow_with_the_runs(account: Account) -> None:
    for number in range(RUNS_KEPT + 3):
        one = pace(account, run=f"run {number}", now=NOW + number * MICROSECONDS)
        await one.reserve([{"account": 10.0, f"sender {number}": 1.0}], BroadcastTally(sent=1))
    pace_map = SyncMap(account.client, account.settings.need("sync_service_sid"), PACE)
    kept = (await pace_map.fetch(KEY)).data
    assert len(kept["runs"]) == RUNS_KEPT
    assert len(kept["lanes"]) == 2


@pytest.mark.parametrize("behind_s", [0.0, 0.4, -0.4, 7.3, -3600.0])
async def test_the_clock_agrees_with_dates_in_whole_seconds_and_does_not_jump(
    behind_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever this machine's clock says, it is right within a second at once, and soon within the answer's way."""
    began, passed = datetime(2026, 11, 30, 12, 0, 0, 700_000, tzinfo=UTC), [0.0]
    monkeypatch.setattr(f"{CLOCK}.utc_now", lambda: began - timedelta(seconds=behind_s))
    monkeypatch.setattr(f"{CLOCK}.monotonic_s", lambda: 50.0 + passed[0])
    now = SteadyClock(lambda: (began + timedelta(seconds=passed[0])).replace(microsecond=0))
    wrong = []
    for step in range(40):
        passed[0] = step / 10
        wrong.append(now() / MICROSECONDS - (began + timedelta(seconds=passed[0])).timestamp())
    assert all(-1 <= one <= 1 for one in wrong)
    later = wrong[14:]
    assert max(later) - min(later) < 0.001
    assert abs(later[0]) < 0.5
    if behind_s == 0:
        assert wrong == pytest.approx([0.0] * 40, abs=1e-6)


async def test_the_clock_follows_one_that_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = datetime(2026, 11, 30, 12, tzinfo=UTC)
    monkeypatch.setattr(f"{CLOCK}.utc_now", lambda: ours)
    monkeypatch.setattr(f"{CLOCK}.monotonic_s", lambda: 50.0)
    told = [ours]
    now = SteadyClock(lambda: told[0])
    assert now.moment() == ours
    told[0] = ours + timedelta(days=1)
    assert now.moment() == told[0]


async def test_before_any_answer_the_clock_is_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = datetime(2026, 11, 30, 12, tzinfo=UTC)
    monkeypatch.setattr(f"{CLOCK}.utc_now", lambda: ours)
    monkeypatch.setattr(f"{CLOCK}.monotonic_s", lambda: 50.0)
    assert SteadyClock(lambda: None).moment() == ours


async def test_a_task_is_counted_or_known_to_be_about_to_open(account: Account) -> None:
    """Whoever wrote meanwhile makes the others count anew, so what they open in between is not missed."""
    one, two = pace(account, owner="one"), pace(account, owner="two")
    open_tasks, asked = 0, []

    async def room(opening: int) -> int:
        asked.append(opening)
        return max(0, 5 - open_tasks - opening)

    assert len(await one.reserve([{}] * 9, opening=0, room=room)) == 5
    # It knows nothing of the first one before Sync refuses its update.
    assert await two.reserve([{}] * 9, opening=0, room=room) == []
    assert asked == [0, 5]
    # Three of them have been opened, and nobody has told so yet: they count twice for a while.
    open_tasks = 3
    assert await two.reserve([{}] * 9, opening=0, room=room) == []
    # Two have another fate, and now that is told.
    assert await one.reserve([], opening=0) == []
    assert len(await two.reserve([{}] * 9, opening=0, room=room)) == 2
    # Whoever reserves more knows of the own ones, too.
    assert await two.reserve([{}] * 9, opening=2, room=room) == []


async def test_who_was_killed_takes_no_room_for_ever_and_who_opens_no_task_none(account: Account) -> None:
    async def room(opening: int) -> int:
        return 5 - opening

    assert len(await pace(account, owner="killed").reserve([{}] * 4, opening=0, room=room)) == 4
    assert len(await pace(account, owner="studio").reserve([{}] * 4)) == 4
    other = "another", NOW + (OPENING_S - 1) * MICROSECONDS, NOW + (OPENING_S + 1) * MICROSECONDS
    assert len(await pace(account, owner=other[0], now=other[1]).reserve([{}] * 9, opening=0, room=room)) == 1
    assert len(await pace(account, owner=other[0], now=other[2]).reserve([{}] * 9, opening=0, room=room)) == 5
