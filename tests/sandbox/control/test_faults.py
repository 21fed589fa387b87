"""Faults by rule, and actions that land exactly between two requests."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests  # noqa: TID251 (its errors are what a lost connection looks like)
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from flexsms.sandbox.client import ControlError, SandboxProcess
from tests.sandbox.conftest import CUSTOMER, Account, Rewriting, refused


def test_a_status_skipped_once_and_hit_twice(account: Account) -> None:
    account.control.fault(
        name="busy", match={"host": "sync.twilio.com", "method": "post"}, skip=1, times=2,
        action="status", status=429, code=20429, message="Too Many Requests", headers={"Retry-After": "3"},
    )  # fmt: skip
    create = account.sync.documents.create
    create(unique_name="one")
    assert refused(create, unique_name="two") == (429, 20429)
    assert refused(create, unique_name="two") == (429, 20429)
    create(unique_name="two")
    assert account.sync.documents.list()
    (rule,) = account.control.faults()
    assert (rule["seen"], rule["hits"]) == (3, 2)
    journal = account.control.journal()
    assert [(entry["status"], entry["fault"]) for entry in journal] == [
        (201, None), (429, "busy"), (429, "busy"), (201, None), (200, None),
    ]  # fmt: skip
    account.control.clear_faults()
    assert account.control.faults() == []


def test_status_without_code_and_its_headers(account: Account, sandbox: SandboxProcess) -> None:
    account.control.fault(action="status", status=503, headers={"Retry-After": "7"})
    auth = account.settings["account_sid"], account.settings["auth_token"]
    answer = requests.get(f"{sandbox.base_url}/flex-api.twilio.com/v1/FlexFlows", auth=auth, timeout=5)
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, 20503, "7")


def test_matching_by_path_and_form(account: Account) -> None:
    account.control.fault(
        match={"path": r"/Documents$", "form": {"UniqueName": "^b"}}, action="status", status=500
    )
    account.sync.documents.create(unique_name="a")
    assert refused(account.sync.documents.create, unique_name="b") == (500, 20500)
    assert account.sync.documents("a").fetch()


@pytest.mark.parametrize(("action", "stored"), [("drop_before", []), ("drop_after", ["once"])])
def test_lost_connections(account: Account, action: str, stored: list[str]) -> None:
    account.control.fault(action=action, times=1, match={"method": "POST"})
    with pytest.raises(requests.ConnectionError):
        account.sync.documents.create(unique_name="once")
    assert [document.unique_name for document in account.sync.documents.list()] == stored
    assert account.control.journal()[0]["status"] is None


def raw(account: Account, method: str, path: str, **data: str) -> requests.Response:
    """An answer as it arrives; `path` begins with the host."""
    auth = account.settings["account_sid"], account.settings["auth_token"]
    return requests.request(method, f"{account.control.base_url}/{path}", data=data, auth=auth, timeout=5)


def documents_path(account: Account) -> str:
    return f"sync.twilio.com/v1/Services/{account.settings['sync_service_sid']}/Documents"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("<html>Sign in to the Wi-Fi</html>", "text/html"),
        ("[]", "application/json"),
        ('{"sid": "ET', "application/json"),
        ("", "application/json"),
        ("{}", "application/json"),
    ],
)
@pytest.mark.parametrize("applied", [True, False])
def test_an_answer_that_is_not_twilios(account: Account, body: str, content_type: str, applied: bool) -> None:
    account.control.fault(action="answer", body=body, content_type=content_type, applied=applied, times=1)
    answer = raw(account, "POST", documents_path(account), UniqueName="once")
    assert (answer.status_code, answer.text) == (200, body)
    assert answer.headers.get("Content-Type") == (content_type if body else None)
    assert [one.unique_name for one in account.sync.documents.list()] == (["once"] if applied else [])
    assert account.control.journal()[0]["status"] == 200


def test_an_answer_with_a_status_and_headers(account: Account) -> None:
    account.control.fault(
        action="answer", status=502, body="Bad Gateway", content_type="text/plain", headers={"Via": "1.1 x"}
    )
    answer = raw(account, "GET", "flex-api.twilio.com/v1/FlexFlows")
    assert (answer.status_code, answer.text, answer.headers["Via"]) == (502, "Bad Gateway", "1.1 x")


def test_fields_that_are_missing_or_something_else(account: Account) -> None:
    for name in ("a", "b"):
        account.sync.documents.create(unique_name=name)
    account.control.fault(
        action="mangle", times=1,
        drop=["meta.next_page_url", "documents.0.sid", "documents.7", "no.such.place"],
        put={"documents.1.revision": 7, "documents.9": {}, "meta.key": None, "extra": [1]},
    )  # fmt: skip
    found = raw(account, "GET", documents_path(account)).json()
    assert "next_page_url" not in found["meta"]
    assert found["meta"]["key"] is None
    assert [one.get("unique_name") for one in found["documents"]] == ["a", "b"]
    assert "sid" not in found["documents"][0]
    assert found["documents"][1]["revision"] == 7
    assert found["extra"] == [1]
    assert "next_page_url" in raw(account, "GET", documents_path(account)).json()["meta"]


def test_an_answer_that_ends_too_early(account: Account) -> None:
    account.control.fault(action="mangle", cut_bytes=20, times=1)
    answer = raw(account, "POST", documents_path(account), UniqueName="once")
    assert (answer.status_code, len(answer.content)) == (201, 20)
    assert [one.unique_name for one in account.sync.documents.list()] == ["once"]


@pytest.mark.parametrize("cut_bytes", [None, 0, 10, 100_000])
def test_a_connection_that_ends_in_the_middle_of_an_answer(account: Account, cut_bytes: int | None) -> None:
    account.control.fault(action="drop_midway", cut_bytes=cut_bytes, times=1)
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        raw(account, "POST", documents_path(account), UniqueName="once")
    assert [one.unique_name for one in account.sync.documents.list()] == ["once"]
    assert account.control.journal()[0]["status"] is None


def test_an_answer_without_a_body_has_no_middle(account: Account) -> None:
    account.sync.documents.create(unique_name="a")
    account.control.fault(action="drop_midway", match={"method": "DELETE"})
    with pytest.raises(requests.ConnectionError):
        account.sync.documents("a").delete()
    assert account.sync.documents.list() == []


def test_what_a_fault_damages_is_recorded_as_it_was(account: Account, tmp_path: Path) -> None:
    """The contract check sees the sandbox's own answers, and nothing that a test made up."""
    with SandboxProcess(record=str(tmp_path)) as own:
        mine = Account(account.client, own.control, own.settings)
        own.control.fault(action="answer", body="x", times=1)
        own.control.fault(action="answer", body="x", applied=True, times=1)
        own.control.fault(action="mangle", drop=["sid"], cut_bytes=5, times=1)
        for name in ("never", "applied", "mangled"):
            raw(mine, "POST", documents_path(mine), UniqueName=name)
    (file,) = tmp_path.iterdir()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["status"], line["body"]["unique_name"]) for line in lines] == [
        (201, "applied"), (201, "mangled"),
    ]  # fmt: skip


def test_a_late_request_is_applied_although_the_client_has_gone(
    account: Account, sandbox: SandboxProcess
) -> None:
    account.control.fault(action="delay", delay_ms=250, times=1)
    auth = account.settings["account_sid"], account.settings["auth_token"]
    service = account.settings["sync_service_sid"]
    url = f"{sandbox.base_url}/sync.twilio.com/v1/Services/{service}/Documents"
    with pytest.raises(requests.ReadTimeout):
        requests.post(url, data={"UniqueName": "late"}, auth=auth, timeout=0.1)
    assert account.sync.documents.list() == []
    time.sleep(0.3)
    assert [document.unique_name for document in account.sync.documents.list()] == ["late"]


def test_a_text_lands_between_the_fetch_and_the_update_of_a_channel(account: Account) -> None:
    channel = account.open_channel()
    account.open_session(channel.sid)
    account.control.agent("complete", task_sid=channel.task_sid)
    account.control.fault(
        name="the customer is quicker",
        match={"method": "POST", "host": "chat.twilio.com", "path": f"/Channels/{channel.sid}$"},
        times=1,
        before=[{"customer": {"from": CUSTOMER, "to": account.number, "body": "Wait!"}}],
    )
    fetched = account.chat.channels(channel.sid).fetch()
    assert fetched.messages_count == 0
    updated = account.chat.channels(channel.sid).update(attributes='{"status": "INACTIVE"}')
    assert updated.messages_count == 1
    (task,) = account.workspace.tasks.list(assignment_status=["pending"])
    assert json.loads(task.attributes)["channelSid"] == channel.sid


def test_actions_after_a_request(account: Account) -> None:
    channel = account.open_channel()
    account.control.fault(
        match={"method": "GET", "path": "/Channels/"}, times=1,
        after=[
            {"channel_attributes": {"channel_sid": channel.sid, "attributes": {"mine": 1}}},
            {"agent": {"action": "accept", "task_sid": channel.task_sid}},
            {"advance_s": 3600},
        ],
    )  # fmt: skip
    before = account.control.clock()["now_s"]
    assert "mine" not in json.loads(account.chat.channels(channel.sid).fetch().attributes)
    assert json.loads(account.chat.channels(channel.sid).fetch().attributes)["mine"] == 1
    assert account.workspace.tasks(channel.task_sid).fetch().assignment_status == "assigned"
    assert account.control.clock()["now_s"] - before >= 3600


@pytest.mark.parametrize("action", ["drop_before", "status"])
def test_actions_run_although_the_request_is_not_applied(account: Account, action: str) -> None:
    account.control.fault(action=action, times=1, before=[{"advance_s": 50}], after=[{"advance_s": 50}])
    before = account.control.clock()["offset_s"]
    with pytest.raises((requests.ConnectionError, TwilioRestException)):
        account.sync.documents.create(unique_name="a")
    assert account.control.clock()["offset_s"] - before == 100
    assert account.sync.documents.list() == []


def test_a_play_that_fails_is_seen(account: Account) -> None:
    account.control.fault(before=[{"agent": {"action": "complete", "task_sid": "WT0"}}], times=1)
    status, _ = refused(account.sync.documents.create)
    assert status == 400


@pytest.mark.parametrize(
    "rule",
    [
        {"action": "explode"},
        {"match": {"path": "("}},
        {"colour": "red"},
        {"match": {"verb": "GET"}},
        {"match": {"form": {"Body": "(a+)+$"}}},
        {"action": "answer", "body": []},
        {"seen": 5},
    ],
)
def test_rules_that_are_none(account: Account, rule: dict[str, object]) -> None:
    with pytest.raises(ControlError):
        account.control.fault(**rule)
    assert account.control.faults() == []


def test_latency(account: Account) -> None:
    account.control.settings(latency_ms=60)
    begin = time.monotonic()
    account.sync.documents.list()
    assert time.monotonic() - begin >= 0.06


def test_two_requests_never_mix(sandbox: SandboxProcess, account: Account) -> None:
    """Requests in flight at once are applied one after the other: of 20 equal creates, one succeeds."""
    account.control.settings(latency_ms=10)
    clients = [Rewriting(sandbox.base_url) for _ in range(10)]

    def create(http: Rewriting) -> int:
        client = Client(account.settings["account_sid"], account.settings["auth_token"], http_client=http)
        documents = client.sync.v1.services(account.settings["sync_service_sid"]).documents
        try:
            documents.create(unique_name="only one")
        except TwilioRestException as error:
            return int(error.code or 0)
        return 201

    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(create, clients))
    for http in clients:
        http.close()
    assert sorted(found) == [201] + [54301] * 9
