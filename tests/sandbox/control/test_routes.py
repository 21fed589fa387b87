"""The control plane: reset, snapshot, clock, journal, bulk loads, settings."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests  # noqa: TID251 (what the SDK would never send)

from flexsms.sandbox.client import ControlError, SandboxProcess, connection_extra
from tests.sandbox.conftest import CUSTOMER, Account, refused


def test_reset_gives_the_same_account_again(account: Account) -> None:
    first = account.open_channel()
    again = account.control.reset()
    assert again == account.settings
    assert account.workspace.tasks.list() == []
    assert account.open_channel().sid == first.sid
    other = account.control.reset(random_seed=2)
    assert other["account_sid"] != account.settings["account_sid"]
    account.control.reset()


def test_settings(account: Account) -> None:
    assert account.control.settings(latency_ms=1.5)["latency_ms"] == 1.5
    for wrong in ({"colour": "red"}, {"rate_limits": "some"}):
        with pytest.raises(ControlError):
            account.control.settings(**wrong)
    assert account.control.reset(stamp_proxy_session=False)["stamp_proxy_session"] is False
    with pytest.raises(ControlError):
        account.control.reset(seed="novel")


def test_the_extra_of_a_connection(account: Account) -> None:
    extra = connection_extra(account.settings)
    assert extra["stack"] == "chat"
    assert extra["base_url"] == account.settings["base_url"]
    assert set(extra) >= {
        "account_sid", "sync_service_sid", "workspace_sid", "chat_service_sid", "session_service_sid",
    }  # fmt: skip


def test_the_clock_only_moves_forward(account: Account) -> None:
    before = account.control.run_clock()["now_s"]
    assert account.control.advance(3600)["now_s"] - before >= 3600
    with pytest.raises(ControlError):
        account.control.advance(-1)


def test_the_clock_may_stand_still_and_go_on_from_there(account: Account) -> None:
    stands_at = account.control.run_clock(False)["now_s"]
    time.sleep(0.01)
    assert account.control.clock()["now_s"] == pytest.approx(stands_at, abs=0.001)
    assert account.control.advance(60)["now_s"] == pytest.approx(stands_at + 60, abs=0.001)
    went_on = account.control.run_clock()["now_s"]
    assert stands_at + 60 <= went_on < time.time() + 60
    time.sleep(0.01)
    assert account.control.clock()["now_s"] > went_on


def test_snapshot_and_restore(account: Account) -> None:
    channel = account.open_channel()
    account.open_session(channel.sid)
    account.chat.channels(channel.sid).messages.create(body="Hello")
    account.sync.documents.create(unique_name="state", data={"a": 1}, ttl=100)
    account.sync.sync_maps.create(unique_name="m")
    account.sync.sync_maps("m").sync_map_items.create(key="k", data={"b": 2})
    account.customer("STOP")
    account.control.advance(10)
    state = account.control.state()
    account.control.reset()
    assert account.sync.documents.list() == []
    account.control.restore(state)
    assert account.control.state() == state
    assert account.open_channel().sid == channel.sid
    assert account.sync.documents("state").fetch().data == {"a": 1}
    assert account.sync.sync_maps("m").sync_map_items("k").fetch().data == {"b": 2}
    assert account.customer("again")["channel_sid"] == channel.sid
    assert account.control.agent("write", channel_sid=channel.sid, body="x")
    assert account.control.outbox()[-1]["error_code"] == 21610
    account.control.advance(100)
    assert refused(account.sync.documents("state").fetch) == (404, 54300)
    fresh = account.open_channel("+14155550199")
    assert fresh.sid not in {row["sid"] for row in state["tables"]["channels"]}


def test_the_journal(account: Account) -> None:
    account.sync.documents.create(unique_name="a", data={"x": 1})
    account.workspace.tasks.list(assignment_status=["pending", "assigned"])
    first, second = account.control.journal()
    assert (first["method"], first["host"], first["status"]) == ("POST", "sync.twilio.com", 201)
    assert first["path"] == f"/v1/Services/{account.settings['sync_service_sid']}/Documents"
    assert first["form"] == {"UniqueName": "a", "Data": '{"x": 1}'}
    assert second["query"]["AssignmentStatus"] == ["pending", "assigned"]
    assert [entry["n"] for entry in account.control.journal(after=first["n"])] == [second["n"]]
    assert refused(account.sync.documents("b").fetch) == (404, 54300)
    assert account.control.journal(after=second["n"])[0]["code"] == 54300
    account.control.journal_enabled(False)
    account.sync.documents.list()
    account.control.journal_enabled(True)
    account.control.clear_journal()
    assert account.control.journal() == []
    account.sync.documents.list()
    (last,) = account.control.journal(after=second["n"] + 1)
    assert last["n"] > second["n"]


def test_bulk_loads(account: Account) -> None:
    made = account.control.load(
        documents=[{"unique_name": f"d{n}", "data": {"n": n}, "ttl": 60} for n in range(3)],
        channels=[
            {"customer": CUSTOMER, "name": "Ada", "attributes": {"mine": 1}, "session": True},
            {"customer": "+14155550143", "flow": "studio"},
        ],
    )
    assert account.sync.documents(made["documents"][2]).fetch().data == {"n": 2}
    first, second = made["channels"]
    assert account.open_channel().sid == first
    assert '"mine":1' in account.chat.channels(first).fetch().attributes
    assert account.proxy.sessions(first).fetch().status == "open"
    closed = account.control.load(sessions=[{"channel_sid": second, "status": "closed"}])["sessions"]
    assert account.proxy.sessions(closed[0]).fetch().status == "closed"
    (task,) = account.control.tasks([second])["tasks"]
    assert account.workspace.tasks(task).fetch().assignment_status == "assigned"
    refused_loads: list[dict[str, Any]] = [
        {"sessions": [{"channel_sid": "CH0"}]},
        {"channels": [{"customer": CUSTOMER, "flow": "none"}]},
        {"pigeons": []},
    ]
    for wrong in refused_loads:
        with pytest.raises(ControlError):
            account.control.load(**wrong)
    with pytest.raises(ControlError):
        account.control.tasks(["CH0"])


def test_events_in_bulk_are_as_many_as_asked_for(account: Account) -> None:
    made = account.control.events(channels=20, events=200, hours=10)
    assert (made["events"], len(made["channels"])) == (200, 20)
    more = account.control.events(channel_sids=made["channels"][:2], events=14)
    assert more["events"] == 14


def test_a_mistake_of_the_sandbox_itself_is_told(account: Account) -> None:
    """A row that its shape cannot show is the nearest thing to a bug that a test can bring about."""
    with SandboxProcess() as sandbox:
        state = sandbox.control.state()
        state["tables"]["services"][1]["created"] = "yesterday"
        sandbox.control.restore(state)
        answer = requests.get(
            f"{sandbox.base_url}/sync.twilio.com/v1/Services",
            auth=(sandbox.settings["account_sid"], sandbox.settings["auth_token"]),
            timeout=5,
        )
        assert (answer.status_code, answer.json()["code"]) == (500, 20500)
        assert "ValueError" in sandbox.control.health()["errors"][0]


def test_actions(account: Account) -> None:
    results: list[Any] = account.control.perform(
        {"customer": {"from": CUSTOMER, "to": account.number, "body": "Hi"}}, {"advance_s": 5}
    )
    assert results[0]["outcome"] == "started"
    with pytest.raises(ControlError):
        account.control.perform({"dance": {}})


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "nothing", None),
        ("POST", "customer", {"from": "x"}),
        ("POST", "agent", {"action": "accept", "a": 1}),
    ],
)
def test_mistakes_are_named(account: Account, method: str, path: str, body: dict[str, Any] | None) -> None:
    with pytest.raises(ControlError):
        account.control.call(method, path, body)
