"""Runs that never were, with what they would have left: stored in a database of Airflow that is thrown away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = dict[str, Any]

OVER = ("success", "skipped", "upstream_failed")


@dataclass(frozen=True, slots=True)
class Run:
    """A run, and what it said of itself.

    :param extra: of its asset event; None: it ended without one
    :param delivery: extra of the asset event of its task ``delivery``
    :param states: of its tasks, those that are to be seen
    :param xcoms: what its tasks have left, by task, key, and which of a mapped task's it is; -1 where it is not mapped
    :param conf: what it was triggered with
    """

    dag_id: str
    task_id: str
    asset: str
    at: datetime
    extra: Json | None
    delivery: Json | None = None
    states: Mapping[str, str | None] = field(default_factory=dict)
    xcoms: Mapping[tuple[str, str, int], Json] = field(default_factory=dict)
    conf: Json = field(default_factory=dict)

    @property
    def state(self) -> str:
        """What Airflow would say of it."""
        states = self.states.values()
        if "failed" in states or not (self.extra or states):
            return "failed"
        return "success" if all(state in OVER for state in states) else "running"


def write(runs: Iterator[Run]) -> int:
    """Store them in Airflow's database, whose DAGs have to be parsed; returns how many."""
    from airflow.models.asset import AssetEvent, AssetModel  # noqa: TID251 (a database that is thrown away)
    from airflow.models.dagrun import DagRun  # noqa: TID251
    from airflow.models.serialized_dag import SerializedDagModel  # noqa: TID251
    from airflow.utils.session import create_session  # noqa: TID251
    from airflow.utils.state import DagRunState  # noqa: TID251
    from airflow.utils.types import DagRunType  # noqa: TID251
    from sqlalchemy import select

    count = 0
    parsed: dict[str, tuple[Any, Any]] = {}
    with create_session() as session:
        assets = {asset.name: asset.id for asset in session.scalars(select(AssetModel))}
        for run in runs:
            if run.asset not in assets:
                continue
            run_id = f"scheduled__{run.at.isoformat()}"
            session.add(
                DagRun(
                    dag_id=run.dag_id,
                    run_id=run_id,
                    run_type=DagRunType.SCHEDULED,
                    logical_date=run.at,
                    run_after=run.at,
                    start_date=run.at,
                    conf=run.conf,
                    state=DagRunState(run.state),
                )
            )
            if run.states:
                if run.dag_id not in parsed:
                    [found] = SerializedDagModel.get_latest_serialized_dags(
                        dag_ids=[run.dag_id], session=session
                    )
                    parsed[run.dag_id] = (found.dag, found.dag_version_id)
                _write_tasks(session, run, run_id, *parsed[run.dag_id])
            for task_id, extra in ((run.task_id, run.extra), ("delivery", run.delivery)):
                if extra:
                    session.add(
                        AssetEvent(
                            asset_id=assets[run.asset],
                            extra=extra,
                            timestamp=run.at,
                            source_dag_id=run.dag_id,
                            source_task_id=task_id,
                            source_run_id=run_id,
                            source_map_index=-1,
                        )
                    )
            count += 1
    return count


def _write_tasks(session: Any, run: Run, run_id: str, dag: Any, version: Any) -> None:
    from airflow.models.taskinstance import TaskInstance  # noqa: TID251
    from airflow.models.xcom import XComModel  # noqa: TID251
    from airflow.utils.state import TaskInstanceState  # noqa: TID251

    mapped = {(task_id, index) for task_id, _, index in run.xcoms if index >= 0}
    names = {task_id for task_id, _ in mapped}
    single = {(task_id, -1) for task_id in run.states if task_id not in names}
    for task_id, index in sorted(mapped | single):
        state = run.states[task_id]
        task = TaskInstance(dag.get_task(task_id), version, run_id=run_id, map_index=index)
        task.state = TaskInstanceState(state) if state else None
        task.try_number = 1
        task.start_date = task.end_date = run.at if state else None
        session.add(task)
    session.flush()
    for (task_id, key, index), value in run.xcoms.items():
        # Not as rows: from Airflow 3.4 on, an XCom is in one of two tables.
        XComModel.set(
            key,
            value,
            dag_id=run.dag_id,
            task_id=task_id,
            run_id=run_id,
            map_index=index,
            serialize=False,
            session=session,
        )
