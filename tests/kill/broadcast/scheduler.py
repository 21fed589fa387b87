"""As much of Airflow's scheduler and executor as the tasks of a broadcast need: tries, retries, and who is alive."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from . import worker
from .database import Database, Task
from .kills import Kills
from .promises import check
from .triggerer import Triggerer

WORKERS = 4
# Airflow gives five; who is killed at random needs more.
TRIES = 60
OVER = frozenset({"success", "skipped"})


class Scheduler:
    """Runs what is scheduled.

    :param operator_of: makes the operator of a task, anew in each process
    :ivar running: tasks by process
    :ivar ends: how often processes of tasks ended in which way
    """

    def __init__(
        self,
        database: Database,
        triggerer: Triggerer,
        kills: Kills,
        operator_of: Callable[[Task], Any],
        now: Callable[[], datetime],
        log: int,
    ) -> None:
        self.database, self.triggerer = database, triggerer
        self.running: dict[int, Task] = {}
        self.ends: Counter[str] = Counter()
        self._kills, self._operator_of, self._now, self._log = kills, operator_of, now, log

    def step(self) -> dict[Task, str]:
        """Start what can be started, and see what has ended; returns the state of each task."""
        for pid, status in list(self._ended()):
            self._close(pid, self.running.pop(pid), status)
        if self.triggerer.has_ended():
            check(self.triggerer.was_killed, "the triggerer ended by itself")
            self.triggerer.start()
        for task in self.database.overdue(self._now()):
            self._retry(task, "waited too long")
        states = self.database.states()
        for task in sorted(task for task, state in states.items() if state == "scheduled"):
            if len(self.running) < WORKERS and task not in self.running.values():
                pid = worker.start(
                    task, partial(self._operator_of, task), self.database, self._now, self._log
                )
                self.running[pid] = task
        return states

    def stop(self) -> None:
        """End all that runs."""
        for pid in [*self.running, *self.triggerer.processes()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in self.running:
            os.waitpid(pid, 0)

    def _ended(self) -> Iterator[tuple[int, int]]:
        for pid in self.running:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                yield pid, status

    def _close(self, pid: int, task: Task, status: int) -> None:
        was_killed = os.WIFSIGNALED(status)
        self._kills.heard(pid, was_killed=was_killed)
        state = self.database.states()[task]
        if was_killed:
            # Who is killed behind its last word to the database has said it.
            self._retry(task, "killed") if state == "running" else self._count(task, "killed")
        elif os.WEXITSTATUS(status) == worker.RETRY:
            self._retry(task, "failed")
        else:
            check(status == 0, f"{task} ended with an error that no other try would help")
            self._count(task, "through" if state in OVER else "deferred")

    def _retry(self, task: Task, end: str) -> None:
        self._count(task, end)
        check(self.database.retry(task) <= TRIES, f"{task} is not through after {TRIES} tries")

    def _count(self, task: Task, end: str) -> None:
        self.ends[f"{task.task_id} {end}"] += 1
