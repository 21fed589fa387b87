"""What Event Streams tells of texts, to who has subscribed to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.conftest import CUSTOMER, Account
from tests.sandbox.products.test_event_streams import COMPLETED, make_sink, subscribe
from tests.support.webhook_receiver import Receiver

OTHER = "+14155550143"
RECEIVED = "com.twilio.messaging.inbound-message.received"
STEPS = [
    f"com.twilio.messaging.message.{name}"
    for name in ("queued", "sent", "delivered", "undelivered", "failed")
]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def stream(account: Account, receiver: Receiver, *types: str) -> None:
    where = {"destination": f"{receiver.base_url}/hook", "method": "POST", "batch_events": True}
    subscribe(account, make_sink(account, configuration=where).sid, *({"type": one} for one in types))


def told(account: Account, receiver: Receiver, text: Any) -> list[tuple[str, int | None]]:
    """The status of each event of a text, and its code."""
    account.control.delivered()
    found = [event["data"] for event in receiver.events if event["data"]["messageSid"] == text.sid]
    found.sort(key=lambda one: one["timestamp"])
    return [(one["messageStatus"], one.get("errorCode")) for one in found]


def messages(account: Account) -> Any:
    return account.client.api.v2010.accounts(account.settings["account_sid"]).messages


def test_each_step_of_a_text(account: Account, receiver: Receiver) -> None:
    stream(account, receiver, *STEPS)
    account.control.settings(sms_outcomes={OTHER: {"status": "undelivered", "error_code": 30003}})
    conversation = account.conversations.conversations(account.open_conversation().sid)
    conversation.messages.create(body="Hello " + "x" * 160)
    [sent] = messages(account).list()
    lost = messages(account).create(to=OTHER, from_=account.number, body="Hello")
    account.control.advance(5)
    assert told(account, receiver, sent) == [("SENT", None), ("DELIVERED", None)]
    assert told(account, receiver, lost) == [("SENT", None), ("UNDELIVERED", 30003)]
    [event] = [one for one in receiver.events if one["type"] == "com.twilio.messaging.message.delivered"]
    assert event["dataschema"] == "https://events-schemas.twilio.com/Messaging.MessageStatus/8"
    data = event["data"]
    assert set(data) == {
        "messageSid", "timestamp", "accountSid", "eventName", "apiVersion", "from", "to", "messageStatus", "body",
        "numberOfSegments", "dateUpdated", "rawDlrDoneDate",
    }  # fmt: skip
    assert (data["messageSid"], data["eventName"]) == (sent.sid, event["type"])
    assert (data["from"], data["to"], data["numberOfSegments"]) == (account.conversations_number, CUSTOMER, 2)
    assert data["timestamp"] < event["time"]


def test_who_has_opted_out_is_a_failed_text(account: Account, receiver: Receiver) -> None:
    stream(account, receiver, *STEPS)
    account.customer("STOP")
    channel = account.open_channel()
    account.open_session(channel.sid)
    account.chat.channels(channel.sid).messages.create(body="Hello")
    [failed] = [one for one in messages(account).list() if one.error_code]
    assert told(account, receiver, failed) == [("FAILED", 21610)]


def test_a_text_that_arrives(account: Account, receiver: Receiver) -> None:
    stream(account, receiver, RECEIVED, COMPLETED)
    task_sid = account.customer("Hello?")["task_sid"]
    account.customer("STOP")
    account.control.agent("complete", task_sid=task_sid)
    account.control.delivered()
    assert sorted(one["type"] for one in receiver.events) == [RECEIVED, RECEIVED, COMPLETED]
    received = {one["data"]["body"]: one for one in receiver.events if one["type"] == RECEIVED}
    assert set(received) == {"Hello?", "STOP"}
    first = received["Hello?"]
    assert first["dataschema"] == "https://events-schemas.twilio.com/Messaging.InboundMessageV1/6"
    data = first["data"]
    assert (data["from"], data["to"], data["numMedia"], data["numSegments"]) == (
        CUSTOMER,
        account.number,
        0,
        1,
    )
    assert messages(account)(data["messageSid"]).fetch().body == "Hello?"


def test_what_nobody_has_subscribed_to_is_not_kept(account: Account, receiver: Receiver) -> None:
    stream(account, receiver, STEPS[2])
    messages(account).create(to=CUSTOMER, from_=account.number, body="Hello")
    account.customer("Hello?")
    account.control.advance(5)
    assert account.control.delivered()["delivered"] == 1
    state = account.control.state()
    assert len(state["tables"]["message_events"]) == 1
    account.control.restore(state)
    assert account.control.state() == state
