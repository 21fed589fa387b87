"""flex-api v1: flows and channels."""

from __future__ import annotations

import json

from tests.sandbox.conftest import CUSTOMER, Account, refused


def test_flows(account: Account) -> None:
    created = account.flex.flex_flow.create(
        friendly_name="Support",
        chat_service_sid=account.settings["chat_service_sid"],
        channel_type="sms",
        contact_identity="+14155550109",
        integration_type="task",
        integration_workspace_sid=account.settings["workspace_sid"],
        integration_workflow_sid=account.settings["workflow_sid"],
        long_lived=True,
    )
    assert created.long_lived
    assert not created.enabled
    assert created.integration["workflow_sid"] == account.settings["workflow_sid"]
    updated = account.flex.flex_flow(created.sid).update(friendly_name="Help", integration_priority=3)
    assert (updated.friendly_name, updated.integration["priority"]) == ("Help", 3)
    assert account.flex.flex_flow(created.sid).fetch().friendly_name == "Help"
    assert [flow.sid for flow in account.flex.flex_flow.list(friendly_name="Help")] == [created.sid]
    assert len(account.flex.flex_flow.list(page_size=2)) == 5
    assert account.flex.flex_flow(created.sid).delete()
    assert refused(account.flex.flex_flow(created.sid).fetch) == (404, 45205)


def test_a_flow_needs_what_its_integration_needs(account: Account) -> None:
    create = account.flex.flex_flow.create
    chat = account.settings["chat_service_sid"]
    assert refused(
        create, friendly_name="x", chat_service_sid=chat, channel_type="sms", integration_type="task"
    ) == (400, 20001)
    assert refused(
        create, friendly_name="x", chat_service_sid="IS" + "0" * 32, channel_type="sms",
        integration_type="studio", integration_flow_sid="FW" + "0" * 32,
    ) == (400, 20001)  # fmt: skip
    assert refused(create, friendly_name="x", chat_service_sid=chat, channel_type="fax") == (400, 20001)
    assert len(account.flex.flex_flow.list()) == 4
    task_flow = account.flex.flex_flow(account.settings["flex_flow_sids"]["task"])
    assert refused(task_flow.update, friendly_name="y", integration_workflow_sid="") == (400, 20001)
    assert task_flow.fetch().friendly_name == "Outbound SMS"


def test_seeded_flows_are_found_as_the_recipes_find_them(account: Account) -> None:
    flows = account.flex.flex_flow.list()
    task, studio = (
        [flow for flow in flows if flow.integration_type == kind and flow.contact_identity == account.number]
        for kind in ("task", "studio")
    )
    assert len(task) == len(studio) == 1
    assert task[0].sid == account.settings["flex_flow_sids"]["task"]
    assert task[0].long_lived


def test_a_channel_of_a_task_flow_opens_a_task(account: Account) -> None:
    given = {
        "to": CUSTOMER,
        "direction": "outbound",
        "name": "Ada",
        "from": account.number,
        "sourceChatChannelSid": "x",
    }
    channel = account.open_channel(task_attributes=json.dumps(given))
    task = account.workspace.tasks(channel.task_sid).fetch()
    attributes = json.loads(task.attributes)
    assert attributes == {**given, "channelSid": channel.sid, "channelType": "sms"}
    assert (task.assignment_status, task.workflow_sid) == ("pending", account.settings["workflow_sid"])
    chat = account.chat.channels(channel.sid).fetch()
    assert json.loads(chat.attributes) == {
        "status": "ACTIVE", "long_lived": True, "from": "Ada", "channel_type": "sms",
        "twilioNumber": account.number, "serviceNumber": CUSTOMER,
    }  # fmt: skip
    assert chat.type == "private"


def test_the_active_channel_of_the_pair_and_flow_is_given_back(account: Account) -> None:
    first = account.open_channel()
    again = account.open_channel()
    assert (again.sid, again.task_sid) == (first.sid, first.task_sid)
    by_attributes = account.flex.channel.create(
        flex_flow_sid=account.settings["flex_flow_sids"]["task"],
        identity="other", chat_user_friendly_name="Ada", chat_friendly_name="x",
        task_attributes=json.dumps({"to": CUSTOMER}),
    )  # fmt: skip
    assert by_attributes.sid == first.sid
    assert account.open_channel(flow="studio").sid != first.sid
    assert account.open_channel("+14155550143").sid != first.sid


def test_a_studio_channel_opens_no_task(account: Account) -> None:
    assert account.open_channel(flow="studio").task_sid is None
    assert account.workspace.tasks.list() == []


def test_a_reused_channel_whose_task_is_done_gets_a_new_one(account: Account) -> None:
    first = account.open_channel()
    account.control.agent("complete", task_sid=first.task_sid)
    again = account.open_channel()
    assert again.sid == first.sid
    assert again.task_sid != first.task_sid


def test_an_inactive_channel_is_not_given_back(account: Account) -> None:
    first = account.open_channel()
    account.chat.channels(first.sid).update(
        attributes=json.dumps({"status": "inactive", "long_lived": False})
    )
    second = account.open_channel()
    assert second.sid != first.sid
    assert json.loads(account.chat.channels(second.sid).fetch().attributes)["long_lived"] is True
    account.chat.channels(second.sid).update(attributes='{"status": "INACTIVE"}')
    account.chat.channels(first.sid).update(attributes='{"status": "ACTIVE"}')
    assert account.open_channel().sid == first.sid


def test_long_lived_of_the_channel_wins_over_the_flow(account: Account) -> None:
    channel = account.open_channel(long_lived=False)
    assert json.loads(account.chat.channels(channel.sid).fetch().attributes)["long_lived"] is False


def test_a_task_can_be_given(account: Account) -> None:
    task = account.workspace.tasks.create(attributes='{"mine": 1}')
    channel = account.open_channel(task_sid=task.sid)
    assert channel.task_sid == task.sid
    attributes = json.loads(account.workspace.tasks(task.sid).fetch().attributes)
    assert attributes == {"mine": 1, "channelSid": channel.sid}


def test_creation_on_message_waits_for_the_customer(account: Account) -> None:
    flow = account.settings["flex_flow_sids"]["task"]
    account.flex.flex_flow(flow).update(integration_creation_on_message=True)
    channel = account.open_channel()
    assert channel.task_sid is None
    account.open_session(channel.sid)
    assert account.customer()["task_sid"]


def test_unique_names_of_channels(account: Account) -> None:
    first = account.open_channel(chat_unique_name="ada")
    assert account.chat.channels("ada").fetch().sid == first.sid
    assert refused(account.open_channel, "+14155550143", chat_unique_name="ada") == (409, 45208)
    account.chat.channels(first.sid).update(attributes='{"status": "INACTIVE"}')
    assert (
        account.open_channel(chat_unique_name="ada").sid
        == account.chat.channels("ada").fetch().sid
        != first.sid
    )


def test_list_fetch_delete(account: Account) -> None:
    first, second = account.open_channel(), account.open_channel("+14155550143")
    assert [channel.sid for channel in account.flex.channel.list()] == [first.sid, second.sid]
    session = account.open_session(first.sid)
    assert account.flex.channel(first.sid).fetch().flex_flow_sid == account.settings["flex_flow_sids"]["task"]
    assert account.flex.channel(first.sid).delete()
    assert refused(account.flex.channel(first.sid).fetch) == (404, 45204)
    assert refused(account.chat.channels(first.sid).fetch) == (404, 50300)
    assert refused(account.proxy.sessions(session.sid).fetch) == (404, 20404)


def test_a_channel_of_an_unknown_flow(account: Account) -> None:
    account.settings["flex_flow_sids"]["none"] = "FO" + "0" * 32
    assert refused(account.open_channel, flow="none") == (400, 45205)
    del account.settings["flex_flow_sids"]["none"]
