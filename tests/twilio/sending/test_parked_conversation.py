"""A conversation that an agent has parked the way Twilio's template does, with a webhook that brings it back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.stack_name import StackName
from flexsms.twilio.account import Account
from flexsms.twilio.cleanup.outcomes import Outcome
from tests.support.cleanup_scenarios import ConversationsHouse
from tests.support.send_scenarios import CUSTOMER, Desk

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess
    from tests.twilio.conftest import Clock

pytestmark = pytest.mark.anyio

OPEN = ("pending", "reserved", "assigned", "wrapping")


@pytest.fixture
def house(account: Account, sandbox: SandboxProcess, clock: Clock) -> ConversationsHouse:
    return ConversationsHouse(account, sandbox, clock)


@pytest.fixture
def desk(sandbox: SandboxProcess, clock: Clock) -> Desk:
    return Desk(StackName.CONVERSATIONS, sandbox, clock)


@pytest.fixture
async def parked(house: ConversationsHouse) -> str:
    """The customer wrote, and the agent put it aside until they write again."""
    begun = house.control.customer(CUSTOMER, house.number, "Hello")
    sid = str(begun["channel_sid"])
    house.clock.advance(seconds=2)
    house.control.agent("park", channel_sid=sid)
    conversation: Any = house.account.client.conversations.v1.conversations(sid)
    webhook = await conversation.webhooks.create_async(
        target="webhook",
        configuration_url="https://example.com/features/park-interaction/common/unpark-interaction",
        configuration_method="post",
        configuration_filters=["onMessageAdded"],
    )
    attributes = {
        "interactionSid": begun["interaction_sid"],
        "channelSid": begun["interaction_channel_sid"],
        "taskSid": begun["task_sid"],
        "webhookSid": webhook.sid,
        "mapSid": "ParkedInteractions_WK" + "1" * 32,
        "mapItemKey": begun["interaction_sid"],
    }
    await conversation.update_async(attributes=json.dumps(attributes))
    await house.track()
    return sid


def open_tasks(desk: Desk) -> list[dict[str, Any]]:
    return [row for row in desk.sandbox.control.state()["tables"]["tasks"] if row["status"] in OPEN]


async def test_it_comes_back_with_the_customers_next_text(parked: str, desk: Desk) -> None:
    assert open_tasks(desk) == []
    assert desk.answers()["channel_sid"] == parked
    assert len(open_tasks(desk)) == 1


async def test_a_text_for_an_agent_leads_to_one_task(parked: str, desk: Desk) -> None:
    sent = await desk.send()
    assert (sent.channel_sid, sent.reused_channel) == (parked, True)
    assert desk.answers()["task_sid"] == sent.task_sid
    assert [task["sid"] for task in open_tasks(desk)] == [sent.task_sid]


async def test_a_fire_and_forget_text_leaves_the_answer_to_the_agent(parked: str, desk: Desk) -> None:
    sent = await desk.send(route="studio")
    assert (sent.channel_sid, sent.task_sid) == (parked, None)
    assert desk.answers()["task_sid"]
    assert len(open_tasks(desk)) == 1
    assert desk.sandbox.control.contested() == []


async def test_a_webhook_of_somebody_else_stays(parked: str, desk: Desk) -> None:
    async with desk.account() as account:
        conversation: Any = account.client.conversations.v1.conversations(parked)
        other = await conversation.webhooks.create_async(
            target="webhook", configuration_url="https://example.com/archive"
        )
        await desk.send()
        assert [webhook.sid for webhook in await conversation.webhooks.list_async()] == [other.sid]


async def test_it_is_retired_when_its_time_has_come(house: ConversationsHouse, parked: str) -> None:
    before = await house.attributes(parked)
    assert (await house.clean()).outcomes == {parked: Outcome.DEACTIVATED}
    assert await house.attributes(parked) == {**before, "long_lived": False, "status": "INACTIVE"}
    await house.assert_retired(parked)
