"""Retire channels every night, and text whoever is on call if that has not succeeded by 04:00 UTC."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from flexsms import (
    FlexCleanupOperator,
    FlexCleanupPlanOperator,
    FlexCleanupReportOperator,
    FlexSmsNotifier,
    task_defaults,
)

with DAG(
    "cleanup_by_four",
    schedule=CronTriggerTimetable("0 3 * * *", timezone="UTC", run_immediately=timedelta()),
    catchup=False,
    max_active_runs=1,
    default_args=task_defaults(execution_timeout=timedelta(hours=2)),
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_LOGICAL_DATE,
        interval=timedelta(hours=1),
        # A name of the connection's notify_numbers; never a number, because Airflow writes it into its metrics.
        callback=AsyncCallback(
            FlexSmsNotifier,
            kwargs={
                "to": "oncall",
                "message": "{{ dag_run.dag_id }} has not succeeded by {{ deadline.deadline_time }}.",
            },
        ),
    ),
) as dag:
    plan = FlexCleanupPlanOperator(task_id="plan")
    retire = FlexCleanupOperator.partial(task_id="retire", max_active_tis_per_dag=1).expand(batch=plan.output)
    report = FlexCleanupReportOperator(task_id="report", plan_task_id="plan", batch_task_id="retire")
    [plan, retire] >> report.as_teardown()
