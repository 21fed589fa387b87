"""flexsms_send, run by Airflow."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from flexsms.sandbox.client import SandboxProcess

from .conftest import Run, on_both_stacks

TO, TEXT = "+14155550199", "Your order 0815 has left the house"
SID = re.compile(r"[A-Z]{2}[0-9a-f]{32}")


@pytest.fixture
def numbers(number: str) -> dict[str, Any]:
    """What becomes of a text is in test_delivery.py."""
    return {"from_number": number, "to_number": TO, "wait_for_delivery": False}


@on_both_stacks
def test_an_agent_conversation_begins(
    run: Callable[..., Run],
    sandbox: SandboxProcess,
    numbers: dict[str, Any],
    table: Callable[[str], list[Any]],
    stack: str,
) -> None:
    sent = run("flexsms_send", **numbers, body=TEXT)
    assert sent.state == "success"
    result = sent.xcom("send")
    assert list(result) == [
        "channel_sid",
        "task_sid",
        "session_sid",
        "interaction_sid",
        "message_sid",
        "reused_channel",
        "duplicate",
        "sent_by",
        "sent_at",
    ]
    assert (result["reused_channel"], result["duplicate"]) == (False, False)
    [figures] = sent.events()
    assert figures.pop("calls")["sync.twilio.com"] > 0
    assert figures.pop("text")
    assert figures.pop("console_url") == sent.xcom("send", key="_link_ChannelLink")
    assert figures == {
        "kind": "send",
        "outcome": "sent",
        "code": None,
        "to": "…0199",
        "route": "agent",
        "stack": stack,
        "segments": 1,
        "new_channel": True,
    }
    [text] = sandbox.control.outbox()
    assert (text["to"], text["body"]) == (TO, TEXT)
    [task] = table("tasks")
    assert task["sid"] == result["task_sid"]
    sent_at = datetime.fromisoformat(result.pop("sent_at"))
    assert abs(sent_at - datetime.fromisoformat(text["date_created"])) < timedelta(minutes=1)
    assert {name for name, value in result.items() if value and not isinstance(value, bool)} - {
        "session_sid",
        "interaction_sid",
    } == {"channel_sid", "task_sid", "message_sid"}
    assert all(SID.fullmatch(str(value)) for value in result.values() if value not in (None, True, False))
    link = sent.xcom("send", key="_link_ChannelLink")
    assert link.endswith(f"/{result['channel_sid']}")
    assert sandbox.settings["chat_service_sid"] in link
    assert "%2B" not in link
    assert TO.lstrip("+") not in link


def test_the_web_interface_shows_the_link(
    run: Callable[..., Run], numbers: dict[str, Any], dags: dict[str, Any]
) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    sent = run("flexsms_send", **numbers, body=TEXT)
    # What the API server knows of a DAG: no class of ours is loaded there.
    stored = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dags["flexsms_send"]))
    task: Any = stored.get_task("send")
    [name] = task.extra_links
    assert name == "Channel in the Twilio Console"
    [instance] = sent.instances("send")
    assert task.get_extra_links(instance, name) == sent.xcom("send", key="_link_ChannelLink")


@on_both_stacks
def test_a_second_text_goes_into_the_same_conversation(
    run: Callable[..., Run], numbers: dict[str, Any], sandbox: SandboxProcess
) -> None:
    first = run("flexsms_send", **numbers, body="One").xcom("send")
    sandbox.control.advance(2)  # Twilio tells the age of a channel in whole seconds
    second = run("flexsms_send", **numbers, body="Two").xcom("send")
    assert second["channel_sid"] == first["channel_sid"]
    assert second["reused_channel"]
    assert [text["body"] for text in sandbox.control.outbox()] == ["One", "Two"]


@on_both_stacks
def test_a_key_sends_once(run: Callable[..., Run], numbers: dict[str, Any], sandbox: SandboxProcess) -> None:
    conf = {**numbers, "body": TEXT, "idempotency_key": "0815"}
    first, second = (run("flexsms_send", **conf).xcom("send") for _ in range(2))
    assert first["sent_by"] is None
    assert re.fullmatch(r"flexsms_send/.+/send/-1", second["sent_by"])
    told = {"duplicate": True, "sent_by": second["sent_by"]}
    assert second == {**first, **told}
    assert len(sandbox.control.outbox()) == 1


def test_a_run_that_was_deleted_and_made_again_under_its_name_is_no_plain_success(
    run: Callable[..., Run],
    numbers: dict[str, Any],
    sandbox: SandboxProcess,
    session: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """So does another Airflow that runs the same DAG for the same date over the same account."""
    from airflow.models.dagrun import DagRun  # noqa: TID251

    monkeypatch.setattr(DagRun, "generate_run_id", staticmethod(lambda **_: "again"))
    first = run("flexsms_send", **numbers, body=TEXT)
    sent = first.xcom("send")
    session.delete(session.query(DagRun).filter_by(run_id="again").one())
    session.commit()
    assert first.instances("send") == []
    capsys.readouterr()
    second = run("flexsms_send", **{**numbers, "wait_for_delivery": True}, body=TEXT)
    assert second.states("send") == second.states("delivery") == ["skipped"]
    left = second.xcom("send")
    assert left == {
        **sent,
        "duplicate": True,
        "sent_by": "flexsms_send/again/send/-1",
    }
    assert "Nothing sent: flexsms_send/again/send/-1 was first, at 20" in capsys.readouterr().out
    assert len(sandbox.control.outbox()) == 1


@on_both_stacks
def test_studio_is_fire_and_forget(
    run: Callable[..., Run], numbers: dict[str, Any], sandbox: SandboxProcess
) -> None:
    sent = run("flexsms_send", **numbers, body=TEXT, route="studio")
    assert sent.state == "success"
    assert sent.xcom("send")["task_sid"] is None
    assert len(sandbox.control.outbox()) == 1


@on_both_stacks
def test_an_agent_may_write_first(
    run: Callable[..., Run],
    numbers: dict[str, Any],
    sandbox: SandboxProcess,
    table: Callable[[str], list[Any]],
) -> None:
    worker = sandbox.settings["worker_sids"][0]
    sent = run("flexsms_send", **numbers, target_worker_sid=worker, task_attributes={"language": "de"})
    assert sent.state == "success"
    assert sent.xcom("send")["message_sid"] is None
    assert sandbox.control.outbox() == []
    [task] = table("tasks")
    attributes = json.loads(task["attributes"])
    assert attributes["language"] == "de"
    assert attributes["targetWorkerSid"] == worker


@pytest.mark.parametrize("stack", ["conversations"], indirect=True)
def test_waiting_for_the_interaction_holds_no_worker(
    run: Callable[..., Run],
    numbers: dict[str, Any],
    sandbox: SandboxProcess,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sandbox.control.settings(interaction_setup_s=1)
    sent = run("flexsms_send", **numbers, body=TEXT)
    assert sent.state == "success"
    assert "deferred" in capsys.readouterr().out
    assert [text["body"] for text in sandbox.control.outbox()] == [TEXT]


@pytest.mark.parametrize("stack", ["conversations"], indirect=True)
def test_an_interaction_that_fails_is_told_and_sends_nothing(
    run: Callable[..., Run],
    numbers: dict[str, Any],
    sandbox: SandboxProcess,
    capsys: pytest.CaptureFixture[str],
) -> None:
    failure = {"error_code": 45780, "error_message": "Too many concurrent requests"}
    sandbox.control.settings(interaction_failures={"*": failure})
    sent = run("flexsms_send", **numbers, body=TEXT)
    assert (sent.state, sent.tries("send")) == ("failed", [1])
    assert "Too many concurrent requests (45780); nothing was sent" in capsys.readouterr().out
    assert sandbox.control.outbox() == []


@pytest.mark.parametrize("body", ["123", "007", "None", "[1, 2]", "+49", "1e5", "{{ ds }}", "'quoted'"])
def test_a_text_that_looks_like_something_else_stays_a_text(
    body: str, run: Callable[..., Run], numbers: dict[str, Any], sandbox: SandboxProcess
) -> None:
    sent = run("flexsms_send", **numbers, body=body, idempotency_key="4711", to_name="42")
    assert sent.state == "success"
    assert [text["body"] for text in sandbox.control.outbox()] == [body]


@on_both_stacks
def test_nobody_reads_a_number_or_a_text(
    run: Callable[..., Run], numbers: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    conf = {**numbers, "body": TEXT, "to_name": "Augusta", "task_attributes": {"callback": f"call {TO}"}}
    sent = run("flexsms_send", **conf)
    assert sent.state == "success"
    left = json.dumps([sent.rendered(), list(sent.xcoms().values())])
    for personal in (numbers["from_number"], numbers["from_number"][1:], TO, TO[1:], TEXT, "Augusta"):
        assert personal not in left
    [fields] = [fields for fields in sent.rendered() if "to_number" in fields]
    assert fields["to_number"] == fields["body"] == "***"
    assert fields["route"] == "agent"


@pytest.mark.parametrize(
    ("conf", "named"),
    [
        ({"to_number": "+14155550"}, "to_number"),
        ({"from_number": "40404"}, "from_number: is a short code"),
        ({"body": "", "route": "studio"}, "body"),
        ({"target_worker_sid": "WK" + "0" * 32}, "target_worker_sid"),
        ({"from_number": "+14155550111"}, "from_number"),
        ({"task_attributes": {"channelSid": "CH"}}, "task_attributes"),
    ],
)
def test_bad_input_fails_at_once_and_is_named(
    conf: dict[str, Any],
    named: str,
    run: Callable[..., Run],
    numbers: dict[str, Any],
    sandbox: SandboxProcess,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sent = run("flexsms_send", **{**numbers, "body": TEXT, **conf})
    assert sent.state == "failed"
    assert sent.tries("send") == [1]
    assert sandbox.control.outbox() == []
    assert named in capsys.readouterr().out
    # What the dashboard tells of it, because there is no asset event.
    failure = sent.xcom("send", key="failure")
    assert failure["sentence"].startswith(named.partition(":")[0])
    assert failure["to"] == f"…{conf.get('to_number', TO)[-4:]}"
    assert sent.events() == []


@on_both_stacks
def test_a_lost_answer_does_not_send_twice(
    run: Callable[..., Run], numbers: dict[str, Any], sandbox: SandboxProcess, tries: Callable[[int], None]
) -> None:
    tries(2)
    messages = {"method": "POST", "path": "/Messages$"}
    sandbox.control.fault(match=messages, action="drop_after", times=1)
    sent = run("flexsms_send", **numbers, body=TEXT)
    assert sent.state == "success"
    assert len(sandbox.control.outbox()) == 1
