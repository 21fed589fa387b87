"""`flexsms doctor`: each kind of wrong has a line that says what to do, and an exit status."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from twilio.request_validator import RequestValidator

from flexsms.cli import main as cli
from flexsms.cli.doctor import examine
from flexsms.core.checks import Finding, Verdict
from flexsms.core.setup_report import EVENT_TYPES, STREAM_NAME, webhook
from flexsms.hooks.twilio import TwilioHook
from flexsms.sandbox.client import SandboxProcess
from flexsms.sources.object_storage import name_at
from flexsms.twilio.account import Account
from flexsms.twilio.setup.event_streams import Patience
from flexsms.twilio.setup.run import Wishes, set_up
from flexsms.web.app import create_app
from flexsms.web.connection_cache import Desk
from tests.support.kinesis_server import KinesisServer

NUMBER = "+14155550177"
KINDS = list(EVENT_TYPES)
AT_ONCE = Patience(active=timedelta(), drain=timedelta())
Connect = Callable[..., None]


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command changes of its process ends with the test."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 1)


@pytest.fixture
def connection(
    sandbox: SandboxProcess, connection_extra: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Connect:
    """`twilio_default` leads to the sandbox; call it to change its extra, its login or its password."""

    def connect(login: str = "", password: str = "", **extra: Any) -> None:
        value = {
            "conn_type": "twilio",
            "login": login or sandbox.settings["account_sid"],
            "password": password or sandbox.settings["auth_token"],
            "extra": {**connection_extra, "timeout_s": 2, **extra},
        }
        monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", json.dumps(value))

    connect()
    return connect


class Receiver(BaseHTTPRequestHandler):
    """Answers a post that is signed with the server's key by its `taken`, every other by its `refused`."""

    def do_POST(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        signature = self.headers["X-Twilio-Signature"] or ""
        validator = RequestValidator(server.key)  # type: ignore[no-untyped-call]
        url = f"http://{self.headers['Host']}{self.path}"
        # The SDK asks for no digest, and takes a body without one as it comes.
        is_genuine = "bodySHA256=" in url and validator.validate(url, body, signature)  # type: ignore[no-untyped-call]
        server.posts.append((body, is_genuine))
        self.send_response(server.taken if is_genuine else server.refused)
        self.send_header("Location", "/login")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Silent."""


@pytest.fixture
def receiver(sandbox: SandboxProcess) -> Iterator[Any]:
    """Something that takes posts like the web app, until it is told otherwise."""
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.refused, server.taken, server.posts = 403, 204, []  # type: ignore[attr-defined]
        server.key = sandbox.settings["auth_token"]  # type: ignore[attr-defined]
        server.url = f"http://127.0.0.1:{server.server_port}/flexsms/events"  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def findings(**options: Any) -> dict[str, Finding]:
    """By what they are about; every one is there once."""
    found = examine("twilio_default", **options)
    assert len({one.about for one in found}) == len(found)
    return {one.about: one for one in found}


def wrong(**options: Any) -> dict[str, str]:
    return {name: one.text for name, one in findings(**options).items() if one.verdict is Verdict.WRONG}


def with_account(work: Callable[[Account], Any]) -> Any:
    return TwilioHook().run(work)


def stream(url: str) -> None:
    with_account(lambda account: set_up(account, Wishes(events_url=url)))


@pytest.mark.parametrize("stack", ["chat", "conversations"])
def test_nothing_is_wrong_with_a_whole_account(
    stack: str, connection: Connect, receiver: Any, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    connection(stack=stack, events_url=receiver.url, inbox_path=f"file://{tmp_path}")
    stream(receiver.url)
    sandbox.control.clear_journal()
    found = findings()
    assert {name for name, one in found.items() if one.verdict is Verdict.WRONG} == set()
    asked = {"chat": ["Chat", "Proxy", "Flex"], "conversations": ["Conversations", "Interactions"]}[stack]
    assert {
        "Connection",
        "Sync",
        "TaskRouter",
        *asked,
        "Numbers",
        "Sink",
        "Subscription",
        "Last event",
    } <= set(found)
    assert {"Rejected posts", "Signature", "Events URL", "Clock", "Rate limits"} <= set(found)
    assert all(entry["method"] == "GET" for entry in sandbox.control.journal())
    assert receiver.posts == [("[]", False), ("[]", True)]
    assert "+1415" not in repr(found)


def test_no_connection() -> None:
    home = os.environ["AIRFLOW_HOME"]
    assert examine("nowhere") == [
        Finding(
            "Connection",
            Verdict.WRONG,
            "Airflow has no connection 'nowhere'; create it with type 'twilio', or give another --conn-id. "
            f"This Airflow was asked: AIRFLOW_HOME {home}, database sqlite:///{home}/airflow.db.",
        )
    ]


def test_the_database_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql+psycopg2://ada:very-secret@db.example.com/airflow"
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", url)
    [found] = examine("nowhere")
    assert "database postgresql+psycopg2://ada:***@db.example.com/airflow." in found.text


def test_a_wrong_field_of_the_connection(connection: Connect) -> None:
    connection(timeout_s="soon")
    assert "timeout_s: is 'soon'" in wrong()["Connection"]


def test_a_misspelt_field_of_the_connection(connection: Connect) -> None:
    connection(workspacesid="WS", timeout_s="soon")
    assert wrong()["Extra"] == "The extra has no field 'workspacesid'; did you mean workspace_sid?"
    connection(workspacesid="WS")
    assert list(wrong()) == ["Extra"]


def test_wrong_credentials_are_one_line(connection: Connect) -> None:
    connection(password="nonsense")
    assert list(findings()) == ["Connection", "Credentials"]
    assert "check login and password" in wrong()["Credentials"]


def test_a_key_without_rights_is_one_line_that_names_every_product(
    connection: Connect, sandbox: SandboxProcess
) -> None:
    settings = sandbox.settings
    connection(login=settings["restricted_key_sid"], password=settings["restricted_key_secret"])
    told = wrong()
    assert list(told) == ["Credentials"]
    assert told["Credentials"].endswith("None of these can be used: Sync, TaskRouter, Chat, Proxy, Flex.")


def test_whether_lists_of_tasks_tell_what_is_in_use(connection: Connect, sandbox: SandboxProcess) -> None:
    assert findings()["Open tasks"].text.startswith("there is none just now")
    workspace = sandbox.settings["workspace_sid"]
    with_account(lambda account: account.client.taskrouter.v1.workspaces(workspace).tasks.create_async())
    assert findings()["Open tasks"] == Finding(
        "Open tasks", Verdict.OK, "TaskRouter's lists show their attributes"
    )
    sandbox.control.settings(task_list_attributes=False)
    found = findings()["Open tasks"]
    assert (found.verdict, found.text) == (
        Verdict.NOTE,
        "TaskRouter's lists do not show their attributes; cleanup fetches each task, which is one call more",
    )
    sandbox.control.fault(
        match={"host": "taskrouter.twilio.com", "path": "/Tasks/WT"}, action="status", status=503, times=9
    )
    assert "nobody can tell which channel it is about" in wrong()["Open tasks"]


@pytest.mark.parametrize("answer", ["403 20403", "403 20003", "401 20003", "401 70051"])
def test_a_key_without_rights_for_one_product_names_that(
    connection: Connect, sandbox: SandboxProcess, answer: str
) -> None:
    settings = sandbox.settings
    sandbox.control.settings(forbidden_hosts=["sync.twilio.com"], forbidden_answer=answer)
    connection(
        login=settings["restricted_key_sid"],
        password=settings["restricted_key_secret"],
        account_sid=settings["account_sid"],
    )
    told = wrong()
    assert list(told) == ["Sync"]
    assert "the key is good for other calls, so it lacks the permission for Sync" in told["Sync"]
    assert "check login and password" not in told["Sync"]
    works, sentence = TwilioHook().test_connection()
    assert not works
    assert "it lacks the permission for Sync" in sentence


def test_a_login_of_another_account_is_named(connection: Connect, sandbox: SandboxProcess) -> None:
    settings, other = sandbox.settings, "AC" + "b" * 32
    connection(account_sid=other)
    assert "account_sid: is another account than login" in wrong()["Connection"]
    # An API key does not tell its account, but what it is shown does.
    connection(login=settings["api_key_sid"], password=settings["api_key_secret"], account_sid=other)
    told = wrong()["Account"]
    assert (
        f"the login is of {settings['account_sid']}, on which Sync acts, and account_sid is {other}" in told
    )
    works, sentence = TwilioHook().test_connection()
    assert not works
    assert "Account: the login is of" in sentence
    connection(account_sid=f"AC{settings['account_sid'][2:].upper()}")
    assert "Account" not in findings()


def test_conversations_that_are_not_in_the_default_service(
    connection: Connect, sandbox: SandboxProcess
) -> None:
    flex = sandbox.settings["chat_service_sid"]
    connection(stack="conversations")
    assert findings()["Flex's conversations"] == Finding("Flex's conversations", Verdict.OK, f"are in {flex}")
    other = with_account(
        lambda account: account.client.conversations.v1.services.create_async(friendly_name="Tickets")
    ).sid
    sandbox.control.settings(default_conversations_service=other)
    assert wrong()["Flex's conversations"] == (
        f"are in {flex}, and the account's default service is {other}; set conversations_service_sid to {flex}"
    )
    connection(stack="conversations", conversations_service_sid=flex)
    found = findings()
    assert found["Flex's conversations"].verdict is Verdict.OK
    assert found["Conversations service"].verdict is Verdict.OK
    sandbox.control.settings(default_conversations_service="")
    connection(stack="conversations", conversations_service_sid=other)
    assert wrong()["Flex's conversations"] == (
        f"are in {flex}, and conversations_service_sid is {other}; leave that field empty"
    )
    sandbox.control.fault(
        match={"host": "flex-api.twilio.com", "path": "/v1/Configuration"},
        action="status",
        status=403,
        times=1,
    )
    assert findings()["Flex's conversations"].verdict is Verdict.NOTE


def test_a_wrong_product(connection: Connect) -> None:
    connection(session_service_sid="KS" + "0" * 32, workspace_sid="")
    told = wrong()
    assert told["Proxy"] == f"session_service_sid names nothing in this account; correct it (KS{'0' * 32})."
    assert told["TaskRouter"].startswith(
        "Connection field workspace_sid: is empty; give WS and 32 hexadecimal"
    )
    # What cannot be asked without the workspace says nothing of its own.
    assert told["TaskRouter"].endswith("The same stops: Last event.")
    assert set(told) == {"Proxy", "TaskRouter"}


def test_a_workspace_that_is_missing_says_nothing_of_what_is_in_it(connection: Connect) -> None:
    connection(
        stack="conversations", workspace_sid="", workflow_sid="WW" + "0" * 32, queue_sid="WQ" + "0" * 32
    )
    assert list(wrong()) == ["TaskRouter"]
    connection(stack="conversations", workspace_sid="WS" + "0" * 32)
    assert not {"Workflow", "Queue"} & set(wrong())


def test_nobody_there_is_one_line(connection: Connect) -> None:
    connection(base_url="http://127.0.0.1:9")
    assert list(findings()) == ["Connection", "Network"]
    assert wrong()["Network"].endswith("; check the network and base_url.")


def test_what_stops_several_checks_is_said_once(connection: Connect, sandbox: SandboxProcess) -> None:
    sandbox.control.fault(match={"host": "flex-api.twilio.com"}, action="status", status=503, times=99)
    told = wrong()
    assert list(told) == ["Flex"]
    assert told["Flex"].endswith("The same stops: Numbers.")


def test_a_proxy_on_the_way_is_named(connection: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    connection(base_url="", events_url="https://airflow.example/flexsms/events")
    told = wrong()
    assert list(told) == ["Network"]
    assert "no connection to the HTTP proxy 127.0.0.1:9" in told["Network"]


# Numbers


def test_a_number_that_is_asked_for_has_to_be_complete(connection: Connect, sandbox: SandboxProcess) -> None:
    numbers = sandbox.settings["numbers"]
    assert wrong(number=NUMBER) == {"Number …0177": "is not set up; run flexsms setup --number … --write"}
    assert wrong(number=numbers["twilio"]) == {}
    assert "is not long-lived" in wrong(number=numbers["twilio_short_lived"])["Number …0101"]
    connection(stack="conversations")
    assert wrong(number=numbers["conversations"]) == {}
    assert "is not set up" in wrong(number=NUMBER)["Number …0177"]


def test_a_wrong_number_is_named(connection: Connect) -> None:
    assert "number: has no country code" in wrong(number="0177")["Connection"]


def test_numbers_of_others_are_only_noted(connection: Connect) -> None:
    found = findings()
    assert found["Numbers"].text == "…0100 is complete"
    assert found["Number …0101"].verdict is Verdict.NOTE


def test_when_no_number_is_complete_that_is_wrong(connection: Connect, sandbox: SandboxProcess) -> None:
    async def spoil(account: Account) -> None:
        flows = account.client.flex_api.v1.flex_flow
        await flows(sandbox.settings["flex_flow_sids"]["studio"]).update_async(enabled=False)

    with_account(spoil)
    told = wrong()
    assert "is not enabled" in told["Number …0100"]
    assert "is not long-lived" in told["Number …0101"]

    async def remove(account: Account) -> None:
        for flow in await account.client.flex_api.v1.flex_flow.list_async():
            if str(flow.integration_type) == "task" and flow.contact_identity.endswith("0100"):
                await account.client.flex_api.v1.flex_flow(flow.sid).delete_async()

    with_account(remove)
    assert "has no Flex Flow of type task" in wrong()["Number …0100"]


def test_an_address_that_does_not_run_studio(connection: Connect, sandbox: SandboxProcess) -> None:
    connection(stack="conversations")
    sid = sandbox.settings["address_sid"]

    async def spoil(account: Account) -> None:
        await account.client.conversations.v1.address_configurations(sid).update_async(
            auto_creation_enabled=False
        )

    with_account(spoil)
    assert f"{sid} does not create conversations with Studio" in wrong()["Number …0102"]

    async def remove(account: Account) -> None:
        await account.client.conversations.v1.address_configurations(sid).delete_async()

    with_account(remove)
    assert "no number is set up" in wrong()["Numbers"]


def test_many_numbers_are_summed_up(connection: Connect, sandbox: SandboxProcess) -> None:
    async def more(account: Account) -> None:
        for ending in range(10, 18):
            await account.client.flex_api.v1.flex_flow.create_async(
                friendly_name="x",
                chat_service_sid=sandbox.settings["chat_service_sid"],
                channel_type="sms",  # type: ignore[arg-type]
                contact_identity=f"+121255501{ending}",
                integration_type="studio",  # type: ignore[arg-type]
                integration_flow_sid=sandbox.settings["studio_flow_sid"],
            )

    with_account(more)
    found = [one for one in examine("twilio_default") if one.about.startswith("Number")]
    assert len(found) == 7
    assert found[-1].text == "4 more are not complete; ask for one with --number"


# Where texts lead


def fixtures(sandbox: SandboxProcess, change: Callable[[list[dict[str, Any]]], None]) -> None:
    """Change what the account has that can only be looked at."""
    state = sandbox.control.state()
    change(state["tables"]["fixtures"])
    sandbox.control.restore(state)


def another(rows: list[dict[str, Any]], sid: str, new_sid: str, **changes: Any) -> None:
    """Add one like another."""
    [row] = [row for row in rows if row["sid"] == sid]
    rows.append({**row, "sid": new_sid, "seq": 10_000 + len(rows), **changes})


def test_a_workflow_that_flex_cannot_guess(connection: Connect, sandbox: SandboxProcess) -> None:
    connection(stack="conversations", workflow_sid="")
    only = sandbox.settings["workflow_sid"]
    assert findings()["Workflow"].text == f"{only} is the workspace's only one"
    fixtures(sandbox, lambda rows: another(rows, only, "WW" + "1" * 32, name="Another"))
    assert wrong() == {
        "Workflow": "workflow_sid is empty, and the workspace has several; give one, or route agent fails"
    }
    connection(stack="conversations", workflow_sid=only)
    assert wrong() == {}
    connection(stack="conversations", workflow_sid="")

    def none(rows: list[dict[str, Any]]) -> None:
        rows[:] = [row for row in rows if not row["sid"].startswith("WW")]

    fixtures(sandbox, none)
    assert "the workspace has none" in wrong()["Workflow"]


def test_a_studio_flow_that_does_not_answer(connection: Connect, sandbox: SandboxProcess) -> None:
    flow = sandbox.settings["studio_flow_sid"]
    connection(stack="conversations", studio_flow_sid=flow)
    assert findings()["Studio flow"] == Finding("Studio flow", Verdict.OK, f"{flow} is published")
    connection(stack="conversations", studio_flow_sid="")
    found = findings()["Studio flow"]
    assert (found.verdict, found.text) == (
        Verdict.NOTE,
        "studio_flow_sid is empty; route studio fails until it is given",
    )
    unknown = "FW" + "0" * 32
    connection(stack="conversations", studio_flow_sid=unknown)
    assert wrong() == {
        "Studio flow": f"Studio flow {unknown} is not in this account; "
        "correct studio_flow_sid, or route studio fails"
    }
    draft = "FW" + "d" * 32
    fixtures(sandbox, lambda rows: another(rows, flow, draft, settings={"status": "draft"}))
    connection(stack="conversations", studio_flow_sid=draft)
    assert f"Studio flow {draft} is a draft that was never published" in wrong()["Studio flow"]


def test_a_login_that_may_not_look_at_studio_is_no_fault(
    connection: Connect, sandbox: SandboxProcess
) -> None:
    settings = sandbox.settings
    sandbox.control.settings(forbidden_hosts=["studio.twilio.com"])
    key = {
        "login": settings["restricted_key_sid"],
        "password": settings["restricted_key_secret"],
        "account_sid": settings["account_sid"],
        "auth_token": settings["auth_token"],
    }
    connection(stack="conversations", studio_flow_sid=settings["studio_flow_sid"], **key)
    found = findings()
    assert found["Studio flow"].verdict is Verdict.NOTE
    assert found["Studio flow"].text.startswith("this login may not look at it: ")
    assert "complete" in found["Numbers"].text
    connection(**key)
    assert wrong() == {}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"integration_workspace_sid": "WS" + "0" * 32}, f"workspace WS{'0' * 32} is not in this account"),
        ({"integration_workflow_sid": "WW" + "0" * 32}, f"workflow WW{'0' * 32} is not in this account"),
        (
            {"integration_workspace_sid": "WS" + "1" * 32},
            "is not workspace_sid, whose tasks alone are tracked",
        ),
        (
            {"integration_flow_sid": "FW" + "0" * 32},
            f"Studio flow FW{'0' * 32} is not in this account",
        ),
    ],
    ids=["no workspace", "no workflow", "another workspace", "no flow"],
)
def test_a_flex_flow_that_leads_nowhere(
    changes: dict[str, Any], says: str, connection: Connect, sandbox: SandboxProcess
) -> None:
    workspace = sandbox.settings["workspace_sid"]
    fixtures(sandbox, lambda rows: another(rows, workspace, "WS" + "1" * 32, name="Another"))
    sid = sandbox.settings["flex_flow_sids"]["studio" if "integration_flow_sid" in changes else "task"]

    async def spoil(account: Account) -> None:
        await account.client.flex_api.v1.flex_flow(sid).update_async(**changes)

    with_account(spoil)
    told = wrong(number=sandbox.settings["numbers"]["twilio"])["Number …0100"]
    assert f"{sid}: {says}" in told or f"{sid}: workspace WS{'1' * 32} {says}" in told


def test_a_copy_that_is_switched_off_and_a_flow_of_a_custom_channel_are_no_fault(
    connection: Connect, sandbox: SandboxProcess
) -> None:
    async def more(account: Account) -> None:
        for channel_type in ("sms", "custom"):
            await account.client.flex_api.v1.flex_flow.create_async(
                friendly_name="x",
                chat_service_sid=sandbox.settings["chat_service_sid"],
                channel_type=channel_type,  # type: ignore[arg-type]
                contact_identity=sandbox.settings["numbers"]["twilio"],
                enabled=channel_type == "custom",
                integration_type="studio",  # type: ignore[arg-type]
                integration_flow_sid="FW" + "0" * 32,
            )

    with_account(more)
    assert wrong(number=sandbox.settings["numbers"]["twilio"]) == {}


def test_what_an_account_that_moves_over_has_left_on_chat(
    connection: Connect, sandbox: SandboxProcess
) -> None:
    connection()
    assert "Moving over" not in findings()
    connection(stack="conversations")
    found = findings()["Moving over"]
    assert (found.verdict, found.text) == (
        Verdict.OK,
        "no Proxy session is open, and no number has a Flex Flow as well",
    )
    numbers = sandbox.settings["numbers"]
    for ending in range(3):
        sandbox.control.customer(f"+1415555100{ending}", numbers["twilio"], "Hello")
    found = findings()["Moving over"]
    assert (found.verdict, found.text[:26]) == (Verdict.NOTE, "3 Proxy sessions are open;")

    async def both(account: Account) -> None:
        await account.client.conversations.v1.address_configurations.create_async(
            type="sms",  # type: ignore[arg-type]
            address=numbers["twilio"],
            auto_creation_enabled=True,
            auto_creation_type="studio",  # type: ignore[arg-type]
            auto_creation_studio_flow_sid=sandbox.settings["studio_flow_sid"],
        )

    with_account(both)
    flow = sandbox.settings["flex_flow_sids"]["studio"]
    assert f"…0100 has an address configuration, and still Flex Flow {flow}" in findings()["Moving over"].text


def test_an_address_that_leads_to_no_flow(connection: Connect, sandbox: SandboxProcess) -> None:
    connection(stack="conversations")
    sid = sandbox.settings["address_sid"]

    async def spoil(account: Account) -> None:
        await account.client.conversations.v1.address_configurations(sid).update_async(
            auto_creation_enabled=True,
            auto_creation_type="studio",  # type: ignore[arg-type]
            auto_creation_studio_flow_sid="FW" + "0" * 32,
        )

    with_account(spoil)
    said = f"{sid}: Studio flow FW{'0' * 32} is not in this account"
    assert said in wrong(number=sandbox.settings["numbers"]["conversations"])["Number …0102"]


# Event Streams


def test_without_event_streams_it_polls(connection: Connect) -> None:
    found = findings()["Event Streams"]
    assert (found.verdict, found.text) == (
        Verdict.NOTE,
        "is not set up; flexsms_track asks TaskRouter on its schedule",
    )


def test_no_sink(connection: Connect, receiver: Any) -> None:
    connection(events_url=receiver.url)
    assert wrong() == {
        "Event Streams": f"no sink has the description {STREAM_NAME!r}; run flexsms setup --write"
    }


def test_a_sink_that_leads_elsewhere(connection: Connect, receiver: Any) -> None:
    stream("https://old.example.com/flexsms/events")
    assert "posts, and events_url is empty" in wrong()["Event Streams"]
    connection(events_url=receiver.url)
    assert "posts elsewhere than to events_url; run flexsms setup" in wrong()["Event Streams"]


@pytest.mark.parametrize(
    ("about", "text"),
    [
        ("failed", "is failed; run flexsms setup --write"),
        ("subscription", "has none; run flexsms setup --write"),
        (
            "types",
            f"{KINDS[0]} is missing, {KINDS[1]} has schema version 2; run flexsms setup --write",
        ),
        ("second", "should be gone; run flexsms setup --write"),
    ],
)
def test_a_stream_that_is_not_whole(
    about: str, text: str, connection: Connect, receiver: Any, sandbox: SandboxProcess
) -> None:
    connection(events_url=receiver.url)
    stream(receiver.url)
    state = sandbox.control.state()
    [sink], [subscription] = state["tables"]["sinks"], state["tables"]["subscriptions"]
    if about == "failed":
        sink["status"] = "failed"
        sandbox.control.restore(state)

    async def spoil(account: Account) -> None:
        events = account.client.events.v1
        if about == "subscription":
            await events.subscriptions(subscription["sid"]).delete_async()
        elif about == "types":
            types = events.subscriptions(subscription["sid"]).subscribed_events
            await types(KINDS[0]).delete_async()
            await types(KINDS[1]).update_async(schema_version=2)
        elif about == "second":
            await events.sinks.create_async(STREAM_NAME, sink["configuration"], "webhook")  # type: ignore[arg-type]

    with_account(spoil)
    told = wrong()
    assert (
        list(told) == ["Subscription" if about in ("subscription", "types") else "Sink"] or about == "second"
    )
    assert any(one.text.endswith(text) for one in examine("twilio_default"))
    assert told


@pytest.mark.parametrize(
    ("minutes", "verdict", "text"),
    [
        (180, Verdict.WRONG, "the inbox's newest 3 h; look for 91302 to 91308"),
        (10, Verdict.OK, "the inbox's newest 10 min"),
        (None, Verdict.WRONG, "nothing is in the inbox"),
    ],
)
def test_events_that_do_not_arrive(
    minutes: int | None,
    verdict: Verdict,
    text: str,
    connection: Connect,
    receiver: Any,
    sandbox: SandboxProcess,
    tmp_path: Path,
) -> None:
    connection(events_url=receiver.url, inbox_path=f"file://{tmp_path}")
    stream(receiver.url)
    sandbox.control.seed(story=True)  # the newest event is an hour old
    (tmp_path / "new").mkdir()
    if minutes is not None:
        arrived = datetime.now(UTC) - timedelta(minutes=minutes)
        (tmp_path / "new" / f"{name_at(arrived)}-1.json").write_text("[]")
    told = findings()["Last event"]
    assert told.verdict is verdict
    assert text in told.text


@pytest.mark.parametrize("good", [None, 120, 1])
def test_posts_that_were_rejected_have_not_arrived(
    good: int | None, connection: Connect, receiver: Any, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    connection(events_url=receiver.url, inbox_path=f"file://{tmp_path}")
    stream(receiver.url)
    sandbox.control.seed(story=True)

    def put(folder: str, minutes: int) -> None:
        (tmp_path / folder).mkdir(exist_ok=True)
        name = f"{name_at(datetime.now(UTC) - timedelta(minutes=minutes))}-1.json"
        (tmp_path / folder / name).write_text("[]")
        if folder == "rejected":
            (tmp_path / folder / f"{name}.txt").write_text("is not JSON")

    put("rejected", 200)
    put("rejected", 5)
    if good is not None:
        put("new", good)
    told, found = wrong(), findings()["Rejected posts"]
    assert found.text.startswith("2 in rejected/, the newest ")
    if good == 1:
        assert found.verdict is Verdict.NOTE
        assert told == {}
    else:
        unread = [] if good is None else ["Unread posts"]
        assert list(told) == ["Last event", *unread, "Rejected posts"]
        assert told["Last event"].endswith(
            "and what has come since was rejected; read the .txt beside it in rejected/"
        )


def test_an_inbox_that_cannot_be_read(
    connection: Connect, receiver: Any, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    (tmp_path / "new").write_text("a file where a folder should be")
    connection(events_url=receiver.url, inbox_path=f"file://{tmp_path}")
    stream(receiver.url)
    sandbox.control.seed(story=True)
    assert "inbox_path: cannot be read (NotADirectoryError)" in wrong()["Last event"]


# The way from Twilio to us


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (200, "something else takes the posts there"),
        (302, "Twilio does not follow"),
        (401, "asks for a login"),
        (404, "check the path"),
        (503, "look into the log of the API server"),
    ],
)
def test_an_events_url_that_does_not_refuse(
    status: int, text: str, connection: Connect, receiver: Any
) -> None:
    connection(events_url=receiver.url)
    stream(receiver.url)
    receiver.refused = status
    told = wrong()
    assert list(told) == ["Events URL"]
    assert told["Events URL"].startswith(f"answers {status} to an unsigned post, not 403; ")
    assert text in told["Events URL"]


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (200, "something else takes the posts there"),
        (302, "Twilio does not follow"),
        (403, "give the connection that [flexsms] twilio_conn_id names this auth_token and events_url"),
        (503, "names an inbox_path, an events_url and an auth_token"),
        (500, "look into the log of the API server"),
    ],
)
def test_an_events_url_that_refuses_twilio_too(
    status: int, text: str, connection: Connect, receiver: Any
) -> None:
    connection(events_url=receiver.url)
    stream(receiver.url)
    receiver.taken = status
    told = wrong()
    assert list(told) == ["Events URL"]
    assert told["Events URL"].startswith(f"answers {status} to a post signed as Twilio signs, not 204; ")
    assert text in told["Events URL"]


def test_a_web_app_with_another_key(connection: Connect, receiver: Any) -> None:
    connection(events_url=receiver.url)
    stream(receiver.url)
    receiver.key = "of somebody else"
    assert wrong()["Events URL"].startswith("answers 403 to a post signed as Twilio signs")


@pytest.fixture
def web_app() -> Iterator[str]:
    """The URL of the web app itself, in front of an inbox of its connection's."""
    from fastapi import FastAPI
    from uvicorn import Config, Server

    app = FastAPI()
    app.mount("/flexsms", create_app())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Server(Config(app, log_config=None, ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/flexsms/events"
        server.should_exit = True
        thread.join()


@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")  # Airflow's, as in tests/web
def test_the_web_app_itself_takes_it_and_stores_nothing(
    connection: Connect, web_app: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = f"file://{tmp_path}/inbox"
    connection(events_url=web_app, inbox_path=inbox, timeout_s=30)
    stream(web_app)
    assert findings()["Events URL"].text == "takes what Twilio has signed, and refuses what it has not"
    assert wrong() == {}
    assert [path for path in (tmp_path / "inbox").rglob("*") if path.is_file()] == []
    other = json.loads(os.environ["AIRFLOW_CONN_TWILIO_DEFAULT"])
    other["extra"]["events_url"] = "https://elsewhere.example.com/flexsms/events"
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(other))
    monkeypatch.setenv("AIRFLOW__FLEXSMS__TWILIO_CONN_ID", "other")
    monkeypatch.setattr("flexsms.web.event_streams.desk", Desk())
    assert wrong()["Events URL"].startswith("answers 403 to a post signed")
    monkeypatch.setenv("AIRFLOW__FLEXSMS__TWILIO_CONN_ID", "nowhere")
    monkeypatch.setattr("flexsms.web.event_streams.desk", Desk())
    assert wrong()["Events URL"].startswith("answers 503 to a post signed")


def test_an_inbox_without_an_events_url(connection: Connect, receiver: Any, tmp_path: Path) -> None:
    """The web app takes nothing in then, and says so to nobody but its log."""
    stream(receiver.url)
    connection(events_url="", inbox_path=f"file://{tmp_path}")
    assert "events_url: is empty; give https://" in wrong()["Events URL"]


def test_an_events_url_that_nobody_answers(connection: Connect) -> None:
    url = "http://127.0.0.1:9/flexsms/events"
    connection(events_url=url)
    stream(url)
    assert "cannot be reached from here" in wrong()["Events URL"]


def test_a_signature_that_cannot_be_checked(
    connection: Connect, receiver: Any, sandbox: SandboxProcess
) -> None:
    settings = sandbox.settings
    connection(login=settings["api_key_sid"], password=settings["api_key_secret"], events_url=receiver.url)
    stream(receiver.url)
    assert list(wrong()) == ["Signature"]
    assert "auth_token: is empty" in wrong()["Signature"]
    assert findings()["Events URL"].verdict is Verdict.NOTE


def test_a_clock_that_is_wrong(connection: Connect, sandbox: SandboxProcess) -> None:
    sandbox.control.advance(3600)
    told = wrong()
    assert list(told) == ["Clock"]
    assert "behind Twilio" in told["Clock"]


def test_limits_that_are_no_limits(connection: Connect) -> None:
    connection(rate_limits={"proxy": 1})
    assert "'proxy', which is no endpoint" in wrong()["Rate limits"]


def test_limits_may_be_off_where_there_are_none(connection: Connect) -> None:
    connection(rate_limits="off")
    assert findings()["Rate limits"].text == "are off, and calls go to base_url"


# As a command


def test_the_exit_status_and_a_line_each(connection: Connect, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["ok", "Connection", "twilio_default,", "stack", "chat"]
    *lines, empty, total = lines
    assert all(line.split()[0] in ("ok", "note") for line in lines)
    verdicts = [line.split()[0] for line in lines]
    assert (empty, total) == ("", f"0 wrong, {verdicts.count('note')} to note, {verdicts.count('ok')} ok.")
    connection(sync_service_sid="")
    assert cli.main(["doctor", "--conn-id", "twilio_default"]) == 1
    assert (
        "wrong  Sync           Connection field sync_service_sid: is empty; run flexsms setup --write, which creates a "
        "Sync service and stores its SID." in capsys.readouterr().out
    )


def test_as_json(connection: Connect, sandbox: SandboxProcess, capsys: pytest.CaptureFixture[str]) -> None:
    sandbox.control.fault(match={"host": "sync.twilio.com"}, action="status", status=503, times=99)
    assert cli.main(["doctor", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    found = told["findings"]
    assert found[0] == {"about": "Connection", "verdict": "ok", "text": "twilio_default, stack chat"}
    assert told["total"].startswith("1 wrong, ")
    [wrong] = [one for one in found if one["verdict"] == "wrong"]
    # What to do comes before the call, which is long.
    assert wrong["text"].endswith(f"(GET sync.twilio.com/v1/Services/{sandbox.settings['sync_service_sid']})")


@pytest.mark.parametrize("columns", [60, 80])
def test_a_line_that_is_continued_stays_in_its_column(
    columns: int, connection: Connect, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    connection(sync_service_sid="", base_url="http://127.0.0.1:9")
    assert cli.main(["doctor"]) == 1
    *lines, _, _ = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().out).splitlines()
    assert len(lines) > 3
    assert all(len(line.rstrip()) <= columns for line in lines)
    column = lines[0].index("twilio_default")
    assert all(line[column - 1] == " " and line[column] != " " for line in lines)


def test_it_says_what_it_does_where_somebody_watches(
    connection: Connect, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["doctor"]) == 0
    assert "Checking" not in capsys.readouterr().err
    told: list[str] = []
    findings(tell=told.append)
    assert told[0] == "Products"
    assert {"Numbers", "Event Streams", "Last event"} <= set(told)


def test_on_a_terminal_there_are_marks(
    connection: Connect, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    connection(sync_service_sid="")
    assert cli.main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "✓" in printed
    assert "✗" in printed
    assert "\x1b[" in printed
    assert os.environ["_AIRFLOW_PROCESS_CONTEXT"] == "server"


def test_the_stream_of_source_kinesis_is_asked_for_a_record(
    connection: Connect, kinesis: KinesisServer
) -> None:
    assert "Kinesis" not in findings()
    connection(kinesis_stream="events")
    assert "kinesis_stream: names no stream of this AWS account and region" in wrong()["Kinesis"]
    arn = kinesis.create(shards=2)
    kinesis.put(b"nonsense")
    connection(kinesis_stream=arn)
    assert findings()["Kinesis"] == Finding("Kinesis", Verdict.OK, f"{arn} can be read; shards: 2")


def into_kinesis(arn: str, sandbox: SandboxProcess) -> None:
    """Events go to a stream."""
    wishes = Wishes(kinesis={"arn": arn, "role_arn": "arn:aws:iam::111111111111:role/x", "external_id": "1"})
    with_account(lambda account: set_up(account, wishes, patience=AT_ONCE))
    [sink] = sandbox.control.state()["tables"]["sinks"]
    validated = replace(wishes, test_id=sink["test_id"])
    with_account(lambda account: set_up(account, validated, patience=AT_ONCE))


def test_a_kinesis_sink_has_to_feed_the_stream_that_is_read(
    connection: Connect, kinesis: KinesisServer, sandbox: SandboxProcess
) -> None:
    arn = kinesis.create()
    connection(kinesis_stream=arn)
    assert "no sink has the description" in wrong()["Event Streams"]
    into_kinesis(arn, sandbox)
    for name_or_arn in (arn, "events"):
        connection(kinesis_stream=name_or_arn)
        assert wrong() == {}
        assert "is active" in findings()["Sink"].text
    connection(kinesis_stream=kinesis.create("another"))
    told = wrong()
    assert list(told) == ["Event Streams"]
    assert told["Event Streams"].endswith(
        "writes elsewhere than to kinesis_stream; run flexsms setup --kinesis … --write, or correct kinesis_stream"
    )
    connection(kinesis_stream="")
    assert "writes, and kinesis_stream is empty" in wrong()["Event Streams"]


def test_a_second_way_of_the_events_is_named(
    connection: Connect, receiver: Any, kinesis: KinesisServer, sandbox: SandboxProcess
) -> None:
    arn = kinesis.create()
    into_kinesis(arn, sandbox)
    connection(kinesis_stream=arn, events_url=receiver.url)
    assert wrong() == {"Second way": "no sink leads to events_url; empty it"}

    async def spoil(account: Account) -> None:
        target = webhook(receiver.url)
        sinks = account.client.events.v1.sinks
        await sinks.create_async(STREAM_NAME, target.configuration, target.kind)  # type: ignore[arg-type]

    with_account(spoil)
    told = wrong()
    assert list(told) == ["Other sinks"]
    assert told["Other sinks"].endswith("should be gone; run flexsms setup --kinesis … --write")


NOTIFY_FROM = "+14155550100"
NOTIFY = {"oncall": ["+14155550171"], "ada": "+14155550172"}


@pytest.mark.parametrize(
    ("sender", "recipients", "verdict", "says"),
    [
        ("", {}, None, ""),
        (NOTIFY_FROM, NOTIFY, "ok", "…0100 can text oncall, ada"),
        (
            "",
            NOTIFY,
            "wrong",
            "notify_from is empty, so nobody in notify_numbers can be texted; give your Twilio number, E.164",
        ),
        (
            NOTIFY_FROM,
            {},
            "note",
            'notify_numbers is empty, so nobody is texted; give an object like {"oncall": ["+14155550171"]}',
        ),
        (
            NUMBER,
            NOTIFY,
            "wrong",
            "notify_from …0177 is no number of this account; give one that is",
        ),
        (
            NOTIFY_FROM,
            {"oncall": [NOTIFY_FROM, "+14155550171"]},
            "wrong",
            "notify_numbers has notify_from itself under 'oncall', and no number can text itself; give that person's "
            "own number",
        ),
    ],
)
def test_who_is_notified(
    sender: str, recipients: dict[str, Any], verdict: str | None, says: str, connection: Connect
) -> None:
    connection(notify_from=sender, notify_numbers=recipients)
    found = findings().get("Notifications")
    expected = None if verdict is None else (Verdict(verdict), says)
    assert (found and (found.verdict, found.text)) == expected


def test_notifications_need_a_number_with_sms(connection: Connect, sandbox: SandboxProcess) -> None:
    connection(notify_from=NOTIFY_FROM, notify_numbers=NOTIFY)
    sandbox.control.settings(voice_only=[NOTIFY_FROM])
    assert wrong()["Notifications"] == (
        "notify_from …0100 cannot send SMS; give a number of this account that can"
    )


def test_a_login_that_may_not_see_the_numbers(connection: Connect, sandbox: SandboxProcess) -> None:
    sandbox.control.settings(forbidden_hosts=["api.twilio.com"], forbidden_answer="403 20003")
    key = sandbox.settings
    connection(
        login=key["restricted_key_sid"],
        password=key["restricted_key_secret"],
        account_sid=key["account_sid"],
        notify_from=NOTIFY_FROM,
        notify_numbers=NOTIFY,
    )
    found = findings()["Notifications"]
    assert found.verdict is Verdict.NOTE
    assert found.text.startswith("this login may not look whether notify_from is a number of this account: ")
