"""What the demo's Airflow is told beforehand; that it runs is shown in tests/e2e."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, CronTriggerTimetable
from airflow.sdk.definitions.timetables.assets import AssetTriggeredTimetable
from airflow.sdk.definitions.timetables.simple import NullTimetable

from flexsms.demo.cluster_policy import dag_policy

pytestmark = pytest.mark.airflow


def test_nothing_runs_by_the_clock() -> None:
    dag = DAG("daily", schedule="0 3 * * *")
    dag_policy(dag)
    assert isinstance(dag.timetable, NullTimetable)


def test_what_assets_start_they_still_start() -> None:
    inbox = Asset("inbox")
    clock = CronTriggerTimetable("*/10 * * * *", timezone="UTC")
    dag = DAG("track", schedule=AssetOrTimeSchedule(timetable=clock, assets=inbox))
    both = dag.timetable
    dag_policy(dag)
    assert type(dag.timetable) is AssetTriggeredTimetable
    assert isinstance(both, AssetOrTimeSchedule)
    assert dag.timetable.asset_condition == both.asset_condition


def test_airflow_knows_its_connections_from_the_start(tmp_path: Path) -> None:
    """The database is made and the connection stored, before Airflow has any part that could ask for it."""
    stored = tmp_path / "connections.json"
    extra = json.dumps({"base_url": "http://127.0.0.1:1"})
    stored.write_text(
        json.dumps({"twilio_default": {"conn_type": "twilio", "login": "AC1", "port": 0, "extra": extra}})
    )
    program = f"""
import sys, airflow.__main__ as cli
from pathlib import Path

real = cli.main
cli.main = lambda: real() if sys.argv[1] != "standalone" else print("ARGV", sys.argv)
from flexsms.demo.airflow_standalone import main

main(Path({str(stored)!r}))
sys.argv = ["airflow", "connections", "get", "twilio_default", "--output", "json"]
real()
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "ARGV ['airflow', 'standalone']" in ended.stdout, ended.stderr
    [found] = json.loads(ended.stdout[ended.stdout.rindex("\n[") :])
    assert (found["conn_type"], found["login"], found["port"]) == ("twilio", "AC1", "0")
    assert found["extra_dejson"] == json.loads(extra)
    assert not stored.exists()


def test_only_the_api_server_listens(tmp_path: Path) -> None:
    """What the parts of `airflow standalone` are started with; tests/e2e looks at their ports."""
    program = """
import subprocess
from airflow.cli.commands import standalone_command
from flexsms.demo.airflow_standalone import _serve_no_logs

class Started:
    stdout = ()
    def __init__(self, command, **_):
        print(*command)

standalone_command.subprocess.Popen = Started
_serve_no_logs()
for name in ("scheduler", "dag-processor", "api-server", "triggerer"):
    standalone_command.SubCommand(None, name=name, command=[name], env={}).run()
"""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.stdout.splitlines()[-4:] == [
        "airflow scheduler --skip-serve-logs",
        "airflow dag-processor",
        "airflow api-server",
        "airflow triggerer --skip-serve-logs",
    ], ended.stderr
