"""What Twilio does by itself: texts in and out, tasks, the janitor, and the traps of Proxy."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flexsms.sandbox.client import ControlError
from tests.sandbox.conftest import CUSTOMER, Account, refused


def attributes(account: Account, channel_sid: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(account.chat.channels(channel_sid).fetch().attributes)
    return found


def bodies(account: Account, channel_sid: str) -> list[str]:
    return [message.body for message in account.chat.channels(channel_sid).messages.list()]


def send(account: Account, body: str = "Hello Ada", **more: Any) -> Any:
    """The five calls of the outbound recipe."""
    channel = account.open_channel(**more)
    account.open_session(channel.sid)
    account.chat.channels(channel.sid).messages.create(body=body)
    return channel


def deactivate(account: Account, channel_sid: str, *, close: bool = True) -> None:
    merged = {**attributes(account, channel_sid), "long_lived": False, "status": "INACTIVE"}
    account.chat.channels(channel_sid).update(attributes=json.dumps(merged), x_twilio_webhook_enabled="true")
    if close:
        account.proxy.sessions(merged["proxySession"]).update(status="closed")


def test_a_message_becomes_a_text_that_moves(account: Account) -> None:
    channel = send(account)
    (text,) = account.control.outbox()
    assert (text["to"], text["from"], text["body"]) == (CUSTOMER, account.number, "Hello Ada")
    assert (text["status"], text["channel_sid"]) == ("queued", channel.sid)
    account.control.advance(2)
    (text,) = account.control.outbox()
    assert [step for step, _ in text["history"]] == ["queued", "sent", "delivered"]


def test_without_an_open_session_a_message_stays_in_the_chat(account: Account) -> None:
    channel = account.open_channel()
    account.chat.channels(channel.sid).messages.create(body="Nobody hears me")
    session = account.open_session(channel.sid)
    account.proxy.sessions(session.sid).update(status="closed")
    account.control.agent("write", channel_sid=channel.sid, body="Nor me")
    assert account.control.outbox() == []
    assert bodies(account, channel.sid) == ["Nobody hears me", "Nor me"]


def test_numbers_that_cannot_be_reached(account: Account) -> None:
    account.control.settings(sms_outcomes={CUSTOMER: {"status": "undelivered", "error_code": 30003}})
    send(account)
    account.control.advance(2)
    (text,) = account.control.outbox()
    assert (text["status"], text["error_code"]) == ("undelivered", 30003)


def test_a_text_of_more_than_1600_characters_is_not_sent(account: Account) -> None:
    send(account, "x" * 1601)
    assert [(text["status"], text["error_code"]) for text in account.control.outbox()] == [("failed", 21617)]


def test_stop_and_start(account: Account) -> None:
    channel = send(account)
    assert account.customer(" stop ")["outcome"] == "opted_out"
    account.chat.channels(channel.sid).messages.create(body="Are you still there?")
    account.customer("START")
    account.control.agent("write", channel_sid=channel.sid, body="Welcome back")
    codes = [text["error_code"] for text in account.control.outbox()]
    assert codes == [None, 21610, None]
    assert bodies(account, channel.sid)[1:] == ["Are you still there?", "START", "Welcome back"]
    assert account.customer("STOP", "+14155550177") == {
        "outcome": "opted_out", "channel_sid": None, "session_sid": None, "task_sid": None, "message_sid": None,
        "interaction_sid": None, "interaction_channel_sid": None,
    }  # fmt: skip


def test_a_customers_text_enters_through_the_session_and_opens_a_task(account: Account) -> None:
    channel = send(account)
    first = account.customer("Thanks")
    assert first["outcome"] == "session"
    assert (first["channel_sid"], first["task_sid"]) == (channel.sid, channel.task_sid)
    account.control.agent("complete", task_sid=channel.task_sid)
    second = account.customer("One more thing")
    assert second["channel_sid"] == channel.sid
    assert second["task_sid"] not in (None, channel.task_sid)
    task = json.loads(account.workspace.tasks(second["task_sid"]).fetch().attributes)
    assert (task["direction"], task["from"], task["to"]) == ("inbound", CUSTOMER, account.number)
    assert bodies(account, channel.sid) == ["Hello Ada", "Thanks", "One more thing"]
    assert len(account.control.outbox()) == 1


def test_a_first_text_starts_channel_session_and_task(account: Account) -> None:
    result = account.customer("Hello?")
    assert result["outcome"] == "started"
    assert attributes(account, result["channel_sid"])["long_lived"] is True
    session = account.proxy.sessions(result["channel_sid"]).fetch()
    assert (session.sid, session.status) == (result["session_sid"], "in-progress")
    assert attributes(account, result["channel_sid"])["proxySession"] == session.sid
    account.control.agent("accept", task_sid=result["task_sid"])
    account.control.agent("write", task_sid=result["task_sid"], body="Good morning")
    assert [text["body"] for text in account.control.outbox()] == ["Good morning"]
    author = account.control.state()["tables"]["messages"][-1]["author"]
    assert author == "grace"


def test_a_number_of_nobody(account: Account) -> None:
    assert account.customer("Hello?", number="+14155559999")["outcome"] == "unrouted"


def test_a_long_lived_channel_survives_its_task(account: Account) -> None:
    channel = send(account)
    account.control.agent("complete", task_sid=channel.task_sid)
    assert attributes(account, channel.sid)["status"] == "ACTIVE"
    assert account.proxy.sessions(channel.sid).fetch().status == "in-progress"


@pytest.mark.parametrize("side", ["customer", "agent"])
def test_after_deactivation_the_next_contact_starts_anew(account: Account, side: str) -> None:
    channel = send(account)
    account.control.agent("complete", task_sid=channel.task_sid)
    deactivate(account, channel.sid)
    contact = {
        "customer": lambda: account.customer("Me again")["channel_sid"],
        "agent": lambda: send(account).sid,
    }
    fresh = contact[side]()
    assert fresh != channel.sid
    assert attributes(account, fresh)["status"] == "ACTIVE"
    assert attributes(account, fresh)["long_lived"] is True
    assert attributes(account, channel.sid)["status"] == "INACTIVE"


def test_an_inactive_channel_whose_session_is_open_captures_texts(account: Account) -> None:
    """Why clean-up has to close the session."""
    channel = send(account)
    account.control.agent("complete", task_sid=channel.task_sid)
    deactivate(account, channel.sid, close=False)
    result = account.customer("Is anybody there?")
    assert (result["outcome"], result["channel_sid"], result["task_sid"]) == ("captured", channel.sid, None)
    assert bodies(account, channel.sid)[-1] == "Is anybody there?"


def test_a_deleted_channel_whose_session_is_open_loses_texts(account: Account) -> None:
    channel = send(account)
    account.chat.channels(channel.sid).delete()
    result = account.customer("Is anybody there?")
    assert (result["outcome"], result["channel_sid"]) == ("lost", None)


def test_an_active_channel_whose_session_is_closed_gets_it_back(account: Account) -> None:
    channel = send(account)
    session = account.proxy.sessions(channel.sid).fetch()
    account.proxy.sessions(session.sid).update(status="closed")
    result = account.customer("Hello")
    assert (result["outcome"], result["channel_sid"], result["session_sid"]) == (
        "reopened",
        channel.sid,
        session.sid,
    )
    account.proxy.sessions(session.sid).delete()
    result = account.customer("Hello")
    assert (result["outcome"], result["channel_sid"]) == ("reopened", channel.sid)
    assert result["session_sid"] != session.sid


@pytest.mark.parametrize("end", ["complete", "cancel", "delete"])
def test_the_janitor_ends_a_channel_that_is_not_long_lived(account: Account, end: str) -> None:
    number = account.settings["numbers"]["twilio_short_lived"]
    result = account.customer("Hello?", number=number)
    assert attributes(account, result["channel_sid"])["long_lived"] is False
    account.control.agent(end, task_sid=result["task_sid"])
    assert attributes(account, result["channel_sid"])["status"] == "INACTIVE"
    assert account.proxy.sessions.list() == []
    assert account.customer("Again", number=number)["outcome"] == "started"


def test_without_janitor_only_the_agents_desktop_cleans_up(account: Account) -> None:
    flows = account.settings["flex_flow_sids"]
    account.flex.flex_flow(flows["studio_short_lived"]).update(janitor_enabled=False)
    number = account.settings["numbers"]["twilio_short_lived"]
    first = account.customer("Hello?", number=number)
    account.workspace.tasks(first["task_sid"]).update(assignment_status="canceled", reason="by API")
    assert attributes(account, first["channel_sid"])["status"] == "ACTIVE"
    second = account.customer("Still there?", number=number)
    account.control.agent("complete", task_sid=second["task_sid"])
    assert attributes(account, first["channel_sid"])["status"] == "INACTIVE"


def test_a_channel_made_short_lived_ends_with_its_next_task(account: Account) -> None:
    channel = send(account)
    account.chat.channels(channel.sid).update(
        attributes=json.dumps({**attributes(account, channel.sid), "long_lived": False})
    )
    account.control.agent("complete", task_sid=channel.task_sid)
    assert attributes(account, channel.sid)["status"] == "INACTIVE"


def test_a_task_timing_out_cleans_up_too(account: Account) -> None:
    number = account.settings["numbers"]["twilio_short_lived"]
    result = account.customer("Hello?", number=number)
    account.control.advance(86_401)
    assert attributes(account, result["channel_sid"])["status"] == "INACTIVE"


def test_known_agent_routing(account: Account) -> None:
    wanted = account.settings["worker_sids"][2]
    channel = account.open_channel(task_attributes=json.dumps({"targetWorkerSid": wanted}))
    account.control.agent("accept", task_sid=channel.task_sid)
    (event,) = account.workspace.events.list(event_type="reservation.accepted")
    assert event.event_data["worker_sid"] == wanted
    other = account.open_channel("+14155550143")
    account.control.agent("accept", channel_sid=other.sid, worker_sid=account.settings["worker_sids"][1])
    assert account.workspace.events.list(worker_sid=account.settings["worker_sids"][1])


def test_agents_cannot_do_everything(account: Account) -> None:
    channel = account.open_channel()
    account.control.agent("accept", task_sid=channel.task_sid)
    for action, more in (
        ("accept", {"task_sid": channel.task_sid}),
        ("cancel", {"task_sid": channel.task_sid}),
        ("dance", {"task_sid": channel.task_sid}),
        ("complete", {"task_sid": "WT" + "0" * 32}),
        ("write", {"channel_sid": "CH" + "0" * 32}),
    ):
        with pytest.raises(ControlError):
            account.control.agent(action, **more)


def test_the_conflict_of_two_flows_on_one_number(account: Account) -> None:
    """A channel is per flow, a session per number pair: the second channel cannot have a session beside the first."""
    inbound = account.customer("Hello?")["channel_sid"]
    outbound = account.open_channel()
    assert outbound.sid != inbound
    assert refused(account.open_session, outbound.sid) == (400, 80604)
