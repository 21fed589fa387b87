"""Retiring over real HTTP: what is due goes, what is live stays, whenever the customer writes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.errors import MissingSetting, RevisionMismatch, ServiceUnavailable, TwilioRefused
from flexsms.core.events import StackName, to_ms
from flexsms.core.retention import window_ms
from flexsms.twilio import cleanup_batch
from flexsms.twilio.account import Account, connect
from flexsms.twilio.cleanup_report import Action, BatchReport, Outcome
from flexsms.twilio.cleanup_scan import DueChannel, find_due
from flexsms.twilio.config import TwilioSettings
from flexsms.twilio.track import track

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio

CUSTOMER = "+14155551001"
CHAT_GET = {"method": "GET", "host": "chat.twilio.com", "path": "/Channels/CH"}
CHAT_UPDATE = {"method": "POST", "host": "chat.twilio.com", "path": "/Channels/CH[^/]*$"}
CHAT_DELETE = {"method": "DELETE", "host": "chat.twilio.com", "path": "/Channels/CH"}
SESSION_CLOSE = {"method": "POST", "host": "proxy.twilio.com", "path": "/Sessions/KC"}
SETTLE = {"method": "POST", "host": "sync.twilio.com", "path": "/Documents/"}
LEDGER = {"method": "POST", "host": "sync.twilio.com", "path": "/Items"}
Calls = Callable[[], Counter[str]]


@dataclass
class Memory:
    """A checkpoint that outlives a batch."""

    saved: dict[str, Any] = field(default_factory=dict)

    async def get(self, key: str) -> Any:
        return self.saved.get(key)

    async def set(self, key: str, value: Any) -> None:
        self.saved[key] = json.loads(json.dumps(value))


@dataclass
class House:
    """A contact centre, and one cleanup of it."""

    account: Account
    sandbox: SandboxProcess
    clock: Any
    memory: Memory = field(default_factory=Memory)
    scanned_at: datetime | None = None

    @property
    def number(self) -> str:
        number: str = self.sandbox.settings["numbers"]["twilio"]
        return number

    def conversation(self, customer: str = CUSTOMER, *, done: bool = True) -> str:
        """A customer wrote and, mostly, was answered."""
        came = self.sandbox.control.customer(customer, self.number, "Hello")
        if done:
            self.sandbox.control.agent("complete", task_sid=came["task_sid"])
        sid: str = came["channel_sid"]
        return sid

    def writes(self, customer: str = CUSTOMER) -> dict[str, Any]:
        """The play of a customer who writes again."""
        return {"customer": {"from": customer, "to": self.number, "body": "Me again"}}

    async def track(self) -> None:
        async def save(_: str) -> None: ...

        await track(self.account.taskrouter(), self.account.store, cursor=None, save_cursor=save, at_once=8)

    async def scan(self) -> list[DueChannel]:
        self.scanned_at = self.clock()
        found = await find_due(
            self.account.store.scan(adopt=True),
            now_ms=to_ms("now", self.clock()),
            window_ms=window_ms(2),
            limit=1000,
        )
        return found.due

    async def retire(
        self, due: list[DueChannel], action: Action = Action.DEACTIVATE, *, dry_run: bool = False
    ) -> BatchReport:
        assert self.scanned_at is not None
        cleaner = self.account.cleaner(action=action, run_id="test", dry_run=dry_run)
        return await cleaner.retire(due, scanned_at=self.scanned_at, checkpoint=self.memory)

    async def clean(self, action: Action = Action.DEACTIVATE, *, dry_run: bool = False) -> BatchReport:
        await self.track()
        due = await self.scan()
        self.sandbox.control.clear_journal()
        return await self.retire(due, action, dry_run=dry_run)

    def fault(self, match: dict[str, str], **rule: Any) -> None:
        self.sandbox.control.fault(match=match, **{"times": 1, **rule})

    async def attributes(self, channel_sid: str) -> dict[str, Any]:
        return dict((await self.account.stack.fetch(channel_sid)).attributes)

    async def session_status(self, channel_sid: str) -> str:
        sessions = self.account.client.proxy.v1.services(self.account.settings.session_service_sid).sessions
        session: Any = await sessions(channel_sid).fetch_async()
        return str(session.status)

    async def assert_live(self, channel_sid: str, before: dict[str, Any]) -> None:
        """The channel is as it was, and the customer's next text gets through to it."""
        assert await self.attributes(channel_sid) == before
        assert await self.session_status(channel_sid) in ("open", "in-progress")
        arrived = self.sandbox.control.customer(CUSTOMER, self.number, "Is anybody there?")
        assert (arrived["channel_sid"], arrived["outcome"]) == (channel_sid, "session")
        assert arrived["task_sid"]

    async def assert_retired(self, channel_sid: str) -> None:
        """Both attributes are written, the session is closed, and the next text starts a fresh channel."""
        attributes = await self.attributes(channel_sid)
        assert (attributes["status"], attributes["long_lived"]) == ("INACTIVE", False)
        assert await self.session_status(channel_sid) == "closed"
        arrived = self.sandbox.control.customer(CUSTOMER, self.number, "Hello again")
        assert arrived["outcome"] == "started"
        assert arrived["channel_sid"] != channel_sid
        assert (await self.attributes(arrived["channel_sid"]))["long_lived"] is True


@pytest.fixture
async def house(account: Account, sandbox: SandboxProcess, clock: Any) -> House:
    return House(account, sandbox, clock)


def outcome(report: BatchReport, channel_sid: str) -> Outcome | None:
    return report.outcomes.get(channel_sid)


class TestWhatIsDue:
    async def test_a_quiet_channel_is_retired_and_its_other_attributes_survive(self, house: House) -> None:
        sid = house.conversation()
        extra = {"customer": {"id": 7, "tags": ["ä", None]}, "empty": ""}
        house.sandbox.control.play({"channel_attributes": {"channel_sid": sid, "attributes": extra}})
        before = await house.attributes(sid)
        house.clock.advance(days=3)
        report = await house.clean()
        assert report.outcomes == {sid: Outcome.DEACTIVATED}
        assert await house.attributes(sid) == {**before, "status": "INACTIVE", "long_lived": False}
        await house.assert_retired(sid)

    async def test_four_calls_per_channel(self, house: House, calls: Calls) -> None:
        for n in range(30):
            house.conversation(f"+1415555{1000 + n}")
        house.clock.advance(days=3)
        report = await house.clean()
        assert Counter(report.outcomes.values()) == {Outcome.DEACTIVATED: 30}
        per_channel = {
            "GET chat.twilio.com/v2/Services/{id}/Channels/{id}": 30,
            "POST chat.twilio.com/v2/Services/{id}/Channels/{id}": 30,
            "POST proxy.twilio.com/v1/Services/{id}/Sessions/{id}": 30,
            "POST sync.twilio.com/v1/Services/{id}/Documents/{id}": 30,
        }
        made = calls()
        assert {name: made.pop(name) for name in per_channel} == per_channel
        # Twice a look at the open tasks and the six lists of events, and one ledger line for all.
        assert sum(made.values()) <= 2 * 7 + 3, made

    async def test_a_large_batch_goes_in_groups(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cleanup_batch, "GROUP_SIZE", 4)
        sids = [house.conversation(f"+1415555{1000 + n}") for n in range(11)]
        house.clock.advance(days=3)
        assert (await house.clean()).outcomes == dict.fromkeys(sids, Outcome.DEACTIVATED)

    async def test_a_fifth_where_nobody_names_the_session(self, house: House, calls: Calls) -> None:
        house.sandbox.control.settings(stamp_proxy_session=False)
        sid = house.conversation()
        house.clock.advance(days=3)
        await house.clean()
        assert calls()["GET proxy.twilio.com/v1/Services/{id}/Sessions/{id}"] == 1
        await house.assert_retired(sid)

    async def test_running_twice_writes_nothing_the_second_time(self, house: House) -> None:
        house.conversation()
        house.clock.advance(days=3)
        await house.clean()
        house.memory = Memory()
        assert (await house.clean()).outcomes == {}
        assert [e for e in house.sandbox.control.journal() if e["method"] != "GET"] == []

    async def test_a_channel_that_another_clean_up_left_half_done_gets_its_session_closed(
        self, house: House
    ) -> None:
        sid = house.conversation()
        retired = {"status": "INACTIVE", "long_lived": False}
        house.sandbox.control.play({"channel_attributes": {"channel_sid": sid, "attributes": retired}})
        house.clock.advance(days=3)
        assert outcome(await house.clean(), sid) is Outcome.ALREADY_GONE
        await house.assert_retired(sid)

    async def test_a_channel_that_is_gone_is_settled(self, house: House) -> None:
        sid = house.conversation()
        await house.account.stack.delete(sid, {})
        await house.account.stack.delete(sid, {})
        house.clock.advance(days=3)
        assert outcome(await house.clean(), sid) is Outcome.ALREADY_GONE
        assert await house.scan() == []

    async def test_deleting_removes_the_channel(self, house: House) -> None:
        sid = house.conversation()
        house.clock.advance(days=3)
        assert outcome(await house.clean(Action.DELETE), sid) is Outcome.DELETED
        assert (await house.account.client.chat.v2.services(house.account.settings.chat_service_sid)
                .channels.list_async(type="private")) == []  # fmt: skip
        assert await house.scan() == []

    async def test_every_retired_channel_leaves_a_line_in_the_ledger(self, house: House) -> None:
        sid = house.conversation()
        house.clock.advance(days=3)
        await house.clean()
        maps = house.account.client.sync.v1.services(house.account.settings.sync_service_sid).sync_maps
        item: Any
        (item,) = await maps("flexsms.retired").sync_map_items.list_async()
        assert item.data["run_id"] == "test"
        assert [(line[0], line[2]) for line in item.data["channels"]] == [(sid, "deactivated")]

    async def test_a_dry_run_says_it_and_writes_nothing(self, house: House) -> None:
        due = house.conversation()
        live = house.conversation("+14155551002")
        house.clock.advance(days=3)
        await house.track()
        found = await house.scan()
        house.sandbox.control.customer("+14155551002", house.number, "Hello")
        house.sandbox.control.clear_journal()
        report = await house.retire(found, dry_run=True)
        assert report.outcomes == {due: Outcome.DEACTIVATED, live: Outcome.SKIPPED_OPEN_TASK}
        assert [e for e in house.sandbox.control.journal() if e["method"] != "GET"] == []
        assert house.memory.saved == {}


class TestWhoWritesInBetween:
    """The customer writes at exactly one moment; the channel stays live, its session open, its attributes as before."""

    async def run(
        self, house: House, match: dict[str, str] | None, when: str, action: Action = Action.DEACTIVATE
    ) -> None:
        sid = house.conversation()
        before = await house.attributes(sid)
        house.clock.advance(days=3)
        await house.track()
        due = await house.scan()
        if match is None:
            house.sandbox.control.play(house.writes())
        else:
            house.fault(match, **{when: [house.writes()]})
        report = await house.retire(due, action)
        assert outcome(report, sid) is Outcome.SKIPPED_OPEN_TASK
        await house.assert_live(sid, before)

    @pytest.mark.parametrize("action", Action)
    async def test_between_the_scan_and_the_batch(self, house: House, action: Action) -> None:
        await self.run(house, None, "", action)
        assert [
            e
            for e in house.sandbox.control.journal()
            if e["host"] == "chat.twilio.com" and e["method"] != "GET"
        ] == []

    @pytest.mark.parametrize("action", Action)
    @pytest.mark.parametrize("when", ["before", "after"])
    async def test_around_the_fetch(self, house: House, when: str, action: Action) -> None:
        await self.run(house, CHAT_GET, when, action)

    @pytest.mark.parametrize("action", Action)
    @pytest.mark.parametrize("when", ["before", "after"])
    async def test_around_the_closing_of_the_session(self, house: House, when: str, action: Action) -> None:
        await self.run(house, SESSION_CLOSE, when, action)

    @pytest.mark.parametrize("action", Action)
    async def test_before_the_update(self, house: House, action: Action) -> None:
        await self.run(house, CHAT_UPDATE, "before", action)

    async def test_after_the_update_a_fresh_channel_takes_the_text(self, house: House) -> None:
        sid = house.conversation()
        house.clock.advance(days=3)
        await house.track()
        due = await house.scan()
        house.fault(CHAT_UPDATE, after=[house.writes()])
        assert outcome(await house.retire(due), sid) is Outcome.DEACTIVATED
        (open_channel,) = await house.account.taskrouter().open_channels()
        assert open_channel != sid

    async def test_a_task_that_came_and_went_restarts_the_clock(self, house: House) -> None:
        sid = house.conversation()
        before = await house.attributes(sid)
        house.clock.advance(days=3)
        await house.track()
        due = await house.scan()
        house.fault(CHAT_GET, after=[house.writes(), {"agent": {"action": "complete", "channel_sid": sid}}])
        assert outcome(await house.retire(due), sid) is Outcome.SKIPPED_CHANGED
        await house.assert_live(sid, before)

    async def test_a_clock_ahead_of_twilios_hides_nothing(self, house: House) -> None:
        sid = house.conversation()
        house.clock.advance(days=3)
        await house.track()
        due = await house.scan()
        assert house.scanned_at is not None
        house.scanned_at += timedelta(seconds=30)
        house.fault(CHAT_GET, after=[house.writes(), {"agent": {"action": "complete", "channel_sid": sid}}])
        assert outcome(await house.retire(due), sid) is Outcome.SKIPPED_CHANGED

    async def test_a_state_that_was_tracked_in_between_is_not_settled_over(self, house: House) -> None:
        sid = house.conversation()
        before = await house.attributes(sid)
        house.clock.advance(days=3)
        await house.track()
        (due,) = await house.scan()
        stored = await house.account.store.load(sid)
        assert stored is not None
        # Known to the store alone: an event of which TaskRouter's list tells nothing.
        newer = {f"WT{1:032x}": to_ms("now", house.clock())}
        await house.account.store.merge(type(stored.state)(sid, StackName.CHAT, ended=newer))
        assert outcome(await house.retire([due]), sid) is Outcome.SKIPPED_CHANGED
        await house.assert_live(sid, before)

    async def test_unusual_attributes_come_back_as_they_were(self, house: House) -> None:
        sid = house.conversation()
        odd = {"status": "active", "long_lived": "yes"}
        house.sandbox.control.play({"channel_attributes": {"channel_sid": sid, "attributes": odd}})
        before = await house.attributes(sid)
        house.clock.advance(days=3)
        await house.track()
        due = await house.scan()
        house.fault(CHAT_UPDATE, before=[house.writes()])
        await house.retire(due)
        assert await house.attributes(sid) == before
        assert house.memory.saved == {"begun": True, sid: odd}


class TestWhatGoesWrong:
    async def test_one_bad_channel_is_one_failure(self, house: House) -> None:
        bad = house.conversation()
        good = house.conversation("+14155551002")
        before = await house.attributes(bad)
        house.clock.advance(days=3)
        house.sandbox.control.fault(
            match={**CHAT_UPDATE, "path": f"/Channels/{bad}$"},
            action="status",
            status=403,
            code=50400,
            message="No",
        )
        report = await house.clean()
        assert report.outcomes == {bad: Outcome.FAILED, good: Outcome.DEACTIVATED}
        assert isinstance(report.errors[bad], TwilioRefused)
        assert not report.worth_retrying
        summary = report.to_json()
        assert (summary["failed"], summary["deactivated"]) == (1, 1)
        assert summary["failures"] == [
            {"channel_sid": bad, "code": 50400, "message": str(report.errors[bad])}
        ]
        house.sandbox.control.clear_faults()
        await house.assert_live(bad, before)

    @pytest.mark.parametrize(
        "match", [CHAT_GET, CHAT_UPDATE, SESSION_CLOSE, SETTLE, LEDGER], ids=lambda m: m["path"]
    )
    @pytest.mark.parametrize("action", ["drop_before", "drop_after", "status"])
    async def test_a_lost_answer_changes_nothing(
        self, house: House, match: dict[str, str], action: str
    ) -> None:
        sid = house.conversation()
        house.clock.advance(days=3)
        house.fault(match, action=action, status=503)
        assert outcome(await house.clean(), sid) is Outcome.DEACTIVATED
        await house.assert_retired(sid)

    async def test_a_deletion_that_is_refused_is_taken_up_again_by_the_next_run(self, house: House) -> None:
        sid = house.conversation()
        house.clock.advance(days=3)
        house.fault(CHAT_DELETE, action="status", status=403, code=50400, message="No")
        report = await house.clean(Action.DELETE)
        assert report.outcomes == {sid: Outcome.FAILED}
        house.memory = Memory()
        assert outcome(await house.clean(Action.DELETE), sid) is Outcome.DELETED

    @pytest.mark.parametrize("action", ["drop_before", "drop_after"])
    async def test_a_lost_deletion_is_repeated(self, house: House, action: str) -> None:
        sid = house.conversation()
        house.clock.advance(days=3)
        house.fault(CHAT_DELETE, action=action)
        assert outcome(await house.clean(Action.DELETE), sid) is Outcome.DELETED

    async def test_a_state_that_keeps_changing_fails_and_the_next_run_settles_it(self, house: House) -> None:
        sid = house.conversation()
        house.clock.advance(days=3)
        house.fault(SETTLE, times=None, action="status", status=412, code=54103)
        report = await house.clean()
        assert isinstance(report.errors[sid], RevisionMismatch)
        assert report.worth_retrying
        house.sandbox.control.clear_faults()
        house.memory = Memory()
        assert outcome(await house.clean(), sid) is Outcome.ALREADY_GONE
        await house.assert_retired(sid)

    async def test_a_live_channel_that_cannot_be_put_back_is_a_failure_and_the_next_try_puts_it_back(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("flexsms.twilio.transport.ATTEMPTS", 2)
        sid = house.conversation()
        before = await house.attributes(sid)
        house.clock.advance(days=3)
        await house.track()
        due = await house.scan()
        house.fault(CHAT_UPDATE, before=[house.writes()])
        house.fault(CHAT_UPDATE, times=None, skip=0, action="status", status=503)
        report = await house.retire(due)
        assert outcome(report, sid) is Outcome.FAILED
        assert report.worth_retrying
        house.sandbox.control.clear_faults()
        again = await house.retire(due)
        assert outcome(again, sid) is Outcome.SKIPPED_OPEN_TASK
        await house.assert_live(sid, before)

    async def test_when_nobody_can_say_what_is_live_the_batch_fails_and_the_next_try_goes_on(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("flexsms.twilio.transport.ATTEMPTS", 2)
        sid = house.conversation()
        house.clock.advance(days=3)
        await house.track()
        due = await house.scan()
        house.fault(
            {"host": "taskrouter.twilio.com", "path": "/Tasks$"},
            skip=1,
            times=None,
            action="status",
            status=503,
        )
        before = await house.attributes(sid)
        with pytest.raises(ServiceUnavailable):
            await house.retire(due)
        # Nobody could say whether it is live, so it is as it was, even if no other try should come.
        assert await house.attributes(sid) == before
        assert await house.session_status(sid) == "in-progress"
        house.sandbox.control.clear_faults()
        assert outcome(await house.retire(due), sid) is Outcome.DEACTIVATED
        await house.assert_retired(sid)

    async def test_a_channel_whose_stack_the_connection_does_not_cover_is_named(
        self, house: House, settings: TwilioSettings
    ) -> None:
        sid = house.conversation()
        house.clock.advance(days=3)
        await house.track()
        due = await house.scan()
        async with connect(replace(settings, session_service_sid=""), now=house.clock) as moved:
            house.account = moved
            report = await house.retire(due)
        assert isinstance(report.errors[sid], MissingSetting)
        assert "migrate the channel to Conversations" in str(report.errors[sid])


class TestASecondTry:
    async def test_a_live_channel_that_the_first_try_never_touched_stays_as_it_is(self, house: House) -> None:
        sid = house.conversation()
        odd = {"status": "ACTIVE", "long_lived": False}
        house.sandbox.control.play({"channel_attributes": {"channel_sid": sid, "attributes": odd}})
        before = await house.attributes(sid)
        house.clock.advance(days=3)
        await house.track()
        due = await house.scan()
        await house.memory.set("begun", True)
        house.sandbox.control.play(house.writes())
        assert outcome(await house.retire(due), sid) is Outcome.SKIPPED_OPEN_TASK
        await house.assert_live(sid, before)

    async def test_a_channel_whose_state_cannot_be_read_is_one_failure_and_no_success(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("flexsms.twilio.transport.ATTEMPTS", 1)
        sid = house.conversation()
        house.clock.advance(days=3)
        await house.track()
        due = await house.scan()
        await house.memory.set("begun", True)
        house.fault(
            {"method": "GET", "host": "sync.twilio.com", "path": "/Documents/"}, action="status", status=503
        )
        report = await house.retire(due)
        assert report.outcomes == {sid: Outcome.FAILED}
        assert report.worth_retrying
        assert outcome(await house.retire(due), sid) is Outcome.DEACTIVATED

    async def test_what_is_settled_is_counted_and_not_touched_again(self, house: House) -> None:
        gone, quiet = house.conversation(), house.conversation("+14155551002")
        await house.account.stack.delete(gone, {})
        house.clock.advance(days=3)
        await house.track()
        due = await house.scan()
        first = await house.retire(due)
        house.sandbox.control.clear_journal()
        assert (
            (await house.retire(due)).outcomes
            == first.outcomes
            == {gone: Outcome.ALREADY_GONE, quiet: Outcome.DEACTIVATED}
        )
        assert [e for e in house.sandbox.control.journal() if e["method"] != "GET"] == []

    async def test_what_the_first_try_took_down_is_counted_as_done(self, house: House) -> None:
        sid = house.conversation()
        house.clock.advance(days=3)
        await house.track()
        due = await house.scan()
        await house.memory.set("begun", True)
        await house.account.stack.suspend(await house.account.stack.fetch(sid), {})
        assert outcome(await house.retire(due), sid) is Outcome.DEACTIVATED
        await house.assert_retired(sid)

    async def test_what_became_live_while_nobody_looked_is_put_back(self, house: House) -> None:
        sid = house.conversation()
        odd = {"status": "ACTIVE", "long_lived": "yes"}
        house.sandbox.control.play({"channel_attributes": {"channel_sid": sid, "attributes": odd}})
        before = await house.attributes(sid)
        house.clock.advance(days=3)
        await house.track()
        due = await house.scan()
        house.memory.saved = {"begun": True, sid: odd}
        # The customer writes before the update, the first try makes the update and dies.
        house.fault(CHAT_UPDATE, before=[house.writes()])
        await house.account.stack.suspend(await house.account.stack.fetch(sid), {})
        assert outcome(await house.retire(due), sid) is Outcome.SKIPPED_OPEN_TASK
        await house.assert_live(sid, before)
