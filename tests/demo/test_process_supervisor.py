"""Whatever a command leads to, nothing of it is left: not what changed its group or session, not what is deaf."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil  # type: ignore[import-untyped]
import pytest

# A grandchild in a group of its own, one in a session of its own, and one that does not listen to SIGTERM.
FAMILY = """
import os, signal, subprocess, sys, time
sleep = "import time; time.sleep(300)"
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(300)"
subprocess.Popen([sys.executable, "-c", sleep], process_group=0)
subprocess.Popen([sys.executable, "-c", sleep], start_new_session=True)
child = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
child.stdout.readline()
print("ready", flush=True)
time.sleep({life})
"""
SUPERVISOR = """
import sys
from flexsms.demo import process_supervisor
process_supervisor.PATIENCE_S = 0.5
raise SystemExit(process_supervisor.main(sys.argv[1:]))
"""


def start(life: float) -> tuple[subprocess.Popen[bytes], list[psutil.Process]]:
    command = [sys.executable, "-c", SUPERVISOR, sys.executable, "-c", FAMILY.format(life=life)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) == 4
    return process, family


@pytest.fixture
def running() -> Iterator[tuple[subprocess.Popen[bytes], list[psutil.Process]]]:
    process, family = start(life=300)
    yield process, family
    for one in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()


def gone(family: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(family, timeout=10)
    return not alive


def test_the_end_of_its_input_ends_everything(
    running: tuple[subprocess.Popen[bytes], list[psutil.Process]],
) -> None:
    process, family = running
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(10) == 0
    assert gone(family)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_everything(
    how: signal.Signals, running: tuple[subprocess.Popen[bytes], list[psutil.Process]]
) -> None:
    process, family = running
    process.send_signal(how)
    assert process.wait(10) == 0
    assert gone(family)


def test_the_death_of_whoever_started_it_ends_everything() -> None:
    starter = f"""
import subprocess, sys
child = subprocess.Popen(
    [sys.executable, "-c", {SUPERVISOR!r}, sys.executable, "-c", {FAMILY.format(life=300)!r}],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""
    process = subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE)
    assert process.stdout is not None
    supervisor = psutil.Process(int(process.stdout.readline()))
    family = [supervisor, *supervisor.children(recursive=True)]
    assert len(family) == 5
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
    deadline = time.monotonic() + 10
    # Its new parent may be an init that waits for nobody: a zombie counts as gone.
    while any(is_alive(one) for one in family) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(is_alive(one) for one in family)


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_the_status_of_the_command_is_passed_on() -> None:
    command = [
        sys.executable,
        "-m",
        "flexsms.demo.process_supervisor",
        sys.executable,
        "-c",
        "raise SystemExit(7)",
    ]
    ended = subprocess.run(command, stdin=subprocess.PIPE, start_new_session=True, timeout=20, check=False)
    # `run` closes the input at once, which may win over the command's own end.
    assert ended.returncode in (0, 7)
