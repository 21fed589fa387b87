"""Retire channels on Sunday nights, after fourteen days, those of WhatsApp as well."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable

from flexsms import FlexCleanupOperator, FlexCleanupPlanOperator, FlexCleanupReportOperator, task_defaults

with DAG(
    "cleanup_on_sundays",
    # Without a start date, and so: unpausing starts no run.
    schedule=CronTriggerTimetable("0 3 * * SUN", timezone="UTC", run_immediately=timedelta()),
    catchup=False,
    max_active_runs=1,
    default_args=task_defaults(execution_timeout=timedelta(hours=2)),
) as dag:
    shared: dict[str, Any] = {"action": "deactivate", "channel_types": ["sms", "whatsapp"]}
    plan = FlexCleanupPlanOperator(task_id="plan", retention_days=14, **shared)
    # One batch at a time: flexsms keeps Twilio's rate limits per process.
    retire = FlexCleanupOperator.partial(task_id="retire", max_active_tis_per_dag=1, **shared).expand(
        batch=plan.output
    )
    report = FlexCleanupReportOperator(task_id="report", plan_task_id="plan", batch_task_id="retire")
    # A teardown runs even if a batch failed, and does not hide that failure.
    [plan, retire] >> report.as_teardown()
