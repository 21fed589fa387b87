"""flexsms_setup, run by Airflow."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from flexsms.sandbox.client import SandboxProcess

from .conftest import Run, on_both_stacks

NUMBER = "+14155550177"
URL = "https://airflow.example.com/flexsms/events"


@on_both_stacks
def test_looked_at_then_set_up_then_left_alone(
    stack: str,
    run: Callable[..., Run],
    sandbox: SandboxProcess,
    writes: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com")
    conf = {
        "number": NUMBER,
        "events_url": URL,
        "studio_flow_sid": sandbox.settings["studio_flow_sid"],
        "workflow_sid": sandbox.settings["workflow_sid"],
    }
    looked = run("flexsms_setup", **conf)
    assert looked.state == "success"
    assert writes() == []  # a run is a dry run unless it is told otherwise
    assert "Sink" in capsys.readouterr().out
    first = run("flexsms_setup", **conf, dry_run=False)
    assert first.state == "success"
    assert len(writes()) == {"chat": 4, "conversations": 3}[stack]
    sandbox.control.clear_journal()
    second = run("flexsms_setup", **conf, dry_run=False)
    assert writes() == []
    made, there = first.xcom("setup"), second.xcom("setup")
    assert [row["sid"] for row in made["rows"]] == [row["sid"] for row in there["rows"]]
    assert made["connection_extra"] == there["connection_extra"]
    for ended in (looked, first, second):
        left = json.dumps([list(ended.xcoms().values()), ended.rendered()])
        assert "4155550177" not in left
        assert sandbox.settings["auth_token"] not in left


def test_a_wrong_setting_fails_at_once(
    run: Callable[..., Run],
    connection: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    connection["extra"]["sync_service_sid"] = "IS" + "0" * 32
    monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", json.dumps(connection))
    ended = run("flexsms_setup")
    assert (ended.state, ended.tries("setup")) == ("failed", [1])
    assert "sync_service_sid: names no Sync service of this account" in capsys.readouterr().out
