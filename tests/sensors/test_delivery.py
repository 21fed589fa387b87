"""FlexDeliverySensor: in the triggerer or on a worker, it tells the truth about a text and never sends one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, Asset
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException, TaskDeferred

from flexsms.assets import TEXT
from flexsms.core.exceptions import InvalidInput, NotDelivered, PermanentError, ServiceUnavailable
from flexsms.operators.send import FlexSendOperator
from flexsms.sandbox.client import SandboxProcess
from flexsms.sensors.delivery import FlexDeliverySensor
from flexsms.telemetry import Metric
from flexsms.triggers.delivery import FlexDeliveryTrigger
from tests.operators.conftest import FakeContext
from tests.support.sms import STACKS, Texts
from tests.support.statsd import statsd

SENT = {
    "channel_sid": "CH" + "1" * 32,
    "session_sid": "KC" + "1" * 32,
    "message_sid": "IM" + "1" * 32,
    "duplicate": False,
}


@pytest.fixture(params=STACKS)
def texts(
    request: pytest.FixtureRequest, sandbox: SandboxProcess, connection: Callable[..., None]
) -> Iterator[Texts]:
    """Texts on each stack, and a connection to it."""
    connection(stack=request.param)
    with Texts(sandbox, request.param) as made:
        yield made


def sensor(sent: Any, **more: Any) -> FlexDeliverySensor:
    return FlexDeliverySensor(**{"task_id": "delivery", "sent": sent, "timeout": 60, **more})


def here(sent: Any, **more: Any) -> FlexDeliverySensor:
    return sensor(sent, deferrable=False, **{"timeout": 0.1, "poke_interval": 0.05, **more})


def deferred(task: FlexDeliverySensor, context: Any) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        task.execute(context)
    return caught.value


def goes_on(task: FlexDeliverySensor, context: Any, event: Mapping[str, Any]) -> Any:
    """As Airflow resumes it, with the event as it comes out of the database."""
    return task.resume_execution("execute_complete", {"event": json.loads(json.dumps(event))}, context)


@pytest.mark.parametrize("make", [sensor, here])
def test_a_text_that_has_arrived_is_told_at_once(
    texts: Texts, context: Any, make: Callable[[Any], FlexDeliverySensor], capsys: pytest.CaptureFixture[str]
) -> None:
    texts.becomes("delivered")
    sent = texts.write()
    [text] = texts.control.outbox()
    found = make(sent).execute(context)
    assert found == {"status": "delivered", "error_code": None, "sms_sid": text["sid"]}
    assert f"Delivered ({text['sid']})." in capsys.readouterr().out


def outlets_of(task: FlexDeliverySensor) -> list[str]:
    return [outlet.name for outlet in task.outlets if isinstance(outlet, Asset)]


@pytest.mark.usefixtures("connection")
def test_a_task_that_is_cleared_tells_the_same_outcome_only_once(context: FakeContext) -> None:
    event = {"status": "delivered", "error_code": None, "sms_sid": "SM1"}
    first, again = sensor(SENT), sensor(SENT)
    with statsd() as metrics:
        assert goes_on(first, context, event) == event
        assert outlets_of(first) == [TEXT.name]
        assert context.event.extra["outcome"] == "delivered"
        context.event.extra = {}
        assert goes_on(again, context, event) == event
        assert outlets_of(again) == []
        assert context.event.extra == {}
        with pytest.raises(NotDelivered):
            goes_on(sensor(SENT), context, {**event, "status": "failed", "error_code": 21610})
        assert [tags["status"] for _, tags in metrics.of(Metric.DELIVERY)] == ["delivered", "failed"]


def test_another_text_of_a_cleared_task_is_news(context: FakeContext) -> None:
    event = {"status": "delivered", "error_code": None, "sms_sid": "SM1"}
    for sid in ("IM" + "1" * 32, "IM" + "2" * 32):
        task = sensor({**SENT, "message_sid": sid})
        goes_on(task, context, event)
        assert outlets_of(task) == [TEXT.name]


@pytest.mark.parametrize("make", [sensor, here])
def test_a_text_that_did_not_arrive_fails_and_says_what_to_do(
    texts: Texts,
    context: Any,
    make: Callable[..., FlexDeliverySensor],
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts.becomes("undelivered", 30003)
    task = make(texts.write(), soft_fail=True)
    with pytest.raises(
        NotDelivered,
        match=r"^Not delivered: the handset .+; send again .+ \(undelivered, error 30003, SM\w+\)\.$",
    ) as error:
        task.execute(context)
    assert f"{error.value}" in capsys.readouterr().out
    assert len(texts.control.outbox()) == 1


def test_it_waits_in_the_triggerer(texts: Texts, context: Any) -> None:
    sent = texts.write()
    defer = deferred(sensor(sent, poke_interval=7, timeout=600), context)
    assert isinstance(defer.trigger, FlexDeliveryTrigger)
    arguments = defer.trigger.serialize()[1]
    assert arguments["message_sid"] == sent["message_sid"]
    assert arguments["poll_interval_s"] == 7
    assert defer.method_name == "execute_complete"
    assert defer.kwargs is None
    # The trigger says how far the text came; Airflow ends the wait only where no trigger runs.
    assert defer.timeout > timedelta(seconds=600)


def test_it_goes_on_with_the_event_alone(context: Any) -> None:
    event = {"status": "delivered", "error_code": None, "sms_sid": "SM1"}
    assert goes_on(sensor(SENT), context, event) == event
    with pytest.raises(NotDelivered, match=r"Not delivered: .+STOP.+ \(failed, error 21610, SM1\)"):
        goes_on(sensor(SENT, soft_fail=True), context, {**event, "status": "failed", "error_code": 21610})


@pytest.mark.parametrize(("retryable", "error"), [(True, ServiceUnavailable), (False, PermanentError)])
def test_an_error_of_the_trigger_is_one_of_the_task(
    context: Any, retryable: bool, error: type[Exception]
) -> None:
    event = {"status": "error", "message": "Nobody answers.", "retryable": retryable}
    with pytest.raises(error, match="Nobody answers"):
        goes_on(sensor(SENT), context, event)


@pytest.mark.parametrize(
    ("so_far", "sentence"),
    [
        (
            None,
            r"Not known yet: no SMS left within 60 s, .+ Proxy session, .+ \(IM1{32} in CH1{32}\)\.",
        ),
        ("queued", r"Not known yet: the SMS did not leave Twilio within 60 s; look at it .+ \(SM1\)\."),
        ("sent", r"Not known yet: the carrier has the text, and no receipt came within 60 s; .+ \(SM1\)\."),
    ],
)
@pytest.mark.parametrize("soft_fail", [False, True])
def test_a_timeout_says_how_far_it_got(
    context: Any,
    so_far: str | None,
    sentence: str,
    soft_fail: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = so_far and {"status": so_far, "error_code": None, "sms_sid": "SM1"}
    task = sensor(SENT, soft_fail=soft_fail)
    with pytest.raises(AirflowSkipException if soft_fail else AirflowSensorTimeout) as caught:
        goes_on(task, context, {"status": "timeout", "so_far": known})
    assert re.search(sentence, capsys.readouterr().out)
    # With soft_fail Airflow puts its own words into the exception.
    assert soft_fail or re.search(sentence, str(caught.value))


@pytest.mark.parametrize(
    ("soft_fail", "error"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)]
)
def test_on_a_worker_as_well(texts: Texts, context: Any, soft_fail: bool, error: type[Exception]) -> None:
    texts.becomes("delivered", step_s=3600)
    sent = texts.write()
    texts.control.advance(3601)
    with pytest.raises(
        error, match=r"the carrier has the text, and no receipt came within 0.1 s; .+ \(SM\w+\)"
    ):
        here(sent, soft_fail=soft_fail).execute(context)


def test_never_fail_is_airflows_own(texts: Texts, context: Any) -> None:
    texts.becomes("undelivered", 30003)
    with pytest.raises(AirflowSkipException, match="never_fail"):
        here(texts.write(), never_fail=True).execute(context)


def test_what_never_left_is_named(texts: Texts, context: Any) -> None:
    texts.write()
    texts.disconnect()
    sent = texts.write()
    with pytest.raises(AirflowSensorTimeout, match=rf"no SMS left within .+ \({sent['message_sid']} in "):
        here(sent, timeout=0).execute(context)


def test_a_worker_that_waits_sees_the_receipt_come(texts: Texts, context: Any) -> None:
    texts.becomes("delivered", step_s=0.1)
    found = here(texts.write(), timeout=10).execute(context)
    assert found["status"] == "delivered"


@pytest.mark.parametrize("wanted", [False, "False", "false"])
def test_who_does_not_want_it_does_not_wait(
    context: Any, wanted: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sensor("rubbish", wanted=wanted).execute(context) is None
    assert "Nobody asked" in capsys.readouterr().out


def test_an_agent_who_writes_first_sends_no_text(context: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert sensor({**SENT, "message_sid": None}).execute(context) is None
    assert "the agent writes first" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"sent": None}, "sent: names no channel and no text; give the XCom of FlexSendOperator"),
        ({"sent": {"message_sid": "IM1"}}, "sent: names no channel"),
        ({"sent": "['IM1']"}, "sent: is not JSON; .+ tojson"),
        ({"sent": "[1]"}, "sent: names no channel"),
        ({"wanted": "perhaps"}, "wanted: is 'perhaps'; give true or false"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], sentence: str, context: Any) -> None:
    with pytest.raises(InvalidInput, match=f"^{sentence}"):
        sensor(**{"sent": SENT, **arguments}).execute(context)


def test_a_connection_that_is_not_there_is_named(context: Any) -> None:
    with pytest.raises(PermanentError, match="no connection 'nowhere'"):
        sensor(SENT, twilio_conn_id="nowhere").execute(context)


def test_an_old_xcom_has_no_session(texts: Texts, context: Any) -> None:
    texts.becomes("delivered")
    sent = texts.write()
    old = {name: sent[name] for name in ("channel_sid", "message_sid")}
    assert sensor(json.dumps(old)).execute(context)["status"] == "delivered"


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("how", ["output", "template"])
def test_what_was_sent_comes_from_the_task_before(native: bool, how: str, context: FakeContext) -> None:
    with DAG("dag", schedule=None, render_template_as_native_obj=native, params={"wait": False}):
        send = FlexSendOperator(task_id="send", from_number="+14155550100", to_number="+14155550199")
        sent: Any = send.output if how == "output" else "{{ ti.xcom_pull(task_ids='send') | tojson }}"
        task: Any = sensor(sent, wanted="{{ params.wait }}")
    ti = context["ti"]
    ti.xcom_pull, ti.task = lambda **_: SENT, task
    context.update(params={"wait": False}, run_id="manual__1", expanded_ti_count=None)
    context["dag_run"] = SimpleNamespace(conf={})
    task.render_template_fields(context)
    assert task._text() == {name: SENT[name] for name in ("channel_sid", "session_sid", "message_sid")}
    assert task.execute(context) is None
    if how == "output":
        assert task.upstream_task_ids == {"send"}


@pytest.mark.parametrize("name", ["channel_sid", "session_sid", "message_sid"])
@pytest.mark.parametrize("value", ["CH../../../../sync", "", 7, "SM" + "1" * 32])
def test_what_is_no_sid_does_not_come_into_a_url(context: Any, name: str, value: Any) -> None:
    with pytest.raises(
        InvalidInput, match=rf"^sent: has a {name} that is no SID of that kind; give the XCom"
    ):
        sensor({**SENT, name: value}).execute(context)
