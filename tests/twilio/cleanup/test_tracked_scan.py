"""The scan of a cleanup stores what was learnt on its way: a quiet channel costs nothing, and nothing is forgotten."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from flexsms.core.channel_state import ChannelState, fold
from flexsms.core.event_source import EventPage
from flexsms.core.exceptions import PermanentError
from flexsms.core.stack_name import StackName
from flexsms.core.task_events import TaskEvent, TaskEventType
from flexsms.sandbox.client import SandboxProcess
from flexsms.twilio.account import Account
from flexsms.twilio.cleanup import tracked_scan
from flexsms.twilio.cleanup.tracked_scan import TrackedScan
from flexsms.twilio.sync.channel_states import Scanned, StoredState, SyncStore
from flexsms.twilio.tracking.parked_states import ParkedStates
from flexsms.twilio.tracking.task_ends import TaskEnds
from tests.support.kept import Kept

pytestmark = pytest.mark.anyio

Calls = Callable[[], Counter[str]]
SYNC = "sync.twilio.com/v1/Services/{id}/Documents"
BEGAN_MS = 1_780_000_000_000


def sid(number: int) -> str:
    return f"CH{number:032x}"


def event(channel: int, task: int, minute: int, *, ends: bool = False) -> TaskEvent:
    kind = TaskEventType.COMPLETED if ends else TaskEventType.CREATED
    return TaskEvent(
        f"EV{channel}.{task}.{minute}",
        kind,
        f"WT{task:032x}",
        sid(channel),
        StackName.CHAT,
        BEGAN_MS + minute * 60_000,
        {},
    )


class Feed:
    """A source that gives a few events a page."""

    name, scope = "feed", "here"

    def __init__(self, events: Sequence[TaskEvent], size: int = 3) -> None:
        self._events, self._size = events, size

    async def read(self, cursor: str | None) -> AsyncGenerator[EventPage, None]:
        for start in range(0, len(self._events), self._size):
            yield EventPage(self._events[start : start + self._size])
        yield EventPage(cursor="1")


class Scan:
    """Reads the same store again and again."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.parked = Kept()
        self.ends = Kept()
        self.cursor: str | None = None

    async def run(
        self, *events: TaskEvent, write: bool = True, store: SyncStore | None = None
    ) -> dict[str, StoredState]:
        """The states that are listed, by channel."""
        states = TrackedScan(
            Feed(events),
            store or self.account.store,
            parked=ParkedStates(self.parked),
            ends=TaskEnds(self.ends),
            at_once=4,
            write=write,
        )
        await states.read(None)
        listed: dict[str, StoredState] = {}
        async with aclosing(states.pages()) as pages:
            async for page in pages:
                assert states.cursor is None  # nobody has stored what is still to come
                listed |= {one.state.channel_sid: one for one in page if isinstance(one, StoredState)}
        self.cursor = states.cursor
        return listed

    async def stored(self, count: int) -> dict[str, StoredState]:
        """What the documents of so many channels hold."""
        found = {sid(number): await self.account.store.load(sid(number)) for number in range(count)}
        return {channel: stored for channel, stored in found.items() if stored is not None}


@pytest.fixture
async def scan(account: Account) -> Scan:
    return Scan(account)


async def test_a_channel_of_which_there_is_no_news_costs_no_call(
    scan: Scan, sandbox: SandboxProcess, calls: Calls
) -> None:
    events = [event(channel, channel, 1) for channel in range(150)]
    first = await scan.run(*events)
    assert calls()[f"POST {SYNC}"] == 150
    sandbox.control.clear_journal()
    assert await scan.run(*events) == first
    assert calls() == {f"GET {SYNC}": 2}
    assert scan.cursor == "1"


async def test_news_costs_one_call_and_a_new_channel_two(
    scan: Scan, sandbox: SandboxProcess, calls: Calls
) -> None:
    await scan.run(event(0, 0, 1), event(1, 1, 1))
    sandbox.control.clear_journal()
    listed = await scan.run(event(0, 0, 9, ends=True), event(1, 1, 1), event(2, 2, 9))
    assert calls() == {f"GET {SYNC}": 1, f"POST {SYNC}/{{id}}": 1, f"GET {SYNC}/{{id}}": 1, f"POST {SYNC}": 1}
    # With the revisions by which cleaning up retires them.
    assert listed == await scan.stored(3)
    assert listed[sid(0)].state.open_tasks == frozenset()


async def test_a_dry_run_lists_the_same_and_writes_nothing(
    scan: Scan, sandbox: SandboxProcess, calls: Calls
) -> None:
    before = await scan.run(event(0, 0, 1), event(1, 1, 1))
    sandbox.control.clear_journal()
    news = event(0, 0, 9, ends=True), event(2, 2, 9)
    dry = await scan.run(*news, write=False)
    assert calls() == {f"GET {SYNC}": 1}
    assert (scan.cursor, await scan.stored(3)) == (None, before)
    wet = await scan.run(*news)
    assert {one: stored.state for one, stored in dry.items()} == {
        one: stored.state for one, stored in wet.items()
    }


class Meddled(SyncStore):
    """Somebody else writes after every page that was listed."""

    meddle: Callable[[], Any]

    async def scan(self, *, adopt: bool) -> AsyncGenerator[list[Scanned], None]:
        async for page in super().scan(adopt=adopt):
            await self.meddle()
            yield page


@pytest.fixture
def meddled(account: Account) -> Meddled:
    return Meddled(account.client, account.settings.sync_service_sid)


async def test_what_somebody_else_wrote_since_it_was_listed_stays(
    scan: Scan, account: Account, meddled: Meddled
) -> None:
    await scan.run(event(0, 0, 1))
    meddled.meddle = lambda: account.store.merge(ChannelState.of(event(0, 7, 5)))
    listed = await scan.run(event(0, 0, 9, ends=True), store=meddled)
    assert listed == await scan.stored(1)
    assert listed[sid(0)].state == fold([event(0, 0, 1), event(0, 0, 9, ends=True), event(0, 7, 5)])[sid(0)]


async def test_a_document_that_is_deleted_since_it_was_listed_is_written_anew(
    scan: Scan, account: Account, meddled: Meddled
) -> None:
    await scan.run(event(0, 0, 1))
    service = account.client.sync.v1.services(account.settings.sync_service_sid)
    meddled.meddle = lambda: service.documents(f"flexsms.{sid(0)}").delete_async()
    listed = await scan.run(event(0, 0, 9, ends=True), store=meddled)
    assert listed == await scan.stored(1)


async def test_what_cannot_be_written_keeps_the_cursor_where_it_was(
    scan: Scan, sandbox: SandboxProcess
) -> None:
    await scan.run(*(event(channel, channel, 1) for channel in range(6)))
    scan.cursor = None
    news = [event(channel, channel, 9, ends=True) for channel in range(6)]
    match = {"method": "POST", "path": f"/Documents/flexsms.{sid(3)}$"}
    sandbox.control.fault(match=match, action="status", status=403, code=20003, message="Not yours")
    with pytest.raises(PermanentError, match="Not yours"):
        await scan.run(*news)
    assert scan.cursor is None
    sandbox.control.clear_faults()
    listed = await scan.run(*news)
    assert not any(stored.state.open_tasks for stored in listed.values())


async def test_a_document_without_a_state_is_parked_and_taken_when_it_is_mended(
    scan: Scan, sandbox: SandboxProcess
) -> None:
    name = f"flexsms.{sid(0)}"
    sandbox.control.load(documents=[{"unique_name": name, "data": {"v": 1}}])
    listed = await scan.run(event(0, 0, 1), event(1, 1, 1))
    assert (list(listed), list(scan.parked.get()), scan.cursor) == ([sid(1)], [sid(0)], "1")
    assert list(await scan.run(event(0, 0, 1), write=False)) == [sid(1)]
    mended = ChannelState.of(event(0, 5, 3))
    service = scan.account.client.sync.v1.services(scan.account.settings.sync_service_sid)
    await service.documents(name).update_async(data=mended.to_json())
    listed = await scan.run()
    assert listed[sid(0)].state == mended.merge(ChannelState.of(event(0, 0, 1)))
    assert (listed, scan.parked.get()) == (await scan.stored(2), {})


async def test_no_more_channels_are_held_than_may_be(
    scan: Scan, monkeypatch: pytest.MonkeyPatch, sandbox: SandboxProcess, calls: Calls
) -> None:
    monkeypatch.setattr(tracked_scan, "MAX_PENDING", 4)
    events = [event(channel, channel, 1) for channel in range(14)]
    await scan.run(*events)
    sandbox.control.clear_journal()
    listed = await scan.run(*events)
    # Every four channels, or what a page makes of them, are a listing; and still no quiet channel is asked for.
    assert calls() == {f"GET {SYNC}": 3}
    assert {one: stored.state for one, stored in listed.items()} == fold(events)


@pytest.mark.parametrize("seed", range(5))
async def test_any_events_in_any_runs_come_to_what_they_say(
    scan: Scan, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice = random.Random(seed)
    monkeypatch.setattr(tracked_scan, "MAX_PENDING", dice.randrange(3, 9))
    events = [
        event(dice.randrange(8), dice.randrange(20), dice.randrange(90), ends=dice.random() < 0.5)
        for _ in range(60)
    ]
    told: list[TaskEvent] = []
    while len(told) < 50:
        some = dice.sample(events, dice.randrange(1, 25))
        told += some
        listed = await scan.run(*some)
        assert {one: stored.state for one, stored in listed.items()} == fold(told)
        assert listed == await scan.stored(8)


async def test_a_plan_that_fails_on_its_way_moves_no_cursor(
    account: Account, sandbox: SandboxProcess, scan: Scan
) -> None:
    saved: list[str] = []

    async def save(cursor: str) -> None:
        saved.append(cursor)

    async def plan() -> int:
        planner = account.planner(
            source=Feed([event(0, 0, 1), event(1, 1, 1)]),
            parked=ParkedStates(None),
            ends=TaskEnds(None),
            run_id="test",
        )
        found = await planner.plan(
            window_ms=60_000, limit=9, channel_types=frozenset({"sms"}), cursor=None, save_cursor=save
        )
        return found.scan.scanned

    sandbox.control.fault(
        match={"method": "POST", "path": "/Documents$"}, action="status", status=403, code=20003, message="No"
    )
    with pytest.raises(PermanentError):
        await plan()
    assert saved == []
    sandbox.control.clear_faults()
    assert (await plan(), saved) == (2, ["1"])
    assert len(await scan.stored(2)) == 2
