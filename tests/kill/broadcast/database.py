"""As much of Airflow's database as the tasks of a broadcast need: task instances, triggers, XCom and state store.

It is on disk and each process opens it for itself, so whoever is killed leaves what it has committed, and no more.
Triggers and events are in it as in Airflow's: a class path, keyword arguments and ``next_kwargs`` by Airflow's serde.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.serde import deserialize, serialize

# A locked file: whoever has locked it may be waiting for one of two processors.
PATIENCE_S = 60.0
SCHEMA = """
CREATE TABLE task_instance (
    task_id TEXT, map_index INTEGER, state TEXT, try_number INTEGER DEFAULT 1, trigger_id INTEGER,
    trigger_timeout REAL, next_method TEXT, next_kwargs TEXT, PRIMARY KEY (task_id, map_index));
CREATE TABLE trigger (
    id INTEGER PRIMARY KEY AUTOINCREMENT, classpath TEXT, kwargs TEXT, triggerer_id INTEGER, runs INTEGER DEFAULT 0,
    fired INTEGER DEFAULT 0);
CREATE TABLE xcom (task_id TEXT, map_index INTEGER, key TEXT, value TEXT, PRIMARY KEY (task_id, map_index, key));
CREATE TABLE task_state_store (
    task_id TEXT, map_index INTEGER, key TEXT, value TEXT, PRIMARY KEY (task_id, map_index, key));
"""


@dataclass(frozen=True, slots=True, order=True)
class Task:
    """A task instance."""

    task_id: str
    map_index: int = -1

    @property
    def key(self) -> tuple[str, int]:
        return (self.task_id, self.map_index)


CHECK, DELIVERY, REPORT = Task("check"), Task("delivery"), Task("report")
# The same list and campaign, checked once more at the end.
AGAIN = Task("again")


@dataclass(frozen=True, slots=True)
class Wait:
    """A trigger that has not fired.

    :param moment: of a DateTimeTrigger; None of one that polls
    :param is_running: the triggerer that lives now has been given it
    """

    trigger_id: int
    task: Task
    moment: datetime | None
    is_running: bool


class Database:
    """What outlives every process."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with (
            closing(sqlite3.connect(self._path, timeout=PATIENCE_S, isolation_level="IMMEDIATE")) as rows,
            rows,
        ):
            rows.execute("PRAGMA synchronous = OFF")  # processes die here, not machines
            yield rows

    def _all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._transaction() as rows:
            return rows.execute(query, values).fetchall()

    def create(self) -> None:
        """Make the tables."""
        with self._transaction() as rows:
            rows.executescript(SCHEMA)

    # -- task instances --------------------------------------------------------------------------------------------

    def schedule(self, task: Task) -> None:
        """A task is to run: the first time, or again because somebody has cleared it."""
        self._all(
            "INSERT INTO task_instance (task_id, map_index, state) VALUES (?, ?, 'scheduled') "
            "ON CONFLICT DO UPDATE SET state = 'scheduled', try_number = try_number + 1, trigger_id = NULL",
            *task.key,
        )

    def states(self) -> dict[Task, str]:
        """The state of each task."""
        return {
            Task(*key): state
            for *key, state in self._all("SELECT task_id, map_index, state FROM task_instance")
        }

    def begin(self, task: Task) -> tuple[int, str, dict[str, Any]]:
        """A process takes it up: try number, method and arguments. Behind a wait, it is the same try."""
        with self._transaction() as rows:
            number, method, arguments = rows.execute(
                "SELECT try_number, next_method, next_kwargs FROM task_instance WHERE (task_id, map_index) = (?, ?)",
                task.key,
            ).fetchone()
            rows.execute(
                "UPDATE task_instance SET state = 'running' WHERE (task_id, map_index) = (?, ?)", task.key
            )
            if method is None:
                rows.execute("DELETE FROM xcom WHERE (task_id, map_index) = (?, ?)", task.key)
        return number, method or "execute", _arguments(arguments) if arguments else {}

    def end(self, task: Task, state: str) -> None:
        """It is over, one way or the other."""
        self._all(
            "UPDATE task_instance SET state = ?, next_method = NULL, next_kwargs = NULL "
            "WHERE (task_id, map_index) = (?, ?)",
            state,
            *task.key,
        )

    def retry(self, task: Task) -> int:
        """The next try begins from the start, also of a task that was waiting; returns its number."""
        with self._transaction() as rows:
            rows.execute(
                "UPDATE task_instance SET state = 'scheduled', try_number = try_number + 1, trigger_id = NULL, "
                "next_method = NULL, next_kwargs = NULL WHERE (task_id, map_index) = (?, ?)",
                task.key,
            )
            query = "SELECT try_number FROM task_instance WHERE (task_id, map_index) = (?, ?)"
            return int(rows.execute(query, task.key).fetchone()[0])

    # -- triggers --------------------------------------------------------------------------------------------------

    def defer(self, task: Task, deferred: TaskDeferred, now: datetime) -> None:
        """Store a trigger as a worker and the API server do, and let the task wait for it."""
        classpath, arguments = deferred.trigger.serialize()
        timeout = deferred.timeout and (now + deferred.timeout).timestamp()
        with self._transaction() as rows:
            trigger = rows.execute(
                "INSERT INTO trigger (classpath, kwargs) VALUES (?, ?)",
                (classpath, json.dumps(serialize(arguments))),
            )
            rows.execute(
                "UPDATE task_instance SET state = 'deferred', trigger_id = ?, trigger_timeout = ?, next_method = ?, "
                "next_kwargs = ? WHERE (task_id, map_index) = (?, ?)",
                (
                    trigger.lastrowid,
                    timeout,
                    deferred.method_name,
                    json.dumps(serialize(deferred.kwargs or {})),
                    *task.key,
                ),
            )

    def waits(self, triggerer_id: int | None) -> list[Wait]:
        """What has not fired and is waited for."""
        rows = self._all(
            "SELECT trigger.id, task_id, map_index, kwargs, triggerer_id FROM trigger "
            "JOIN task_instance ON trigger_id = trigger.id WHERE state = 'deferred'"
        )
        return [
            Wait(
                one,
                Task(task_id, index),
                _arguments(kwargs).get("moment"),
                owner == triggerer_id,
            )
            for one, task_id, index, kwargs, owner in rows
        ]

    def wanted_triggers(self) -> set[int]:
        """The triggers that somebody waits for."""
        return {one for (one,) in self._all("SELECT trigger_id FROM task_instance WHERE state = 'deferred'")}

    def take_triggers(self, wanted: set[int], triggerer_id: int) -> list[tuple[int, str, str]]:
        """Give triggers to a triggerer: ID, class path and arguments."""
        with self._transaction() as rows:
            found = []
            for one in sorted(wanted):
                found += rows.execute(
                    "UPDATE trigger SET triggerer_id = ?, runs = runs + 1 WHERE id = ? "
                    "RETURNING id, classpath, kwargs",
                    (triggerer_id, one),
                ).fetchall()
        return found

    def fire(self, trigger_id: int, payload: Any) -> None:
        """Whoever waits for a trigger goes on, with what it has told; at once or not at all."""
        with self._transaction() as rows:
            waiting = rows.execute(
                "SELECT task_id, map_index, next_kwargs FROM task_instance WHERE trigger_id = ? AND state = 'deferred'",
                (trigger_id,),
            ).fetchall()
            for task_id, index, arguments in waiting:
                told = {**_arguments(arguments), "event": payload}
                rows.execute(
                    "UPDATE task_instance SET state = 'scheduled', trigger_id = NULL, next_kwargs = ? "
                    "WHERE (task_id, map_index) = (?, ?)",
                    (json.dumps(serialize(told)), task_id, index),
                )
            if waiting:
                rows.execute("UPDATE trigger SET fired = 1 WHERE id = ?", (trigger_id,))

    def overdue(self, now: datetime) -> list[Task]:
        """Whose wait has taken longer than was asked for; Airflow's scheduler fails these."""
        rows = self._all(
            "SELECT task_id, map_index FROM task_instance WHERE state = 'deferred' AND trigger_timeout < ?",
            now.timestamp(),
        )
        return [Task(*key) for key in rows]

    def triggers(self) -> list[tuple[str, int, bool]]:
        """All that there were: class, how often a triggerer was given it, whether it has fired."""
        rows = self._all("SELECT classpath, runs, fired FROM trigger")
        return [(path.rpartition(".")[2], runs, bool(fired)) for path, runs, fired in rows]

    # -- what tasks tell ---------------------------------------------------------------------------------------------

    def put(self, table: str, task: Task, key: str, value: Any) -> None:
        """Keep a value in `xcom` or `task_state_store`."""
        self._all(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?)", *task.key, key, json.dumps(value))  # noqa: S608

    def get(self, table: str, task: Task, key: str) -> Any:
        """A value that was kept, None: there is none."""
        query = f"SELECT value FROM {table} WHERE (task_id, map_index, key) = (?, ?, ?)"  # noqa: S608
        found = self._all(query, *task.key, key)
        return json.loads(found[0][0]) if found else None


def _arguments(stored: str) -> dict[str, Any]:
    arguments: Any = deserialize(json.loads(stored))
    return dict(arguments)
