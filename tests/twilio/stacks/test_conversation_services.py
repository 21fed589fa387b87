"""An account with several Conversations services: what is in another one is neither gone nor taken for free."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flexsms.core.exceptions import InOtherService, SendInProgress
from flexsms.core.stack_name import StackName
from flexsms.twilio.account import Account, connect
from flexsms.twilio.cleanup.outcomes import Outcome
from tests.support.cleanup_scenarios import ConversationsHouse
from tests.support.send_scenarios import CONVERSATIONS, Desk

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess
    from tests.twilio.conftest import Clock

pytestmark = pytest.mark.anyio

Calls = Callable[[], Counter[str]]
SERVICES = "GET conversations.twilio.com/v1/Services"


@pytest.fixture
async def another(account: Account, sandbox: SandboxProcess) -> str:
    """A service that somebody has made the account's default one, which Flex does not use."""
    service = await account.client.conversations.v1.services.create_async(friendly_name="Tickets")
    sandbox.control.settings(default_conversations_service=service.sid)
    return str(service.sid)


@pytest.fixture
def house(account: Account, sandbox: SandboxProcess, clock: Clock) -> ConversationsHouse:
    return ConversationsHouse(account, sandbox, clock)


@pytest.fixture
def desk(sandbox: SandboxProcess, clock: Clock) -> Desk:
    return Desk(StackName.CONVERSATIONS, sandbox, clock)


async def test_a_conversation_of_another_service_is_not_taken_for_gone(
    house: ConversationsHouse, another: str
) -> None:
    sid = house.conversation()
    report = await house.clean()
    assert report.outcomes == {sid: Outcome.FAILED}
    assert isinstance(report.errors[sid], InOtherService)
    flex = house.sandbox.settings["chat_service_sid"]
    assert f"is in Conversations service {flex}" in str(report.errors[sid])
    assert f"set conversations_service_sid of the connection to {flex}" in str(report.errors[sid])
    assert house.touched() == []
    assert [channel.channel_sid for channel in await house.scan()] == [sid]


@pytest.mark.usefixtures("another")
async def test_it_is_retired_where_the_connection_names_its_service(
    house: ConversationsHouse, calls: Calls
) -> None:
    sid = house.conversation()
    settings = replace(
        house.account.settings, conversations_service_sid=house.sandbox.settings["chat_service_sid"]
    )
    async with connect(settings, now=house.clock) as account:
        house.account = account
        assert (await house.clean()).outcomes == {sid: Outcome.DEACTIVATED}
    named = {name for name in calls() if "conversations.twilio.com" in name}
    conversation = "conversations.twilio.com/v1/Services/{id}/Conversations/{id}"
    assert named == {f"GET {conversation}", f"POST {conversation}", f"GET {conversation}/Messages"}
    assert [row["state"] for row in house.control.state()["tables"]["conversations"]] == ["closed"]


@pytest.mark.parametrize("services", [1, 2])
async def test_a_conversation_that_is_in_no_service_is_gone(
    house: ConversationsHouse, calls: Calls, services: int
) -> None:
    if services == 2:
        await house.account.client.conversations.v1.services.create_async(friendly_name="Tickets")
    sids = [house.conversation(f"+1415555{1000 + number}") for number in range(3)]
    for sid in sids:
        await house.retiring.delete(sid, {})
    assert (await house.clean()).outcomes == dict.fromkeys(sids, Outcome.ALREADY_GONE)
    scoped = "GET conversations.twilio.com/v1/Services/{id}/Conversations/{id}"
    assert (calls()[SERVICES], calls()[scoped]) == (1, 0 if services == 1 else 6)


@pytest.mark.usefixtures("another")
@pytest.mark.parametrize("route", ["agent", "studio"])
async def test_a_text_into_the_service_that_the_connection_names(desk: Desk, route: str) -> None:
    service = desk.sandbox.settings["chat_service_sid"]
    desk.settings = replace(desk.settings, conversations_service_sid=service)
    sent = await desk.send(route=route)
    again = await desk.send("More.", key="k2", route=route)
    assert (sent.reused_channel, again.reused_channel) == (False, True)
    assert desk.texts() == ["Your results are in.", "More."]
    assert [row["parent"] for row in desk.channels()] == [service]
    assert not [name for name in desk.calls() if "/v1/Conversations" in name]


@pytest.mark.usefixtures("another")
async def test_a_customer_who_is_in_another_service(desk: Desk) -> None:
    holder = desk.answers()["channel_sid"]
    with pytest.raises(InOtherService, match=f"Conversation {holder} is in Conversations service IS"):
        await desk.send()
    assert [row["sid"] for row in desk.channels()] == [holder]
    assert desk.texts() == []
    # The key is free for whoever has put it right.
    desk.settings = replace(
        desk.settings, conversations_service_sid=desk.sandbox.settings["chat_service_sid"]
    )
    assert (await desk.send()).channel_sid == holder


@pytest.mark.parametrize("status", [400, 409])
async def test_a_customer_whose_conversation_was_just_deleted(desk: Desk, status: int) -> None:
    deleted = "CH" + "d" * 32
    desk.fault(
        CONVERSATIONS,
        "/Participants$",
        action="status",
        status=status,
        code=50416,
        message=f"A binding for this participant and proxy address already exists in Conversation {deleted}",
    )
    sent = await desk.send()
    assert desk.texts() == ["Your results are in."]
    assert [row["sid"] for row in desk.channels()] == [sent.channel_sid]


async def test_a_customer_of_a_conversation_that_stays_in_the_way_and_is_nowhere(desk: Desk) -> None:
    desk.fault(
        CONVERSATIONS,
        "/Participants$",
        action="status",
        status=409,
        code=50416,
        message=f"A binding already exists in Conversation CH{'d' * 32}",
        times=99,
    )
    with pytest.raises(SendInProgress, match="trying again"):
        await desk.send()
    assert desk.channels() == []
    desk.sandbox.control.clear_faults()
    assert (await desk.send()).message_sid
    assert desk.texts() == ["Your results are in."]
