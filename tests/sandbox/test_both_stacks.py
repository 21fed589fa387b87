"""An account in migration: both generations side by side, and what its customers and agents bring about."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import Any

import pytest

from flexsms.sandbox.client import ControlError, SandboxProcess, connection_extra
from tests.sandbox.conftest import CUSTOMER, Account

OTHER = "+14155550143"


def write(account: Account, body: str = "Hello", frm: str = CUSTOMER) -> dict[str, Any]:
    return account.customer(body, frm, account.conversations_number)


def attributes(account: Account, task_sid: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(account.workspace.tasks(task_sid).fetch().attributes)
    return found


def test_a_text_to_the_migrated_number_opens_a_conversation_and_a_task(account: Account) -> None:
    started = write(account)
    assert (started["outcome"], started["session_sid"]) == ("started", None)
    one = account.conversations.conversations(started["channel_sid"])
    assert [message.body for message in one.messages.list()] == ["Hello"]
    found = attributes(account, started["task_sid"])
    assert (found["conversationSid"], found["direction"]) == (started["channel_sid"], "inbound")
    assert found["flexInteractionSid"] == started["interaction_sid"]
    assert found["flexInteractionChannelSid"] == started["interaction_channel_sid"]
    assert "channelSid" not in found
    channel = account.flex.interaction(started["interaction_sid"]).channels(
        started["interaction_channel_sid"]
    )
    assert channel.fetch().status == "setup"
    account.control.advance(1)
    assert channel.fetch().status == "active"
    again = write(account)
    assert {**again, "outcome": "", "message_sid": ""} == {**started, "outcome": "", "message_sid": ""}
    assert again["outcome"] == "conversation"


@pytest.mark.parametrize("kind", ["default", "webhook"])
def test_without_studio_no_task_opens(account: Account, kind: str) -> None:
    account.conversations.address_configurations(account.settings["address_sid"]).update(
        auto_creation_type=kind, auto_creation_webhook_url="https://example.com"
    )
    started = write(account)
    assert (started["outcome"], started["task_sid"]) == ("started", None)
    hooks = account.conversations.conversations(started["channel_sid"]).webhooks
    hooks.create(target="studio", configuration_flow_sid=account.settings["studio_flow_sid"])
    assert write(account)["task_sid"]


def test_a_number_without_configuration(account: Account) -> None:
    address = account.conversations.address_configurations(account.settings["address_sid"])
    address.update(auto_creation_enabled=False)
    assert write(account)["outcome"] == "unrouted"
    assert address.delete()
    assert write(account)["outcome"] == "unrouted"


def test_a_configuration_moves_a_number_to_conversations(account: Account) -> None:
    """Who is in an open session stays there; everybody else gets a conversation."""
    assert account.customer("Hello")["outcome"] == "started"
    account.conversations.address_configurations.create(
        type="sms",
        address=account.number,
        auto_creation_enabled=True,
        auto_creation_type="studio",
        auto_creation_studio_flow_sid=account.settings["studio_flow_sid"],
    )
    assert account.customer("Hello")["outcome"] == "session"
    moved = account.customer("Hello", OTHER)
    assert (moved["outcome"], moved["interaction_sid"] is not None) == ("started", True)


def test_the_agent_completes_and_the_conversation_stays(account: Account) -> None:
    """So that it is long-lived: the next text is in it, with a new task on the same interaction channel."""
    first = write(account)
    written = account.control.agent("write", channel_sid=first["channel_sid"], body="What can I do?")
    assert (written["outcome"], written["channel_sid"]) == ("written", first["channel_sid"])
    for action in ("accept", "wrap", "complete"):
        account.control.agent(action, task_sid=first["task_sid"])
    second = write(account)
    assert second["channel_sid"] == first["channel_sid"]
    assert second["task_sid"] != first["task_sid"]
    assert second["interaction_channel_sid"] == first["interaction_channel_sid"]
    assert attributes(account, second["task_sid"])["initiatedBy"] == "customer"


def test_parking_by_the_agent(account: Account) -> None:
    account.control.settings(keep_conversations_open=False)
    first = write(account)
    parked = account.control.agent("park", task_sid=first["task_sid"])
    assert {name: parked[name] for name in first if name not in ("outcome", "message_sid")} == {
        name: first[name] for name in first if name not in ("outcome", "message_sid")
    }
    second = write(account)
    assert second["channel_sid"] == first["channel_sid"]
    account.control.agent("complete", task_sid=second["task_sid"])
    assert account.conversations.conversations(first["channel_sid"]).fetch().state == "closed"
    third = write(account)
    assert (third["outcome"], third["channel_sid"] != first["channel_sid"]) == ("started", True)


def test_canceling_and_deleting_leave_the_conversation(account: Account) -> None:
    for action in ("cancel", "delete"):
        account.control.agent(action, task_sid=write(account)["task_sid"])
    assert len(account.conversations.conversations.list(state="active")) == 1
    with pytest.raises(ControlError):
        account.control.agent("accept", channel_sid=write(account)["channel_sid"], task_sid="WT0")


def test_a_studio_reply_to_a_conversation_nobody_has(account: Account) -> None:
    """Fire and forget on a number without auto-creation: the webhook of the conversation is what opens the task."""
    conversation = account.conversations.conversations.create()
    account.join(conversation.sid, number=account.number)
    one = account.conversations.conversations(conversation.sid)
    one.webhooks.create(target="studio", configuration_flow_sid=account.settings["studio_flow_sid"])
    one.messages.create(body="Your glasses are ready")
    assert account.workspace.tasks.list() == []
    reply = account.customer("Great")
    assert (reply["outcome"], reply["channel_sid"]) == ("conversation", conversation.sid)
    assert attributes(account, reply["task_sid"])["flexInteractionSid"] == reply["interaction_sid"]


def test_actions_on_conversations(account: Account) -> None:
    sid = write(account)["channel_sid"]
    play = {"conversation_attributes": {"channel_sid": sid, "attributes": {"mine": 1}}}
    assert account.control.perform(play) == [{"mine": 1}]
    play["conversation_attributes"]["channel_sid"] = "CH0"
    with pytest.raises(ControlError):
        account.control.perform(play)


def test_snapshot_and_restore(account: Account) -> None:
    first = write(account)
    account.open_interaction(OTHER)
    account.open_conversation("+14155550144", timers_closed="PT10M", state="active")
    state = account.control.state()
    account.control.reset()
    assert account.conversations.conversations.list() == []
    account.control.restore(state)
    assert account.control.state() == state
    account.control.advance(1)
    assert write(account)["task_sid"] == first["task_sid"]
    assert write(account, frm=OTHER)["outcome"] == "conversation"
    assert account.conversations.participant_conversations.list(address=OTHER)
    account.control.advance(600)
    assert [one.state for one in account.conversations.conversations.list()].count("closed") == 1
    account.control.agent("complete", task_sid=first["task_sid"])
    assert write(account)["interaction_channel_sid"] == first["interaction_channel_sid"]


def test_bulk(account: Account) -> None:
    made = account.control.load(
        conversations=[
            {"customer": "+14155551000", "attributes": {"long_lived": True}, "closed_s": 864_000},
            {"customer": "+14155551001", "interaction": True, "name": "Ada"},
            {"customer": "+14155551002", "parked": True, "state": "inactive"},
            {"customer": "+14155551003", "number": account.number, "unique_name": "three"},
        ]
    )["conversations"]
    rows = [account.conversations.conversations(sid).fetch() for sid in made]
    assert [row.state for row in rows] == ["active", "active", "inactive", "active"]
    assert json.loads(rows[0].attributes) == {"long_lived": True}
    assert "date_closed" in rows[0].timers
    assert rows[3].unique_name == "three"
    (task,) = account.workspace.tasks.list(assignment_status="pending")
    assert json.loads(task.attributes)["conversationSid"] == made[1]
    opened = account.control.tasks(made)["tasks"]
    assert opened[1] == task.sid
    assert [attributes(account, sid)["conversationSid"] for sid in opened] == made
    assert {account.workspace.tasks(sid).fetch().assignment_status for sid in opened} == {"assigned"}
    with pytest.raises(ControlError):
        account.control.load(conversations=[{"customer": CUSTOMER, "colour": "red"}])
    given = account.control.events(channel_sids=made[:2], events=14)
    assert given["events"] == 14
    fresh = account.control.events(channels=3, events=21, stack="conversations")["channels"]
    events = account.workspace.events.list(page_size=1000, minutes=2000)
    seen = {json.loads(event.event_data["task_attributes"])["conversationSid"] for event in events}
    assert seen >= {*made, *fresh}


def history(account: Account) -> dict[str, list[Any]]:
    """Task events by conversation or channel, oldest first."""
    start = datetime.fromisoformat(account.control.clock()["now"]) - timedelta(days=30)
    found: dict[str, list[Any]] = defaultdict(list)
    events = account.workspace.events.list(start_date=start, page_size=1000)
    for event in sorted(events, key=lambda event: event.event_date_ms):
        if event.resource_type == "task":
            given = json.loads(event.event_data["task_attributes"])
            found[given.get("conversationSid") or given["channelSid"]].append(event)
    return found


def test_the_story_on_the_other_stack(account: Account) -> None:
    account.control.reset(seed="story:conversations")
    story, told = account.control.story(), history(account)
    kinds = {name: [event.event_type for event in told[one["channel_sid"]]] for name, one in story.items()}
    life = ["task.created", "task.wrapup", "task.completed"]
    assert kinds == {"ada": life, "ben": [*life, "task.created"], "cleo": ["task.created"]}
    open_tasks = {task.sid: task.assignment_status for task in account.workspace.tasks.list()}
    assert open_tasks == {story["ben"]["task_sids"][1]: "pending", story["cleo"]["task_sids"][0]: "assigned"}
    for one in story.values():
        assert (one["stack"], one["twilio_number"]) == ("conversations", account.conversations_number)
        assert account.conversations.conversations(one["channel_sid"]).fetch().state == "active"
        channel = account.flex.interaction(one["interaction_sid"]).channels(one["interaction_channel_sid"])
        assert channel.fetch().status == "active"
    assert write(account, frm=story["ada"]["customer_number"])["channel_sid"] == story["ada"]["channel_sid"]


def test_a_crowd_on_both_stacks(account: Account) -> None:
    account.control.reset(seed="60,60:conversations")
    told = history(account)
    conversations = account.conversations.conversations.list(page_size=100)
    channels = account.chat.channels.list(type=["private"], page_size=100)
    assert len(channels) == 60
    # A retired conversation is closed for good: its customer's next contact opened another.
    assert 60 <= len(conversations) < 70
    assert set(told) == {one.sid for one in [*channels, *conversations]}
    closed = {one.sid for one in conversations if one.state == "closed"}
    marks = {one.sid for one in conversations if json.loads(one.attributes).get("status") == "INACTIVE"}
    assert closed == marks
    assert closed
    kinds = Counter(event.event_type for sid in told for event in told[sid])
    assert min(kinds["task.canceled"], kinds["task.completed"]) > 0
    assert all(text["status"] == "delivered" for text in account.control.outbox())


def test_due_means_due(account: Account) -> None:
    made = account.control.seed(channels=20, due=12, stack="conversations")["channels"]
    told, now_ms = history(account), account.control.clock()["now_s"] * 1000
    open_ones = {json.loads(task.attributes)["conversationSid"] for task in account.workspace.tasks.list()}
    due = [
        sid for sid, events in told.items()
        if sid not in open_ones and now_ms - events[-1].event_date_ms > 2 * 86_400_000
    ]  # fmt: skip
    assert (set(told), len(due)) == (set(made), 12)
    with pytest.raises(ControlError):
        account.control.seed(channels=1, stack="pigeons")


def test_the_extra_of_a_connection(account: Account) -> None:
    extra = connection_extra(account.settings, stack="conversations")
    assert (extra["stack"], extra["studio_flow_sid"]) == (
        "conversations", account.settings["studio_flow_sid"],
    )  # fmt: skip
    assert extra["chat_service_sid"] == account.conversations.configuration().fetch().default_chat_service_sid
    assert set(connection_extra(account.settings)) == set(extra) - {"studio_flow_sid"}


def test_a_process_with_both_seeds() -> None:
    with SandboxProcess(seed="story:conversations,5") as sandbox:
        assert {one["stack"] for one in sandbox.control.story().values()} == {"conversations"}
        tables = sandbox.control.state()["tables"]
        assert (len(tables["channels"]), len(tables["conversations"])) == (5, 3)
