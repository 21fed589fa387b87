"""`flexsms demo` for real: Airflow, the sandbox, the story, the page, and nothing left behind.

A whole Airflow takes half a minute to start, so there is one start for each stack: Flex Conversations stays open and
serves all that has to be looked at, Programmable Chat leaves by itself.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import psutil  # type: ignore[import-untyped]
import pytest

from flexsms.demo.api import AirflowApi

STORY_TIMEOUT_S = 270.0
END_TIMEOUT_S = 30.0
NUMBERS = re.compile(r"\+1415555\d{4}")


@dataclass
class Demo:
    """A running `flexsms demo`, its output read as it comes."""

    home: Path
    options: tuple[str, ...] = ()
    process: subprocess.Popen[str] = field(init=False)
    lines: list[str] = field(default_factory=list)
    _queue: Queue[str] = field(default_factory=Queue)

    def __post_init__(self) -> None:
        command = [str(Path(sys.executable).with_name("flexsms")), "demo", *self.options]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "AIRFLOW_HOME": str(self.home), "COLUMNS": "160"},
            start_new_session=True,
        )
        Thread(target=self._read, daemon=True).start()

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def wait_for(self, what: str, timeout_s: float) -> None:
        """Until a line with this text has come."""
        deadline = time.monotonic() + timeout_s
        while what not in self.text:
            try:
                line = self._queue.get(timeout=max(deadline - time.monotonic(), 0))
            except Empty:
                raise AssertionError(f"no {what!r} within {timeout_s:.0f} s:\n{self.text}") from None
            assert line, f"the demo ended without {what!r}:\n{self.text}"
            self.lines.append(line)

    def family(self) -> list[psutil.Process]:
        """The demo and everything it started."""
        me = psutil.Process(self.process.pid)
        return [me, *me.children(recursive=True)]

    def end(self) -> None:
        """Whatever happened, leave nothing to the tests that follow."""
        if self.process.poll() is None:
            for one in reversed(self.family()):
                one.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self._queue.put(line)
        self._queue.put("")


def alive(family: list[psutil.Process]) -> list[str]:
    """Those that are still there after a while. Zombies are left to an init that may not care."""
    deadline = time.monotonic() + END_TIMEOUT_S
    while True:
        left = [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
        if not left or time.monotonic() > deadline:
            return [f"{one.pid} {' '.join(one.cmdline())}" for one in left]
        time.sleep(0.1)


def listening(url: str) -> bool:
    port = int(url.rsplit(":", 1)[1])
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    try:
        running.wait_for("Ctrl-C ends", STORY_TIMEOUT_S)
        yield running
    finally:
        running.end()


def assert_told(demo: Demo, stack: str) -> None:
    """Everything came out, and the screen says so."""
    assert f"✓ Everything as expected on the {stack} stack" in demo.text
    rows = {
        name: next(line for line in demo.lines if f"│ {name} …" in line)
        for name in ("Ada", "Ben", "Cleo", "Dora", "Emil")
    }
    assert "INACTIVE, short-lived" in rows["Ada"]
    assert re.search(r"ended 3\.\d days ago .* retired", rows["Ada"])
    for name in ("Ben", "Cleo", "Dora", "Emil"):
        assert re.search(r"unchanged .* kept", rows[name])
    assert all("✓" in row for row in rows.values())
    assert re.search(r"right after +│ +20\d +│ +0 +│ +0 +│", demo.text)
    assert demo.text.count("│ delivered │") == 3
    assert "Cleo (goes on, delivered)" in demo.text
    assert "not sent again" in demo.text


def assert_nobody_sees_a_number(demo: Demo) -> None:
    """Not on the screen, not in any log of Airflow or of a task (the `conf` of a run is Airflow's to show)."""
    assert not NUMBERS.search(demo.text)
    logs = [
        demo.home / "flexsms-demo" / "standalone.log",
        *(demo.home / "flexsms-demo" / "logs").rglob("*.log"),
    ]
    assert len(logs) > 8
    shown = [
        f"{log.relative_to(demo.home)}: {line.strip()[:300]}"
        for log in logs
        for line in log.read_text(errors="replace").splitlines()
        if NUMBERS.search(line)
    ]
    assert shown == []


@pytest.mark.timeout(300)
def test_the_story_comes_out_as_expected(demo: Demo) -> None:
    assert_told(demo, "conversations")
    assert demo.text.count("conversation closed") == 1
    assert demo.text.count("interaction closed") == 1


def test_nobody_sees_a_number(demo: Demo) -> None:
    assert_nobody_sees_a_number(demo)


def test_an_interaction_is_waited_for_in_the_triggerer(demo: Demo) -> None:
    [log] = (demo.home / "flexsms-demo" / "logs" / "dag_id=flexsms_send").rglob(
        "task_id=send/*.trigger.*.log"
    )
    assert "Trigger fired event" in log.read_text()


def test_the_page_is_there_for_whoever_logs_in(demo: Demo) -> None:
    url, password = credentials(demo)
    api = AirflowApi(url, "admin", password)
    assert api.missing() == []
    with pytest.raises(Exception, match="401"):
        api.call("GET", "dags")
    api.log_in()
    assert api.dag_ids() >= {"flexsms_send", "flexsms_track", "flexsms_cleanup"}
    assert api.import_errors() == []
    connection = api.call("GET", "connections/twilio_default")
    assert connection["conn_type"] == "twilio"
    runs = {dag_id: api.call("GET", f"dags/{dag_id}/dagRuns")["dag_runs"] for dag_id in api.dag_ids()}
    assert {run["run_type"] for found in runs.values() for run in found} == {"manual"}
    assert [len(runs[f"flexsms_{name}"]) for name in ("send", "track", "cleanup")] == [4, 1, 2]
    api.close()


def test_everything_is_kept_below_the_home(demo: Demo) -> None:
    assert sorted(path.name for path in demo.home.iterdir()) == ["flexsms-demo", "flexsms-demo.lock"]


def test_a_second_demo_in_the_same_home_is_refused(demo: Demo) -> None:
    second = Demo(demo.home)
    try:
        second.wait_for("Another demo is running", 30)
        family = second.family() if second.process.poll() is None else []
        assert second.process.wait(30) == 1
        assert alive(family) == []
    finally:
        second.end()


def test_ctrl_c_leaves_no_process_behind(demo: Demo) -> None:
    url, _ = credentials(demo)
    [sandbox] = re.findall(r"Start the local Twilio +(http://\S+)", demo.text)
    family = demo.family()
    assert len(family) > 8
    assert listening(url)
    assert listening(sandbox)
    # As a terminal does it: to the whole foreground group, make and sandbox included.
    os.killpg(demo.process.pid, signal.SIGINT)
    assert demo.process.wait(END_TIMEOUT_S) == 0
    assert alive(family) == []
    assert not listening(url)
    assert not listening(sandbox)


@pytest.mark.timeout(300)
def test_on_chat_the_same_story_ends_by_itself(tmp_path: Path) -> None:
    demo = Demo(tmp_path, ("--stack", "chat", "--exit"))
    try:
        demo.wait_for("Everything as expected", STORY_TIMEOUT_S)
        family = demo.family()
        demo.wait_for("Ending Airflow", END_TIMEOUT_S)
        assert demo.process.wait(END_TIMEOUT_S) == 0
        assert alive(family) == []
        assert_told(demo, "chat")
        assert demo.text.count("session closed") == 1
        assert "Airflow is open" not in demo.text
        assert_nobody_sees_a_number(demo)
    finally:
        demo.end()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_however_the_demo_ends_nothing_is_left(how: signal.Signals, tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    try:
        demo.wait_for("waiting for", 60)
        deadline = time.monotonic() + 60
        while len(family := demo.family()) < 6 and time.monotonic() < deadline:
            time.sleep(0.1)
        demo.process.send_signal(how)
        assert demo.process.wait(END_TIMEOUT_S) == (130 if how is signal.SIGTERM else -how)
        assert alive(family) == []
    finally:
        demo.end()


def credentials(demo: Demo) -> tuple[str, str]:
    [url] = re.findall(r"Airflow is open: (\S+)", demo.text)
    [password] = re.findall(r"with the password (\S+)", demo.text)
    return url, password
