"""Runs of a DAG, triggered and waited for."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from flexsms.demo.airflow_api import FINISHED, AirflowApi, Json
from flexsms.demo.local_airflow import DemoFailed

RUN_TIMEOUT_S = 180.0
ASK_EVERY_S = 0.5


def finish(api: AirflowApi, dag_id: str, confs: Sequence[Json], tell: Callable[[str], None]) -> list[str]:
    """Trigger a run for each conf and wait for all of them.

    :param tell: called with what the tasks of the first run at work are doing, whenever that changes
    :returns: the run ids, in the order of ``confs``
    :raises DemoFailed: when a run fails or takes too long, with the end of its log
    """
    runs = [api.trigger(dag_id, conf) for conf in confs]
    wait(api, dag_id, runs, tell)
    return runs


def wait(api: AirflowApi, dag_id: str, runs: Sequence[str], tell: Callable[[str], None]) -> None:
    """Wait for runs, whoever has started them; parameters and errors as for :func:`finish`."""
    deadline = time.monotonic() + RUN_TIMEOUT_S
    told = ""
    while True:
        states = {run: api.run_state(dag_id, run) for run in runs}
        if failed := [run for run, state in states.items() if state == "failed"]:
            complaints = "\n\n".join(api.complaints(dag_id, failed[0]))
            raise DemoFailed(f"{dag_id} failed (run {failed[0]}).\n\n{complaints}")
        at_work = [run for run, state in states.items() if state not in FINISHED]
        if not at_work:
            return
        now = _progress(api, dag_id, at_work[0])
        if time.monotonic() > deadline:
            raise DemoFailed(f"{dag_id} took more than {RUN_TIMEOUT_S:.0f} s: {now}.")
        if now != told:
            tell(now)
            told = now
        time.sleep(ASK_EVERY_S)


def _progress(api: AirflowApi, dag_id: str, run_id: str) -> str:
    """What the tasks of a run are doing, those of a mapped task together."""
    states: dict[str, Counter[str]] = {}
    for task in api.tasks(dag_id, run_id):
        states.setdefault(task["task_id"], Counter())[task["state"] or "not started"] += 1
    return ", ".join(f"{task_id} {_counted(found)}" for task_id, found in states.items()) or "queued"


def _counted(states: Counter[str]) -> str:
    if states.total() == 1:
        return next(iter(states))
    return " and ".join(f"{count} × {state}" for state, count in states.items())
