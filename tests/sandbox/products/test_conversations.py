"""conversations v1: conversations, who is in them, their timers, webhooks and addresses."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException

from tests.sandbox.conftest import CUSTOMER, Account, refused

OTHER = "+14155550143"


def at(account: Account, seconds: float = 0) -> datetime:
    return datetime.fromtimestamp(account.control.clock()["now_s"] + seconds, UTC)


def near(moment: str | datetime, expected: datetime) -> bool:
    found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return abs(found - expected) < timedelta(seconds=3)


def test_the_life_of_a_conversation(account: Account) -> None:
    made = account.conversations.conversations.create(
        friendly_name="Ada", unique_name="ada", attributes='{"a": 1}', x_twilio_webhook_enabled="true"
    )
    assert (made.state, made.friendly_name, made.attributes) == ("active", "Ada", '{"a": 1}')
    assert (made.chat_service_sid, made.timers) == (account.settings["chat_service_sid"], {})
    one = account.conversations.conversations("ada")
    assert one.fetch().sid == made.sid
    updated = account.conversations.conversations(made.sid).update(
        friendly_name="Ada L.", unique_name="", attributes='{"b": 2}', state="inactive"
    )
    assert (updated.friendly_name, updated.unique_name, updated.state) == ("Ada L.", None, "inactive")
    assert refused(one.fetch) == (404, 20404)
    assert account.conversations.conversations(made.sid).update(state="active").state == "active"
    assert account.conversations.conversations(made.sid).delete()
    assert refused(account.conversations.conversations(made.sid).fetch) == (404, 20404)


def test_a_closed_conversation_is_final(account: Account) -> None:
    conversation = account.open_conversation()
    one = account.conversations.conversations(conversation.sid)
    assert (
        one.update(state="closed", attributes='{"status": "INACTIVE"}').attributes == '{"status": "INACTIVE"}'
    )
    for change in ({"attributes": "{}"}, {"state": "active"}, {"state": "closed"}):
        assert refused(one.update, **change) == (400, 50377)
    assert refused(one.messages.create, body="Hello?") == (400, 50377)
    assert refused(one.participants.create, identity="grace") == (400, 50377)
    assert account.join(account.conversations.conversations.create().sid)
    (member,) = one.participants.list()
    assert one.participants(member.sid).delete()
    assert one.delete()


def test_lists_by_state_and_day(account: Account) -> None:
    old = account.conversations.conversations.create()
    account.control.advance(3 * 86_400)
    new = account.conversations.conversations.create()
    account.conversations.conversations(old.sid).update(state="closed")
    lists = account.conversations.conversations.list
    assert [one.sid for one in lists()] == [old.sid, new.sid]
    assert [one.sid for one in lists(state="closed")] == [old.sid]
    today = at(account).date().isoformat()
    assert [one.sid for one in lists(start_date=today, end_date=today)] == [new.sid]
    assert [one.sid for one in lists(end_date=at(account, -3600).isoformat())] == [old.sid]
    assert len(lists(page_size=1)) == 2


def test_both_spellings_of_a_path(account: Account) -> None:
    """The short one means the default service, and the long one adds a field to what is in a conversation."""
    service = account.conversations.services(account.settings["chat_service_sid"])
    assert service.fetch().friendly_name == "Flex Chat Service"
    assert [one.sid for one in account.conversations.services.list()] == [service.fetch().sid]
    assert account.conversations.configuration().fetch().default_chat_service_sid == service.fetch().sid
    made = service.conversations.create(unique_name="long")
    assert "/Services/" in made.url
    assert account.conversations.conversations(made.sid).fetch().unique_name == "long"
    long = service.conversations(made.sid)
    member = long.participants.create(
        messaging_binding_address=CUSTOMER, messaging_binding_proxy_address=account.conversations_number
    )
    message = long.messages.create(body="Hello")
    account.control.advance(2)
    (receipt,) = long.messages(message.sid).delivery_receipts.list()
    hook = long.webhooks.create(target="webhook", configuration_url="https://example.com")
    found = [member, message, receipt, hook, *long.participants.list(), *long.webhooks.list()]
    assert {one.chat_service_sid for one in found} == {made.chat_service_sid}
    assert [one.conversation_sid for one in service.participant_conversations.list(address=CUSTOMER)] == [
        made.sid
    ]
    assert service.conversation_with_participants.create(friendly_name="x").sid
    nowhere = account.conversations.services("IS" + "0" * 32)
    assert refused(nowhere.conversations.create) == (404, 20404)


def test_the_two_products_do_not_show_each_others_rows(account: Account) -> None:
    conversation, channel = account.conversations.conversations.create(), account.open_channel()
    assert refused(account.conversations.conversations(channel.sid).fetch) == (404, 20404)
    assert refused(account.chat.channels(conversation.sid).fetch) == (404, 50300)


def test_unique_names(account: Account) -> None:
    create = account.conversations.conversations.create
    first, second = create(unique_name="ada"), create()
    assert refused(create, unique_name="ada") == (409, 50353)
    assert refused(account.conversations.conversations(second.sid).update, unique_name="ada") == (409, 50353)
    assert refused(create, unique_name=first.sid) == (400, 20001)


def test_timers(account: Account) -> None:
    conversation = account.open_conversation(timers_inactive="P1D", timers_closed="P2DT12H", state="active")
    one = account.conversations.conversations(conversation.sid)
    account.control.advance(3600)
    one.messages.create(body="Hello")  # starts both again
    timers = one.fetch().timers
    assert near(timers["date_inactive"], at(account, 86_400))
    assert near(timers["date_closed"], at(account, 2.5 * 86_400))
    account.control.advance(86_401)
    found = one.fetch()
    assert (found.state, list(found.timers)) == ("inactive", ["date_closed"])
    assert near(found.date_updated, at(account))
    assert account.customer(number=account.conversations_number)["outcome"] == "reactivated"
    assert near(one.fetch().timers["date_closed"], at(account, 2.5 * 86_400))
    account.control.advance(2.5 * 86_400 + 1)
    assert (one.fetch().state, one.fetch().timers) == ("closed", {})
    assert account.customer(number=account.conversations_number)["outcome"] == "started"


def test_new_timers_start_anew(account: Account) -> None:
    conversation = account.open_conversation(timers_closed="PT10M", state="active")
    one = account.conversations.conversations(conversation.sid)
    account.control.advance(500)
    one.update(timers_closed="PT20M")
    account.control.advance(1100)
    assert one.fetch().state == "active"
    account.control.advance(101)
    assert one.fetch().state == "closed"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"timers_inactive": "PT59S"}, 20001),
        ({"timers_closed": "PT9M"}, 20001),
        ({"timers_closed": "ten minutes"}, 20001),
        ({"timers_closed": "P"}, 20001),
        ({"timers_closed": "PT10M"}, 50382),
        ({"timers_inactive": "PT10M"}, 50382),
        ({"timers_closed": "PT10M", "state": "closed"}, 50384),
        ({"state": "closed"}, 50384),
        ({"timers_inactive": "PT10M", "state": "inactive"}, 50382),
        ({"state": "initializing"}, 20001),
        ({"attributes": "{"}, 20001),
        ({"attributes": '"' + "x" * 16_384 + '"'}, 20001),
        ({"x_twilio_webhook_enabled": "maybe"}, 20001),
    ],
)
def test_what_a_conversation_cannot_be(account: Account, more: dict[str, str], code: int) -> None:
    assert refused(account.conversations.conversations.create, **more) == (400, code)
    assert account.conversations.conversations.list() == []


def test_participants(account: Account) -> None:
    one = account.conversations.conversations(account.conversations.conversations.create().sid)
    customer = account.join(one.fetch().sid)
    binding = customer.messaging_binding
    assert (binding["type"], binding["address"], binding["proxy_address"]) == (
        "sms", CUSTOMER, account.conversations_number,
    )  # fmt: skip
    agent = one.participants.create(identity="grace", attributes='{"a": 1}')
    assert (agent.identity, agent.messaging_binding) == ("grace", None)
    assert one.participants("grace").fetch().sid == agent.sid
    assert refused(one.participants.create, identity="grace") == (409, 50433)
    assert [who.sid for who in one.participants.list(page_size=1)] == [customer.sid, agent.sid]
    updated = one.participants(agent.sid).update(attributes="{}", last_read_message_index=0)
    assert (updated.attributes, updated.last_read_message_index) == ("{}", 0)
    moved = one.participants(customer.sid).update(messaging_binding_proxy_address=account.number)
    assert moved.messaging_binding["proxy_address"] == account.number
    assert account.join(account.conversations.conversations.create().sid)
    assert one.participants(agent.sid).delete()
    assert refused(one.participants(agent.sid).fetch) == (404, 20404)


def test_one_open_conversation_per_pair(account: Account) -> None:
    """Active and inactive ones hold it ; removing the customer, closing and deleting free it."""
    first = account.open_conversation()
    one = account.conversations.conversations(first.sid)

    def conflict() -> str:
        second = account.conversations.conversations.create()
        with pytest.raises(TwilioRestException, match=first.sid) as caught:
            account.join(second.sid)
        assert (caught.value.status, caught.value.code) == (409, 50416)
        return str(second.sid)

    conflict()
    one.update(state="inactive")
    second = conflict()
    assert account.join(second, number=account.number)
    (member,) = one.participants.list()
    one.participants(member.sid).delete()
    third = account.open_conversation()
    account.conversations.conversations(third.sid).delete()
    fourth = account.open_conversation()
    account.conversations.conversations(fourth.sid).update(state="closed")
    assert account.open_conversation()


@pytest.mark.parametrize(
    ("address", "proxy", "code"),
    [
        ("415 555", None, 50407),
        (CUSTOMER, "+14155559999", 50408),
        (CUSTOMER, CUSTOMER, 50409),
        (CUSTOMER, "", 50412),
    ],
)
def test_bindings_that_cannot_be(account: Account, address: str, proxy: str | None, code: int) -> None:
    one = account.conversations.conversations(account.conversations.conversations.create().sid)
    proxy = account.conversations_number if proxy is None else proxy
    binding = {"messaging_binding_address": address, "messaging_binding_proxy_address": proxy}
    assert refused(one.participants.create, **binding) == (400, code)
    assert refused(one.participants.create) == (400, 20001)


def test_the_conversations_of_a_participant(account: Account) -> None:
    others = []
    for _ in range(4):
        one = account.open_conversation()
        account.conversations.conversations(one.sid).update(state="closed")
        others.append(one)
    current = account.open_conversation(timers_closed="P1D", state="active")
    account.join(account.conversations.conversations.create().sid, OTHER)
    found = account.conversations.participant_conversations.list(address=CUSTOMER)
    assert [one.conversation_sid for one in found] == sorted(one.sid for one in [*others, current])
    states = {one.conversation_sid: one.conversation_state for one in found}
    assert [sid for sid, state in states.items() if state != "closed"] == [current.sid]
    (mine,) = [one for one in found if one.conversation_sid == current.sid]
    assert mine.participant_messaging_binding["proxy_address"] == account.conversations_number
    assert near(mine.conversation_timers["date_closed"], at(account, 86_400))
    agent = account.conversations.conversations(current.sid).participants.create(identity="grace")
    (by_identity,) = account.conversations.participant_conversations.list(identity="grace")
    assert by_identity.participant_sid == agent.sid
    account.conversations.conversations(current.sid).participants(agent.sid).delete()
    assert account.conversations.participant_conversations.list(identity="grace") == []
    assert len(account.conversations.participant_conversations.list(address=CUSTOMER, page_size=2)) == 5


def test_a_conversation_with_its_participants(account: Account) -> None:
    def people(*more: dict[str, Any]) -> list[str]:
        pair = {"address": CUSTOMER, "proxy_address": account.conversations_number}
        return [json.dumps(one) for one in ({"messaging_binding": pair}, *more)]

    create = account.conversations.conversation_with_participants.create
    more = {"timers_closed": "P1D", "participant": people({"identity": "grace"})}
    assert refused(create, friendly_name="Ada", **more) == (400, 50382)
    made = create(friendly_name="Ada", state="active", **more)
    one = account.conversations.conversations(made.sid)
    assert [who.identity for who in one.participants.list()] == [None, "grace"]
    assert refused(create, participant=people()) == (409, 50425)
    for wrong in ({}, {"identity": "x", "colour": "red"}):
        assert refused(create, participant=[json.dumps(wrong)]) == (400, 20001)
    assert refused(create, participant=['{"identity": "x"}'] * 11) == (400, 20001)
    assert len(account.conversations.conversations.list()) == 1


def test_webhooks_of_one_conversation(account: Account) -> None:
    hooks = account.conversations.conversations(account.conversations.conversations.create().sid).webhooks
    studio = hooks.create(target="studio", configuration_flow_sid=account.settings["studio_flow_sid"])
    assert studio.configuration == {"flow_sid": account.settings["studio_flow_sid"]}
    hook = hooks.create(
        target="webhook",
        configuration_url="https://example.com",
        configuration_method="post",
        configuration_filters=["onMessageAdded"],
        configuration_replay_after=0,
    )
    assert hook.configuration["filters"] == ["onMessageAdded"]
    assert hooks(hook.sid).update(configuration_method="get").configuration["method"] == "get"
    assert hooks(hook.sid).fetch().target == "webhook"
    assert [one.sid for one in hooks.list()] == [studio.sid, hook.sid]
    assert refused(hooks.create, target="studio") == (400, 20001)
    for _ in range(3):
        hooks.create(target="trigger", configuration_url="https://example.com", configuration_triggers=["hi"])
    assert refused(hooks.create, target="webhook", configuration_url="https://example.com") == (400, 20001)
    assert hooks(hook.sid).delete()
    assert refused(hooks(hook.sid).fetch) == (404, 20404)


def test_a_closed_conversation_takes_no_webhook(account: Account) -> None:
    one = account.conversations.conversations(account.conversations.conversations.create().sid)
    flow = {"target": "studio", "configuration_flow_sid": account.settings["studio_flow_sid"]}
    hook = one.webhooks.create(**flow)
    one.update(state="closed")
    assert refused(one.webhooks.create, **flow) == (400, 50377)
    assert refused(one.webhooks(hook.sid).update, configuration_method="get") == (400, 50377)
    assert [row.sid for row in one.webhooks.list()] == [hook.sid]


def test_a_flow_that_is_attached_beside_an_agent_answers_as_well(account: Account) -> None:
    """Whoever attaches a Studio flow and opens a task has two who answer each text of the customer."""
    conversation = account.open_conversation()
    account.control.advance(1)
    task_sid = account.customer(number=account.conversations_number)["task_sid"]
    flow_sid = account.settings["studio_flow_sid"]
    hooks = account.conversations.conversations(conversation.sid).webhooks
    hook = hooks.create(target="studio", configuration_flow_sid=flow_sid)
    found = {"channel_sid": conversation.sid, "task_sid": task_sid, "webhook_sid": hook.sid}
    assert account.control.contested() == [found]
    assert account.control.outbox() == []
    assert account.customer("Is anybody there?", number=account.conversations_number)["task_sid"] == task_sid
    account.control.agent("write", task_sid=task_sid, body="I am.")
    assert [text["to"] for text in account.control.outbox()] == [CUSTOMER, CUSTOMER]
    assert flow_sid in account.control.outbox()[0]["body"]
    account.customer("STOP", number=account.conversations_number)
    assert len(account.control.outbox()) == 2
    hooks(hook.sid).delete()
    account.customer("START", number=account.conversations_number)
    account.customer("Thank you", number=account.conversations_number)
    assert len(account.control.outbox()) == 2
    assert account.control.contested() == []


def test_a_flow_waits_for_the_task_that_it_made(account: Account) -> None:
    conversation = account.open_conversation()
    account.conversations.conversations(conversation.sid).webhooks.create(
        target="studio", configuration_flow_sid=account.settings["studio_flow_sid"]
    )
    made = account.customer(number=account.conversations_number)
    assert account.customer("Hello?", number=account.conversations_number)["task_sid"] == made["task_sid"]
    assert account.control.outbox() == account.control.contested() == []
    account.control.agent("complete", task_sid=made["task_sid"])
    again = account.customer(number=account.conversations_number)
    assert again["task_sid"] not in (None, made["task_sid"])
    assert account.control.outbox() == account.control.contested() == []


def test_address_configurations(account: Account) -> None:
    addresses = account.conversations.address_configurations
    (born,) = addresses.list()
    assert (born.address, born.auto_creation["type"]) == (account.conversations_number, "studio")
    made = addresses.create(
        type="sms", address=account.number, friendly_name="Second", auto_creation_enabled=True,
        auto_creation_type="webhook", auto_creation_webhook_url="https://example.com",
        auto_creation_webhook_method="post", auto_creation_webhook_filters=["onMessageAdded"],
    )  # fmt: skip
    assert addresses(account.number).fetch().sid == made.sid
    updated = addresses(made.sid).update(friendly_name="Third", auto_creation_type="default")
    assert (updated.friendly_name, updated.auto_creation["type"]) == ("Third", "default")
    assert refused(addresses.create, type="sms", address=account.number) == (400, 20001)
    assert refused(
        addresses.create, type="sms", address="+14155550107", auto_creation_type="studio"
    ) == (400, 20001)  # fmt: skip
    assert addresses.list(type="whatsapp") == []
    assert addresses(made.sid).delete()
    assert refused(addresses(made.sid).fetch) == (404, 20404)
