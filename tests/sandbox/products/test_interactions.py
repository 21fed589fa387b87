"""flex-api v1 Interactions: how they start, whom they ask for, how they end."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException

from flexsms.sandbox.client import ControlError
from tests.sandbox.conftest import CUSTOMER, Account, refused

OTHER = "+14155550143"


def channel_of(account: Account, interaction: Any) -> Any:
    return account.flex.interaction(interaction.sid).channels(interaction.channel["sid"])


def attributes(interaction: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(interaction.routing["properties"]["attributes"])
    return found


def task_sid(interaction: Any) -> str:
    return str(interaction.routing["properties"]["sid"])


def state(account: Account, interaction: Any) -> str:
    return str(account.conversations.conversations(attributes(interaction)["conversationSid"]).fetch().state)


def status(account: Account, interaction: Any) -> str:
    return str(account.workspace.tasks(task_sid(interaction)).fetch().assignment_status)


@pytest.fixture
def active(account: Account) -> Any:
    """An interaction whose customer is there."""
    interaction = account.open_interaction(customerName="Ada")
    account.control.advance(1)
    return interaction


def test_setup_takes_a_moment(account: Account) -> None:
    account.control.settings(interaction_setup_s=60)
    interaction = account.open_interaction()
    channel = channel_of(account, interaction)
    assert (channel.fetch().status, channel.fetch().type) == ("setup", "sms")
    one = account.conversations.conversations(attributes(interaction)["conversationSid"])
    assert one.participants.list() == []
    account.control.advance(60)
    assert channel.fetch().status == "active"
    assert [who.messaging_binding["address"] for who in one.participants.list()] == [CUSTOMER]
    assert [row.sid for row in account.flex.interaction(interaction.sid).channels.list()] == [
        channel.fetch().sid
    ]
    fetched = account.flex.interaction(interaction.sid).fetch()
    assert (fetched.channel, fetched.routing["properties"]["sid"]) == (
        interaction.channel,
        task_sid(interaction),
    )
    assert account.flex.interaction(interaction.sid).update(webhook_ttid="x").webhook_ttid == "x"
    assert refused(account.flex.interaction("KD" + "0" * 32).fetch) == (404, 20404)
    missing = account.flex.interaction(interaction.sid).channels("UO" + "0" * 32)
    assert refused(missing.fetch) == refused(missing.update, status="closed") == (404, 20404)


def test_task_attributes(account: Account) -> None:
    interaction = account.open_interaction(customerName="Ada", flexsms={"key": "k"}, conversationSid="mine")
    found = attributes(interaction)
    assert found["flexInteractionSid"] == interaction.sid
    assert found["flexInteractionChannelSid"] == interaction.channel["sid"]
    (invite,) = channel_of(account, interaction).invites.list()
    assert found["flexChannelInviteSid"] == invite.sid
    assert found["conversationSid"].startswith("CH")
    assert "channelSid" not in found
    assert (found["customerName"], found["customerAddress"], found["channelType"]) == ("Ada", CUSTOMER, "sms")
    assert (found["direction"], found["flexsms"]) == ("inbound", {"key": "k"})
    task = account.workspace.tasks(task_sid(interaction)).fetch()
    assert (json.loads(task.attributes), task.assignment_status) == (found, "pending")
    (event,) = account.workspace.events.list()
    assert json.loads(event.event_data["task_attributes"]) == found
    expression = f'conversationSid == "{found["conversationSid"]}"'
    assert [one.sid for one in account.workspace.tasks.list(evaluate_task_attributes=expression)] == [
        task.sid
    ]


def test_an_agents_own_interaction_is_reserved_for_the_agent(account: Account) -> None:
    interaction = account.open_interaction(initiated_by="agent", worker=1)
    assert (status(account, interaction), attributes(interaction)["direction"]) == ("reserved", "outbound")
    account.control.advance(1)
    account.control.agent("accept", task_sid=task_sid(interaction))
    people = channel_of(account, interaction).participants.list()
    assert [one.type for one in people] == ["customer", "agent"]
    assert people[1].routing_properties["worker_sid"] == account.settings["worker_sids"][1]
    kinds = [event.event_type for event in account.workspace.events.list()]
    assert sorted(kinds) == ["reservation.accepted", "reservation.created", "task.created"]


@pytest.mark.parametrize("initiated_by", ["api", "customer"])
def test_an_interaction_on_an_existing_conversation(account: Account, initiated_by: str) -> None:
    conversation = account.open_conversation()
    for _ in range(2):
        interaction = account.flex.interaction.create(
            channel={
                "type": "sms",
                "initiated_by": initiated_by,
                "properties": {"media_channel_sid": conversation.sid},
            },
            routing=account.routing(mine=1),
        )
        assert attributes(interaction)["conversationSid"] == conversation.sid
        assert attributes(interaction)["customerAddress"] == CUSTOMER
        account.control.advance(1)
        assert channel_of(account, interaction).fetch().status == "active"
        channel_of(account, interaction).update(status="inactive", routing={"status": "closed"})
        account.control.settings(second_interaction="opened")
    assert len(account.conversations.conversations(conversation.sid).participants.list()) == 1
    assert account.flex.interaction.create(
        channel={"type": "sms", "initiated_by": "api", "properties": {"media_channel_sid": conversation.sid}}
    ).sid


def test_a_conversation_has_one_interaction_channel(account: Account, active: Any) -> None:
    """Another interaction on it is dropped (45353) as long as the channel lives; an invite opens the next task."""
    conversation_sid = attributes(active)["conversationSid"]

    def again() -> Any:
        channel = {
            "type": "sms",
            "initiated_by": "api",
            "properties": {"media_channel_sid": conversation_sid},
        }
        return account.flex.interaction.create(channel=channel, routing=account.routing())

    with pytest.raises(TwilioRestException, match=active.channel["sid"]) as caught:
        again()
    assert (caught.value.status, caught.value.code) == (409, 45353)
    assert conversation_sid in caught.value.msg
    account.control.agent("park", task_sid=task_sid(active))
    assert refused(again) == (409, 45353)
    invite = channel_of(account, active).invites.create(routing=account.routing())
    task = account.workspace.tasks(invite.routing["properties"]["sid"]).fetch()
    assert (task.assignment_status, json.loads(task.attributes)["conversationSid"]) == (
        "pending", conversation_sid,
    )  # fmt: skip
    channel_of(account, active).update(status="inactive", routing={"status": "closed"})
    assert refused(again) == (409, 45353)
    account.control.advance(181 * 86_400)  # Flex has forgotten the channel
    fresh = again()
    assert fresh.sid != active.sid
    account.control.settings(interaction_failures={"*": {"error_code": 19025}})
    account.control.advance(1)
    assert channel_of(account, fresh).fetch().status == "failed"
    assert again().sid


@pytest.mark.parametrize("code", [45376, 45008])
def test_an_invite_on_a_channel_that_has_ended(account: Account, active: Any, code: int) -> None:
    account.control.settings(closed_invite_code=code)
    sid = attributes(active)["conversationSid"]
    failing = account.open_interaction(OTHER)
    account.control.perform({"interaction": {"status": "failed"}})
    account.conversations.conversations(sid).update(state="closed")
    for interaction in (active, failing):
        invites = channel_of(account, interaction).invites
        assert refused(invites.create, routing=account.routing()) == (400, code)
        assert len(invites.list()) == 1


@pytest.mark.parametrize(
    ("channel", "routing"),
    [
        ({"type": "fax"}, {}),
        ({"initiated_by": "nobody"}, {}),
        ({"initiated_by": "customer"}, {}),
        ({"participants": []}, {}),
        ({"participants": [{"address": CUSTOMER}]}, {}),
        ({"colour": "red"}, {}),
        ({"properties": {"media_channel_sid": "CH" + "0" * 32}}, {}),
        ({"initiated_by": "agent"}, {}),
        ({}, {"workspace_sid": "WS" + "0" * 32}),
        ({}, {"queue_sid": "WQ" + "0" * 32}),
        ({}, {"worker_sid": "WK" + "0" * 32}),
        ({}, {"task_channel_unique_name": "fax"}),
        ({}, {"attributes": "{}"}),
        ({}, {"priority": "high"}),
        ({}, {"colour": "red"}),
    ],
)
def test_what_is_refused_at_once(account: Account, channel: dict[str, Any], routing: dict[str, Any]) -> None:
    ends = {"address": CUSTOMER, "proxy_address": account.conversations_number}
    good = {"type": "sms", "initiated_by": "api", "participants": [ends]}
    properties = {**account.routing()["properties"], **routing}
    asked = {"channel": {**good, **channel}, "routing": {"properties": properties}}
    assert refused(account.flex.interaction.create, **asked) == (400, 45008)
    assert refused(account.flex.interaction.create, channel=good) == (400, 45008)
    assert refused(account.flex.interaction.create, channel=good, routing={}) == (400, 45008)
    assert account.workspace.tasks.list() == account.conversations.conversations.list() == []


def test_a_worker_needs_a_queue(account: Account) -> None:
    routing = account.routing(worker=0)
    del routing["properties"]["queue_sid"]
    ends = {"address": CUSTOMER, "proxy_address": account.conversations_number}
    channel = {"type": "sms", "initiated_by": "agent", "participants": [ends]}
    assert refused(account.flex.interaction.create, channel=channel, routing=routing) == (400, 45008)


def test_two_at_the_same_moment(account: Account) -> None:
    """Both are accepted, one gets the customer; the other fails, takes its task back and leaves nothing open."""
    first, second = account.open_interaction(), account.open_interaction()
    account.control.advance(1)
    assert channel_of(account, first).fetch().status == "active"
    lost = channel_of(account, second).fetch()
    assert (lost.status, lost.error_code) == ("failed", 50416)
    assert attributes(first)["conversationSid"] in lost.error_message
    assert (status(account, second), state(account, second)) == ("canceled", "closed")
    assert (status(account, first), state(account, first)) == ("pending", "active")
    assert channel_of(account, second).update(status="closed").status == "failed"


def test_a_conflict_that_only_leaves_the_customer_out(account: Account) -> None:
    """Twilio's documents tell of this, too: the channel is active, and nobody is there."""
    account.control.settings(interaction_conflict_fails=False)
    account.open_conversation()
    interaction = account.open_interaction()
    account.control.advance(1)
    assert channel_of(account, interaction).fetch().status == "active"
    one = account.conversations.conversations(attributes(interaction)["conversationSid"])
    assert one.participants.list() == []


def test_a_conversation_that_is_deleted_meanwhile(account: Account) -> None:
    interaction = account.open_interaction()
    account.conversations.conversations(attributes(interaction)["conversationSid"]).delete()
    account.control.advance(1)
    assert channel_of(account, interaction).fetch().error_code == 20404


def test_a_closed_conversation_gets_no_interaction(account: Account) -> None:
    conversation = account.open_conversation()
    interaction = account.flex.interaction.create(
        channel={"type": "sms", "initiated_by": "api", "properties": {"media_channel_sid": conversation.sid}},
        routing=account.routing(),
    )
    account.conversations.conversations(conversation.sid).update(state="closed")
    account.control.advance(1)
    assert channel_of(account, interaction).fetch().error_code == 50377


def test_failures_by_switch_and_by_action(account: Account) -> None:
    account.control.settings(interaction_failures={CUSTOMER: {"error_code": 30003, "error_message": "Gone"}})
    first, second = account.open_interaction(), account.open_interaction(OTHER)
    account.control.advance(1)
    failed = channel_of(account, first).fetch()
    assert (failed.status, failed.error_code, failed.error_message) == ("failed", 30003, "Gone")
    assert channel_of(account, second).fetch().status == "active"
    account.control.settings(interaction_setup_s=3600, interaction_failures={})
    third, fourth = account.open_interaction(), account.open_interaction("+14155550144")
    account.control.perform({"interaction": {"status": "failed"}})
    wanted = third.channel["sid"]
    account.control.perform({"interaction": {"status": "active", "interaction_channel_sid": wanted}})
    assert channel_of(account, third).fetch().status == "active"
    assert (channel_of(account, fourth).fetch().status, status(account, fourth)) == ("failed", "canceled")
    for wrong in ({"status": "active"}, {"status": "closed", "interaction_channel_sid": wanted}):
        with pytest.raises(ControlError):
            account.control.perform({"interaction": wrong})


@pytest.mark.parametrize(
    ("asked", "routing", "task", "conversation"),
    [
        ("closed", None, "wrapping", "closed"),
        ("closed", {"status": "wrapup"}, "wrapping", "closed"),
        ("closed", {"status": "closed"}, "completed", "closed"),
        ("inactive", {"status": "closed"}, "completed", "inactive"),
    ],
)
def test_closing(
    account: Account, active: Any, asked: str, routing: dict[str, str] | None, task: str, conversation: str
) -> None:
    account.control.agent("accept", task_sid=task_sid(active))
    more = {"routing": routing} if routing else {}
    assert channel_of(account, active).update(status=asked, **more).status == asked
    assert (status(account, active), state(account, active)) == (task, conversation)
    if asked == "closed":
        assert (
            channel_of(account, active).update(status="closed", routing={"status": "closed"}).status
            == "closed"
        )
        assert refused(channel_of(account, active).invites.create, routing=account.routing()) == (400, 45376)
        assert account.open_conversation()


def test_closing_cancels_what_nobody_took(account: Account, active: Any) -> None:
    channel_of(account, active).update(status="closed", routing={"status": "closed"})
    assert status(account, active) == "canceled"


def test_closing_in_setup(account: Account) -> None:
    interaction = account.open_interaction()
    channel_of(account, interaction).update(status="closed")
    account.control.advance(1)
    assert channel_of(account, interaction).fetch().status == "closed"
    assert account.open_conversation()


def test_how_a_channel_cannot_be_closed(account: Account, active: Any) -> None:
    update = channel_of(account, active).update
    assert refused(update, status="inactive") == (400, 45008)
    assert refused(update, status="closed", routing={"status": "gone"}) == (400, 45008)
    assert refused(update, status="paused") == (400, 45008)


def test_park_and_invite_again(account: Account, active: Any) -> None:
    """The agent leaves: the task ends, the conversation stays, and somebody else can be asked."""
    account.control.agent("accept", task_sid=task_sid(active))
    one = account.conversations.conversations(attributes(active)["conversationSid"])
    assert [who.identity for who in one.participants.list()] == [None, "grace"]
    channel = channel_of(account, active)
    (agent,) = [who for who in channel.participants.list() if who.type == "agent"]
    channel.participants(agent.sid).update(status="wrapup")
    assert status(account, active) == "wrapping"
    channel.participants(agent.sid).update(status="closed")
    assert (status(account, active), state(account, active)) == ("completed", "active")
    assert [who.type for who in channel.participants.list()] == ["customer"]
    assert [who.identity for who in one.participants.list()] == [None]
    assert channel.fetch().status == "active"
    invite = channel.invites.create(routing=account.routing(worker=2, customerName="Ada"))
    assert [row.sid for row in channel.invites.list()][-1] == invite.sid
    properties = invite.routing["properties"]
    found = json.loads(properties["attributes"])
    assert (found["conversationSid"], found["flexChannelInviteSid"]) == (one.fetch().sid, invite.sid)
    assert properties["assignment_status"] == "reserved"
    assert account.control.agent("accept", channel_sid=one.fetch().sid)["task_sid"] == properties["sid"]
    assert channel.participants.create(type="supervisor", media_properties={"identity": "linus"}).type == (
        "supervisor"
    )
    assert refused(channel.participants("UT" + "0" * 32).update, status="closed") == (404, 20404)


def test_a_routing_outlives_its_task(account: Account, active: Any) -> None:
    account.control.agent("complete", task_sid=task_sid(active))
    account.control.advance(301)
    assert refused(account.workspace.tasks(task_sid(active)).fetch) == (404, 20404)
    properties = account.flex.interaction(active.sid).fetch().routing["properties"]
    assert properties["sid"] == task_sid(active)


def test_after_180_days_a_channel_is_forgotten(account: Account, active: Any) -> None:
    account.control.advance(179 * 86_400)
    assert channel_of(account, active).fetch()
    one = account.conversations.conversations(attributes(active)["conversationSid"])
    one.messages.create(body="Changes of the conversation do not count")
    account.control.advance(2 * 86_400)
    assert refused(channel_of(account, active).fetch) == (404, 20404)
    assert account.flex.interaction(active.sid).channels.list() == []
    assert one.fetch().state == "active"
    again = account.customer(number=account.conversations_number)
    assert again["channel_sid"] == one.fetch().sid
    assert again["interaction_sid"] not in (None, active.sid)


def test_tasks_ended_by_taskrouter_leave_orphans(account: Account, active: Any) -> None:
    account.workspace.tasks(task_sid(active)).update(assignment_status="canceled", reason="no")
    assert (channel_of(account, active).fetch().status, state(account, active)) == ("active", "active")
    account.workspace.tasks(task_sid(active)).delete()
    assert state(account, active) == "active"


def test_limits(account: Account) -> None:
    account.control.settings(rate_limits="documented")
    fetch = account.flex.interaction(account.open_interaction().sid).fetch
    with pytest.raises(TwilioRestException) as caught:
        [fetch() for _ in range(1_000)]
    assert (caught.value.status, caught.value.code) == (429, 45780)
    time.sleep(0.1)
    assert fetch()
    conversation = account.conversations.conversations.create()
    update = account.conversations.conversations(conversation.sid).update
    with pytest.raises(TwilioRestException) as caught:
        [update(attributes="{}") for _ in range(1_000)]
    assert (caught.value.status, caught.value.code) == (429, 20429)
    assert account.conversations.conversations.create()
