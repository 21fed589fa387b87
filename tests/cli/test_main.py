"""The command line: what it offers, and what a person is told when a sandbox listens."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flexsms.cli import main as cli
from flexsms.sandbox.client import connection_extra
from flexsms.sandbox.control.routes import Control

FLEXSMS = str(Path(sys.executable).with_name("flexsms"))


@pytest.fixture
def ready() -> dict[str, Any]:
    return {"base_url": "http://127.0.0.1:9999", "settings": Control(random_seed=1).settings()}


def test_demo_stays_unless_it_is_told_to_leave() -> None:
    assert not cli.parser().parse_args(["demo"]).exit
    assert cli.parser().parse_args(["demo", "--exit"]).exit


def test_demo_plays_on_either_stack() -> None:
    assert cli.parser().parse_args(["demo"]).stack == "conversations"
    assert cli.parser().parse_args(["demo", "--stack", "chat"]).stack == "chat"


def test_sandbox_takes_the_options_of_the_sandbox() -> None:
    given = ["--port=9999", "--seed=story,200", "--latency-ms=40", "--rate-limits=documented"]
    args = cli.parser().parse_args(["sandbox", *given])
    assert (args.port, args.seed, args.latency_ms, args.rate_limits) == (
        9999,
        "story,200",
        40.0,
        "documented",
    )


def test_without_a_command_it_says_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main([])
    assert left.value.code == 2
    assert "demo | sandbox | setup | doctor | verify" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--help"], "send, track, clean up"),
        (["demo", "--help"], "Ctrl-C leaves no process behind"),
        (["sandbox", "--help"], "--latency-ms"),
        (["setup", "--help"], "Without --write, nothing is\nwritten"),
        (["doctor", "--help"], "Exit status 1 when anything is wrong"),
        (["verify", "--help"], "It says what it costs before it begins"),
        (["--version"], "flexsms "),
    ],
)
def test_help(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(argv)
    assert left.value.code == 0
    assert said in capsys.readouterr().out


def test_the_doctor_needs_nothing_of_the_sandbox() -> None:
    """A production environment has no extra `[sandbox]`."""
    code = """
import sys
from flexsms.cli import main
main.parser().parse_args(["doctor"])
for name in ("uvicorn", "uvloop", "httptools", "orjson", "psutil", "requests"):
    assert name not in sys.modules, name
assert [name for name in sys.modules if name.startswith("flexsms.sandbox.")] == ["flexsms.sandbox.options"]
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_demo_is_run_with_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flexsms.demo.main.run", lambda args: 7 if args.exit else 0)
    assert cli.main(["demo", "--exit"]) == 7
    assert cli.main(["demo"]) == 0


def test_the_connection_can_be_copied(ready: dict[str, Any]) -> None:
    told = cli.how_to_connect(ready)
    [line] = [line for line in told.splitlines() if line.startswith("export AIRFLOW_CONN_TWILIO_DEFAULT='")]
    connection = json.loads(line.partition("=")[2].strip("'"))
    assert connection["conn_type"] == "twilio"
    assert connection["login"] == ready["settings"]["account_sid"]
    assert connection["password"] == ready["settings"]["auth_token"]
    assert connection["extra"] == connection_extra(
        ready["settings"], "http://127.0.0.1:9999", "conversations"
    )


def test_every_number_is_told_with_its_stack(ready: dict[str, Any]) -> None:
    [line] = [line for line in cli.how_to_connect(ready).splitlines() if "numbers" in line]
    numbers = ready["settings"]["numbers"]
    assert f"{numbers['conversations']} of stack conversations" in line
    assert f"{numbers['twilio']} and {numbers['twilio_short_lived']} of stack chat" in line


def test_a_person_gets_sentences_for_the_ready_line(ready: dict[str, Any]) -> None:
    out = io.StringIO()
    cli.ReadyLine(out).write(json.dumps(ready) + "\n")
    assert out.getvalue() == cli.how_to_connect(ready)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    master, slave = pty.openpty()
    yield master, slave
    os.close(master)
    os.close(slave)


def test_sandbox_on_a_terminal_speaks_to_a_person(terminal: tuple[int, int]) -> None:
    master, slave = terminal
    process = subprocess.Popen([FLEXSMS, "sandbox"], stdout=slave, stderr=subprocess.PIPE)
    assert os.read(master, 4096).startswith(b"The local Twilio is listening.")
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=10)[1] == b""


def test_sandbox_elsewhere_speaks_to_a_program() -> None:
    process = subprocess.Popen([FLEXSMS, "sandbox", "--seed", "story"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["base_url"].startswith("http://127.0.0.1:")
    process.terminate()
    process.communicate(timeout=10)


def refused(*options: str) -> str:
    ended = subprocess.run([FLEXSMS, "sandbox", *options], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    return ended.stderr


def test_a_seed_that_does_not_exist_is_one_sentence() -> None:
    assert refused("--seed", "nonsense") == (
        "flexsms sandbox: unknown seed nonsense: story, a number of channels, or empty\n"
    )


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        told = refused("--port", str(taken.getsockname()[1]))
    assert "Address already in use" in told
    assert told.count("\n") == 1
