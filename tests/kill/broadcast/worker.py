"""One try of a task, or what comes behind its wait, in a process of its own."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred

from flexsms.core.exceptions import RetryableError
from flexsms.recipients.folder import BroadcastFolder
from flexsms.twilio.client import clock
from tests.support.stores import AnyAsset

from .database import Database, Task

DAG_ID, RUN_ID = "flexsms_broadcast", "manual"
LOADED_LATE = (
    "flexsms.recipients.account_facts",
    "flexsms.recipients.fates",
    "flexsms.recipients.source",
    "flexsms.recipients.work_list",
    "flexsms.twilio.broadcast.prices",
    "twilio.rest.taskrouter.v1.workspace",
)
# The status of a process that leaves its task to another try, and of one whose error no other try would help.
RETRY, BROKEN = 75, 1


def load() -> None:
    """Load what each process would load for itself, which takes longer than what it does."""
    for name in LOADED_LATE:
        import_module(name)
    BroadcastFolder("file:///").has_texts()


class StateStore:
    """What a task keeps from one try to the next."""

    def __init__(self, database: Database, task: Task) -> None:
        self._database, self._task = database, task

    def get(self, key: str) -> Any:
        return self._database.get("task_state_store", self._task, key)

    def set(self, key: str, value: Any) -> None:
        self._database.put("task_state_store", self._task, key, value)


def start(
    task: Task, operator: Callable[[], Any], database: Database, now: Callable[[], datetime], log: int
) -> int:
    """Start a process for a task; returns its ID."""
    pid = os.fork()
    if pid:
        return pid
    status = BROKEN
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        logging.basicConfig(stream=sys.stderr, level=logging.INFO)
        clock.utc_now = now
        _work(task, operator(), database, now)
        status = 0
    except RetryableError as error:
        print(f"{task}: {error}", file=sys.stderr)
        status = RETRY
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _work(task: Task, operator: Any, database: Database, now: Callable[[], datetime]) -> None:
    number, method, arguments = database.begin(task)
    try:
        result = getattr(operator, method)(_context(task, number, database), **arguments)
    except TaskDeferred as deferred:
        database.defer(task, deferred, now())
    except AirflowSkipException as skipped:
        print(f"{task}: {skipped}", file=sys.stderr)
        database.end(task, "skipped")
    else:
        database.put("xcom", task, "return_value", result)
        database.end(task, "success")


def _context(task: Task, number: int, database: Database) -> Any:
    def pull(*, task_ids: str, key: str = "return_value") -> Any:
        return database.get("xcom", Task(task_ids), key)

    ti = SimpleNamespace(
        dag_id=DAG_ID,
        run_id=RUN_ID,
        task_id=task.task_id,
        map_index=task.map_index,
        try_number=number,
        max_tries=4,
        xcom_push=lambda key, value: database.put("xcom", task, key, value),
        xcom_pull=pull,
    )
    return {
        "ti": ti,
        "dag_run": SimpleNamespace(clear_number=0),
        "task_state_store": StateStore(database, task),
        "outlet_events": AnyAsset(SimpleNamespace(extra={})),
    }
