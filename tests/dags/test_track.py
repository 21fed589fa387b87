"""flexsms_track, run by Airflow."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.utils.types import DagRunType  # noqa: TID251

from flexsms.assets import INBOX
from flexsms.sandbox.client import SandboxProcess
from flexsms.sources.object_storage import name_at
from flexsms.triggers.inbox import InboxTrigger

from .conftest import Run, on_both_stacks


@on_both_stacks
def test_the_first_run_reads_everything_and_the_second_only_what_is_new(
    stack: str,
    run: Callable[..., Run],
    cursor: Callable[[], str | None],
    sandbox: SandboxProcess,
    writes: Callable[[], list[str]],
) -> None:
    sandbox.control.seed(channels=8, stack=stack)
    first = run("flexsms_track")
    assert first.state == "success"
    report = first.xcom("track")
    assert report["created"] == report["channels"] > 0
    assert report["api_calls"] > 0
    assert first.events() == [report]
    assert (report["kind"], report["source"], report["latency_s"]["n"]) == (
        "track",
        "taskrouter",
        report["created"],
    )
    assert report["read_up_to"][:17] == report["cursor"][:17]
    assert 0 <= report["behind_s"] <= report["latency_s"]["p50"] <= report["latency_s"]["p95"]
    assert sum(report["calls"].values()) == report["api_calls"]
    reached = cursor()
    assert reached == report["cursor"]
    assert datetime.now(UTC) - datetime.fromisoformat(str(reached)) < timedelta(minutes=1)

    sandbox.control.clear_journal()
    second = run("flexsms_track", lookback_minutes=0)
    assert second.xcom("track")["events"] == 0
    assert writes() == []
    assert second.events() == []  # nobody is told that nothing has changed
    assert str(cursor()) >= str(reached)


def test_a_new_event_updates_its_channel(run: Callable[..., Run], sandbox: SandboxProcess) -> None:
    sandbox.control.seed(story=True)
    run("flexsms_track")
    sandbox.control.agent("complete", channel_sid=sandbox.control.story()["ben"]["channel_sid"])
    report = run("flexsms_track").xcom("track")
    assert (report["updated"], report["created"]) == (1, 0)


def test_the_cursor_stays_when_a_channel_cannot_be_written(
    run: Callable[..., Run],
    cursor: Callable[[], str | None],
    sandbox: SandboxProcess,
    tries: Callable[[int], None],
) -> None:
    tries(1)
    sandbox.control.seed(channels=3)
    sandbox.control.fault(match={"method": "POST", "host": "sync.twilio.com"}, action="status", status=403)
    assert run("flexsms_track").state == "failed"
    assert cursor() is None


def test_a_collector_that_is_not_connected_is_named(
    run: Callable[..., Run], capsys: pytest.CaptureFixture[str]
) -> None:
    tracked = run("flexsms_track", source="http")
    assert tracked.tries("track") == [1]
    assert "Airflow has no connection 'flexsms_events'; create it with type 'http'" in capsys.readouterr().out


def test_without_an_inbox_its_setting_is_named(
    run: Callable[..., Run], capsys: pytest.CaptureFixture[str]
) -> None:
    tracked = run("flexsms_track", source="inbox")
    assert tracked.tries("track") == [1]
    assert "Connection field inbox_path: is empty; give a URL like s3://" in capsys.readouterr().out


def test_posts_in_the_inbox_are_stored_and_put_away(
    run: Callable[..., Run],
    session: Any,
    connection: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    table: Callable[[str], list[dict[str, Any]]],
) -> None:
    connection["extra"]["inbox_path"] = f"file://{tmp_path}"
    connection["extra"]["events_url"] = "https://airflow.example.com/flexsms/events"
    monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", json.dumps(connection))
    channel = "CH" + "a" * 32
    payload = {"task_sid": "WT" + "b" * 32, "task_attributes": json.dumps({"channelSid": channel})}
    event = {
        "type": "com.twilio.taskrouter.task.created",
        "id": "EZ1",
        "data": {"timestamp": "2024-11-18T16:42:07.105Z", "payload": payload},
    }
    name = f"{name_at(datetime.now(UTC))}-1.json"  # one that came long ago would be removed
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / name).write_text(json.dumps([event]))
    tracked = run("flexsms_track", source="inbox")
    assert tracked.state == "success"
    report = tracked.xcom("track")
    assert (report["events"], report["created"]) == (1, 1)
    assert (report["source"], report["waiting"]) == ("inbox", 0)
    assert f"flexsms.{channel}" in json.dumps(table("documents"))
    assert os.listdir(tmp_path / "new") == []
    assert [path.name for path in tmp_path.glob("done/*/*")] == [name]
    assert run("flexsms_track", source="inbox").xcom("track")["events"] == 0


def test_it_runs_every_ten_minutes_and_when_something_arrives(dags: dict[str, Any]) -> None:
    timetable = dags["flexsms_track"].timetable
    assert timetable.timetable.expression == "*/10 * * * *"
    assert timetable.asset_condition.name == INBOX.name
    [watcher] = INBOX.watchers
    assert isinstance(watcher.trigger, InboxTrigger)


@pytest.mark.parametrize(("run_type", "source"), [("asset_triggered", "inbox"), ("scheduled", "taskrouter")])
def test_what_starts_a_run_decides_what_it_reads(run_type: str, source: str, dags: dict[str, Any]) -> None:
    task = dags["flexsms_track"].get_task("track")
    dag_run = SimpleNamespace(run_type=DagRunType(run_type))
    params = {"source": "taskrouter", "lookback_minutes": 15, "twilio_conn_id": "twilio_default"}
    rendered = task.render_template(task.source, {"dag_run": dag_run, "params": params})
    assert rendered == source
    assert task.render_template(task.fallback, {"dag_run": dag_run, "params": params}) == "taskrouter"
