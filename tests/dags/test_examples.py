"""The examples of docs/operators.md, run by Airflow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flexsms.assets import CHANNEL_STATE
from flexsms.sandbox.client import SandboxProcess
from tests.conftest import ROOT

from .conftest import Run

EXAMPLES = ROOT / "docs" / "examples"

on_conversations = pytest.mark.parametrize("stack", ["conversations"], indirect=True)


@pytest.fixture
def run_example(
    dags: dict[str, Any], run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Run]:
    """Run an example with the given conf, to its end."""
    from airflow.dag_processing.dagbag import DagBag

    def run_example(dag_id: str, **conf: Any) -> Run:
        with monkeypatch.context() as patch:
            # dag.test() wants a DAG to be in the configured bundle.
            patch.setattr("airflow.settings.DAGS_FOLDER", str(EXAMPLES))
            return run(dag_id, **conf)

    bag = DagBag(EXAMPLES)
    assert bag.import_errors == {}
    assert len(bag.dags) == len([*EXAMPLES.glob("*.py")])
    dags.update(bag.dags)
    return run_example


def texted(sandbox: SandboxProcess) -> list[tuple[str, str]]:
    return sorted((text["to"], text["body"]) for text in sandbox.control.outbox())


@on_conversations
def test_send_to_one(run_example: Callable[..., Run], number: str, sandbox: SandboxProcess) -> None:
    sandbox.control.settings(sms_step_s=0)
    conf = {"order": "4711", "customer_number": "+14155550199", "from_number": number}
    first, second = run_example("order_has_left", **conf), run_example("order_has_left", **conf)
    assert (first.state, second.state) == ("success", "success")
    assert first.xcom("delivery")["status"] == "delivered"
    assert (first.xcom("send")["duplicate"], second.xcom("send")["duplicate"]) == (False, True)
    assert texted(sandbox) == [("+14155550199", "Your order 4711 has left.")]


@on_conversations
def test_send_to_a_list(run_example: Callable[..., Run], number: str, sandbox: SandboxProcess) -> None:
    assert run_example("appointment_reminders", from_number=number).state == "success"
    assert texted(sandbox) == [
        ("+14155550171", "We look forward to seeing you tomorrow at 9."),
        ("+14155550172", "We look forward to seeing you tomorrow at 10."),
    ]


@on_conversations
def test_wait_for_the_asset(
    dags: dict[str, Any], run: Callable[..., Run], run_example: Callable[..., Run], sandbox: SandboxProcess
) -> None:
    sandbox.control.seed(channels=3, stack="conversations")
    tracked = run("flexsms_track").xcom("track")
    [waited_for] = dags["channels_have_changed"].task_dict["log_newest"].inlets
    assert (waited_for.name, waited_for.uri) == (CHANNEL_STATE.name, CHANNEL_STATE.uri)
    seen = run_example("channels_have_changed")
    assert seen.xcom("log_newest") == tracked["channels"] > 0


@on_conversations
def test_cleanup_with_another_schedule(
    run_example: Callable[..., Run], active: Callable[[str], bool], sandbox: SandboxProcess
) -> None:
    sandbox.control.seed(channels=20, days=25, story=True, stack="conversations")
    report = run_example("cleanup_on_sundays").xcom("report")
    assert 0 < report["deactivated"] == report["due"] - report["already_gone"]
    assert report["due"] < report["scanned"]
    # Her last task ended three days ago.
    assert active(sandbox.control.story()["ada"]["channel_sid"])


@on_conversations
def test_cleanup_with_a_deadline(
    run_example: Callable[..., Run], dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    dag = dags["cleanup_by_four"]
    [alert] = DagSerialization.from_dict(DagSerialization.to_dict(dag)).deadline
    assert alert
    [alert] = dag.deadline
    assert alert.callback.path == "flexsms.notifications.sms.FlexSmsNotifier"
    assert "to" in alert.callback.kwargs
    monkeypatch.setattr(dag, "deadline", None)  # dag.test() of Airflow 3.3.2 cannot run a DAG with one
    assert run_example("cleanup_by_four").state == "success"
