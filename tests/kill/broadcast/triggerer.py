"""Airflow's own triggerer, in processes of its own, on the triggers of our database.

Its supervisor hands serialised triggers to its runner, which builds them and runs all of them in one event loop; so it
is in production. Only what reads and writes Airflow's metadata database is replaced.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, ClassVar

import psutil
from airflow.executors.workloads.trigger import RunTrigger
from airflow.jobs.triggerer_job_runner import TriggerRunnerSupervisor
from airflow.sdk import timezone

from flexsms.twilio.client import clock

from .database import Database

CAPACITY = 1000
# Airflow's own waits for up to a second.
LOOK_EVERY_S = 0.2


class Supervisor(TriggerRunnerSupervisor):
    """Airflow's supervisor without a metadata database.

    :cvar now: the present of the contact centre
    :cvar ahead: by how many seconds it is ahead of this machine's clock
    """

    database: ClassVar[Database]
    now: ClassVar[Callable[[], datetime]]
    ahead: ClassVar[Callable[[], float]]
    scheduler_pid: ClassVar[int]

    def load_triggers(self) -> None:
        """Let the runner run what somebody waits for."""
        self.update_triggers(self.database.wanted_triggers())

    def build_trigger_workloads(self, new_trigger_ids: set[int]) -> list[RunTrigger]:
        """Read triggers as they were stored."""
        return [
            RunTrigger(id=one, classpath=classpath, encrypted_kwargs=kwargs)
            for one, classpath, kwargs in self.database.take_triggers(new_trigger_ids, os.getpid())
        ]

    def on_trigger_event(self, trigger_id: int, event: Any) -> None:
        """Let the task go on."""
        self.database.fire(trigger_id, event.payload)

    def on_trigger_failure(self, trigger_id: int, exc: list[str] | None) -> None:
        """End, with the reason in the log: no trigger of a broadcast may raise."""
        raise RuntimeError(f"trigger {trigger_id} failed: {''.join(exc or ())}")

    def _service_subprocess(self, max_wait_time: float, *args: Any, **more: Any) -> int | None:
        return super()._service_subprocess(min(max_wait_time, LOOK_EVERY_S), *args, **more)

    def clean_unused(self) -> None:
        """Keep them: the end of the run tells what became of each."""

    def heartbeat(self) -> None:
        """End with whoever has started it. Whether it lives is seen by its process."""
        self.stop = os.getppid() != self.scheduler_pid

    def emit_metrics(self) -> None:
        """Nobody collects them."""

    @classmethod
    def run_in_process(cls) -> None:
        """The runner, whose clocks are those of the contact centre.

        Those of the event loop, too: a wait of an hour is over when the clock has gone on by an hour. The loop looks at
        it ten times a second, because Airflow's watchdog wakes it.
        """
        asyncio.base_events.BaseEventLoop.time = lambda _: time.monotonic() + cls.ahead()  # type: ignore[assignment, method-assign]
        timezone.utcnow = cls.now
        clock.utc_now = cls.now
        super().run_in_process()


class Triggerer:
    """The processes of one triggerer after the other.

    :ivar pid: of the supervisor of the newest one
    :ivar was_killed: somebody has killed one of its processes, so it ends
    """

    def __init__(
        self, database: Database, now: Callable[[], datetime], ahead: Callable[[], float], log: int
    ) -> None:
        Supervisor.database, Supervisor.now, Supervisor.ahead = (
            database,
            staticmethod(now),
            staticmethod(ahead),
        )
        Supervisor.scheduler_pid = os.getpid()
        self._log = log
        self.pid = 0
        self.was_killed = False

    def start(self) -> None:
        """Start one."""
        self.was_killed = False
        self.pid = os.fork()
        if self.pid:
            return
        try:
            os.setsid()
            os.dup2(self._log, 1)
            os.dup2(self._log, 2)
            Supervisor.start(capacity=CAPACITY).run()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(1)

    def processes(self) -> list[int]:
        """The supervisor and, once it is there, its runner."""
        with suppress(psutil.NoSuchProcess):
            return [self.pid, *(child.pid for child in psutil.Process(self.pid).children())]
        return []

    def has_ended(self) -> bool:
        """Whether the supervisor is gone; that is so, too, soon after its runner is."""
        return os.waitpid(self.pid, os.WNOHANG)[0] != 0
