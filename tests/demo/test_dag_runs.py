"""How runs are waited for, and what is said when one goes wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from flexsms.demo import dag_runs
from flexsms.demo.local_airflow import DemoFailed

Json = dict[str, Any]


class Api:
    """An Airflow whose runs go through given states."""

    def __init__(self, states: Sequence[str], tasks: Sequence[Json] = ()) -> None:
        self._states = iter(states)
        self._tasks = list(tasks)
        self.confs: list[Json] = []

    def trigger(self, _dag_id: str, conf: Json) -> str:
        self.confs.append(conf)
        return f"run{len(self.confs)}"

    def run_state(self, _dag_id: str, _run_id: str) -> str:
        return next(self._states)

    def tasks(self, _dag_id: str, _run_id: str) -> list[Json]:
        return self._tasks

    def complaints(self, _dag_id: str, run_id: str) -> Iterator[str]:
        yield f"send of {run_id}:\nInvalidInput: to_number is empty"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dag_runs, "ASK_EVERY_S", 0.0)


def finish(api: Api, *confs: Json) -> tuple[list[str], list[str]]:
    """The run ids, and what was told meanwhile."""
    told: list[str] = []
    return dag_runs.finish(api, "flexsms_send", confs, told.append), told  # type: ignore[arg-type]


def test_all_runs_are_waited_for_and_their_tasks_told() -> None:
    tasks = [{"task_id": "plan", "state": "success"}] + [
        {"task_id": "retire", "state": state} for state in ("running", "running", None)
    ]
    api = Api(["queued", "running", "running", "success", "success", "success"], tasks)
    assert finish(api, {"a": 1}, {"a": 2}) == (
        ["run1", "run2"],
        ["plan success, retire 2 × running and 1 × not started"],
    )
    assert api.confs == [{"a": 1}, {"a": 2}]


def test_a_run_without_tasks_is_queued() -> None:
    assert finish(Api(["queued", "success"]), {})[1] == ["queued"]


def test_a_failed_run_ends_the_story_with_its_log() -> None:
    with pytest.raises(DemoFailed) as failed:
        finish(Api(["success", "failed"]), {}, {})
    assert str(failed.value) == (
        "flexsms_send failed (run run2).\n\nsend of run2:\nInvalidInput: to_number is empty"
    )


def test_a_run_that_takes_too_long_says_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dag_runs, "RUN_TIMEOUT_S", 0.0)
    with pytest.raises(DemoFailed, match="took more than 0 s: send queued"):
        finish(Api(["running"], [{"task_id": "send", "state": "queued"}]), {})
