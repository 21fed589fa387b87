"""Retiring over real HTTP, on both stacks: what is due goes, what is live stays, whenever the customer writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from flexsms.core.channel_state import ChannelState
from flexsms.core.exceptions import RevisionMismatch, ServiceUnavailable, TwilioRefused, UnreadableState
from flexsms.core.task_events import to_ms
from flexsms.twilio.cleanup import batch
from flexsms.twilio.cleanup.outcomes import Action, BatchReport, Outcome
from flexsms.twilio.cleanup.unanswered import SAMPLE
from tests.support.cleanup_scenarios import (
    HOUSES,
    LEDGER,
    MARK_RETIRED,
    OPEN_TASKS,
    OTHER,
    RETIRED,
    STATE,
    ConversationsHouse,
    House,
    Match,
    Memory,
)

pytestmark = pytest.mark.anyio

Calls = Callable[[], Counter[str]]


def outcome(report: BatchReport, channel_sid: str) -> Outcome | None:
    return report.outcomes.get(channel_sid)


def of_each_house(what: Callable[[type[House]], Any]) -> list[Any]:
    """Parameters `house` and more of a test that lands somewhere in the middle: what a house says of itself."""
    return [
        pytest.param(house, *given, id="-".join([house.stack, *(_word(part) for part in given)]))
        for house in HOUSES
        for given in what(house)
    ]


def _word(part: Match | str | None) -> str:
    return part or "at once" if isinstance(part, str | None) else f"{part['method']} {part['path']}"


class TestWhatIsDue:
    async def test_a_quiet_channel_is_retired_and_its_other_attributes_survive(self, house: House) -> None:
        sid = house.conversation()
        house.set_attributes(sid, customer={"id": 7, "tags": ["ä", None]}, empty="")
        before = await house.attributes(sid)
        due = await house.due()
        assert [channel.stack for channel in due] == [house.stack]
        assert (await house.retire(due)).outcomes == {sid: Outcome.DEACTIVATED}
        assert await house.attributes(sid) == {**before, **RETIRED}
        await house.assert_retired(sid)

    async def test_four_calls_per_channel(self, house: House, calls: Calls) -> None:
        for n in range(30):
            house.conversation(f"+1415555{1000 + n}")
        report = await house.clean()
        assert Counter(report.outcomes.values()) == {Outcome.DEACTIVATED: 30}
        made = calls()
        assert {name: made.pop(name) for name in house.calls} == dict.fromkeys(house.calls, 30)
        assert len(house.calls) == 4
        # Each look is the open tasks, the new ones and the six lists of events; three ledger items for all, and whether
        # dates tell of messages.
        assert sum(made.values()) <= house.looks * 8 + 5 + SAMPLE, made

    @pytest.mark.parametrize(
        ("channels", "sizes"),
        [
            (0, []),
            (125, [125]),
            (126, [63, 63]),
            (900, [450, 450]),
            (1001, [251, 251, 251, 248]),
            (2000, 4 * [500]),
        ],
    )
    async def test_groups_are_equal_and_even_in_number(self, channels: int, sizes: list[int]) -> None:
        groups = batch.groups_of(range(channels))
        assert [len(group) for group in groups] == sizes
        assert [channel for group in groups for channel in group] == list(range(channels))

    async def test_a_large_batch_goes_in_groups(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(batch, "GROUP_SIZE", 4)
        monkeypatch.setattr(batch, "SMALL_BATCH", 2)
        sids = [house.conversation(f"+1415555{1000 + n}") for n in range(11)]
        assert (await house.clean()).outcomes == dict.fromkeys(sids, Outcome.DEACTIVATED)

    async def test_a_limit_takes_the_longest_quiet_and_the_next_run_the_rest(self, house: House) -> None:
        sids = [house.conversation(f"+1415555{1000 + n}") for n in range(5)]
        house.clock.advance(days=3)
        await house.track()
        for part in (sids[:3], sids[3:]):
            house.memory = Memory()
            report = await house.retire(await house.scan(limit=3))
            assert report.outcomes == dict.fromkeys(part, Outcome.DEACTIVATED)

    async def test_running_twice_writes_nothing_the_second_time(self, house: House) -> None:
        house.conversation()
        await house.clean()
        assert (await house.clean()).outcomes == {}
        assert house.written() == []

    async def test_a_channel_that_another_clean_up_left_half_done_is_finished(self, house: House) -> None:
        sid = house.conversation()
        house.set_attributes(sid, **RETIRED)
        assert outcome(await house.clean(), sid) is house.half_done
        await house.assert_retired(sid)

    async def test_a_channel_that_is_gone_is_retired(self, house: House) -> None:
        sid = house.conversation()
        await house.retiring.delete(sid, {})
        await house.retiring.delete(sid, {})
        assert outcome(await house.clean(), sid) is Outcome.ALREADY_GONE
        assert house.touched() == []
        assert await house.scan() == []

    async def test_deleting_removes_the_channel(self, house: House) -> None:
        sid = house.conversation()
        assert outcome(await house.clean(Action.DELETE), sid) is Outcome.DELETED
        assert await house.channels() == []
        assert await house.scan() == []

    async def test_every_retired_channel_leaves_a_line_in_the_ledger(self, house: House) -> None:
        sid = house.conversation()
        await house.clean()
        assert await house.ledger() == {sid: "deactivated"}

    async def test_a_dry_run_says_it_and_writes_nothing(self, house: House) -> None:
        quiet, live = house.conversation(), house.conversation(OTHER)
        due = await house.due()
        house.control.perform(house.writes(OTHER))
        report = await house.retire(due, dry_run=True)
        assert report.outcomes == {quiet: Outcome.DEACTIVATED, live: Outcome.SKIPPED_OPEN_TASK}
        assert house.written() == []
        assert house.memory.saved == {}

    async def test_an_unreadable_document_is_left_alone_and_the_others_go(self, house: House) -> None:
        unreadable = house.conversation(OTHER)
        house.control.load(documents=[{"unique_name": f"flexsms.{unreadable}", "data": {"v": 1}}])
        sid = house.conversation()
        house.clock.advance(days=3)
        with pytest.raises(UnreadableState):  # the others are up to date all the same
            await house.track()
        assert (await house.retire(await house.scan())).outcomes == {sid: Outcome.DEACTIVATED}
        assert await house.is_open(unreadable)

    async def test_beside_an_unreadable_document_the_others_are_judged_by_their_last_task(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However often states are written before the events that ended the tasks are read."""
        monkeypatch.setattr("flexsms.twilio.tracking.tracker.MAX_PENDING", 2)
        monkeypatch.setattr("flexsms.twilio.taskrouter.events.PAGE_SIZE", 2)
        customers = [f"+1415555101{n}" for n in range(5)]
        just_ended, unreadable, *_ = [house.conversation(customer) for customer in customers]
        await house.track()
        documents = house.account.client.sync.v1.services(house.account.settings.sync_service_sid).documents
        await documents(f"flexsms.{unreadable}").update_async(data={"v": 1})
        house.clock.advance(days=3)
        for customer in customers:
            house.control.customer(customer, house.number, "Me again")
            house.clock.advance(seconds=2)
        house.control.agent("complete", channel_sid=just_ended)
        house.clock.advance(hours=1)
        with pytest.raises(UnreadableState):
            await house.track()
        assert await house.scan() == []


class TestWhoWritesInBetween:
    """The customer writes at exactly one moment; the channel stays live, with its attributes as before."""

    @pytest.mark.parametrize("action", Action)
    @pytest.mark.parametrize(
        ("house", "match", "when"), of_each_house(lambda house: house.kept), indirect=["house"]
    )
    async def test_the_channel_is_kept(
        self, house: House, match: Match | None, when: str, action: Action
    ) -> None:
        sid = house.conversation()
        before = await house.attributes(sid)
        due = await house.due()
        if match is None:
            house.control.perform(house.writes())
        else:
            house.fault(match, **{when: [house.writes()]})
        assert outcome(await house.retire(due, action), sid) is Outcome.SKIPPED_OPEN_TASK
        assert match is not None or house.touched() == []
        await house.assert_live(sid, before)

    async def test_after_the_last_call_a_fresh_channel_takes_the_text(self, house: House) -> None:
        sid = house.conversation()
        due = await house.due()
        house.fault(house.last, after=[house.writes()])
        assert outcome(await house.retire(due), sid) is Outcome.DEACTIVATED
        (open_channel,) = await house.account.taskrouter().open_channels()
        assert open_channel != sid

    async def test_a_task_that_came_and_went_restarts_the_clock(self, house: House) -> None:
        sid = house.conversation()
        before = await house.attributes(sid)
        due = await house.due()
        house.fault(house.fetch, after=house.comes_and_goes(sid))
        assert outcome(await house.retire(due), sid) is Outcome.SKIPPED_CHANGED
        await house.assert_live(sid, before)

    async def test_events_that_are_listed_late_restart_the_clock(self, house: House) -> None:
        """They are older than the scan, which has not seen them, and TaskRouter has forgotten the task."""
        sid = house.conversation()
        due = await house.due()
        house.control.perform(*house.comes_and_goes(sid))
        before = await house.attributes(sid)
        house.clock.advance(minutes=6)
        house.scanned_at = house.clock()
        assert outcome(await house.retire(due), sid) is Outcome.SKIPPED_CHANGED
        await house.assert_live(sid, before)

    async def test_a_clock_ahead_of_twilios_hides_nothing(self, house: House) -> None:
        sid = house.conversation()
        due = await house.due()
        house.scanned_at += timedelta(seconds=30)
        house.fault(house.fetch, after=house.comes_and_goes(sid))
        assert outcome(await house.retire(due), sid) is Outcome.SKIPPED_CHANGED

    async def test_a_state_that_was_tracked_in_between_is_not_retired_over(self, house: House) -> None:
        sid = house.conversation()
        before = await house.attributes(sid)
        due = await house.due()
        # Known to the store alone: an event of which TaskRouter's list tells nothing.
        newer = {f"WT{1:032x}": to_ms("now", house.clock())}
        await house.account.store.merge(ChannelState(sid, house.stack, ended=newer))
        assert outcome(await house.retire(due), sid) is Outcome.SKIPPED_CHANGED
        await house.assert_live(sid, before)

    async def test_a_send_that_goes_on_in_the_channel_meanwhile_keeps_it(self, house: House) -> None:
        """It has no task yet, and tells the channel's state of its session."""
        sid = house.conversation()
        before = await house.attributes(sid)
        due = await house.due()
        session = {"session": (to_ms("now", house.clock()), "KC" + "0" * 32)}
        await house.account.store.merge(ChannelState(sid, house.stack, links=session))
        assert outcome(await house.retire(due), sid) is Outcome.SKIPPED_CHANGED
        await house.assert_live(sid, before)

    async def test_unusual_attributes_come_back_as_they_were(self, house: House) -> None:
        sid = house.conversation()
        odd = {"status": "active", "long_lived": "yes"}
        house.set_attributes(sid, **odd)
        before = await house.attributes(sid)
        due = await house.due()
        house.fault(house.mark, before=[house.writes()])
        await house.retire(due)
        assert await house.attributes(sid) == before

    async def test_only_unusual_attributes_are_noted_on_the_channel(self, house: House) -> None:
        odd, usual = house.conversation(), house.conversation(OTHER)
        before = {"status": "active", "long_lived": "yes"}
        house.set_attributes(odd, **before)
        await house.retire(await house.due())
        assert (await house.attributes(odd))["flexsms_before"] == before
        assert "flexsms_before" not in await house.attributes(usual)


class TestWhatGoesWrong:
    async def test_one_bad_channel_is_one_failure(self, house: House) -> None:
        bad, good = house.conversation(), house.conversation(OTHER)
        before = await house.attributes(bad)
        due = await house.due()
        forbidden = {"action": "status", "status": 403, "code": 50400, "message": "No"}
        house.fault({**house.mark, "path": f"/{bad}$"}, times=None, **forbidden)
        report = await house.retire(due)
        assert report.outcomes == {bad: Outcome.FAILED, good: Outcome.DEACTIVATED}
        assert isinstance(report.errors[bad], TwilioRefused)
        assert not report.worth_retrying
        summary = report.to_json()
        assert (summary["failed"], summary["deactivated"]) == (1, 1)
        assert summary["failures"] == [
            {"channel_sid": bad, "code": 50400, "message": report.errors[bad].cause_first}
        ]
        house.control.clear_faults()
        await house.assert_live(bad, before)

    @pytest.mark.parametrize("fault", ["drop_before", "drop_after", 429, 503])
    @pytest.mark.parametrize(
        ("house", "match"), of_each_house(lambda house: [(step,) for step in house.steps]), indirect=["house"]
    )
    async def test_a_lost_answer_changes_nothing(self, house: House, match: Match, fault: str | int) -> None:
        sid = house.conversation()
        due = await house.due()
        rule = {"action": fault} if isinstance(fault, str) else {"action": "status", "status": fault}
        house.fault(match, **rule)
        assert outcome(await house.retire(due), sid) is Outcome.DEACTIVATED
        assert [rule["hits"] for rule in house.control.faults()] == [1]
        await house.assert_retired(sid)

    async def test_a_deletion_that_is_refused_is_taken_up_again_by_the_next_run(self, house: House) -> None:
        sid = house.conversation()
        house.fault(house.delete, action="status", status=403, code=50400, message="No")
        assert (await house.clean(Action.DELETE)).outcomes == {sid: Outcome.FAILED}
        assert outcome(await house.clean(Action.DELETE, days=0), sid) is Outcome.DELETED

    @pytest.mark.parametrize("action", ["drop_before", "drop_after"])
    async def test_a_lost_deletion_is_repeated(self, house: House, action: str) -> None:
        sid = house.conversation()
        house.fault(house.delete, action=action)
        assert outcome(await house.clean(Action.DELETE), sid) is Outcome.DELETED

    async def test_a_state_that_keeps_changing_fails_and_the_next_run_retires_it(self, house: House) -> None:
        sid = house.conversation()
        due = await house.due()
        house.fault(MARK_RETIRED, times=None, action="status", status=412, code=54103)
        report = await house.retire(due)
        assert isinstance(report.errors[sid], RevisionMismatch)
        assert report.worth_retrying
        house.control.clear_faults()
        assert outcome(await house.clean(days=0), sid) is house.half_done
        await house.assert_retired(sid)

    async def test_a_live_channel_that_cannot_be_put_back_is_a_failure_and_the_next_try_puts_it_back(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 2)
        sid = house.conversation()
        before = await house.attributes(sid)
        due = await house.due()
        house.fault(house.mark, before=[house.writes()])
        house.fault(house.mark, times=None, action="status", status=503)
        report = await house.retire(due)
        assert outcome(report, sid) is Outcome.FAILED
        assert report.worth_retrying
        house.control.clear_faults()
        assert outcome(await house.retire(due), sid) is Outcome.SKIPPED_OPEN_TASK
        await house.assert_live(sid, before)

    async def test_a_channel_that_is_there_and_is_not_is_left_to_the_next_run(self, house: House) -> None:
        sid = house.conversation()
        before = await house.attributes(sid)
        due = await house.due()
        house.fault(house.mark, action="status", status=404, code=50300, message="No")
        assert (await house.retire(due)).outcomes == {sid: Outcome.FAILED}
        assert await house.attributes(sid) == before
        assert await house.is_open(sid)
        assert (await house.clean(days=0)).outcomes == {sid: Outcome.DEACTIVATED}

    async def test_a_live_channel_that_somebody_removes_is_no_failure(self, house: House) -> None:
        sid, other = house.conversation(), house.conversation(OTHER)
        due = await house.due()
        house.fault({**house.mark, "path": f"/{sid}$"}, before=[house.writes()])
        # The second look at it, because it is to be put back.
        house.fault(
            {**house.fetch, "path": f"/{sid}$"}, skip=1, action="status", status=404, code=50300, message="No"
        )
        report = await house.retire(due)
        assert report.outcomes == {sid: Outcome.SKIPPED_OPEN_TASK, other: Outcome.DEACTIVATED}

    async def test_a_state_that_somebody_removes_needs_no_mark(self, house: House) -> None:
        sid = house.conversation()
        due = await house.due()
        service = house.account.client.sync.v1.services(house.account.settings.sync_service_sid)
        await service.documents(f"flexsms.{sid}").delete_async()
        assert (await house.retire(due)).outcomes == {sid: Outcome.DEACTIVATED}
        await house.assert_retired(sid)

    async def test_when_nobody_can_say_what_is_live_the_batch_fails_and_the_next_try_goes_on(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 2)
        sid = house.conversation()
        before = await house.attributes(sid)
        due = await house.due()
        house.fault(OPEN_TASKS, skip=1, times=None, action="status", status=503)
        with pytest.raises(ServiceUnavailable):
            await house.retire(due)
        # Nobody could say whether it is live, so it is as it was, even if no other try should come.
        assert await house.attributes(sid) == before
        assert await house.is_open(sid)
        house.control.clear_faults()
        assert outcome(await house.retire(due), sid) is Outcome.DEACTIVATED
        await house.assert_retired(sid)

    async def test_without_the_first_look_nothing_is_touched(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 1)
        monkeypatch.setattr(batch, "GROUP_SIZE", 2)
        monkeypatch.setattr(batch, "SMALL_BATCH", 2)
        monkeypatch.setattr(batch, "GROUPS_AT_ONCE", 1)
        for n in range(3):
            house.conversation(f"+1415555{1000 + n}")
        due = await house.due()
        house.fault(OPEN_TASKS, times=None, action="status", status=503)
        with pytest.raises(ServiceUnavailable):
            await house.retire(due)
        assert house.written() == []
        # One group asked and got no answer; the others did not even ask.
        assert [rule["hits"] for rule in house.control.faults()] == [1]

    async def test_one_404_is_no_proof_that_a_channel_is_gone(self, house: House) -> None:
        sid = house.conversation()
        due = await house.due()
        house.fault(house.fetch, action="status", status=404, code=20404, message="Not found")
        assert (await house.retire(due)).outcomes == {sid: Outcome.DEACTIVATED}
        await house.assert_retired(sid)

    @pytest.mark.parametrize("fault", ["drop_before", "drop_after"])
    async def test_what_somebody_else_writes_behind_a_lost_answer_stays(
        self, house: House, fault: str
    ) -> None:
        sid = house.conversation()
        due = await house.due()
        theirs = {"status": "PAUSED", "long_lived": True}
        moment = "before" if fault == "drop_before" else "after"
        house.fault(house.mark, action=fault, **{moment: [house.written_by_others(sid, **theirs)]})
        report = await house.retire(due)
        assert report.outcomes == {sid: Outcome.FAILED}
        assert report.worth_retrying
        attributes = await house.attributes(sid)
        assert {name: attributes[name] for name in theirs} == theirs


class TestASecondTry:
    async def test_a_live_channel_that_the_first_try_never_touched_stays_as_it_is(self, house: House) -> None:
        sid = house.conversation()
        house.set_attributes(sid, status="ACTIVE", long_lived=False)
        before = await house.attributes(sid)
        due = await house.due()
        house.memory.begun(due)
        house.control.perform(house.writes())
        assert outcome(await house.retire(due), sid) is Outcome.SKIPPED_OPEN_TASK
        await house.assert_live(sid, before)

    async def test_a_channel_whose_state_cannot_be_read_is_one_failure_and_no_success(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 1)
        sid = house.conversation()
        due = await house.due()
        house.memory.begun(due)
        house.fault(STATE, action="status", status=503)
        report = await house.retire(due)
        assert report.outcomes == {sid: Outcome.FAILED}
        assert report.worth_retrying
        assert outcome(await house.retire(due), sid) is Outcome.DEACTIVATED

    async def test_what_is_retired_is_counted_and_not_touched_again(self, house: House) -> None:
        quiet, gone = house.conversation(), house.conversation(OTHER)
        await house.retiring.delete(gone, {})
        due = await house.due()
        first = await house.retire(due)
        assert first.outcomes == {gone: Outcome.ALREADY_GONE, quiet: Outcome.DEACTIVATED}
        house.control.clear_journal()
        assert (await house.retire(due)).outcomes == first.outcomes
        # The try before may have died between marking and finishing, and to finish twice is harmless.
        repeated = {entry["path"] for entry in house.control.journal() if entry["method"] != "GET"}
        assert len(repeated) == house.finished_again
        await house.assert_retired(quiet)

    async def test_what_the_first_try_took_down_is_counted_as_done(self, house: House) -> None:
        sid = house.conversation()
        due = await house.due()
        house.memory.begun(due)
        await house.retiring.suspend(await house.retiring.fetch(sid), {})
        assert outcome(await house.retire(due), sid) is Outcome.DEACTIVATED
        await house.assert_retired(sid)

    async def test_what_became_live_while_nobody_looked_is_put_back(self, house: House) -> None:
        sid = house.conversation()
        odd = {"status": "ACTIVE", "long_lived": "yes"}
        house.set_attributes(sid, **odd)
        before = await house.attributes(sid)
        due = await house.due()
        house.memory.begun(due)
        # The customer writes before the update, the first try makes the update and dies.
        house.fault(house.mark, before=[house.writes()])
        await house.retiring.suspend(await house.retiring.fetch(sid), {})
        assert outcome(await house.retire(due), sid) is Outcome.SKIPPED_OPEN_TASK
        await house.assert_live(sid, before)

    async def test_what_the_first_try_took_down_comes_back_as_it_was_before_that(self, house: House) -> None:
        sid = house.conversation()
        odd = {"status": "ACTIVE", "long_lived": "yes"}
        house.set_attributes(sid, **odd)
        before = await house.attributes(sid)
        due = await house.due()
        house.memory.begun(due)
        await house.retiring.suspend(await house.retiring.fetch(sid), {})
        # Seen by the last guard alone, long after the second try has met it as the first one left it.
        newer = {f"WT{1:032x}": to_ms("now", house.clock())}
        await house.account.store.merge(ChannelState(sid, house.stack, ended=newer))
        assert outcome(await house.retire(due), sid) is Outcome.SKIPPED_CHANGED
        await house.assert_live(sid, before)

    async def test_what_no_try_took_down_stays_as_others_made_it(self, house: House) -> None:
        sid = house.conversation()
        due = await house.due()
        for play in house.comes_and_goes(sid):
            house.control.perform(play)
        assert outcome(await house.retire(due), sid) is Outcome.SKIPPED_CHANGED
        house.set_attributes(sid, **RETIRED)
        theirs = await house.attributes(sid)
        assert outcome(await house.retire(due), sid) is Outcome.SKIPPED_CHANGED
        assert await house.attributes(sid) == theirs


class TestKilled:
    """The batch dies while a request is under way, which Twilio then applies all the same; another try resumes."""

    async def die(self, house: House, match: Match, **rule: Any) -> Any:
        due = await house.dies(match, **rule)
        house.memory.died()
        return due

    @pytest.mark.parametrize(
        ("house", "match"), of_each_house(lambda house: [(step,) for step in house.steps]), indirect=["house"]
    )
    async def test_a_second_try_finishes_what_the_first_began(self, house: House, match: Match) -> None:
        sid = house.conversation()
        due = await self.die(house, match)
        assert (await house.retire(due)).outcomes == {sid: Outcome.DEACTIVATED}
        await house.assert_retired(sid)

    @pytest.mark.parametrize(
        ("house", "match", "when"),
        of_each_house(lambda house: [moment for moment in house.kept if moment[0] is not None]),
        indirect=["house"],
    )
    async def test_who_wrote_while_nobody_looked_keeps_the_channel(
        self, house: House, match: Match, when: str
    ) -> None:
        sid = house.conversation()
        before = await house.attributes(sid)
        due = await self.die(house, match, **{when: [house.writes()]})
        assert outcome(await house.retire(due), sid) is Outcome.SKIPPED_OPEN_TASK
        await house.assert_live(sid, before)

    @pytest.mark.parametrize("house", [ConversationsHouse], indirect=True)
    @pytest.mark.parametrize("skip", [0, 1], ids=["as it was announced", "as it was about to be retired"])
    async def test_the_ledger_ends_with_what_is_true(self, house: House, skip: int) -> None:
        """The try that died had written that the channel is retired, and then somebody wrote in it."""
        house.conversation(OTHER)
        await house.clean()  # makes the map
        sid = house.conversation()
        due = await self.die(house, LEDGER, skip=skip, after=[house.writes()])
        assert outcome(await house.retire(due), sid) is Outcome.SKIPPED_OPEN_TASK
        assert (await house.ledger())[sid] == "put back"


async def test_the_ledger_is_written_before_any_state_is_retired(house: House) -> None:
    house.conversation()
    due = await house.due()
    await house.retire(due)
    sync = [line for line in house.written() if "sync.twilio.com" in line]
    marked = next(n for n, line in enumerate(sync) if MARK_RETIRED["path"] in line)
    assert any(LEDGER["path"] in line for line in sync[:marked])
