"""A customer who writes between the last look and a close that is final: the text must lead to an agent."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from flexsms.core.exceptions import FlexSmsError, InteractionFailed
from flexsms.core.stack_name import StackName
from flexsms.twilio.account import Account
from flexsms.twilio.cleanup.outcomes import Action, Outcome
from flexsms.twilio.stacks.protocol import Healed
from tests.support.cleanup_scenarios import CUSTOMER, OPEN_TASKS, ConversationsHouse
from tests.support.send_scenarios import Desk

pytestmark = pytest.mark.anyio

CLOSE = {"method": "POST", "host": "flex-api.twilio.com", "path": "/Channels/UO"}
OPEN = ("pending", "reserved", "assigned", "wrapping")


@pytest.fixture
def house(account: Account, sandbox: Any, clock: Any) -> ConversationsHouse:
    return ConversationsHouse(account, sandbox, clock)


def open_tasks(house: ConversationsHouse) -> list[dict[str, Any]]:
    """The attributes of every task that waits for somebody."""
    tasks = house.control.state()["tables"]["tasks"]
    return [json.loads(task["attributes"]) for task in tasks if task["status"] in OPEN]


async def assert_taken_up(house: ConversationsHouse, sid: str) -> None:
    """The next run opens the one task that leads to the text, and the one after it has nothing to do."""
    assert [healed for _, healed in (await house.heal()).restored.values()] == [Healed.MOVED_ON]
    (task,) = open_tasks(house)
    assert (task["conversationSid"] != sid, task["sourceChatChannelSid"]) == (True, sid)
    assert (await house.heal()).restored == {}


@pytest.mark.parametrize("action", list(Action))
async def test_the_customer_goes_on_in_a_fresh_conversation(
    house: ConversationsHouse, action: Action
) -> None:
    sid = house.conversation()
    house.fault(CLOSE, before=[house.writes()])
    report = await house.clean(action)
    assert report.errors == {}
    (task,) = open_tasks(house)
    assert task["sourceChatChannelSid"] == sid
    assert task["conversationSid"] != sid
    # Whatever the action: the text is in there, and the agent has to read it.
    assert report.outcomes == {sid: Outcome.DEACTIVATED}
    assert set(await house.channels()) == {sid, task["conversationSid"]}
    again = house.control.perform(house.writes())[0]
    assert (again["channel_sid"], len(open_tasks(house))) == (task["conversationSid"], 1)


@pytest.mark.parametrize("customer", ["who is quick", "who texts twice"])
async def test_an_agent_gets_one_task_and_not_a_second_on_what_is_closed(
    house: ConversationsHouse, customer: str
) -> None:
    """The text has opened a task of its own, which closing the conversation alone does not end."""
    sid = house.conversation()
    due = [replace(channel, links={}) for channel in await house.due()]
    texts = [house.writes()] if customer == "who is quick" else [house.writes(), house.writes()]
    house.fault({**house.mark, "path": f"/{sid}$"}, skip=1, before=texts)
    await house.retire(due)
    (task,) = open_tasks(house)
    assert (task["conversationSid"] != sid, task["sourceChatChannelSid"]) == (True, sid)


async def test_a_task_that_a_second_text_has_opened_elsewhere_leads_to_the_first(
    house: ConversationsHouse,
) -> None:
    sid = house.conversation()
    house.fault(CLOSE, before=[house.writes()], after=[house.writes()])
    await house.clean()
    (task,) = open_tasks(house)
    assert (task["conversationSid"] != sid, task["sourceChatChannelSid"]) == (True, sid)


async def test_one_404_does_not_hide_a_text(house: ConversationsHouse) -> None:
    house.conversation()
    house.fault(CLOSE, before=[house.writes()])
    house.fault(house.fetch, skip=1, action="status", status=404, code=20404, message="Not found")
    await house.clean()
    assert len(open_tasks(house)) == 1


async def test_a_task_that_ended_with_the_close_is_seen_although_its_events_are_listed_late(
    house: ConversationsHouse,
) -> None:
    sid = house.conversation()
    due = await house.due()
    house.control.settings(event_list_delay_s=60)
    house.fault(CLOSE, before=[house.writes()])
    await house.retire(due)
    (task,) = open_tasks(house)
    assert (task["conversationSid"] != sid, task["sourceChatChannelSid"]) == (True, sid)


async def test_the_ledger_says_that_the_customer_moved_on(house: ConversationsHouse) -> None:
    sid = house.conversation()
    house.fault(CLOSE, before=[house.writes()])
    await house.clean()
    assert await house.ledger() == {sid: "moved on"}


async def test_what_could_not_be_opened_is_taken_up_by_the_next_run(house: ConversationsHouse) -> None:
    sid = house.conversation()
    house.fault(CLOSE, before=[house.writes()])
    opening = {"method": "POST", "host": "conversations.twilio.com", "path": "/Conversations$"}
    house.fault(opening, action="status", status=403, code=20003, message="No")
    report = await house.clean()
    assert report.outcomes == {sid: Outcome.FAILED}
    await assert_taken_up(house, sid)


async def test_a_customer_who_wrote_again_by_then_has_a_task_already(house: ConversationsHouse) -> None:
    house.conversation()
    house.fault(CLOSE, before=[house.writes()], after=[house.writes()])
    await house.clean()
    assert len(open_tasks(house)) == 1
    assert len(await house.channels()) == 2


async def test_a_try_that_died_after_the_close_is_made_up_for(house: ConversationsHouse) -> None:
    sid = house.conversation()
    due = await house.due()
    house.fault(CLOSE, before=[house.writes()])
    # The third look fails for good: the two before it are let through.
    house.fault(OPEN_TASKS, skip=2, times=None, action="status", status=400, code=20001)
    with pytest.raises(FlexSmsError):
        await house.retire(due)
    assert open_tasks(house) == []
    house.control.clear_faults()
    report = await house.retire(due)
    assert report.errors == {}
    (task,) = open_tasks(house)
    assert task["sourceChatChannelSid"] == sid


async def test_what_that_try_could_not_open_is_taken_up_by_the_next_run(house: ConversationsHouse) -> None:
    sid = house.conversation()
    due = await house.due()
    house.fault(CLOSE, before=[house.writes()])
    house.fault(OPEN_TASKS, skip=2, times=None, action="status", status=400, code=20001)
    with pytest.raises(FlexSmsError):
        await house.retire(due)
    house.control.clear_faults()
    opening = {"method": "POST", "host": "conversations.twilio.com", "path": "/Conversations$"}
    house.fault(opening, action="status", status=403, code=20003, message="No")
    assert (await house.retire(due)).outcomes == {sid: Outcome.FAILED}
    await assert_taken_up(house, sid)


async def test_nobody_is_disturbed_when_nobody_wrote(house: ConversationsHouse) -> None:
    house.conversation()
    await house.clean()
    assert open_tasks(house) == []
    assert len(await house.channels()) == 1


async def test_a_second_try_does_not_disturb_who_was_served_meanwhile(house: ConversationsHouse) -> None:
    sid = house.conversation()
    due = await house.due()
    house.fault(CLOSE, before=[house.writes()])
    await house.retire(due)
    (task,) = open_tasks(house)
    house.clock.advance(seconds=5)
    house.control.agent("complete", channel_sid=task["conversationSid"])
    before = set(await house.channels())
    # Another channel of the batch had failed, so all of it is tried again.
    report = await house.retire(due)
    assert report.outcomes == {sid: Outcome.DEACTIVATED}
    assert open_tasks(house) == []
    assert set(await house.channels()) == before


async def test_a_conversation_whose_last_interaction_failed_is_closed_all_the_same(
    house: ConversationsHouse,
) -> None:
    sid = house.conversation()
    desk = Desk(StackName.CONVERSATIONS, house.sandbox, house.clock)
    house.control.settings(
        second_interaction="opened",
        interaction_failures={"*": {"error_code": 45780, "error_message": "Busy"}},
    )
    with pytest.raises(InteractionFailed):
        await desk.send(to_number=CUSTOMER)
    house.control.settings(interaction_failures={})
    assert (await house.clean()).outcomes == {sid: Outcome.DEACTIVATED}
    assert not await house.is_open(sid)
    assert house.control.perform(house.writes())[0]["channel_sid"] != sid
