"""The command line: what it offers, and what a person is told when a sandbox listens."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flexsms.cli import main as cli
from flexsms.cli import sandbox as people
from flexsms.sandbox.client import SandboxControl, connection_extra
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
    assert "demo | sandbox | setup | doctor | verify | suppress" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--help"], "send, track, clean up"),
        (["demo", "--help"], "Ctrl-C leaves no process behind"),
        (["sandbox", "--help"], "--latency-ms"),
        (["setup", "--help"], "Without\n--write, nothing is written"),
        (["doctor", "--help"], "ends with 1 when something is wrong"),
        (["verify", "--help"], "It says what it costs before it begins"),
        (["suppress", "--help"], "add, lift and import write only with --write"),
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


@pytest.mark.parametrize("command", ["", *cli.COMMANDS])
def test_help_fits_eighty_columns_and_has_examples(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        cli.main([command, "--help"] if command else ["--help"])
    shown = capsys.readouterr().out
    assert [line for line in shown.splitlines() if len(line) > 80] == []
    examples = shown.partition("\nexamples:\n")[2].splitlines()
    assert len(examples) >= 3
    for example in examples:
        name, *given = re.split(r" {3,}", example.strip())[0].split()
        assert name == "flexsms"
        cli.parser().parse_args(given)


def test_a_shell_completes_it() -> None:
    """As argcomplete's shell function asks."""
    asked = "flexsms doctor --str"
    environment = {**os.environ, "_ARGCOMPLETE": "1", "COMP_LINE": asked, "COMP_POINT": str(len(asked))}
    done = subprocess.run(
        ["bash", "-c", f"{FLEXSMS} 8>&1 >/dev/null 2>&1"], env=environment, capture_output=True, check=False
    )
    assert done.stdout.decode().strip() == "--stream-name"


def test_what_the_extra_brings_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "flexsms.sandbox.server.main", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert cli.main(["sandbox"]) == 2
    said = capsys.readouterr().err
    assert said == (
        "flexsms sandbox: there is no uvicorn; install flexsms with its extra: pip install 'flexsms[sandbox]'.\n"
    )


def test_demo_is_run_with_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flexsms.demo.main.run", lambda args: 7 if args.exit else 0)
    assert cli.main(["demo", "--exit"]) == 7
    assert cli.main(["demo"]) == 0


def test_the_connection_can_be_copied(ready: dict[str, Any]) -> None:
    told = people.how_to_connect(ready)
    [line] = [line for line in told.splitlines() if line.startswith("export AIRFLOW_CONN_TWILIO_DEFAULT='")]
    connection = json.loads(line.partition("=")[2].strip("'"))
    assert connection["conn_type"] == "twilio"
    assert connection["login"] == ready["settings"]["account_sid"]
    assert connection["password"] == ready["settings"]["auth_token"]
    assert connection["extra"] == connection_extra(
        ready["settings"], "http://127.0.0.1:9999", "conversations"
    )


def test_every_number_is_told_with_its_stack(ready: dict[str, Any]) -> None:
    [line] = [line for line in people.how_to_connect(ready).splitlines() if "numbers" in line]
    numbers = ready["settings"]["numbers"]
    assert f"{numbers['conversations']} of stack conversations" in line
    assert f"{numbers['twilio']} and {numbers['twilio_short_lived']} of stack chat" in line


def test_a_person_gets_sentences_for_the_ready_line(ready: dict[str, Any]) -> None:
    out = io.StringIO()
    people.ReadyLine(out).write(json.dumps(ready) + "\n")
    assert out.getvalue() == people.how_to_connect(ready)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    master, slave = pty.openpty()
    yield master, slave
    os.close(master)
    os.close(slave)


def test_sandbox_on_a_terminal_speaks_to_a_person(terminal: tuple[int, int]) -> None:
    master, slave = terminal
    process = subprocess.Popen([FLEXSMS, "sandbox"], stdout=slave, stderr=subprocess.PIPE)
    shown = b""
    while b"Ctrl-C ends the local Twilio." not in shown:
        shown += os.read(master, 4096)
    assert shown.startswith(b"The local Twilio is listening.")
    for command in re.findall(r"^curl (\S+) -d '(.*)'\r$", shown.decode(), re.MULTILINE):
        assert set(json.loads(command[1])) in ({"from", "to", "body"}, {"action", "channel_sid"})
    [base_url] = re.findall(r"base URL +(\S+)\r", shown.decode())
    control = SandboxControl(base_url)
    number = control.settings()["numbers"]["conversations"]
    channel = control.customer("+14155550166", number, "Hello?")["channel_sid"]
    control.agent("write", channel_sid=channel, body="Hello Fay, how can we help?")
    line = b""
    while not line.endswith(b"\n") or not line.strip():
        line += os.read(master, 4096)
    assert re.search(r"\d\d:\d\d:\d\d  text to …0166 left: SM[0-9a-f]{32}, 27 characters", line.decode())
    assert "Fay" not in line.decode()
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=10)[1] == b""


def test_sandbox_elsewhere_speaks_to_a_program() -> None:
    process = subprocess.Popen([FLEXSMS, "sandbox", "--seed", "story"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["base_url"].startswith("http://127.0.0.1:")
    process.terminate()
    process.communicate(timeout=10)


def opened(tmp_path: Path, browser: str) -> tuple[str, subprocess.Popen[str]]:
    """The address of a sandbox that was told to open its page, with this browser, or with none."""
    environment = {
        **os.environ,
        "BROWSER": browser,
        "PATH": str(tmp_path),
        "DISPLAY": "",
        "WAYLAND_DISPLAY": "",
    }
    process = subprocess.Popen(
        [FLEXSMS, "sandbox", "--open"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    return str(json.loads(process.stdout.readline())["base_url"]), process


def test_sandbox_opens_the_handsets(tmp_path: Path) -> None:
    browser, called = tmp_path / "browser", tmp_path / "called"
    os.mkfifo(called)
    browser.write_text(f"#!{sys.executable}\nimport sys\nopen({str(called)!r}, 'w').write(sys.argv[1])\n")
    browser.chmod(0o755)
    base_url, process = opened(tmp_path, str(browser))
    assert called.read_text() == f"{base_url}/_sandbox/handsets"
    process.terminate()
    assert process.communicate(timeout=30)[1] == ""


def test_without_a_browser_it_says_where_the_page_is(tmp_path: Path) -> None:
    base_url, process = opened(tmp_path, "")
    assert process.stderr is not None
    told = process.stderr.readline()
    assert told == f"flexsms sandbox: no browser here; open {base_url}/_sandbox/handsets in one.\n"
    process.terminate()
    process.communicate(timeout=30)


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
        port = taken.getsockname()[1]
    assert told == (
        f"flexsms sandbox: 127.0.0.1:{port}: Address already in use; give another --port, or none for a free one.\n"
    )
