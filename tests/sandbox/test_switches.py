"""What Twilio leaves open, both ways. The default is tested where the behaviour is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests  # noqa: TID251 (what the SDK would never send)
from twilio.base.exceptions import TwilioRestException

from flexsms.sandbox.client import ControlError, SandboxProcess
from tests.sandbox.conftest import CUSTOMER, Account, refused


@pytest.mark.parametrize(
    "wrong",
    [
        {"second_interaction": "perhaps"},
        {"pair_taken_code": 1},
        {"pair_taken_code": "80604"},
        {"stream_paused": 1},
        {"latency_ms": True},
        {"latency_ms": "1"},
        {"forbidden_hosts": "*"},
        {"sms_outcomes": []},
        {"no_such_switch": 1},
    ],
)
def test_a_switch_takes_what_it_may_be(account: Account, wrong: dict[str, Any]) -> None:
    before = account.control.settings()
    with pytest.raises(ControlError, match=next(iter(wrong))):
        account.control.settings(sms_step_s=7, **wrong)
    assert account.control.settings() == before


def test_every_switch_says_what_it_does(account: Account) -> None:
    account.control.settings(latency_ms=3)
    switches = {one["name"]: one for one in account.control.switches()}
    for one in switches.values():
        assert one["doc"].endswith("."), one["name"]
        assert one["source"] in ("", "nobody documents it") or one["source"].startswith("https://")
        assert not one["values"] or one["default"] in one["values"]
    assert (switches["latency_ms"]["value"], switches["latency_ms"]["default"]) == (3, 0)
    assert switches.keys() <= account.settings.keys()


def test_switches_at_the_start() -> None:
    switches = {
        "inactive_holds_pair": False,
        "sync_missing": "object",
        "sms_step_s": 2,
        "kinesis_endpoint": "x",
    }
    with SandboxProcess(switches=switches) as own:
        assert own.settings.items() >= switches.items()
    with (
        pytest.raises(RuntimeError, match="sync_missing is "),
        SandboxProcess(switches={"sync_missing": "?"}),
    ):
        pass


# What every product has


def get(account: Account, path: str) -> requests.Response:
    auth = account.settings["account_sid"], account.settings["auth_token"]
    return requests.get(f"{account.control.base_url}/{path}", auth=auth, timeout=5)


@pytest.mark.parametrize(("size", "taken"), [(0, 1), (1001, 1000)])
def test_a_page_size_out_of_bounds(account: Account, tmp_path: Path, size: int, taken: int) -> None:
    path = f"flex-api.twilio.com/v1/FlexFlows?PageSize={size}"
    assert get(account, path).json()["code"] == 20001
    # Recorded apart from the rest of the run, because Twilio's documents do not allow the request.
    with SandboxProcess(record=str(tmp_path), switches={"page_size_out_of_bounds": "clamped"}) as own:
        clamped = Account(account.client, own.control, own.settings)
        assert get(clamped, path).json()["meta"]["page_size"] == taken


def test_a_page_without_a_token(account: Account) -> None:
    path = "flex-api.twilio.com/v1/FlexFlows?Page=1&PageSize=1"
    first = get(account, "flex-api.twilio.com/v1/FlexFlows?Page=0&PageSize=1").json()
    assert get(account, path).json()["flex_flows"] == first["flex_flows"]
    account.control.settings(page_without_token="refused")
    assert get(account, path).json()["code"] == 20001
    assert len(account.flex.flex_flow.list(page_size=1)) > 1


def test_a_replica_that_is_behind(account: Account) -> None:
    """It has not heard of what is new, and knows the rest; it is read now and then."""
    old = account.sync.documents.create(unique_name="old")
    channel = account.open_channel()
    interaction = account.open_interaction()
    account.control.settings(replica_share=1.0, replica_lag_s=10)
    reads = [
        account.sync.documents("old").fetch,
        account.chat.channels(channel.sid).fetch,
        account.flex.channel(channel.sid).fetch,
        account.flex.interaction(interaction.sid).fetch,
        account.flex.interaction(interaction.sid).channels(interaction.channel["sid"]).fetch,
        account.workspace.tasks(channel.task_sid).fetch,
    ]
    for read in reads:
        assert refused(read) == (404, 20404)
    assert [one.sid for one in account.sync.documents.list()] == [old.sid]
    assert refused(account.sync.documents.create, unique_name="old") == (409, 54301)
    account.control.advance(11)
    assert all(read() for read in reads)
    account.control.settings(replica_share=0.5, replica_lag_s=1e9)

    document = old.url.removeprefix("https://")
    assert {get(account, document).status_code for _ in range(40)} == {200, 404}


# Sync and TaskRouter


@pytest.mark.parametrize(
    ("switch", "codes"),
    [("unique_name", (54300, 54300)), ("object", (54100, 54200)), ("generic", (20404, 20404))],
)
def test_the_code_of_what_sync_does_not_have(account: Account, switch: str, codes: tuple[int, int]) -> None:
    account.control.settings(sync_missing=switch)
    assert refused(account.sync.documents("none").fetch) == (404, codes[0])
    assert refused(account.sync.sync_maps("none").fetch) == (404, codes[1])
    assert refused(account.sync.sync_maps("none").sync_map_items.create, key="k", data={}) == (404, codes[1])
    assert refused(account.sync.documents("ET" + "0" * 32).fetch) == (404, 54100)


def kinds(account: Account) -> list[str]:
    return [event.event_type for event in account.workspace.events.list(page_size=2)]


def test_events_without_further_pages(account: Account) -> None:
    for _ in range(3):
        account.workspace.tasks.create()
    assert len(kinds(account)) == 3
    account.control.settings(event_pages=False)
    assert len(kinds(account)) == 2


def test_events_that_are_late(account: Account) -> None:
    account.control.settings(event_list_delay_s=60)
    account.workspace.tasks.create()
    (late,) = account.control.state()["tables"]["events"]
    account.control.advance(59)
    assert kinds(account) == []
    assert refused(account.workspace.events(late["sid"]).fetch) == (404, 20404)
    account.control.advance(1)
    assert kinds(account) == ["task.created"]
    assert account.workspace.events(late["sid"]).fetch().event_date_ms == late["ms"]


def test_events_that_come_in_another_order(account: Account) -> None:
    account.control.settings(event_list_jitter_s=600)
    for _ in range(20):
        account.workspace.tasks.create()
        account.control.advance(1)
    ordered = [row["sid"] for row in account.control.state()["tables"]["events"]]
    seen: list[str] = []
    for _ in range(61):
        account.control.advance(10)
        listed = {event.sid for event in account.workspace.events.list(minutes=60)}
        assert listed >= set(seen)
        seen += [sid for sid in ordered if sid in listed and sid not in seen]
    assert sorted(seen) == sorted(ordered)
    assert seen != ordered


# Programmable Chat and Proxy


def test_a_channel_that_is_given_back_without_a_task(account: Account) -> None:
    account.control.settings(channel_reuse_opens_task=False)
    first = account.open_channel()
    account.open_session(first.sid)
    assert account.workspace.tasks(first.task_sid).fetch().assignment_status == "pending"
    account.control.agent("complete", task_sid=first.task_sid)
    again = account.open_channel()
    assert (again.sid, again.task_sid) == (first.sid, first.task_sid)
    assert account.workspace.tasks.list(assignment_status=["pending"]) == []
    assert account.customer()["task_sid"] not in (None, first.task_sid)


@pytest.mark.parametrize("end", ["inactive", "deleted"])
def test_a_session_that_leads_nowhere_lets_the_customer_go(account: Account, end: str) -> None:
    channel = account.open_channel()
    session = account.open_session(channel.sid)
    if end == "inactive":
        account.chat.channels(channel.sid).update(attributes=json.dumps({"status": "INACTIVE"}))
    else:
        account.chat.channels(channel.sid).delete()
    assert account.customer()["outcome"] == {"inactive": "captured", "deleted": "lost"}[end]
    account.control.settings(dead_session_captures=False)
    fresh = account.customer("Hello again")
    assert (fresh["outcome"], fresh["channel_sid"] != channel.sid) == ("started", True)
    assert account.proxy.sessions(session.sid).fetch().status == "closed"
    assert account.customer("And again")["channel_sid"] == fresh["channel_sid"]


# Messages, conversations


@pytest.mark.parametrize("code", [50503, 20001])
def test_a_message_without_a_body(account: Account, code: int) -> None:
    account.control.settings(empty_message_code=code)
    conversation, channel = account.open_conversation(), account.open_channel()
    one = account.conversations.conversations(conversation.sid)
    assert refused(one.messages.create) == refused(one.messages.create, body="") == (400, code)
    assert refused(account.chat.channels(channel.sid).messages.create, body="") == (400, code)


def test_an_inactive_conversation_that_lets_its_pair_go(account: Account) -> None:
    account.control.settings(inactive_holds_pair=False)
    first = account.conversations.conversations(account.open_conversation().sid)
    assert refused(account.join, account.conversations.conversations.create().sid) == (409, 50416)
    first.update(state="inactive")
    first.update(state="active")
    first.update(state="inactive")
    fresh = account.customer(number=account.conversations_number)
    assert (fresh["outcome"], fresh["channel_sid"] != first.fetch().sid) == ("started", True)
    with pytest.raises(TwilioRestException, match=fresh["channel_sid"]) as caught:
        first.update(state="active")
    assert (caught.value.status, caught.value.code) == (409, 50416)
    assert first.messages.create(body="Are you there?").body  # its pair is somebody else's by now
    assert first.fetch().state == "inactive"
    account.conversations.conversations(fresh["channel_sid"]).update(state="closed")
    assert first.messages.create(body="Are you there?").body
    assert first.fetch().state == "active"
    assert account.customer(number=account.conversations_number)["channel_sid"] == first.fetch().sid


def test_the_pair_follows_the_switch(account: Account) -> None:
    first = account.conversations.conversations(account.open_conversation().sid)
    first.update(state="inactive")
    other = account.conversations.conversations.create().sid
    assert refused(account.join, other) == (409, 50416)
    account.control.settings(inactive_holds_pair=False)
    assert account.join(other)


def test_a_timer_lets_the_pair_go(account: Account) -> None:
    account.control.settings(inactive_holds_pair=False)
    first = account.open_conversation(timers_inactive="PT1M", state="active")
    account.control.advance(61)
    assert account.conversations.conversations(first.sid).fetch().state == "inactive"
    assert account.open_conversation().sid


def test_a_message_that_does_not_reactivate(account: Account) -> None:
    account.control.settings(message_reactivates=False)
    first = account.conversations.conversations(account.open_conversation().sid)
    first.update(state="inactive")
    first.messages.create(body="Hello")
    written = account.customer(number=account.conversations_number)
    assert (written["outcome"], written["channel_sid"]) == ("conversation", first.fetch().sid)
    assert first.fetch().state == "inactive"


def test_several_configurations_of_a_number(account: Account) -> None:
    create = account.conversations.address_configurations.create
    again = {"type": "sms", "address": account.conversations_number, "auto_creation_enabled": True}
    assert refused(create, **again) == (400, 20001)
    account.control.settings(one_address_per_number=False)
    made = create(**again)
    assert len(account.conversations.address_configurations.list()) == 2
    assert account.customer(frm=CUSTOMER, number=account.conversations_number)["task_sid"]
    assert account.conversations.address_configurations(made.sid).delete()
