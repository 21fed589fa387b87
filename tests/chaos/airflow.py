"""As much of Airflow as an operator notices: contexts, state stores, tries, retries, deferral, heartbeats and kills."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from airflow.sdk.definitions.retry_policy import RetryAction
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred
from airflow.serialization.serialized_objects import BaseSerialization
from sqlalchemy.util import greenlet_spawn

from flexsms.retry_policy import TASK_DEFAULTS
from tests.support.stores import AnyAsset, Store

from .universe import Process, Universe
from .wire import Step

TRIES = int(TASK_DEFAULTS["retries"]) + 1
RETRY_DELAY_S = TASK_DEFAULTS["retry_delay"].total_seconds()
POLICY = TASK_DEFAULTS["retry_policy"]
# Airflow sends SIGTERM, and SIGKILL to what has not ended by then.
GRACE_S = 5.0
OVER = ("success", "failed", "skipped")


class Killed(Exception):
    """The process died without a word; Airflow noticed by the heartbeats that did not come."""


class Log:
    """What an operator, a trigger or a module of flexsms says."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def _say(self, message: object, *values: object, **_more: object) -> None:
        self.lines.append(str(message) % values if values else str(message))

    debug = info = warning = error = exception = critical = _say


class Airflow:
    """What outlives the tries of a task: stores, XCom, logs.

    :param heartbeat_s: after so many seconds without a heartbeat a task is taken for dead
    :ivar frozen: processes that were, by name
    """

    def __init__(self, universe: Universe, *, heartbeat_s: float) -> None:
        self.universe = universe
        self.heartbeat_s = heartbeat_s
        self.cursors = Store()
        self.logs: list[str] = []
        self.xcoms: list[Any] = []
        self.complaints: list[str] = []
        self.frozen: set[str] = set()
        self.note: Callable[[str], None] = lambda _what: None


class Run:
    """A DAG run: its tasks, and the requests that all of them have sent.

    :param landings: the steps of the schedule that land at one of these requests, by its number
    """

    def __init__(self, name: str, landings: dict[int, list[Step]]) -> None:
        self.name = name
        self.landings = landings
        self.requests = 0
        self.is_over = False
        self.clear_number = 0
        self.tasks: list[TaskRun] = []

    def next_request(self) -> int:
        """Count a request."""
        self.requests += 1
        return self.requests

    def pull(self, task_id: str, key: str, map_index: int) -> Any:
        """What a task has left in XCom; None where it has left nothing."""
        for task in self.tasks:
            if (task.task_id, task.map_index) == (task_id, map_index):
                return task.result if key == "return_value" else task.pushed.get(key)
        return None


class TaskRun:
    """A task instance: it is tried until it is through, or has failed for good.

    :param make: makes the operator, anew for every process
    :ivar verdicts: the errors with which it failed for good, and when, before it was ever green
    :ivar was_hit: one of its processes was killed or frozen
    :param ended: called when the task has come to its end
    """

    def __init__(
        self,
        airflow: Airflow,
        run: Run,
        task_id: str,
        make: Callable[[], Any],
        ended: Callable[[TaskRun], None],
        *,
        map_index: int = -1,
        timeout_s: float = 7200,
    ) -> None:
        self.airflow = airflow
        self.run = run
        self.task_id = task_id
        self.map_index = map_index
        self.name = f"{run.name}.{task_id}" + (f".{map_index}" if map_index >= 0 else "")
        self.state = "none"
        self.tries = 0
        self.was_green = False
        self.was_hit = False
        self.error: BaseException | None = None
        self.errors: list[BaseException] = []
        self.verdicts: list[tuple[BaseException, float]] = []
        self.result: Any = None
        self.pushed: dict[str, Any] = {}
        self.ended_s = 0.0
        self._store = Store()
        self._make = make
        self._ended = ended
        self._timeout_s = timeout_s
        self._spent = 0  # tries before the task was last cleared
        self._process: Process | None = None
        run.tasks.append(self)

    # Tries

    @property
    def is_over(self) -> bool:
        """Whether it is through, has failed for good, or does not run at all."""
        return self.state in OVER

    def start(self) -> None:
        """Begin a try, on whatever worker."""
        if self.state not in ("none", "up_for_retry"):
            return
        self.tries += 1
        self.pushed = {}
        self._work(None, None)

    def reset(self) -> None:
        """Forget that it is over; its next try is the first of as many as there were."""
        if self.is_over:
            self.state, self._spent = "none", self.tries

    def clear(self) -> None:
        """Somebody clears the task: it is run again, with as many tries as at first."""
        if self.is_over:
            self.reset()
            self.start()

    def cancel(self) -> None:
        """Somebody marks the run as failed."""
        if self._process is not None:
            self.terminate(self._process)
        elif not self.is_over:
            self.state = "skipped"

    def _work(self, method: str | None, event: Any) -> None:
        self.state = "running"
        operator = self._make()
        operator._cached_logger = Log(self.airflow.logs)
        # Airflow's own `execute` makes a loop for `aexecute`, and minds who calls it.
        execute = type(operator).execute
        operator.execute = getattr(operator, "aexecute", None) or partial(
            getattr(execute, "__wrapped__", execute), operator
        )
        process = Process(self.airflow.universe, self, f"{self.name}#{self.tries}")
        self._process = process
        process.operator = operator
        context = self._context()
        told: dict[str, Any] = {"state": "failed", "value": None}
        began_s = self.airflow.universe.now_s

        async def body() -> None:
            try:
                given = (context,) if method is None else (context, event)
                # What has no event loop of its own waits in a greenlet for what it asks Twilio.
                result = await greenlet_spawn(getattr(operator, method or "execute"), *given)
                if asyncio.iscoroutine(result):
                    result = await asyncio.wait_for(result, self._timeout_s)
                told.update(state="success", value=result)
            except TaskDeferred as deferred:
                told.update(state="deferred", value=deferred)
            except AirflowSkipException:
                told.update(state="skipped")
            except Exception as error:
                if (
                    isinstance(error, TimeoutError)
                    and self.airflow.universe.now_s - began_s >= self._timeout_s
                ):
                    error = Killed("execution_timeout")
                told.update(state="failed", value=error)

        def ended() -> None:
            if self._process is process:
                self._close(told["state"], told["value"])
            self.airflow.complaints.extend(process.complaints)

        process.start(body(), ended)

    def _close(self, state: str, value: Any) -> None:
        self._process = None
        if state == "success":
            self.result = json.loads(json.dumps(value))
            self.airflow.xcoms.append(self.result)
            self._end("success")
        elif state == "skipped":
            self._end("skipped")
        elif state == "deferred":
            self._defer(value)
        else:
            self._failed(value)

    def _failed(self, error: BaseException) -> None:
        self.error = error
        self.errors.append(error)
        self.airflow.note(f"{self.name}#{self.tries} failed: {type(error).__name__}: {error}")
        tries = self.tries - self._spent
        decision = POLICY.evaluate(error, tries, TRIES)
        if decision.action is RetryAction.FAIL or tries >= TRIES:
            self._end("failed")
            return
        asked = decision.retry_delay if decision.action is RetryAction.RETRY else None
        self.state, failed = "up_for_retry", self.tries
        self.airflow.universe.after(
            asked.total_seconds() if asked else RETRY_DELAY_S,
            # Unless somebody has cancelled and cleared it meanwhile.
            lambda: self.start() if self.state == "up_for_retry" and self.tries == failed else None,
        )

    def _end(self, state: str) -> None:
        self.state, self.ended_s = state, self.airflow.universe.now_s
        self.was_green = self.was_green or state == "success"
        if state == "failed" and self.error is not None and not self.was_green:
            self.verdicts.append((self.error, self.ended_s))
        self.airflow.note(f"{self.name} is {state}")
        self._ended(self)

    # Deferral

    def _defer(self, deferred: TaskDeferred) -> None:
        self.state = "deferred"
        path, values = deferred.trigger.serialize()
        module, _, kind = path.rpartition(".")
        kept = json.loads(json.dumps(BaseSerialization.serialize(values)))
        trigger = getattr(import_module(module), kind)(**BaseSerialization.deserialize(kept))
        trigger._log = Log(self.airflow.logs)
        told: dict[str, Any] = {}
        process = Process(self.airflow.universe, self, f"{self.name}~{self.tries}")
        self._process = process
        # Another triggerer takes over what one had that died.
        process.restart = lambda: self._defer(deferred)
        limit_s = deferred.timeout.total_seconds() if isinstance(deferred.timeout, timedelta) else None

        async def body() -> None:
            try:
                async with asyncio.timeout(limit_s):
                    async for event in trigger.run():
                        told["event"] = event.payload
                        break
            except Exception as error:
                told["error"] = error

        def ended() -> None:
            if self._process is not process:
                return
            self._process = None
            if "event" in told:
                event = BaseSerialization.deserialize(BaseSerialization.serialize(told["event"]))
                self._work(deferred.method_name, event)
            else:
                self._failed(told.get("error") or RuntimeError("the trigger ended without an event"))

        process.start(body(), ended)

    # What befalls a process

    def die(self, process: Process) -> None:
        """SIGKILL, from outside: Airflow notices after a while."""
        process.kill()
        self.was_hit = True
        if self._process is process:
            self.airflow.note(f"{process.name} was killed")
            self.airflow.universe.after(self.airflow.heartbeat_s, lambda: self._miss(process))

    def freeze(self, process: Process, seconds: float, *, asleep: bool, goes_on_s: float) -> None:
        """Stop a process with all that belongs to it; what replaced it goes on.

        :param asleep: with its whole machine
        :param goes_on_s: how long it works on before it is killed, if it was replaced. Airflow takes 5 to 10 s; a batch
            of some channels is as far then as a large one is after less
        """
        process.stop(asleep=asleep)
        self.airflow.frozen.add(process.name)
        self.was_hit = True
        self.airflow.note(f"{process.name} is frozen for {seconds:.0f} s")
        universe = self.airflow.universe
        if seconds > self.airflow.heartbeat_s:
            universe.after(self.airflow.heartbeat_s, lambda: self._miss(process))
        universe.after(seconds, lambda: self._thaw(process, goes_on_s))

    def terminate(self, process: Process) -> None:
        """SIGTERM, and SIGKILL to what is left: somebody has marked the task failed."""
        if self._process is process:
            self._process = None
            self.error = Killed("marked failed")
            self.errors.append(self.error)
            self.airflow.note(f"{process.name} is marked failed")
            self._end("failed")
        self._signal(process, GRACE_S)

    def _miss(self, process: Process) -> None:
        if self._process is process:
            self._process = None
            if process.restart is not None:
                process.restart()
            else:
                self._failed(Killed("no heartbeat"))

    def _thaw(self, process: Process, goes_on_s: float) -> None:
        if not process.alive:
            return
        process.go_on()
        self.airflow.note(f"{process.name} goes on")
        if self._process is not process:
            # The next heartbeat is refused.
            self.airflow.universe.after(goes_on_s / 3, lambda: self._signal(process, goes_on_s * 2 / 3))

    def _signal(self, process: Process, grace_s: float) -> None:
        if process.alive:
            self.airflow.note(f"{process.name} gets SIGTERM")
            process.call(process.operator.on_kill if process.operator else lambda: None)
            self.airflow.universe.after(grace_s, process.kill)

    # What the operator sees

    def _context(self) -> Any:
        ti = SimpleNamespace(
            dag_id=f"flexsms_{self.run.name}",
            run_id=self.run.name,
            task_id=self.task_id,
            map_index=self.map_index,
            try_number=self.tries,
            max_tries=self._spent + TRIES - 1,
            xcom_push=self._push,
            xcom_pull=self._pull,
        )
        return {
            "ti": ti,
            "task_instance": ti,
            "run_id": self.run.name,
            "dag_run": SimpleNamespace(clear_number=self.run.clear_number),
            "params": {},
            "task_state_store": self._store,
            "asset_state_store": AnyAsset(self.airflow.cursors),
            "outlet_events": AnyAsset(SimpleNamespace(extra={})),
        }

    def _push(self, key: str, value: Any) -> None:
        self.pushed[key] = json.loads(json.dumps(value))
        self.airflow.xcoms.append(self.pushed[key])

    def _pull(self, *, task_ids: str, key: str = "return_value", map_indexes: list[int] | None = None) -> Any:
        if map_indexes is None:
            return self.run.pull(task_ids, key, -1)
        return [self.run.pull(task_ids, key, index) for index in map_indexes]
