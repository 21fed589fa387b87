"""`flexsms verify`: what a person sees, agrees to and gets, and how it ends."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flexsms.cli import main as cli
from flexsms.core.assumptions import ASSUMPTIONS
from flexsms.sandbox.client import SandboxProcess

FLEXSMS = str(Path(sys.executable).with_name("flexsms"))
HANDSET = "+14155550142"
SID = re.compile(r"[A-Z]{2}[0-9a-f]{32}")


@pytest.fixture(autouse=True)
def connection(
    sandbox: SandboxProcess, connection_extra: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """`twilio_default` leads to the sandbox."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 1)

    def connect(**extra: Any) -> None:
        value = {
            "conn_type": "twilio",
            "login": sandbox.settings["account_sid"],
            "password": sandbox.settings["auth_token"],
            "extra": {
                **connection_extra,
                "stack": "conversations",
                "timeout_s": 2,
                "rate_limits": "off",
                **extra,
            },
        }
        monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", json.dumps(value))

    connect()
    return connect


def verify(*options: str) -> int:
    return cli.main(["verify", *options])


def pair(sandbox: SandboxProcess) -> list[str]:
    return ["--number", sandbox.settings["numbers"]["conversations"], "--handset", HANDSET]


def test_all_as_assumed(sandbox: SandboxProcess, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify("--yes", "--only", "sync-missing", "--only", "event-list-order") == 0
    assert capsys.readouterr().out.splitlines() == [
        "as assumed  sync-missing: code of a document or map that is missing under its unique name; assumed: 54300; "
        "found: 54300",
        "as assumed  event-list-order: order of the list of events; assumed: newest first; found: newest first",
        "",
        "2 as assumed, 0 differs, 0 not tried.",
    ]


def test_something_differs(sandbox: SandboxProcess, capsys: pytest.CaptureFixture[str]) -> None:
    sandbox.control.settings(event_order="oldest")
    assert verify("--yes", "--only", "event-list-order") == 1
    assert "found: oldest first; nothing to do" in capsys.readouterr().out


def test_nothing_could_be_tried(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify("--yes", "--only", "pair-refusal") == 2
    assert "give --number and --handset" in capsys.readouterr().out


def test_a_person_agrees(
    sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = io.StringIO("n\ny\n")
    monkeypatch.setattr(answers, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", answers)
    only = ("--only", "event-list-order", *pair(sandbox))
    sandbox.control.clear_journal()
    assert verify(*only) == 2
    told = capsys.readouterr().out
    assert "This opens at most 1 task and ends each, sends no text. From …0102 to …0142." in told
    assert told.endswith("Nothing was created.\n")
    assert sandbox.control.journal() == []
    assert verify(*only) == 0


def test_a_program_has_to_agree_by_option(
    sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert verify("--only", "sync-missing") == 2
    assert capsys.readouterr().err.endswith(
        "flexsms verify: This opens no task, sends no text. Give --yes to agree.\n"
    )
    assert sandbox.control.journal() == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--only", "nonsense"], "only: knows no nonsense; give one of sync-missing, "),
        (["--number", "0123"], "number: "),
        (["--handset", "nobody"], "handset: "),
        (["--worker", "WK1"], "worker: is no SID of an agent; give WK… from TaskRouter."),
        (["--conn-id", "none"], "Airflow has no connection 'none'"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify("--yes", *options) == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("flexsms verify: ")]
    assert said in line


def test_a_wrong_password(connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    value = json.loads(os.environ["AIRFLOW_CONN_TWILIO_DEFAULT"])
    monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", json.dumps({**value, "password": "wrong"}))
    assert verify("--yes", "--only", "sync-missing", "--only", "task-list-pages") == 2


def test_a_file_for_everybody(sandbox: SandboxProcess, tmp_path: Path) -> None:
    theirs = sandbox.control.customer(HANDSET, sandbox.settings["numbers"]["conversations"], "Hello")[
        "channel_sid"
    ]
    file = tmp_path / "findings.json"
    only = [option for name in ("sync-missing", "inactive-holds-pair") for option in ("--only", name)]
    assert verify("--yes", *only, *pair(sandbox), "--json", str(file)) == 0
    text = file.read_text(encoding="utf-8")
    told = json.loads(text)
    assert [(one["name"], one["outcome"]) for one in told["findings"]] == [
        ("sync-missing", "as assumed"),
        ("inactive-holds-pair", "not tried"),
    ]
    assert told["left"] == []
    assert not {theirs, sandbox.settings["account_sid"]} & set(SID.findall(text))
    assert "+1415" not in text


def test_a_file_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify("--yes", "--only", "sync-missing", "--json", str(tmp_path)) == 2
    assert "cannot be written (Is a directory)" in capsys.readouterr().err


def test_what_is_left_is_told(sandbox: SandboxProcess, capsys: pytest.CaptureFixture[str]) -> None:
    sandbox.control.fault(match={"method": "DELETE"}, action="status", status=403, code=20403)
    assert verify("--yes", "--only", "sync-missing") == 2
    assert "Left behind, remove it yourself: Sync service flexsms_verify." in capsys.readouterr().out


def test_the_list(capsys: pytest.CaptureFixture[str], sandbox: SandboxProcess) -> None:
    assert verify("--list") == 0
    told = capsys.readouterr().out
    assert all(f"\n{name}\n" in f"\n{told}" for name in ASSUMPTIONS)
    assert sandbox.control.journal() == []


@pytest.mark.timeout(120)
def test_control_c_leaves_nothing(sandbox: SandboxProcess) -> None:
    tables = sandbox.control.state()["tables"]
    process = subprocess.Popen(
        [FLEXSMS, "verify", "--yes", "--only", "sync-missing", "--only", "agent-completes", *pair(sandbox)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(">>> Accept the task"):
            break
    assert len(sandbox.control.state()["tables"]["conversations"]) == 1
    process.send_signal(signal.SIGINT)
    told, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert told.startswith("as assumed  sync-missing")
    assert said.endswith("Interrupted: what is not in the table was not tried.\n")
    after = sandbox.control.state()["tables"]
    assert {row["status"] for row in after["tasks"]} == {"canceled"}
    for name in ("conversations", "services", "members"):
        assert after[name] == tables[name]
