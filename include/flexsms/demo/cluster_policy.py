"""Airflow's cluster policy for the demo: nothing runs by the clock, or a run at 03:00 UTC would mix with the story's.

What starts by itself all the same is what the stream starts. Airflow's own switch, `scheduler.use_job_schedule`, turns
that off as well.
"""

from __future__ import annotations

from airflow.sdk import DAG
from airflow.sdk.definitions.timetables.assets import AssetTriggeredTimetable
from airflow.sdk.definitions.timetables.simple import NullTimetable


def dag_policy(dag: DAG) -> None:
    """Take the clock out of a DAG's schedule, and leave its assets."""
    if isinstance(dag.timetable, AssetTriggeredTimetable):
        dag.timetable = AssetTriggeredTimetable(assets=dag.timetable.asset_condition)
    else:
        dag.timetable = NullTimetable()
