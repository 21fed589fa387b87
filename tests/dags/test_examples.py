"""The examples of docs/operators.md, run by Airflow."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Connection

from flexsms.assets import CHANNEL_STATE
from flexsms.sandbox.client import SandboxProcess
from tests.conftest import ROOT
from tests.recipients.test_database import Database

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
def test_a_broadcast_from_the_warehouse(
    run_example: Callable[..., Run],
    dags: dict[str, Any],
    sandbox: SandboxProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a zone where it is early afternoon, whenever this runs."""
    sandbox.control.settings(sms_step_s=0)
    monkeypatch.setenv("AIRFLOW__FLEXSMS__BROADCAST_PATH", (tmp_path / "broadcasts").as_uri())
    database = tmp_path / "warehouse.db"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", f"sqlite:///{database}")
    monkeypatch.setattr(Connection, "get_hook", lambda *_, **__: Database(database))
    now = datetime.now(UTC)
    zone = f"Etc/GMT{now.hour - 13:+d}"
    tomorrow = (now + timedelta(days=1)).date().isoformat()
    with closing(sqlite3.connect(database)) as warehouse:
        warehouse.execute("CREATE TABLE appointments (phone, first_name, time_zone, starts_at, day)")
        rows = [
            ("+14155550171", "Hana", zone, "9", tomorrow),
            ("+14155550172", "Ivo", zone, "10", tomorrow),
            ("+14155550173", "Jo", zone, "10", "2026-01-01"),
        ]
        warehouse.executemany("INSERT INTO appointments VALUES (?, ?, ?, ?, ?)", rows)
        warehouse.commit()
    first, second = (run_example("appointments_of_tomorrow") for _ in range(2))
    assert (first.xcom("report")["delivered"], second.xcom("report")["texted_before"]) == (2, 2)
    assert texted(sandbox) == [
        ("+14155550171", "Dear Hana, we look forward to seeing you tomorrow at 9."),
        ("+14155550172", "Dear Ivo, we look forward to seeing you tomorrow at 10."),
    ]


@on_conversations
def test_a_broadcast_to_whoever_a_task_returns(
    run_example: Callable[..., Run],
    number: str,
    sandbox: SandboxProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__FLEXSMS__BROADCAST_PATH", tmp_path.as_uri())
    done = run_example("recall", product="kettle", from_number=number)
    assert done.xcom("report")["texted"] == 2
    assert [to for to, _ in texted(sandbox)] == ["+14155550171", "+14155550172"]
    assert "please do not use your kettle any more" in texted(sandbox)[0][1]


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
