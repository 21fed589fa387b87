"""A running `flexsms demo`, and the walk of docs/quickstart.md through it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import psutil  # type: ignore[import-untyped]

from flexsms.demo.local_airflow import inherited

QUICKSTART = Path(__file__).resolve().parents[2] / "docs" / "quickstart.md"
STORY_TIMEOUT_S = 400.0
END_TIMEOUT_S = 30.0


@dataclass
class Demo:
    """A running `flexsms demo`, its output read as it comes.

    :param clicked: when its agent had clicked, by the monotonic clock
    """

    home: Path
    options: tuple[str, ...] = ()
    process: subprocess.Popen[str] = field(init=False)
    lines: list[str] = field(default_factory=list)
    clicked: float = 0.0
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

    @property
    def url(self) -> str:
        """Of its Airflow."""
        [url] = re.findall(r"Airflow is open: (\S+)", self.text)
        return str(url)

    @property
    def password(self) -> str:
        """Of its Airflow's admin."""
        [password] = re.findall(r"with the password (\S+)", self.text)
        return str(password)

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


def walk_of_the_quickstart() -> list[str]:
    """The commands of the walk, block by block."""
    [walk] = re.findall(r"(?ms)^## The walk with curl.*?(?=^##? )", QUICKSTART.read_text())
    return re.findall(r"(?ms)^```bash\n(.*?)^```$", walk)


TOKEN, SEND, INBOX, CLICK, CLEAN_UP = walk_of_the_quickstart()


class Shell:
    """A bash into which a user pastes; it ends with the first command that fails."""

    END = "--- and what is next?"

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["bash", "-eo", "pipefail"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=inherited(os.environ),
            start_new_session=True,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._in, self._out = self._process.stdin, self._process.stdout

    def paste(self, commands: str) -> None:
        """Type, and do not wait."""
        # What curl prints has no end of line.
        self._in.write(f"{commands}\nprintf '\\n%s\\n' '{self.END}'\n")
        self._in.flush()

    def said(self) -> str:
        """What the pasted commands have printed, once they are done."""
        lines: list[str] = []
        for line in self._out:
            if line.strip() == self.END:
                return "".join(lines).strip()
            lines.append(line)
        raise AssertionError("a command of the walk failed:\n" + "".join(lines))

    def run(self, commands: str) -> str:
        """What commands print."""
        self.paste(commands)
        return self.said()

    def end(self) -> None:
        """Close it, whatever it is at."""
        self._process.kill()
        self._process.wait()
        self._in.close()
        self._out.close()
