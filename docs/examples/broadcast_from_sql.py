"""Text tomorrow's appointments every afternoon: from the warehouse, each customer once."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable

from flexsms import (
    FlexBroadcastApprovalOperator,
    FlexBroadcastCheckOperator,
    FlexBroadcastDeliverySensor,
    FlexBroadcastOperator,
    FlexBroadcastReportOperator,
    task_defaults,
)

# What the check and the batches have to agree on. One campaign a day: whoever was texted yesterday may be texted again,
# and a run that is repeated texts nobody twice.
RULES: dict[str, Any] = {
    "campaign": "appointments-{{ dag_run.run_after | ds }}",
    "not_after": "{{ dag_run.run_after + macros.timedelta(hours=10) }}",
}

with DAG(
    "appointments_of_tomorrow",
    schedule=CronTriggerTimetable("0 15 * * *", timezone="UTC"),
    catchup=False,
    default_args=task_defaults(),
) as dag:
    check = FlexBroadcastCheckOperator(
        task_id="check",
        sql="""
            SELECT phone AS to_number, first_name, time_zone AS zone, starts_at AS hour
            FROM appointments
            WHERE day = '{{ macros.ds_add(dag_run.run_after | ds, 1) }}'
        """,
        sql_conn_id="warehouse",
        from_number="+14155550102",
        body="Dear {first_name}, we look forward to seeing you tomorrow at {hour}.",
        **RULES,
    )
    approve = FlexBroadcastApprovalOperator(task_id="approve", plan_task_id="check", approve_over=5000)
    send = FlexBroadcastOperator.partial(
        task_id="send",
        **RULES,
        plan_task_id="check",
        approval_task_id="approve",
        map_index_template="{{ task.batch['label'] }}",
        max_active_tis_per_dagrun=4,
    ).expand(batch=check.output)
    delivery = FlexBroadcastDeliverySensor(task_id="delivery", plan_task_id="check", minutes=30)
    report = FlexBroadcastReportOperator(task_id="report", plan_task_id="check", approval_task_id="approve")
    check >> approve >> send >> delivery.as_teardown()
    [check, send, delivery] >> report.as_teardown()
