"""What the dashboard reads, put into the database of this run's Airflow: its DAGs, runs and asset events."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Any

from flexsms.demo.made_up_runs import Run, write


@cache
def parse_dags() -> None:
    """Airflow's database knows the DAGs of the configured folder, and their assets; once for all tests of a process."""
    parsed = subprocess.run(
        [sys.executable, "-m", "airflow", "dags", "reserialize"], capture_output=True, text=True, check=False
    )
    assert parsed.returncode == 0, parsed.stdout[-2000:] + parsed.stderr[-2000:]


def empty() -> None:
    """No run and no asset event."""
    from airflow.models.asset import AssetEvent  # noqa: TID251
    from airflow.models.dagrun import DagRun  # noqa: TID251
    from airflow.utils.session import create_session  # noqa: TID251
    from sqlalchemy import delete

    with create_session() as session:
        for model in (AssetEvent, DagRun):
            session.execute(delete(model))


def fill(runs: Iterable[Run]) -> None:
    """These runs and no others."""
    empty()
    add(runs)


def add(runs: Iterable[Run]) -> None:
    """These runs, too."""
    assert write(iter(runs))


def ask_for_approval(dag_id: str, task_id: str) -> None:
    """As a task of Airflow's ApprovalOperator does that waits."""
    from airflow.models.hitl import HITLDetail  # noqa: TID251
    from airflow.models.taskinstance import TaskInstance  # noqa: TID251
    from airflow.utils.session import create_session  # noqa: TID251
    from sqlalchemy import select

    with create_session() as session:
        waiting = select(TaskInstance.id).where(
            TaskInstance.dag_id == dag_id, TaskInstance.task_id == task_id
        )
        for ti_id in session.scalars(waiting):
            session.add(HITLDetail(ti_id=ti_id, options=["Approve", "Reject"], subject="Approve", params={}))


def pause(dag_id: str, is_paused: bool) -> None:
    """As the switch in the list of DAGs."""
    _change(dag_id, is_paused=is_paused)


def stale(dag_id: str, is_stale: bool) -> None:
    """As the DAG processor does where the DAG's file has an error."""
    _change(dag_id, is_stale=is_stale)


def _change(dag_id: str, **values: bool) -> None:
    from airflow.models.dag import DagModel  # noqa: TID251
    from airflow.utils.session import create_session  # noqa: TID251
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagModel).where(DagModel.dag_id == dag_id).values(**values))


def cleanup(at: datetime, **extra: Any) -> Run:
    """A run of flexsms_cleanup with its report."""
    return Run("flexsms_cleanup", "report", "flexsms_channel_state", at.astimezone(UTC), extra)
