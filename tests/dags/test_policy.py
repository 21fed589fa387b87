"""What holds for every DAG of the house."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseHook, Variable
from airflow.sdk.exceptions import ParamValidationError

from flexsms.retry_policy import FlexRetryPolicy

from .conftest import DAGS, Run

FORMS = {
    "flexsms_broadcast": [
        "campaign",
        "recipients",
        "from_number",
        "body",
        "route",
        "dry_run",
        "approve_over",
        "sql",
        "sql_conn_id",
        "hours",
        "days",
        "not_before",
        "not_after",
        "max_per_second",
        "max_open_tasks",
        "stop_over",
        "delivery_minutes",
        "twilio_conn_id",
    ],
    "flexsms_send": [
        "from_number",
        "to_number",
        "to_name",
        "body",
        "route",
        "wait_for_delivery",
        "target_worker_sid",
        "worker_only",
        "source_channel_sid",
        "task_attributes",
        "idempotency_key",
        "twilio_conn_id",
    ],
    "flexsms_track": ["source", "lookback_minutes", "since", "until", "twilio_conn_id"],
    "flexsms_cleanup": [
        "retention_days",
        "action",
        "unanswered",
        "dry_run",
        "limit",
        "approve_over",
        "channel_types",
        "twilio_conn_id",
    ],
    "flexsms_setup": [
        "dry_run",
        "number",
        "studio_flow_sid",
        "workflow_sid",
        "long_lived",
        "janitor",
        "overwrite",
        "events_url",
        "kinesis",
        "test_id",
        "stream_name",
        "twilio_conn_id",
    ],
}
FILLED = {"from_number": "+14155550100", "to_number": "+14155550199"}
LIST = {"campaign": "spring", "from_number": "+14155550100", "body": "Dear {name}"}


@pytest.mark.parametrize("dag_id", FORMS)
def test_a_dag_says_what_it_is(dag_id: str, dags: dict[str, Any]) -> None:
    dag = dags[dag_id]
    assert dag.description
    assert "#### Result" in dag.doc_md
    assert "flexsms" in dag.tags
    assert dag.owner == "flexsms"
    assert not dag.catchup
    assert str(dag.timezone) == "UTC"


@pytest.mark.parametrize("dag_id", FORMS)
def test_airflows_dialog_shows_the_documentation_as_it_is_meant(dag_id: str, dags: dict[str, Any]) -> None:
    """It is 500 pixels wide, and drops italics and the distance between paragraphs that begin in bold."""
    for text in [dags[dag_id].doc_md, *(task.doc_md for task in dags[dag_id].tasks)]:
        assert not re.search(r"(?<![*\w])\*(?![*\s])[^*\n]+\*(?!\*)", text)
        assert not re.search(r"(?m)^\*\*", text)
        code = [
            line for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL) for line in block.splitlines()
        ]
        assert all(len(line) <= 60 for line in code)


@pytest.mark.parametrize("dag_id", FORMS)
def test_every_task_says_what_to_do_when_it_is_red(dag_id: str, dags: dict[str, Any]) -> None:
    for task in dags[dag_id].tasks:
        assert "**If it is red**" in task.doc_md, task.task_id


@pytest.mark.parametrize("dag_id", FORMS)
def test_every_task_is_tried_again_by_the_policy_and_ends_some_time(
    dag_id: str, dags: dict[str, Any]
) -> None:
    for task in dags[dag_id].tasks:
        assert task.retries >= 3
        assert isinstance(task.retry_policy, FlexRetryPolicy)
        # A batch of a broadcast may be slow on purpose.
        most = timedelta(hours=12 if (dag_id, task.task_id) == ("flexsms_broadcast", "send") else 2)
        assert timedelta() < task.execution_timeout <= most


def test_the_dags_that_change_state_run_one_at_a_time(dags: dict[str, Any]) -> None:
    assert dags["flexsms_track"].max_active_runs == 1
    assert dags["flexsms_cleanup"].max_active_runs == 1
    assert dags["flexsms_setup"].max_active_runs == 1
    assert dags["flexsms_cleanup"].get_task("retire").max_active_tis_per_dag == 1


def test_there_are_no_other_dags(dags: dict[str, Any]) -> None:
    assert set(dags) == set(FORMS)


def test_one_option_moves_every_dag_to_another_connection(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("AIRFLOW__FLEXSMS__TWILIO_CONN_ID", "twilio_other")
    dags = request.getfixturevalue("dags")  # only now: they read it when they are parsed
    assert {dag.params["twilio_conn_id"] for dag in dags.values()} == {"twilio_other"}


@pytest.mark.parametrize(("name", "usual"), [("pool", "default_pool"), ("queue", "default")])
def test_the_options_say_in_which_pool_and_queue_tasks_wait(
    name: str, usual: str, monkeypatch: pytest.MonkeyPatch, airflow_db: Path
) -> None:
    from airflow.dag_processing.dagbag import DagBag

    def found() -> dict[str, set[str]]:
        """Where the tasks of sending wait, and those of the other DAGs."""
        where: dict[str, set[str]] = {"send": set(), "others": set()}
        for dag_id, dag in DagBag(DAGS).dags.items():
            where["send" if dag_id == "flexsms_send" else "others"] |= {
                getattr(task, name) for task in dag.tasks
            }
        return where

    assert found() == {"send": {usual}, "others": {usual}}
    monkeypatch.setenv(f"AIRFLOW__FLEXSMS__{name.upper()}", "flexsms")
    assert found() == {"send": {"flexsms"}, "others": {"flexsms"}}
    monkeypatch.setenv(f"AIRFLOW__FLEXSMS__SEND_{name.upper()}", "texts")
    assert found() == {"send": {"texts"}, "others": {"flexsms"}}


@pytest.mark.parametrize("time", ["02:59:59", "03:00:01", "03:10:00", "05:20:00", "23:59:59"])
def test_unpausing_cleanup_retires_nothing_before_its_time(
    time: str, dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.timetables import trigger
    from airflow.timetables.base import TimeRestriction

    now = datetime.fromisoformat(f"2026-11-18T{time}+00:00")
    monkeypatch.setattr(trigger, "utcnow", lambda: now)
    dag = DagSerialization.from_dict(DagSerialization.to_dict(dags["flexsms_cleanup"]))
    assert dag.start_date is None
    first = dag.timetable.next_dagrun_info(
        last_automated_data_interval=None,
        restriction=TimeRestriction(earliest=None, latest=None, catchup=dag.catchup),
    )
    assert now < first.run_after < now + timedelta(days=1)


@pytest.mark.parametrize("dag_id", FORMS)
def test_the_form_has_the_fixed_fields_each_explained(dag_id: str, dags: dict[str, Any]) -> None:
    params = dags[dag_id].params
    assert list(params) == FORMS[dag_id]
    for name in params:
        param = params.get_param(name)
        assert param.description, name
        title = param.schema["title"]
        # What an error calls the field, the form calls it, too.
        assert title.lower().replace(" ", "_") == name or title.endswith(f" ({name})")
        assert param.schema["type"], name


@pytest.mark.parametrize(
    ("dag_id", "conf"),
    [
        ("flexsms_send", {"route": "voice"}),
        ("flexsms_send", {"task_attributes": "vip"}),
        ("flexsms_send", {"twilio_conn_id": ""}),
        ("flexsms_track", {"source": "fax"}),
        ("flexsms_track", {"lookback_minutes": -1}),
        ("flexsms_track", {"since": "monday"}),
        ("flexsms_cleanup", {"retention_days": 0}),
        ("flexsms_cleanup", {"action": "archive"}),
        ("flexsms_cleanup", {"dry_run": "no"}),
        ("flexsms_cleanup", {"limit": 0}),
        ("flexsms_cleanup", {"channel_types": ["sms"]}),
        ("flexsms_setup", {"kinesis": "arn"}),
        ("flexsms_broadcast", {"campaign": ""}),
        ("flexsms_broadcast", {"max_per_second": 0}),
        ("flexsms_broadcast", {"stop_over": 2}),
        ("flexsms_broadcast", {"not_after": "soon"}),
        ("flexsms_broadcast", {"max_open_tasks": 0}),
    ],
)
def test_the_form_refuses_what_cannot_work(dag_id: str, conf: dict[str, Any], dags: dict[str, Any]) -> None:
    params = dags[dag_id].params.__copy__()
    params.update({"flexsms_send": FILLED, "flexsms_broadcast": LIST}.get(dag_id, {}))
    with pytest.raises(ParamValidationError, match=next(iter(conf))):
        params.update(conf)


@pytest.mark.parametrize(
    ("dag_id", "conf"),
    [
        ("flexsms_broadcast", {**LIST, "from_number": "+14155550100, +14155550101", "approve_over": None}),
        ("flexsms_broadcast", {**LIST, "max_per_second": 0.5, "not_after": "2026-12-01T16:00:00Z"}),
        ("flexsms_send", {**FILLED, "body": None, "to_name": None, "idempotency_key": None}),
        ("flexsms_send", {**FILLED, "to_number": "+1 (415) 555-0199", "task_attributes": {"vip": True}}),
        ("flexsms_track", {"lookback_minutes": 0.5}),
        ("flexsms_cleanup", {"retention_days": 0.5, "dry_run": True, "action": "delete"}),
        ("flexsms_setup", {"number": None, "kinesis": {"arn": "arn:aws:x"}, "events_url": None}),
        ("flexsms_setup", {"number": "+1 415 555 0177", "events_url": "https://example.com/flexsms/events"}),
    ],
)
def test_the_form_takes_what_can(dag_id: str, conf: dict[str, Any], dags: dict[str, Any]) -> None:
    params = dags[dag_id].params.__copy__()
    params.update(conf)
    assert params.validate().items() >= conf.items()


@pytest.mark.parametrize(
    ("dag_id", "conf", "sentence"),
    [
        ("flexsms_send", {"body": "x" * 1601}, "body: has 1601 characters; shorten it to 1600"),
        ("flexsms_send", {"target_worker_sid": "WK1"}, "target_worker_sid: is not a Twilio SID of this kind"),
        (
            "flexsms_setup",
            {"workflow_sid": "FW" + "0" * 32},
            "workflow_sid: is not a Twilio SID of this kind",
        ),
        (
            "flexsms_setup",
            {"events_url": "example.com"},
            "events_url: is neither the connection's nor with https",
        ),
        ("flexsms_setup", {"stream_name": ""}, "stream_name: is empty; give the text by which"),
    ],
)
def test_a_task_says_what_no_form_could_say_as_well(
    dag_id: str,
    conf: dict[str, Any],
    sentence: str,
    run: Callable[..., Run],
    writes: Callable[[], list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    ran = run(dag_id, **(FILLED if dag_id == "flexsms_send" else {}), **conf)
    assert ran.state == "failed"
    assert sentence in capsys.readouterr().out
    assert writes() == []


def test_parsing_is_quick_and_asks_nobody(airflow_db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.dag_processing.dagbag import DagBag

    def forbidden(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("a DAG file asked somebody while it was parsed")

    monkeypatch.setattr(socket.socket, "connect", forbidden)
    monkeypatch.setattr(BaseHook, "get_connection", forbidden)
    monkeypatch.setattr(Variable, "get", forbidden)
    bag = DagBag(DAGS)
    assert bag.import_errors == {}
    assert all(file.duration < timedelta(seconds=2) for file in bag.dagbag_stats)


def test_parsing_twice_gives_the_same_version(dags: dict[str, Any]) -> None:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization

    again = DagBag(DAGS).dags
    for dag_id, dag in dags.items():
        first, second = DagSerialization.serialize_dag(dag), DagSerialization.serialize_dag(again[dag_id])
        assert json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
