"""Tracking over real HTTP: at most two Sync calls per changed channel, and nothing forgotten."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.channel_state import ChannelState, fold
from flexsms.core.event_source import EventPage, EventSource
from flexsms.core.exceptions import (
    FlexSmsError,
    InvalidInput,
    NotAuthorized,
    ServiceUnavailable,
    UnreadableState,
)
from flexsms.core.stack_name import StackName
from flexsms.core.task_events import TaskEvent, TaskEventType
from flexsms.twilio.account import Account
from flexsms.twilio.taskrouter import events
from flexsms.twilio.tracking import parked_states as parked_module
from flexsms.twilio.tracking import tracker as track_module
from flexsms.twilio.tracking.parked_states import ParkedStates
from flexsms.twilio.tracking.tracker import TrackReport, track
from tests.support.cleanup_scenarios import HOUSES, House
from tests.support.kept import Kept

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess
    from tests.twilio.conftest import Clock

pytestmark = pytest.mark.anyio

Calls = Callable[[], Counter[str]]
EVENTS = "GET taskrouter.twilio.com/v1/Workspaces/{id}/Events"


class Cursor:
    """Where the last run stopped, and what it could not store."""

    def __init__(self) -> None:
        self.value: str | None = None
        self.kept = Kept()

    async def save(self, value: str) -> None:
        self.value = value

    async def run(self, account: Account, **options: Any) -> TrackReport:
        return await self.read(account, account.taskrouter(**options))

    async def read(self, account: Account, source: EventSource) -> TrackReport:
        return await track(
            source,
            account.store,
            cursor=self.value,
            save_cursor=self.save,
            at_once=8,
            parked=ParkedStates(self.kept),
        )


class OurClock:
    """The right clock, or one that is ahead of it."""

    def __init__(self, right: Clock) -> None:
        self._right = right
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return self._right() + self.ahead


@pytest.fixture(params=HOUSES, ids=lambda house: str(house.stack))
def kind(request: pytest.FixtureRequest) -> type[House]:
    """Each of the two stacks."""
    kind: type[House] = request.param
    return kind


@pytest.fixture
def number(sandbox: SandboxProcess, kind: type[House]) -> str:
    number: str = sandbox.settings["numbers"][kind.number_name]
    return number


def customers(count: int) -> list[str]:
    return [f"+1415555{1000 + n}" for n in range(count)]


async def test_the_state_follows_the_tasks(
    account: Account, sandbox: SandboxProcess, kind: type[House], number: str, clock: Any
) -> None:
    ada = sandbox.control.customer("+14155551001", number, "Hello")
    ben = sandbox.control.customer("+14155551002", number, "Hello")
    sandbox.control.agent("complete", task_sid=ada["task_sid"])
    report = await Cursor().run(account)
    assert (report.channels, report.created, report.rejected) == (2, 2, 0)
    first, second = await account.store.load(ada["channel_sid"]), await account.store.load(ben["channel_sid"])
    assert first is not None
    assert second is not None
    assert first.state.open_tasks == frozenset()
    assert first.state.last_ended_ms is not None
    assert abs(first.state.last_ended_ms - clock().timestamp() * 1000) < 10_000
    assert second.state.open_tasks == {ben["task_sid"]}
    assert {first.state.stack, second.state.stack} == {kind.stack}
    # What retiring a conversation has to know; a chat task has none of it.
    for name in ("interaction", "interaction_channel"):
        assert first.state.link(name) == ada[f"{name}_sid"]
    assert (ada["interaction_sid"] is None) == (kind.stack is StackName.CHAT)


async def test_without_a_cursor_thirty_days_are_read_and_then_only_what_is_new(
    account: Account, sandbox: SandboxProcess, number: str, clock: Any
) -> None:
    cursor = Cursor()
    sandbox.control.customer("+14155551001", number, "Hello")
    clock.advance(days=29)
    # The customer wrote, nobody answered for a day, and TaskRouter canceled the task.
    assert (await cursor.run(account)).events == 2
    clock.advance(days=2)
    sandbox.control.customer("+14155551002", number, "Hello")
    sandbox.control.clear_journal()
    assert (await cursor.run(account)).events == 1
    expected = clock() - timedelta(days=2, minutes=15)
    asked = [entry["query"]["StartDate"] for entry in sandbox.control.journal() if "Events" in entry["path"]]
    assert len(asked) == 6
    assert all(abs(datetime.fromisoformat(start) - expected) < timedelta(minutes=1) for start in asked)


async def test_a_run_tells_how_far_it_was_behind(
    account: Account, sandbox: SandboxProcess, number: str, clock: Any
) -> None:
    first = sandbox.control.customer("+14155551001", number, "Hello")
    clock.advance(seconds=300)
    sandbox.control.customer("+14155551002", number, "Hello")
    clock.advance(seconds=60)

    async def run() -> TrackReport:
        source = account.taskrouter()
        return await track(
            source, account.store, cursor=None, save_cursor=Cursor().save, at_once=8, now=clock
        )

    report = await run()
    assert report.behind_s == pytest.approx(60, abs=15)
    assert sorted(report.latency_s) == [pytest.approx(60, abs=15), pytest.approx(360, abs=15)]
    # What is read again is not stored again, and takes no part; a change is told by its newest event.
    sandbox.control.agent("complete", task_sid=first["task_sid"])
    again = await run()
    assert again.latency_s == [pytest.approx(0, abs=15)]
    report.add(again)
    told: Any = report.to_json()
    assert (told["behind_s"], told["latency_s"]["n"]) == (again.behind_s, 3)
    assert (await run()).latency_s == []


async def test_a_range_is_read_again_whatever_was_read_before_and_moves_no_cursor(
    account: Account, sandbox: SandboxProcess, number: str, clock: Any
) -> None:
    began = clock()
    written = []
    for customer in customers(3):
        written.append(sandbox.control.customer(customer, number, "Hello")["channel_sid"])
        clock.advance(hours=1)
    cursor = Cursor()
    cursor.value = before = clock().isoformat()

    async def fill(**between: float) -> TrackReport:
        elsewhere = timezone(timedelta(hours=5))  # people give hours of their own
        ends = {
            name: (began + timedelta(hours=hours)).astimezone(elsewhere) for name, hours in between.items()
        }
        return await cursor.read(account, account.taskrouter_range(**ends))

    middle = await fill(since=0.5, until=1.5)
    assert (middle.events, middle.created, middle.cursor) == (1, 1, None)
    assert await account.store.load(written[1]) is not None
    assert await account.store.load(written[0]) is None
    rest = await fill(since=-1)
    assert (rest.events, rest.created, rest.unchanged) == (3, 2, 1)
    assert cursor.value == before


@pytest.mark.parametrize(
    ("since", "until", "sentence"),
    [
        (0, 0, "since: is not before 20.* UTC; give an earlier moment"),
        (1, None, "since: is not before"),
        (-31 * 24, None, "since: is over 30 days ago; TaskRouter keeps events for 30 days"),
    ],
)
async def test_a_range_that_cannot_be_read_is_named(
    account: Account, clock: Any, since: int, until: int | None, sentence: str
) -> None:
    now = clock()
    moments = [None if hours is None else now + timedelta(hours=hours) for hours in (since, until)]
    with pytest.raises(InvalidInput, match=sentence):
        await Cursor().read(account, account.taskrouter_range(moments[0], moments[1]))


async def test_every_run_overlaps_the_one_before(
    account: Account, sandbox: SandboxProcess, number: str
) -> None:
    cursor = Cursor()
    sandbox.control.customer("+14155551001", number, "Hello")
    assert (await cursor.run(account)).created == 1
    again = await cursor.run(account)
    assert (again.events, again.unchanged, again.updated) == (1, 1, 0)
    assert (await cursor.run(account, lookback=timedelta())).events in (0, 1)


@pytest.fixture
def ours(account: Account, clock: Clock) -> OurClock:
    """Our clock, which this account goes by. Twilio's is right."""
    account.now = OurClock(clock)
    return account.now


class TestAClockThatIsWrong:
    async def test_what_happened_while_it_was_ahead_is_not_passed_over(
        self, account: Account, sandbox: SandboxProcess, number: str, clock: Clock, ours: OurClock
    ) -> None:
        cursor, written = Cursor(), []
        await cursor.run(account)
        ours.ahead = timedelta(days=1)
        await cursor.run(account)
        for customer in customers(4):
            clock.advance(minutes=10)
            written.append(sandbox.control.customer(customer, number, "Hello")["channel_sid"])
        assert (await cursor.run(account)).created == 4
        for customer in customers(8)[4:]:
            clock.advance(minutes=10)
            written.append(sandbox.control.customer(customer, number, "Hello")["channel_sid"])
        ours.ahead = timedelta()
        clock.advance(minutes=10)
        assert (await cursor.run(account)).created == 4
        assert all([await account.store.load(sid) for sid in written])

    @pytest.mark.parametrize("days", [1, 40])
    async def test_a_clock_ahead_takes_nothing_of_the_thirty_days(
        self, account: Account, sandbox: SandboxProcess, number: str, clock: Clock, ours: OurClock, days: int
    ) -> None:
        sandbox.control.customer("+14155551001", number, "Hello")
        clock.advance(days=29.9)
        ours.ahead = timedelta(days=days)
        cursor = Cursor()
        assert (await cursor.run(account)).created == 1
        assert cursor.value is not None
        assert datetime.fromisoformat(cursor.value) <= clock()

    async def test_a_cursor_that_has_not_come_yet_is_none(
        self, account: Account, sandbox: SandboxProcess, number: str, clock: Clock
    ) -> None:
        sandbox.control.customer("+14155551001", number, "Hello")
        clock.advance(days=2)
        cursor = Cursor()
        cursor.value = (clock() + timedelta(hours=1)).isoformat()
        assert (await cursor.run(account)).created == 1
        assert datetime.fromisoformat(cursor.value) <= clock()

    async def test_a_clock_behind_does_not_read_thirty_days_again(
        self, account: Account, sandbox: SandboxProcess, number: str, clock: Clock, ours: OurClock
    ) -> None:
        sandbox.control.customer("+14155551001", number, "Hello")
        cursor = Cursor()
        clock.advance(days=2)
        await cursor.run(account)
        ours.ahead = timedelta(minutes=-10)
        sandbox.control.clear_journal()
        assert (await cursor.run(account)).events == 0
        assert len(sandbox.control.journal()) == 6


async def test_the_cost(account: Account, sandbox: SandboxProcess, kind: type[House], calls: Calls) -> None:
    sandbox.control.events(channels=40, events=2400, hours=24, stack=str(kind.stack))
    sandbox.control.clear_journal()
    report = await Cursor().run(account)
    made = calls()
    assert report.created == 40
    assert made.pop(EVENTS) <= 6 + report.events // 1000
    assert sum(made.values()) == 80


async def test_writing_earlier_when_there_is_too_much_gives_the_same(
    account: Account, sandbox: SandboxProcess, kind: type[House], monkeypatch: pytest.MonkeyPatch
) -> None:
    sids = sandbox.control.events(channels=30, events=400, hours=24, stack=str(kind.stack))["channels"]
    await Cursor().run(account)
    expected = {sid: await account.store.load(sid) for sid in sids}
    assert all(stored and stored.state.last_ended_ms for stored in expected.values())
    documents = account.client.sync.v1.services(account.settings.sync_service_sid).documents
    for document in await documents.list_async():
        await documents(document.sid).delete_async()
    monkeypatch.setattr(track_module, "MAX_PENDING", 7)
    monkeypatch.setattr(events, "PAGE_SIZE", 10)
    await Cursor().run(account)
    for sid in sids:
        stored, before = await account.store.load(sid), expected[sid]
        assert stored is not None
        assert before is not None
        assert stored.state == before.state


async def test_a_full_page_without_a_successor_is_read_on_by_time(
    account: Account, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.control.events(channels=20, events=240, hours=24)
    whole = await Cursor().run(account)
    monkeypatch.setattr(events, "PAGE_SIZE", 7)
    from twilio.rest.taskrouter.v1.workspace.event import EventPage

    monkeypatch.setattr(EventPage, "next_page_url", None)
    cut = await Cursor().run(account)
    assert cut.events >= whole.events
    assert cut.unchanged == whole.created


async def test_a_thousand_events_in_one_second_without_a_successor_are_not_passed_over(
    account: Account, sandbox: SandboxProcess, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for customer in customers(4):
        sandbox.control.customer(customer, number, "Hello")
    monkeypatch.setattr(events, "PAGE_SIZE", 1)
    from twilio.rest.taskrouter.v1.workspace.event import EventPage

    monkeypatch.setattr(EventPage, "next_page_url", None)
    cursor = Cursor()
    with pytest.raises(InvalidInput, match="on one page"):
        await cursor.run(account)
    assert cursor.value is None


async def test_a_malformed_event_is_named_and_the_others_count(
    account: Account, sandbox: SandboxProcess, number: str
) -> None:
    good = sandbox.control.customer("+14155551001", number, "Hello")
    attributes = '{"channelSid": "CH' + "a" * 32 + '"}'
    sandbox.control.events(
        raw=[
            {
                "type": "task.created",
                "data": {"task_attributes": attributes},
                "resource_sid": "WX" + "1" * 32,
            },
            {"type": "task.completed", "data": {"task_attributes": "{}"}, "resource_sid": "WT" + "1" * 32},
        ]
    )
    report = await Cursor().run(account)
    assert (report.events, report.rejected, report.ignored) == (1, 1, 1)
    assert "task_sid: is missing" in report.rejects[0]
    assert await account.store.load(good["channel_sid"]) is not None


def poison(sandbox: SandboxProcess, channel_sid: str) -> None:
    """Make the document of a channel hold no state."""
    sandbox.control.load(documents=[{"unique_name": f"flexsms.{channel_sid}", "data": {"v": 1}}])


def document(account: Account, channel_sid: str) -> Any:
    return account.client.sync.v1.services(account.settings.sync_service_sid).documents(
        f"flexsms.{channel_sid}"
    )


class TestADocumentThatHoldsNoState:
    @pytest.fixture
    def bad(self, sandbox: SandboxProcess, number: str, clock: Clock) -> str:
        """A channel whose document holds no state, and that has an open task."""
        channel: str = sandbox.control.customer("+14155551002", number, "Hello")["channel_sid"]
        poison(sandbox, channel)
        clock.advance(minutes=1)
        return channel

    async def test_stops_neither_the_others_nor_the_cursor(
        self, account: Account, sandbox: SandboxProcess, number: str, bad: str
    ) -> None:
        good = sandbox.control.customer("+14155551001", number, "Hello")["channel_sid"]
        cursor = Cursor()
        with pytest.raises(
            UnreadableState, match=rf"^Document flexsms\.{bad}: .*delete the document or repair it"
        ):
            await cursor.run(account)
        assert cursor.value is not None
        assert await account.store.load(good) is not None

    async def test_costs_a_call_a_run_and_is_named_by_each(
        self,
        account: Account,
        sandbox: SandboxProcess,
        clock: Clock,
        calls: Calls,
        bad: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        cursor = Cursor()
        with pytest.raises(UnreadableState):
            await cursor.run(account)
        for _ in range(3):
            clock.advance(days=1)
            sandbox.control.clear_journal()
            caplog.clear()
            report = await cursor.run(account, lookback=timedelta())
            made = calls()
            assert (report.parked, report.created, report.updated) == ([bad], 0, 0)
            assert caplog.text.count(f"Channel {bad} was not updated") == 1
            assert (made.pop(EVENTS), sum(made.values())) == (6, 1)
            assert report.events <= 1  # the task's end at most, not all since its beginning

    @pytest.mark.parametrize("mended", ["deleted", "repaired"])
    async def test_gets_what_was_learnt_meanwhile_once_it_is(
        self,
        account: Account,
        sandbox: SandboxProcess,
        kind: type[House],
        clock: Clock,
        calls: Calls,
        bad: str,
        mended: str,
    ) -> None:
        cursor = Cursor()
        with pytest.raises(UnreadableState):
            await cursor.run(account)
        clock.advance(hours=1)
        sandbox.control.agent("complete", channel_sid=bad)
        await cursor.run(account)
        clock.advance(hours=1)
        expected = [one async for page in account.taskrouter().read(None) for one in page.events]
        state = fold(expected)[bad]
        if mended == "deleted":
            await document(account, bad).delete_async()
        else:
            before = TaskEvent("EV1", TaskEventType.CREATED, "WT" + "1" * 32, bad, kind.stack, 1, {})
            old = ChannelState.of(before)
            state = state.merge(old)
            await document(account, bad).update_async(data=old.to_json())
        sandbox.control.clear_journal()
        report = await cursor.run(account, lookback=timedelta())
        made = calls()
        assert (made.pop(EVENTS), sum(made.values())) == (6, 2)
        assert (report.parked, report.created + report.updated) == ([], 1)
        stored = await account.store.load(bad)
        assert stored is not None
        assert stored.state == state
        sandbox.control.clear_journal()
        assert (await cursor.run(account, lookback=timedelta())).channels == 0
        assert sum(calls().values()) == 6

    async def test_is_asked_for_once_in_a_run_of_many_writes(
        self,
        account: Account,
        sandbox: SandboxProcess,
        kind: type[House],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Types of events come one after another: who stops at the first write has not seen that tasks ended."""
        monkeypatch.setattr(track_module, "MAX_PENDING", 3)
        monkeypatch.setattr(events, "PAGE_SIZE", 3)
        sids = sandbox.control.events(channels=12, events=96, hours=24, stack=str(kind.stack))["channels"]
        poison(sandbox, sids[0])
        cursor = Cursor()
        sandbox.control.clear_journal()
        with pytest.raises(UnreadableState):
            await cursor.run(account)
        assert caplog.text.count(f"Channel {sids[0]} was not updated") == 1
        asked = [one for one in sandbox.control.journal() if one["path"].endswith(sids[0])]
        assert len(asked) == 1
        await document(account, sids[0]).delete_async()
        report = await cursor.run(account)
        assert (report.created, report.updated, report.parked) == (1, 0, [])
        expected = fold([one async for page in account.taskrouter().read(None) for one in page.events])
        for sid in sids:
            stored = await account.store.load(sid)
            assert stored is not None
            assert stored.state == expected[sid]

    async def test_is_remembered_before_the_cursor_moves(
        self, account: Account, sandbox: SandboxProcess
    ) -> None:
        bad, good = "CH" + "c" * 32, "CH" + "d" * 32
        poison(sandbox, bad)
        order: list[str] = []
        cursor = Cursor()

        class Source:
            name, scope = "three pages", "here"

            async def read(self, cursor: str | None) -> AsyncGenerator[EventPage, None]:
                for number, channel in enumerate((good, bad, good), 1):
                    event = TaskEvent(
                        "EV1", TaskEventType.CREATED, f"WT{number:032x}", channel, StackName.CHAT, number, {}
                    )
                    yield EventPage(events=[event], cursor=str(number))

        async def save(value: str) -> None:
            order.append(f"{value}, parked {len(cursor.kept.get() or ())}")

        with pytest.raises(UnreadableState):
            await track(
                Source(),
                account.store,
                cursor=None,
                save_cursor=save,
                at_once=8,
                parked=ParkedStates(cursor.kept),
            )
        assert order == ["1, parked 0", "2, parked 1", "3, parked 1"]
        stored = await account.store.load(good)
        assert stored is not None
        assert len(stored.state.seen) == 2

    async def test_when_there_are_too_many_of_them_the_run_ends(
        self, account: Account, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(parked_module, "MAX_PARKED", 5)
        for sid in sandbox.control.events(channels=60, events=120, hours=24)["channels"]:
            poison(sandbox, sid)
        cursor = Cursor()
        sandbox.control.clear_journal()
        # No UnreadableState: whoever takes that for "all others are up to now" must not go on.
        with pytest.raises(
            InvalidInput, match=r"holds no channel state, like 5 others .*; delete or"
        ) as caught:
            await cursor.run(account)
        assert not isinstance(caught.value, UnreadableState)
        assert cursor.value is None
        assert len(cursor.kept.get()) == 5
        assert len([one for one in sandbox.control.journal() if one["host"] == "sync.twilio.com"]) <= 14

    async def test_where_nothing_can_be_kept_it_ends_the_run(self, account: Account, bad: str) -> None:
        cursor = Cursor()
        with pytest.raises(
            InvalidInput, match=rf"document flexsms.{bad}: holds no channel state \(data: is no"
        ):
            await track(account.taskrouter(), account.store, cursor=None, save_cursor=cursor.save, at_once=8)
        assert cursor.value is None


@pytest.mark.parametrize(
    ("status", "error"), [(401, NotAuthorized), (403, NotAuthorized), (503, ServiceUnavailable)]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_may_befall_every_channel_ends_the_run_at_once(
    account: Account,
    sandbox: SandboxProcess,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    status: int,
    error: Any,
) -> None:
    monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 1)
    sids = sandbox.control.events(channels=100, events=400, hours=24)["channels"]
    poison(sandbox, sids[0])
    sandbox.control.fault(match={"method": method, "host": "sync.twilio.com"}, action="status", status=status)
    sandbox.control.clear_journal()
    cursor = Cursor()
    with pytest.raises(error):
        await cursor.run(account)
    tried = [
        entry
        for entry in sandbox.control.journal()
        if (entry["method"], entry["host"]) == (method, "sync.twilio.com")
    ]
    # Eight are in flight when the first one fails; a document that holds no state is no failure.
    assert 0 < len(tried) <= 8
    assert cursor.value is None


async def test_one_that_another_try_may_heal_outranks_the_others(
    account: Account, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 1)
    sandbox.control.events(channels=20, events=40, hours=24)
    match = {"method": "POST", "host": "sync.twilio.com"}
    sandbox.control.fault(match=match, action="status", status=403, times=3)
    sandbox.control.fault(match=match, action="status", status=503)
    with pytest.raises(ServiceUnavailable):
        await Cursor().run(account)


async def test_a_run_names_no_more_events_in_its_log_than_in_its_report(
    account: Account, sandbox: SandboxProcess, caplog: pytest.LogCaptureFixture
) -> None:
    attributes = '{"channelSid": "CH' + "a" * 32 + '"}'
    raw = [
        {"type": "task.created", "data": {"task_attributes": attributes}, "resource_sid": "WX" + "1" * 32}
    ] * 90
    sandbox.control.events(raw=raw)
    report = await Cursor().run(account)
    assert (report.rejected, len(report.rejects)) == (90, 20)
    assert caplog.text.count("Event left out:") == 20
    assert caplog.text.count("Events left out besides: 70.") == 1


async def test_the_cursor_stays_when_the_source_fails(
    account: Account, sandbox: SandboxProcess, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 2)
    sandbox.control.customer("+14155551001", number, "Hello")
    sandbox.control.fault(
        match={"host": "taskrouter.twilio.com", "path": "/Events"}, skip=3, action="status", status=503
    )
    cursor = Cursor()
    with pytest.raises(ServiceUnavailable):
        await cursor.run(account)
    assert cursor.value is None


async def test_a_strange_cursor_is_named(account: Account) -> None:
    cursor = Cursor()
    cursor.value = "yesterday"
    with pytest.raises(InvalidInput, match="cursor: 'yesterday' is not a date"):
        await cursor.run(account)


async def test_what_comes_without_a_cursor_is_stored_too(account: Account, sandbox: SandboxProcess) -> None:
    channel = "CH" + "c" * 32
    event = TaskEvent("EV1", TaskEventType.CREATED, "WT" + "d" * 32, channel, StackName.CHAT, 1, {})

    class Source:
        name, scope = "one page", ""

        async def read(self, cursor: str | None) -> AsyncGenerator[EventPage, None]:
            yield EventPage(events=[event])

    cursor = Cursor()
    report = await track(Source(), account.store, cursor=None, save_cursor=cursor.save, at_once=8)
    assert (report.created, report.cursor, cursor.value) == (1, None, None)
    sandbox.control.fault(match={"method": "POST", "host": "sync.twilio.com"}, action="status", status=403)
    event = replace(event, task_sid="WT" + "e" * 32)
    with pytest.raises(FlexSmsError):
        await track(Source(), account.store, cursor=None, save_cursor=cursor.save, at_once=8)
