"""FlexSendOperator: what reaches it, what it leaves, and who can read it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.log import redact  # type: ignore[attr-defined]  # public, yet not in its __all__

from flexsms.core.exceptions import InvalidInput, PermanentError, ServiceUnavailable
from flexsms.core.outbound_message import OutboundMessage
from flexsms.operators.send import LONGEST_SETUP_S, FlexSendOperator, _sentence
from flexsms.sandbox.client import SandboxProcess
from flexsms.twilio.sending.progress import SendResult

from .conftest import FakeContext

FROM, TO = "+14155550100", "+14155550199"
PARAMS = {"from_number": FROM, "to_number": TO, "body": "007", "task_attributes": {"vip": True}}


def operator(**more: Any) -> FlexSendOperator:
    return FlexSendOperator(**{"task_id": "send", "from_number": FROM, "to_number": TO, **more})


@pytest.mark.parametrize("native", [True, False])
def test_templates_give_texts_whatever_the_dag_renders(native: bool, context: FakeContext) -> None:
    with DAG("dag", schedule=None, render_template_as_native_obj=native):
        task: Any = operator(
            from_number="{{ params.from_number }}",
            to_number="{{ params.to_number }}",
            body="{{ params.body }}",
            task_attributes="{{ params.task_attributes | tojson }}",
        )
    context["params"] = PARAMS
    task.render_template_fields(context)
    assert (task.from_number, task.to_number, task.body) == (FROM, TO, "007")
    assert task.task_attributes == '{"vip": true}'


@pytest.mark.parametrize("native", [True, False])
def test_params_may_come_without_a_template(native: bool, context: FakeContext) -> None:
    with DAG("dag", schedule=None, params=PARAMS, render_template_as_native_obj=native) as dag:
        form: dict[str, Any] = {name: dag.param(name) for name in PARAMS}
        task: Any = operator(**form)
    context.update(params=PARAMS, dag_run=SimpleNamespace(conf={"body": "{{ 7 * 7 }}"}))
    task.render_template_fields(context)
    assert {name: getattr(task, name) for name in PARAMS} == {**PARAMS, "body": "{{ 7 * 7 }}"}


def test_everything_personal_is_masked_once_rendered(context: FakeContext) -> None:
    task: Any = operator(
        from_number="+14155552671",
        to_number="+44 20 7946 0018",
        body="Your parcel 12345",
        to_name="Wilhelmina",
        task_attributes={"notes": ["ring +442079460019 twice"], "language": "klingon", "level": 3},
    )
    task.render_template_fields(context)
    line = (
        "From +14155552671 / %2B14155552671 / 14155552671 to +44 20 7946 0018, +442079460018 (Wilhelmina): "
        "Your parcel 12345; ring +442079460019 twice; klingon"
    )
    told = str(redact(line))
    for personal in ("4155552671", "2079460018", "7946", "Wilhelmina", "parcel", "2079460019"):
        assert personal not in told
    assert told.endswith("; klingon")


def test_what_is_sent_is_masked_too(context: FakeContext) -> None:
    """Blanks around a text are not sent, and JSON is sent as what it says: that is what Twilio may quote."""
    with DAG("dag", schedule=None):
        task: Any = operator(
            body="  Your lenses are 4711\n",
            to_name="\tAda Blank ",
            task_attributes='{"call": "back at +1 202-555-0143", "n": ["\\u0041t +14155550144"]}',
        )
    task.render_template_fields(context)
    told = str(
        redact(
            "'Your lenses are 4711' to 'Ada Blank', back at +1 202-555-0143, At +14155550144, +1 202 555 0143"
        )
    )
    for personal in ("lenses", "Blank", "555-0143", "0144"):
        assert personal not in told


def test_a_mapped_task_masks_too(context: FakeContext) -> None:
    with DAG("dag", schedule=None, render_template_as_native_obj=True) as dag:
        mapped: Any = FlexSendOperator.partial(task_id="send", from_number=FROM, body="{{ 7 }}").expand(
            to_number=["+12025550123", "+12025550124"]
        )
    context["ti"].map_index = 1
    context.update(run_id="manual__1", dag=dag, dag_run=SimpleNamespace(conf={}))
    mapped.render_template_fields(context)
    task: Any = context["task"]
    assert (task.to_number, task.body) == ("+12025550124", "7")
    assert "+12025550124" not in str(redact("to +12025550124"))


def test_a_number_is_masked_as_it_is_sent_too(context: FakeContext) -> None:
    """Without what nobody sees, and in the form that is dialled from abroad."""
    task: Any = operator(from_number="＋１４１５５５５２６７２", to_number="+54 11 15 2345-6790")  # noqa: RUF001
    task.render_template_fields(context)
    told = str(redact("From +14155552672 to %2B5491123456790, 5491123456790, +54 11 15 2345-6790"))
    for personal in ("5552672", "23456790", "2345-6790"):
        assert personal not in told


async def test_a_number_of_a_new_area_code_is_sent_to_and_remarked_on(
    connection: Callable[..., None],
    context: FakeContext,
    sandbox: SandboxProcess,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await operator(to_number="+16245550101", body="One").aexecute(context)  # type: ignore[arg-type]
    assert [text["to"] for text in sandbox.control.outbox()] == ["+16245550101"]
    told = capsys.readouterr().out
    assert "to_number: …0101 is in no range of numbers" in told
    assert "624555" not in told


async def test_the_key_is_the_task_instance_unless_one_is_given(
    connection: Callable[..., None], context: FakeContext, sandbox: SandboxProcess
) -> None:
    again: Any = FakeContext(try_number=2)
    results = [await operator(body="One").aexecute(one) for one in (context, again)]  # type: ignore[arg-type]
    assert [result["duplicate"] for result in results] == [False, True]
    other: Any = FakeContext("other")
    assert not (await operator(body="One").aexecute(other))["duplicate"]
    keyed = [await operator(body="Two", idempotency_key="k").aexecute(one) for one in (context, other)]  # type: ignore[arg-type]
    assert [result["duplicate"] for result in keyed] == [False, True]
    assert [text["body"] for text in sandbox.control.outbox()] == ["One", "One", "Two"]


async def test_the_link_is_known_once_it_has_run(
    connection: Callable[..., None], context: FakeContext
) -> None:
    task = operator(task_attributes='{"vip": true}')
    assert task.console_url == ""
    result = await task.aexecute(context)  # type: ignore[arg-type]
    assert task.console_url.endswith(result["channel_sid"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"task_attributes": "vip"}, "task_attributes: is not JSON"),
        ({"task_attributes": "[1]"}, "task_attributes: is list, not an object"),
        ({"to_number": 14155550199}, "to_number: is int, not text; write it in quotes"),
        ({"body": 123}, "body: is int, not text"),
        ({"idempotency_key": "k", "route": "fax"}, "route: 'fax' is not a route"),
        ({"twilio_conn_id": "nowhere"}, "no connection 'nowhere'"),
    ],
)
async def test_bad_arguments_are_named(
    arguments: dict[str, Any], sentence: str, connection: Callable[..., None], context: FakeContext
) -> None:
    with pytest.raises(PermanentError, match=sentence):
        await operator(**arguments).aexecute(context)  # type: ignore[arg-type]


async def test_a_key_is_for_one_text(connection: Callable[..., None], context: FakeContext) -> None:
    await operator(body="One", idempotency_key="k").aexecute(context)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="idempotency_key: was already used for another text"):
        await operator(body="Two", idempotency_key="k").aexecute(context)  # type: ignore[arg-type]


def test_empty_attributes_are_none() -> None:
    from flexsms.operators.send import _attributes

    assert _attributes(" ") is None
    assert _attributes(None) is None


@pytest.mark.parametrize(
    ("body", "changes", "sentence"),
    [
        ("Hi", {}, "Sent to …0199, 1 segment (GSM-7), new channel CH1, message IM1."),
        (
            "é" * 161,
            {"reused_channel": True},
            "Sent to …0199, 2 segments (GSM-7), reused channel CH1, message IM1.",
        ),
        (
            "",
            {"message_sid": None},
            "No text sent to …0199: the agent writes first, in new channel CH1.",
        ),
        (
            "Hi",
            {"duplicate": True, "sent_by": "dag/run/send/-1", "sent_at": "2026-11-19T18:00:00+00:00"},
            "Nothing sent: dag/run/send/-1 was first, at 2026-11-19T18:00:00+00:00: message IM1, new channel CH1.",
        ),
    ],
)
def test_the_log_says_it_in_one_sentence(body: str, changes: dict[str, Any], sentence: str) -> None:
    message = OutboundMessage.parse(from_number=FROM, to_number=TO, body=body)
    fields = {
        "channel_sid": "CH1",
        "task_sid": None,
        "session_sid": None,
        "interaction_sid": None,
        "message_sid": "IM1",
        "reused_channel": False,
    }
    assert _sentence(message, SendResult(**{**fields, **changes})) == sentence


async def test_it_waits_in_the_triggerer_while_flex_sets_up(
    connection: Callable[..., None], context: FakeContext, sandbox: SandboxProcess
) -> None:
    connection(stack="conversations")
    sandbox.control.settings(interaction_setup_s=3600)
    task = operator(from_number=sandbox.settings["numbers"]["conversations"], body="One")
    with pytest.raises(TaskDeferred) as caught:
        await task.aexecute(context)  # type: ignore[arg-type]
    deferred: Any = caught.value
    path, arguments = deferred.trigger.serialize()
    assert path == "flexsms.triggers.interaction_channel.FlexChannelTrigger"
    # Where no triggerer runs, Airflow itself ends the wait.
    assert deferred.timeout > timedelta(seconds=LONGEST_SETUP_S)
    # What is stored in Airflow's database has SIDs in it, and nothing personal.
    assert TO[1:] not in str(arguments)
    assert sandbox.control.outbox() == []
    sandbox.control.advance(3600)
    result = await task.aexecute(context)  # type: ignore[arg-type]
    assert result["interaction_sid"] == arguments["interaction_sid"]
    assert [text["body"] for text in sandbox.control.outbox()] == ["One"]


def test_a_wait_that_was_refused_holds_no_key(
    connection: Callable[..., None], context: FakeContext, sandbox: SandboxProcess
) -> None:
    """Whoever puts it right need not wait for a lease: the send gives its key back."""
    connection(stack="conversations")
    sandbox.control.settings(interaction_setup_s=3600)

    def same_key() -> FlexSendOperator:
        number = sandbox.settings["numbers"]["conversations"]
        return operator(from_number=number, body="One", idempotency_key="order-1")

    with pytest.raises(TaskDeferred):
        same_key().execute(context)  # type: ignore[no-untyped-call]  # Airflow's own
    refused = {"status": "error", "message": "401", "retryable": False}
    with pytest.raises(PermanentError, match="401 Nothing was sent"):
        same_key().resume_execution("execute_complete", {"event": refused}, context)  # type: ignore[no-untyped-call,arg-type]
    another = FakeContext()
    another["ti"].run_id = "manual__2"
    with pytest.raises(TaskDeferred):
        same_key().execute(another)  # type: ignore[no-untyped-call]
    sandbox.control.advance(3600)
    same_key().execute(another)  # type: ignore[no-untyped-call]
    assert [text["body"] for text in sandbox.control.outbox()] == ["One"]


@pytest.mark.parametrize(
    ("event", "error", "sentence"),
    [
        (
            {"status": "timeout"},
            ServiceUnavailable,
            "setting up the interaction for 300 s; nothing was sent yet",
        ),
        ({"status": "error", "message": "503", "retryable": True}, ServiceUnavailable, "503"),
    ],
)
def test_a_wait_without_an_end_is_told(
    event: dict[str, Any], error: type[Exception], sentence: str, context: FakeContext
) -> None:
    with pytest.raises(error, match=sentence):
        operator(body="One").execute_complete(context, event)  # type: ignore[arg-type]
