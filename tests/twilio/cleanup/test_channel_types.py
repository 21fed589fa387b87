"""Which kinds of channels are retired: texts, unless others are named; WhatsApp and web share the workspace."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.stack_name import StackName
from flexsms.twilio.account import Account
from flexsms.twilio.cleanup.outcomes import BatchReport, Outcome
from flexsms.twilio.cleanup.scan import DueChannel, Scan, find_due
from tests.support.cleanup_scenarios import CUSTOMER, ChatHouse, ConversationsHouse

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess
    from tests.twilio.conftest import Clock

pytestmark = pytest.mark.anyio

WHATSAPP, WHATSAPP_NUMBER = f"whatsapp:{CUSTOMER}", "whatsapp:+14155550190"
CLOSE = {"method": "POST", "host": "flex-api.twilio.com", "path": "/Channels/UO"}
MEMBERS = "GET conversations.twilio.com/v1/Conversations/{id}/Participants"
SMS = frozenset({"sms"})


class Mixed(ConversationsHouse):
    """A contact centre that also answers WhatsApp and web chats."""

    types = SMS

    def rule(self, *args: Any, **more: Any) -> Any:
        return replace(super().rule(*args, **more), channel_types=self.types)

    async def whatsapp_number(self) -> None:
        await self.account.client.conversations.v1.address_configurations.create_async(
            type="whatsapp",  # type: ignore[arg-type]  # the SDK names a class whose members are texts
            address=WHATSAPP_NUMBER,
            auto_creation_enabled=True,
            auto_creation_type="studio",
            auto_creation_studio_flow_sid=self.sandbox.settings["studio_flow_sid"],
        )

    async def whatsapp(self) -> str:
        """A customer wrote over WhatsApp, and the agent is done."""
        await self.whatsapp_number()
        sid: str = self.control.customer(WHATSAPP, WHATSAPP_NUMBER, "Hola")["channel_sid"]
        self.clock.advance(seconds=2)
        self.control.agent("complete", channel_sid=sid)
        return sid

    async def web(self, *, names_type: bool = True) -> str:
        """A visitor of a website was answered. Whoever makes the task need not say that it is a web chat."""
        client = self.account.client
        conversation: Any = await client.conversations.v1.conversations.create_async()
        await client.conversations.v1.conversations(conversation.sid).participants.create_async(
            identity="visitor-7"
        )
        attributes = {} if names_type else {"channelType": None}
        await client.flex_api.v1.interaction.create_async(
            channel={
                "type": "web",
                "initiated_by": "customer",
                "properties": {"media_channel_sid": conversation.sid},
            },
            routing={
                "properties": {
                    "workspace_sid": self.sandbox.settings["workspace_sid"],
                    "task_channel_unique_name": "chat",
                    "attributes": attributes,
                }
            },
        )
        self.clock.advance(seconds=2)
        self.control.agent("complete", channel_sid=conversation.sid)
        return str(conversation.sid)

    async def look(self) -> Scan:
        """What a scan finds three days later."""
        self.clock.advance(days=3)
        await self.track()
        self.scanned_at = self.clock()
        found = await find_due(self.account.store.scan(adopt=True), self.rule(self.scanned_at))
        self.control.clear_journal()
        return found

    async def retire_untyped(self, due: list[DueChannel]) -> BatchReport:
        """As if the states were of an earlier version, which kept no type."""
        links = [{name: sid for name, sid in one.links.items() if name != "type"} for one in due]
        return await self.retire([replace(one, links=left) for one, left in zip(due, links, strict=True)])


@pytest.fixture
def mixed(account: Account, sandbox: SandboxProcess, clock: Clock) -> Mixed:
    return Mixed(account, sandbox, clock)


async def test_what_is_no_sms_is_tracked_and_counted_and_left_alone(mixed: Mixed) -> None:
    text, whatsapp, web = mixed.conversation(), await mixed.whatsapp(), await mixed.web()
    found = await mixed.look()
    assert [channel.channel_sid for channel in found.due] == [text]
    assert (found.due_in_all, found.scanned) == (1, 3)
    assert found.other_types == {"whatsapp": 1, "web": 1}
    for sid, kind in ((text, "sms"), (whatsapp, "whatsapp"), (web, "web")):
        stored = await mixed.account.store.load(sid)
        assert stored is not None
        assert stored.state.link("type") == kind
    assert (await mixed.retire(found.due)).outcomes == {text: Outcome.DEACTIVATED}
    assert await mixed.is_open(whatsapp)
    assert await mixed.is_open(web)


async def test_what_is_named_is_retired(mixed: Mixed) -> None:
    mixed.types = frozenset({"whatsapp", "web"})
    text, whatsapp, web = mixed.conversation(), await mixed.whatsapp(), await mixed.web()
    found = await mixed.look()
    assert {channel.channel_sid for channel in found.due} == {whatsapp, web}
    assert found.other_types == {"sms": 1}
    report = await mixed.retire(found.due)
    assert set(report.outcomes.values()) == {Outcome.DEACTIVATED}
    assert not await mixed.is_open(whatsapp)
    assert await mixed.is_open(text)


async def test_a_late_customer_of_whatsapp_goes_on_over_whatsapp(mixed: Mixed) -> None:
    mixed.types = frozenset({"whatsapp"})
    sid = await mixed.whatsapp()
    due = (await mixed.look()).due
    writes = {"customer": {"from": WHATSAPP, "to": WHATSAPP_NUMBER, "body": "Un momento"}}
    mixed.fault(CLOSE, before=[writes])
    assert (await mixed.retire(due)).errors == {}
    tables = mixed.control.state()["tables"]
    (task,) = [json.loads(one["attributes"]) for one in tables["tasks"] if one["status"] == "pending"]
    assert (task["channelType"], task["customerAddress"]) == ("whatsapp", WHATSAPP)
    assert (task["sourceChatChannelSid"], task["conversationSid"] != sid) == (sid, True)
    channels = mixed.account.client.flex_api.v1.interaction(task["flexInteractionSid"]).channels
    channel: Any = await channels(task["flexInteractionChannelSid"]).fetch_async()
    assert channel.type == "whatsapp"
    again = mixed.control.customer(WHATSAPP, WHATSAPP_NUMBER, "Sigo aquí")
    assert again["channel_sid"] == task["conversationSid"]


async def test_a_text_whose_kind_no_task_has_told_costs_one_call_more(mixed: Mixed, calls: Any) -> None:
    sid = mixed.conversation()
    due = (await mixed.look()).due
    assert (await mixed.retire_untyped(due)).outcomes == {sid: Outcome.DEACTIVATED}
    assert calls()[MEMBERS] == 1
    assert not await mixed.is_open(sid)


async def test_a_text_whose_kind_is_known_is_not_asked_for_it(mixed: Mixed, calls: Any) -> None:
    mixed.conversation()
    await mixed.retire((await mixed.look()).due)
    assert calls()[MEMBERS] == 0


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_web_chat_whose_task_does_not_say_so_is_left_alone_and_known_from_then_on(
    mixed: Mixed, dry_run: bool
) -> None:
    sid = await mixed.web(names_type=False)
    found = await mixed.look()
    assert [channel.channel_sid for channel in found.due] == [sid]
    report = await mixed.retire(found.due, dry_run=dry_run)
    assert report.outcomes == {sid: Outcome.SKIPPED_TYPE}
    assert report.to_json()["skipped_type"] == 1
    assert await mixed.is_open(sid)
    later = await mixed.look()
    assert later.other_types == ({} if dry_run else {"web": 1})
    assert len(later.due) == int(dry_run)


async def test_a_conversation_in_which_nobody_is_is_retired_whatever_it_was(mixed: Mixed) -> None:
    """A task of the plain API, without an interaction and without a customer to lose."""
    conversation: Any = await mixed.account.client.conversations.v1.conversations.create_async()
    task: Any = await mixed.account.client.taskrouter.v1.workspaces(
        mixed.sandbox.settings["workspace_sid"]
    ).tasks.create_async(attributes=json.dumps({"conversationSid": conversation.sid}), task_channel="chat")
    mixed.control.agent("complete", task_sid=task.sid)
    report = await mixed.retire((await mixed.look()).due)
    assert report.outcomes == {conversation.sid: Outcome.DEACTIVATED}
    assert report.interactions_left == []
    assert not await mixed.is_open(conversation.sid)


async def test_a_conversation_whose_tasks_name_no_interaction_is_closed_and_the_report_says_so(
    mixed: Mixed,
) -> None:
    """An agent's outbound task as Twilio's sample shows it: the interaction's channel, and no interaction."""
    sid = mixed.conversation()
    (channel,) = (await mixed.look()).due
    links = {name: value for name, value in channel.links.items() if name != "interaction"}
    report = await mixed.retire([replace(channel, links=links)])
    assert report.outcomes == {sid: Outcome.DEACTIVATED}
    assert (report.interactions_left, report.to_json()["interactions_left"]) == ([sid], 1)
    assert not await mixed.is_open(sid)


class MixedChat(ChatHouse):
    """The same on Programmable Chat: there it is the flow that has a kind."""

    async def flow(self, kind: str, identity: str) -> None:
        await self.account.client.flex_api.v1.flex_flow.create_async(
            friendly_name=f"{kind} flow",
            chat_service_sid=self.account.settings.chat_service_sid,
            channel_type=kind,  # type: ignore[arg-type]  # the SDK names a class whose members are texts
            contact_identity=identity,
            enabled=True,
            integration_type="task",
            integration_workspace_sid=self.sandbox.settings["workspace_sid"],
            integration_workflow_sid=self.sandbox.settings["workflow_sid"],
            long_lived=True,
        )


async def test_chat_channels_say_their_kind_themselves(
    account: Account, sandbox: SandboxProcess, clock: Clock
) -> None:
    house = MixedChat(account, sandbox, clock)
    await house.flow("whatsapp", WHATSAPP_NUMBER)
    sid = house.control.customer(WHATSAPP, WHATSAPP_NUMBER, "Hola")["channel_sid"]
    house.control.agent("complete", channel_sid=sid)
    text = house.conversation()
    house.clock.advance(days=3)
    await house.track()
    found = await find_due(account.store.scan(adopt=True), house.rule(clock()))
    assert [channel.channel_sid for channel in found.due] == [text]
    assert found.other_types == {"whatsapp": 1}
    # As if no task had told it.
    stored = await account.store.load(sid)
    assert stored is not None
    untyped = DueChannel(sid, found.due[0].ended_ms, StackName.CHAT, stored.revision, {})
    house.scanned_at = clock()
    report = await house.retire([untyped, *found.due])
    assert report.outcomes == {sid: Outcome.SKIPPED_TYPE, text: Outcome.DEACTIVATED}
    assert await house.is_open(sid)
