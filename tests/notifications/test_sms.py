"""FlexSmsNotifier: plain texts to colleagues, each once, and only so many."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.definitions.callback import AsyncCallback, SyncCallback
from airflow.triggers.callback import CallbackTrigger

from flexsms import FlexSmsNotifier
from flexsms.core.exceptions import InvalidInput, MissingSetting, TwilioError
from flexsms.hooks.twilio import TwilioHook
from flexsms.sandbox.client import SandboxProcess
from flexsms.twilio.account import connect
from flexsms.twilio.sending.notifications import LONGEST, Notified

FROM, ADA, BEN = "+14155550100", "+14155550171", "+14155550172"
NUMBERS = {"oncall": [ADA, BEN], "ada": ADA}
RUN = {"dag_run": SimpleNamespace(dag_id="flexsms_cleanup", run_id="scheduled__1")}


@pytest.fixture(autouse=True)
def recipients(connection: Callable[..., None]) -> None:
    connection(notify_from=FROM, notify_numbers=NUMBERS)


def notify(context: dict[str, Any] | None = None, **more: Any) -> None:
    arguments = {"to": "ada", "message": "{{ dag_run.dag_id }} failed", **more}
    FlexSmsNotifier(**arguments)({**(context or RUN)})


def texted(sandbox: SandboxProcess) -> list[tuple[str, str]]:
    return [(text["to"], text["body"]) for text in sandbox.control.outbox()]


def test_everybody_of_a_name_is_texted_and_no_task_is_opened(sandbox: SandboxProcess) -> None:
    notify(to="oncall")
    assert texted(sandbox) == [(ADA, "flexsms_cleanup failed"), (BEN, "flexsms_cleanup failed")]
    assert sandbox.control.state()["tables"]["tasks"] == []


def test_a_message_is_texted_once_a_run(sandbox: SandboxProcess) -> None:
    notify()
    notify()
    assert len(texted(sandbox)) == 1
    notify(message="{{ dag_run.dag_id }} is late")
    notify({"dag_run": SimpleNamespace(dag_id="flexsms_cleanup", run_id="scheduled__2")})
    notify(to="oncall")
    assert len(texted(sandbox)) == 5


def test_what_knows_the_run_as_an_object_and_as_json_means_the_same_run(sandbox: SandboxProcess) -> None:
    notify()
    notify({"dag_run": {"dag_id": "flexsms_cleanup", "dag_run_id": "scheduled__1"}})
    assert len(texted(sandbox)) == 1


def test_without_a_run_every_call_texts(sandbox: SandboxProcess) -> None:
    for _ in range(2):
        notify({"task_list": []}, message="Help")
    assert len(texted(sandbox)) == 2


def test_only_so_many_an_hour_and_name(sandbox: SandboxProcess) -> None:
    for number in range(4):
        notify(message=f"No. {number}", per_hour=2)
    assert texted(sandbox) == [(ADA, "No. 0"), (ADA, "No. 1")]
    notify(to="oncall", per_hour=2)
    assert len(texted(sandbox)) == 4


async def test_what_came_too_often_is_texted_in_the_next_hour(sandbox: SandboxProcess) -> None:
    now = datetime(2026, 11, 30, 3, 59, tzinfo=UTC)
    outcomes = []
    for message, minutes in (("First", 0), ("Second", 0), ("Second", 1), ("Second", 1)):
        async with connect(TwilioHook().settings, now=lambda: now + timedelta(minutes=minutes)) as account:  # noqa: B023
            outcomes.append(await account.notifications().notify("ada", message, run="run", per_hour=1))
    assert outcomes == [Notified.SENT, Notified.TOO_MANY, Notified.SENT, Notified.REPEATED]
    assert [body for _, body in texted(sandbox)] == ["First", "Second"]


def test_what_did_not_leave_takes_no_place_of_the_hour(sandbox: SandboxProcess) -> None:
    sandbox.control.customer(ADA, FROM, "STOP")
    for number in range(2):
        with pytest.raises(TwilioError, match="21610"):
            notify(message=f"No. {number}", per_hour=1)
    sandbox.control.customer(ADA, FROM, "START")
    notify(message="No. 2", per_hour=1)
    assert texted(sandbox) == [(ADA, "No. 2")]


async def test_the_next_hour_has_places_of_its_own(sandbox: SandboxProcess) -> None:
    now = datetime(2026, 11, 30, 3, 59, tzinfo=UTC)
    outcomes = []
    for minutes in (0, 0, 1):
        async with connect(TwilioHook().settings, now=lambda: now + timedelta(minutes=minutes)) as account:  # noqa: B023
            outcomes.append(await account.notifications().notify("ada", "Help", run="", per_hour=1))
    assert outcomes == [Notified.SENT, Notified.TOO_MANY, Notified.SENT]
    assert len(texted(sandbox)) == 2


def test_who_has_opted_out_does_not_keep_others_from_the_text(
    sandbox: SandboxProcess, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.control.customer(ADA, FROM, "STOP")
    notify(to="oncall")
    assert [to for to, _ in texted(sandbox)] == [BEN]
    assert "No notification to …0171" in caplog.text
    assert "21610" in caplog.text
    assert ADA not in caplog.text


def test_what_reached_nobody_is_tried_again(sandbox: SandboxProcess) -> None:
    sandbox.control.customer(ADA, FROM, "STOP")
    with pytest.raises(TwilioError, match="21610"):
        notify()
    sandbox.control.customer(ADA, FROM, "START")
    notify()
    assert len(texted(sandbox)) == 1


def test_a_long_message_is_cut_off(sandbox: SandboxProcess) -> None:
    notify(message="x" * 2_000)
    [(_, body)] = texted(sandbox)
    assert len(body) == LONGEST
    assert body.endswith("x...")


@pytest.mark.parametrize("to", [ADA, "+1 (415) 555-0171", "(415) 555-0171"])
def test_a_number_is_refused_before_airflow_writes_it_anywhere(to: str) -> None:
    with pytest.raises(
        InvalidInput, match="to: is a phone number; name it in the connection's notify_numbers"
    ):
        FlexSmsNotifier(to=to, message="Help")


def test_a_number_that_a_template_gives_is_refused_as_well(
    connection: Callable[..., None], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    connection(notify_from=FROM, notify_numbers={ADA: ADA})
    with pytest.raises(InvalidInput, match="to: is a phone number"):
        notify({**RUN, "params": {"oncall": ADA}}, to="{{ params.oncall }}")
    assert ADA not in caplog.text + "".join(capsys.readouterr())


@pytest.mark.parametrize("per_hour", [0, 61, "many"])
def test_a_wrong_limit_is_named(per_hour: Any) -> None:
    with pytest.raises(InvalidInput, match="per_hour"):
        FlexSmsNotifier(to="ada", message="Help", per_hour=per_hour)


def test_what_the_connection_lacks_is_named(connection: Callable[..., None]) -> None:
    with pytest.raises(MissingSetting, match="notify_numbers: has no 'ben'"):
        notify(to="ben")
    connection(notify_numbers=NUMBERS)
    with pytest.raises(MissingSetting, match="notify_from: is empty"):
        notify()


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ("{", "is not understood"),
        ("[1]", "is not understood"),
        ({"ada": "4155550171"}, "has no number in E.164 for 'ada'"),
        ({"ada": []}, "has no number in E.164 for 'ada'"),
        ({"ada": 5}, "has no number in E.164 for 'ada'"),
        ({"+14155550171": "ada"}, "has no number in E.164 for '…0171'"),
    ],
)
def test_wrong_recipients_are_named_without_a_number(
    numbers: Any, says: str, connection: Callable[..., None]
) -> None:
    connection(notify_from=FROM, notify_numbers=numbers)
    with pytest.raises(MissingSetting, match=f"notify_numbers: {says}") as caught:
        notify()
    assert "4155550171" not in str(caught.value).partition(";")[0]


def test_recipients_may_be_json_as_the_form_stores_it(
    connection: Callable[..., None], sandbox: SandboxProcess
) -> None:
    connection(notify_from=FROM, notify_numbers=json.dumps(NUMBERS))
    notify()
    assert [to for to, _ in texted(sandbox)] == [ADA]
    assert ADA not in repr(TwilioHook().settings)
    assert FROM not in repr(TwilioHook().settings)


def test_the_triggerer_runs_it_for_a_deadline(sandbox: SandboxProcess) -> None:
    """As Airflow does: by its path, with a context that says little, and nothing rendered before."""
    kwargs = {"to": "ada", "message": "{{ dag_run.dag_id }} is late: {{ deadline.deadline_time }}"}
    callback = AsyncCallback(FlexSmsNotifier, kwargs=kwargs)
    assert SyncCallback(FlexSmsNotifier, kwargs=kwargs).path == callback.path
    context = {
        "dag_run": {"dag_id": "flexsms_cleanup", "dag_run_id": "scheduled__1"},
        "deadline": {"id": "1", "deadline_time": "04:00"},
    }

    async def run() -> list[Any]:
        trigger = CallbackTrigger(callback.path, {**callback.kwargs, "context": context})
        return [event.payload["state"] async for event in trigger.run()]

    assert asyncio.run(run()) == ["running", "success"]
    assert texted(sandbox) == [(ADA, "flexsms_cleanup is late: 04:00")]
