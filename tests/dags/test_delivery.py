"""flexsms_send, run by Airflow: green, red and skipped say what became of the text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flexsms.assets import text_key
from flexsms.sandbox.client import SandboxProcess
from flexsms.sensors.delivery import FlexDeliverySensor
from flexsms.telemetry import Metric
from tests.support.statsd import statsd

from .conftest import Run, on_both_stacks

TO = "+14155550199"


@pytest.fixture
def send(run: Callable[..., Run], number: str) -> Callable[..., Run]:
    """Text the customer."""

    def send(**conf: Any) -> Run:
        return run("flexsms_send", **{"from_number": number, "to_number": TO, "body": "Hello", **conf})

    return send


def becomes(sandbox: SandboxProcess, status: str, error_code: int | None = None, step_s: float = 0) -> None:
    sandbox.control.settings(
        sms_outcomes={TO: {"status": status, "error_code": error_code}}, sms_step_s=step_s
    )


@on_both_stacks
def test_a_text_that_arrives(send: Callable[..., Run], sandbox: SandboxProcess) -> None:
    becomes(sandbox, "delivered")
    sent = send()
    assert (sent.state, sent.states("send"), sent.states("delivery")) == ("success", ["success"], ["success"])
    [text] = sandbox.control.outbox()
    assert sent.xcom("delivery") == {"status": "delivered", "error_code": None, "sms_sid": text["sid"]}
    left, arrived = sent.events()
    assert (left["outcome"], left["segments"]) == ("sent", 1)
    assert arrived == {
        "kind": "send",
        "of": "delivery",
        "text": left["text"],
        "outcome": "delivered",
        "code": None,
    }
    assert len(left["text"]) == 16


@on_both_stacks
@pytest.mark.parametrize("step_s", [0, 3600], ids=["known at once", "known later"])
def test_a_text_that_does_not_arrive_was_sent_all_the_same(
    send: Callable[..., Run],
    sandbox: SandboxProcess,
    dags: dict[str, Any],
    step_s: float,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(dags["flexsms_send"].get_task("delivery"), "poke_interval", 0.2)
    # An hour passes once the task has looked and defers itself, however long it takes to get there.
    defer = FlexDeliverySensor.defer

    def defer_and_let_time_pass(sensor: FlexDeliverySensor, **how: Any) -> Any:
        sandbox.control.advance(2 * step_s)
        return defer(sensor, **how)

    monkeypatch.setattr(FlexDeliverySensor, "defer", defer_and_let_time_pass)
    becomes(sandbox, "undelivered", 30005, step_s)
    sent = send()
    assert (sent.state, sent.states("send"), sent.states("delivery")) == ("failed", ["success"], ["failed"])
    assert [event["outcome"] for event in sent.events()] == ["sent"]
    # At once, although the task has tries left; and nothing was texted again.
    assert sent.tries("delivery") == [1]
    assert len(sandbox.control.outbox()) == 1
    printed = capsys.readouterr().out
    assert "Not delivered: the number is unknown or no longer in service; ask the customer" in printed
    failure = sent.xcom("delivery", key="failure")
    assert failure["error"] == "NotDelivered"
    assert failure["sentence"] in printed
    # The first line of the log, so that it is not cut off.
    assert printed.index("Not delivered: ") < printed.index("Traceback")
    pauses = [line for line in printed.splitlines() if "Pausing task as DEFERRED" in line]
    assert any("task_id=delivery" in line for line in pauses) is (step_s > 0)


@on_both_stacks
def test_a_customer_who_said_stop_makes_the_run_red(
    send: Callable[..., Run], sandbox: SandboxProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    becomes(sandbox, "failed", 21610)
    sent = send()
    assert (sent.state, sent.states("send"), sent.states("delivery")) == ("failed", ["success"], ["failed"])
    printed = capsys.readouterr().out
    assert "Not delivered: the recipient has opted out (STOP); do not text this number until they" in printed
    # It is remembered: nobody tries once more.
    again = send()
    assert (again.state, again.states("send")) == ("failed", ["failed"])
    assert len(sandbox.control.outbox()) == 1
    printed = capsys.readouterr().out
    assert "to_number: …0199 has opted out since " in printed
    assert TO not in printed


def test_a_carrier_that_reports_nothing_is_no_failure(
    send: Callable[..., Run],
    sandbox: SandboxProcess,
    dags: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    task = dags["flexsms_send"].get_task("delivery")
    monkeypatch.setattr(task, "poke_interval", 0.1)
    monkeypatch.setattr(task, "timeout", 0.1)
    becomes(sandbox, "delivered", step_s=3600)
    sent = send()
    assert (sent.state, sent.states("delivery")) == ("success", ["skipped"])
    assert "Not known yet: " in capsys.readouterr().out


def test_nobody_waits_who_did_not_ask(
    send: Callable[..., Run], sandbox: SandboxProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    becomes(sandbox, "undelivered", 30005)
    sent = send(wait_for_delivery=False)
    assert (sent.state, sent.states("delivery")) == ("success", ["success"])
    assert sent.xcom("delivery") is None
    assert [event["outcome"] for event in sent.events()] == ["sent"]
    assert "Nobody asked to wait for the delivery: " in capsys.readouterr().out


def test_where_the_agent_writes_first_there_is_nothing_to_wait_for(
    send: Callable[..., Run], sandbox: SandboxProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = send(body=None)
    assert (sent.state, sent.states("delivery")) == ("success", ["success"])
    assert "the agent writes first" in capsys.readouterr().out


def test_a_text_that_was_refused_is_not_waited_for(send: Callable[..., Run]) -> None:
    sent = send(to_number="+1202555")
    assert (sent.states("send"), sent.states("delivery")) == (["failed"], ["upstream_failed"])


def test_a_key_that_was_used_before_leads_to_the_text_of_then(
    send: Callable[..., Run], sandbox: SandboxProcess
) -> None:
    becomes(sandbox, "delivered")
    first, second = (send(idempotency_key="0815") for _ in range(2))
    assert second.xcom("send")["duplicate"]
    assert second.xcom("delivery") == first.xcom("delivery")
    assert len(sandbox.control.outbox()) == 1


def test_nothing_personal_is_left(send: Callable[..., Run], sandbox: SandboxProcess) -> None:
    becomes(sandbox, "delivered")
    sent = send(body="Your parcel 0815 is here")
    [fields] = [fields for fields in sent.rendered() if "wanted" in fields]
    left = str([fields, sent.xcom("delivery")])
    assert sent.xcom("send")["message_sid"] in left
    for personal in (TO, TO[1:], "parcel"):
        assert personal not in left


SEVERAL = """
from airflow.sdk import DAG
from flexsms import TEXT, FlexDeliverySensor, FlexSendOperator

with DAG("several_texts", schedule=None, params={"from_number": ""}) as dag:
    def text(name, to_number):
        send = FlexSendOperator(
            task_id=f"send_{name}", from_number="{{ params.from_number }}", to_number=to_number, body="Hello"
        )
        FlexDeliverySensor(task_id=f"delivery_{name}", sent=send.output, deferrable=False, poke_interval=0.2)

    text("ada", "+14155550171")
    text("ben", "+14155550172")
    rows = [{"to_number": f"+1415555018{n}"} for n in range(2)]
    sends = FlexSendOperator.partial(
        task_id="send_all", from_number="{{ params.from_number }}", body="Hello", outlets=[TEXT]
    ).expand_kwargs(rows)
    FlexDeliverySensor.partial(
        task_id="delivery_all", deferrable=False, poke_interval=0.2, outlets=[TEXT]
    ).expand(sent=sends.output)
"""


@pytest.mark.parametrize("stack", ["conversations"], indirect=True)
def test_each_of_several_texts_of_a_run_has_its_own_delivery(
    run: Callable[..., Run],
    dags: dict[str, Any],
    number: str,
    sandbox: SandboxProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow.dag_processing.dagbag import DagBag

    lost = {"+14155550171": 30005, "+14155550180": 30003}
    sandbox.control.settings(
        sms_outcomes={to: {"status": "undelivered", "error_code": code} for to, code in lost.items()},
        sms_step_s=0,
    )
    (tmp_path / "several_texts.py").write_text(SEVERAL)
    # dag.test() wants a DAG to be in the configured bundle.
    monkeypatch.setattr("airflow.settings.DAGS_FOLDER", str(tmp_path))
    dags.update(DagBag(tmp_path).dags)
    with statsd() as metrics:
        done = run("several_texts", from_number=number)
        counted = [(tags["status"], tags["error_code"]) for _, tags in metrics.of(Metric.DELIVERY)]
    assert [done.states(f"delivery_{name}") for name in ("ada", "ben", "all")] == [
        ["failed"],
        ["success"],
        ["failed", "success"],
    ]
    assert sorted(counted) == [
        ("delivered", "0"),
        ("delivered", "0"),
        ("undelivered", "30003"),
        ("undelivered", "30005"),
    ]
    sent = {one["text"] for one in done.events() if one.get("of") != "delivery"}
    arrived = [one["text"] for one in done.events() if one.get("of") == "delivery"]
    assert len(sent) == 4
    keys = [
        text_key(sid)
        for sid in (done.xcom("send_ben")["message_sid"], done.xcom("send_all", map_index=1)["message_sid"])
    ]
    assert sorted(arrived) == sorted(keys)
