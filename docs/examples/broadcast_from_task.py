"""Text whoever an upstream task returns."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, task

from flexsms import (
    FlexBroadcastCheckOperator,
    FlexBroadcastOperator,
    FlexBroadcastReportOperator,
    task_defaults,
)

with DAG(
    "recall",
    schedule=None,
    default_args=task_defaults(),
    params={"product": Param(type="string"), "from_number": Param("+14155550102", type="string")},
) as dag:

    @task
    def buyers() -> list[dict[str, Any]]:
        """In your DAG, this asks the shop. It returns some thousand people at most; for more, write a file."""
        return [
            {"to_number": "+14155550171", "name": "Hana", "zone": "America/Los_Angeles"},
            {"to_number": "+14155550172", "name": "Ivo", "zone": "America/Denver"},
        ]

    # A recall cannot wait until the morning.
    rules: dict[str, Any] = {"campaign": "recall-{{ params.product }}", "hours": "00:00-24:00"}
    check = FlexBroadcastCheckOperator(
        task_id="check",
        recipients=buyers(),
        from_number="{{ params.from_number }}",
        body="Dear {name}, please do not use your {{ params.product }} any more. Answer, and we call you back.",
        **rules,
    )
    send = FlexBroadcastOperator.partial(task_id="send", **rules).expand(batch=check.output)
    report = FlexBroadcastReportOperator(task_id="report", plan_task_id="check")
    check >> send
    [check, send] >> report.as_teardown()
