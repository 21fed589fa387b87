"""Processes that end with the test run, and trees of processes to freeze and to kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from flexsms.demo.process_supervisor import PATIENCE_S

LOOK_EVERY_S = 0.2


class Process:
    """A command below a supervisor, which ends the whole tree when this test run ends, however it ends.

    :param name: of the log file, ``<name>.log``
    :param command: what to run
    :param logs: folder of the log file
    :param environment: all of the command's environment variables
    :param folder: working directory
    """

    def __init__(
        self, name: str, command: Sequence[str], logs: Path, environment: Mapping[str, str], folder: Path
    ) -> None:
        self.name = name
        self._log = logs / f"{name}.log"
        with self._log.open("ab") as log:
            self._begins = log.tell()
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", "flexsms.demo.process_supervisor", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=folder,
                start_new_session=True,
            )

    @property
    def runs(self) -> bool:
        """Whether the command has not ended."""
        return self._supervisor.poll() is None

    def tree(self) -> set[int]:
        """The process IDs of the command and everything below it."""
        with suppress(psutil.NoSuchProcess):
            below = psutil.Process(self._supervisor.pid).children(recursive=True)
            return {process.pid for process in below}
        return set()

    def members(self) -> set[psutil.Process]:
        """Every process that lives: the supervisor's and those below it."""
        with suppress(psutil.NoSuchProcess):
            own = psutil.Process(self._supervisor.pid)
            return {own, *own.children(recursive=True)}
        return set()

    def freeze(self) -> set[int]:
        """SIGSTOP the whole tree, as a paused virtual machine stops; returns its process IDs."""
        return self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT the whole tree."""
        self._signal_all(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL the whole tree, as a machine dies: nobody of it sees another one go."""
        frozen = self.freeze()
        for pid in frozen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._supervisor.wait(PATIENCE_S + 10)
        self._close()

    def ask_to_end(self) -> None:
        """Have the supervisor end the tree; ``wait`` waits for that."""
        self._close()

    def wait(self) -> None:
        """Wait until nothing of the tree is left."""
        try:
            self._supervisor.wait(PATIENCE_S + 15)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()

    def printed(self) -> str:
        """What it printed so far."""
        return self._log.read_bytes()[self._begins :].decode(errors="replace")

    def tail(self, lines: int = 30) -> str:
        """The end of what it printed."""
        return "\n".join(self.printed().splitlines()[-lines:])

    def _signal_all(self, wanted: int) -> set[int]:
        reached: set[int] = set()
        # A process may start another one until it has got the signal itself.
        while new := self.tree() - reached:
            for pid in new:
                with suppress(ProcessLookupError):
                    os.kill(pid, wanted)
            reached |= new
        return reached

    def _close(self) -> None:
        if self._supervisor.stdin:
            self._supervisor.stdin.close()


def wait_until_gone(pids: set[int], timeout_s: float) -> None:
    """Wait until none of these processes is left.

    :raises AssertionError: when one is left after ``timeout_s`` seconds
    """
    deadline = time.monotonic() + timeout_s
    while left := {pid for pid in pids if psutil.pid_exists(pid)}:
        assert time.monotonic() < deadline, f"processes {sorted(left)} are still there after {timeout_s:g} s"
        time.sleep(LOOK_EVERY_S)
