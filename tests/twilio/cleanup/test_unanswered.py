"""A customer wrote after the last task's end, and no task was opened: cleanup does not take the text out of sight."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from flexsms.core.exceptions import InvalidInput, ServiceUnavailable
from flexsms.core.stack_name import StackName
from flexsms.core.task_events import to_ms
from flexsms.twilio.cleanup import unanswered
from flexsms.twilio.cleanup.attempt import Attempt
from flexsms.twilio.cleanup.outcomes import Action, BatchReport, Outcome
from flexsms.twilio.cleanup.scan import DueChannel
from flexsms.twilio.cleanup.unanswered import Unanswered, UnansweredTexts, parse_unanswered
from flexsms.twilio.stacks.protocol import ChannelSnapshot, NewestText
from tests.support.cleanup_scenarios import BATCH, CUSTOMER, HOUSES, OTHER, House, Memory

pytestmark = pytest.mark.anyio

Calls = Callable[[], Counter[str]]
LISTS = {
    StackName.CHAT: "GET chat.twilio.com/v2/Services/{id}/Channels/{id}/Messages",
    StackName.CONVERSATIONS: "GET conversations.twilio.com/v1/Conversations/{id}/Messages",
}
NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
OPEN = ("pending", "reserved", "assigned", "wrapping")


def nobody_is_told(house: House) -> None:
    """The agents park so that a late text opens no task."""
    house.control.settings(late_text_opens_task=False)


def texts(house: House, body: str = "Are you there?", customer: str = CUSTOMER) -> None:
    """The customer writes, a while after the last task's end."""
    house.clock.advance(hours=1)
    arrived = house.control.customer(customer, house.number, body)
    assert (arrived["outcome"], arrived["task_sid"]) == (house.arrives, None)


def open_tasks(house: House) -> list[dict[str, Any]]:
    tasks = house.control.state()["tables"]["tasks"]
    return [json.loads(task["attributes"]) for task in tasks if task["status"] in OPEN]


async def retire(
    house: House, due: list[DueChannel], policy: Unanswered, *, dry_run: bool = False
) -> BatchReport:
    cleaner = house.account.cleaner(
        action=Action.DEACTIVATE, run_id="test", unanswered=policy, dry_run=dry_run
    )
    attempt = Attempt(house.memory, batch=BATCH, number=1, lease=timedelta(minutes=5), grace=timedelta())
    return await cleaner.retire(due, scanned_at=house.scanned_at, attempt=attempt)


async def test_an_agent_gets_a_task_and_the_channel_stays(house: House) -> None:
    nobody_is_told(house)
    sid, quiet = house.conversation(), house.conversation(OTHER)
    before = await house.attributes(sid)
    texts(house)
    due = await house.due()
    report = await house.retire(due)
    assert report.outcomes == {sid: Outcome.SKIPPED_OPEN_TASK, quiet: Outcome.DEACTIVATED}
    assert report.unanswered == [sid]
    (task,) = open_tasks(house)
    assert task["conversationSid" if house.stack is StackName.CONVERSATIONS else "channelSid"] == sid
    await house.assert_live(sid, before)
    house.clock.advance(seconds=2)
    # A second try, and the next run, leave it to the agent.
    assert (await house.retire(due)).outcomes[sid] is Outcome.SKIPPED_OPEN_TASK
    await house.track()
    assert await house.scan() == []
    assert len(open_tasks(house)) == 1
    house.control.agent("complete", channel_sid=sid)
    house.memory = Memory()
    assert (await house.retire(await house.due())).outcomes == {sid: Outcome.DEACTIVATED}


async def test_the_channel_is_retired_and_named_where_that_is_wished(house: House) -> None:
    nobody_is_told(house)
    sid = house.conversation()
    texts(house)
    report = await retire(house, await house.due(), Unanswered.REPORT)
    assert (report.outcomes, report.unanswered) == ({sid: Outcome.DEACTIVATED}, [sid])
    assert report.to_json()["unanswered_channels"] == [sid]
    assert open_tasks(house) == []
    house.control.settings(late_text_opens_task=True)
    await house.assert_retired(sid)


@pytest.mark.parametrize("policy", list(Unanswered))
async def test_a_dry_run_names_it_and_opens_nothing(house: House, policy: Unanswered) -> None:
    nobody_is_told(house)
    sid = house.conversation()
    texts(house)
    report = await retire(house, await house.due(), policy, dry_run=True)
    assert report.unanswered == [sid]
    assert house.written() == []
    assert open_tasks(house) == []


@pytest.mark.parametrize("answered_by", ["an agent", "a keyword", "nobody, before the end"])
async def test_what_needs_no_answer(house: House, answered_by: str) -> None:
    nobody_is_told(house)
    sid = house.conversation()
    if answered_by == "an agent":
        texts(house)
        house.control.agent("write", channel_sid=sid, body="We are closed today.")
    elif answered_by == "a keyword":
        texts(house, " start")  # Proxy keeps STOP from its sessions
    report = await house.retire(await house.due())
    assert (report.outcomes, report.unanswered) == ({sid: Outcome.DEACTIVATED}, [])


async def test_a_text_is_found_though_dates_tell_nothing(house: House, calls: Calls) -> None:
    """What some channels show decides how the others are looked at."""
    house.control.settings(message_moves_date=False)
    nobody_is_told(house)
    customers = [f"+1415555{1000 + number}" for number in range(8)]
    sids = []
    for customer in customers:
        sids.append(house.control.customer(customer, house.number, "Hello")["channel_sid"])
        house.clock.advance(minutes=1)
        house.control.agent("write", channel_sid=sids[-1], body="Hello!")
        house.control.agent("complete", channel_sid=sids[-1])
    texts(house, customer=customers[-1])
    report = await house.clean()
    assert report.outcomes == {
        **dict.fromkeys(sids, Outcome.DEACTIVATED),
        sids[-1]: Outcome.SKIPPED_OPEN_TASK,
    }
    assert calls()[LISTS[house.stack]] == len(sids)


async def test_what_it_costs(house: House, calls: Calls) -> None:
    """A call for each of the first few, and for each that changed after the last task's end."""
    nobody_is_told(house)
    customers = [f"+1415555{1000 + number}" for number in range(20)]
    for customer in customers:
        house.conversation(customer)
        house.clock.advance(seconds=2)
    for customer in customers[:2]:
        texts(house, customer=customer)
        house.control.agent(
            "write", channel_sid=house.control.customer(customer, house.number, "?")["channel_sid"]
        )
    report = await house.clean()
    assert Counter(report.outcomes.values()) == {Outcome.DEACTIVATED: 20}
    assert calls()[LISTS[house.stack]] == 2 + unanswered.SAMPLE


@pytest.mark.parametrize("house", [HOUSES[1]], indirect=True)
async def test_a_text_into_what_an_earlier_try_had_suspended(house: House) -> None:
    """On `chat` it has nowhere to go but a fresh channel; a conversation takes it, and is put back."""
    nobody_is_told(house)
    sid = house.conversation()
    before = await house.attributes(sid)
    due = await house.due()
    house.memory.begun(due)
    await house.retiring.suspend(await house.retiring.fetch(sid), {})
    assert house.control.customer(CUSTOMER, house.number, "Hello?")["outcome"] == "reactivated"
    report = await house.retire(due)
    assert (report.outcomes, report.unanswered) == ({sid: Outcome.SKIPPED_OPEN_TASK}, [sid])
    assert len(open_tasks(house)) == 1
    await house.assert_live(sid, before)


@pytest.mark.parametrize("house", [HOUSES[1]], indirect=True)
async def test_a_text_into_what_a_dead_batch_had_retired_and_not_closed(house: House) -> None:
    nobody_is_told(house)
    sid = house.conversation()
    before = await house.attributes(sid)
    due = await house.due()
    house.fault(house.last, action="status", status=503, times=99)
    report = await house.retire(due)
    house.control.clear_faults()
    assert report.outcomes == {sid: Outcome.FAILED}
    texts_after = house.control.customer(CUSTOMER, house.number, "Hello?")
    assert texts_after["task_sid"] is None
    house.memory = Memory()
    again = await house.retire(await house.due(days=0))
    assert again.unanswered == [sid]
    await house.assert_live(sid, before)


@pytest.mark.parametrize("house", [HOUSES[1]], indirect=True)
async def test_a_customer_who_is_no_longer_in_it_is_a_failure_that_names_the_channel(house: House) -> None:
    nobody_is_told(house)
    sid = house.conversation()
    texts(house)
    conversation = house.account.client.conversations.v1.conversations(sid)
    for member in await conversation.participants.list_async():
        await conversation.participants(member.sid).delete_async()
    report = await house.clean()
    assert report.outcomes == {sid: Outcome.FAILED}
    assert f"Somebody wrote in {sid} and nobody was told" in str(report.errors[sid])
    assert await house.is_open(sid)


def test_a_wrong_wish_is_named() -> None:
    with pytest.raises(InvalidInput, match="unanswered: 'tasks' is nothing to do about a text"):
        parse_unanswered("tasks")


class Channels:
    """A stack of which only the newest texts are asked for."""

    name = StackName.CHAT

    def __init__(self, newest: Callable[[str], NewestText | None]) -> None:
        self.newest = newest
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0

    async def newest_text(self, channel_sid: str) -> NewestText | None:
        self.asked.append(channel_sid)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        return self.newest(channel_sid)


async def asked_of(stack: Channels, count: int) -> list[bool]:
    """Whether a text waits in each of many channels, which last changed before their last task's end."""
    texts = UnansweredTexts(cast("Any", stack))
    ended_ms = to_ms("ended", NOON + timedelta(minutes=1))
    channels = [snapshot(str(number)) for number in range(count)]
    return await asyncio.gather(*(texts.is_waiting(channel, ended_ms) for channel in channels))


def snapshot(sid: str) -> ChannelSnapshot:
    return ChannelSnapshot(sid, {}, updated_at=NOON)


def text_at(moment: datetime) -> NewestText:
    return NewestText(is_customers=True, body="Are you there?", created_at=moment)


async def test_the_sample_is_taken_side_by_side_and_the_others_wait_for_it() -> None:
    stack = Channels(lambda _: text_at(NOON))
    assert await asked_of(stack, 50) == [False] * 50
    assert (len(stack.asked), stack.most_at_once) == (unanswered.SAMPLE, unanswered.SAMPLE)


async def test_an_empty_channel_does_not_count_for_the_sample() -> None:
    stack = Channels(lambda _: None)
    assert await asked_of(stack, 50) == [False] * 50
    assert len(stack.asked) == unanswered.MOST_SAMPLED


async def test_one_date_that_misleads_has_every_channel_looked_at() -> None:
    stack = Channels(lambda sid: text_at(NOON + timedelta(hours=sid == "1")))
    assert await asked_of(stack, 50) == [number == 1 for number in range(50)]
    assert len(stack.asked) == 50


async def test_a_sample_that_fails_is_made_up_for() -> None:
    def newest(sid: str) -> NewestText | None:
        if sid in ("0", "1", "2"):
            raise ServiceUnavailable("out of order")
        return text_at(NOON)

    stack = Channels(newest)
    texts = UnansweredTexts(cast("Any", stack))
    ended_ms = to_ms("ended", NOON + timedelta(minutes=1))
    found = await asyncio.gather(
        *(texts.is_waiting(snapshot(str(number)), ended_ms) for number in range(9)), return_exceptions=True
    )
    assert [isinstance(one, ServiceUnavailable) for one in found] == [True] * 3 + [False] * 6
    assert len(stack.asked) == 3 + unanswered.SAMPLE
