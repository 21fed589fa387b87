"""Text every customer of a list: one mapped task per row."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, task

from flexsms import FlexSendOperator, task_defaults

with DAG(
    "appointment_reminders",
    schedule=None,
    default_args=task_defaults(),
    params={"from_number": Param("+14155550100", type="string")},
) as dag:

    @task
    def appointments() -> list[dict[str, Any]]:
        """In your DAG, this is a query."""
        return [
            {
                "to_number": "+14155550171",
                "to_name": "Hana Example",
                "body": "We look forward to seeing you tomorrow at 9.",
                "idempotency_key": "appointment-4711",
            },
            {
                "to_number": "+14155550172",
                "to_name": "Ivo Example",
                "body": "We look forward to seeing you tomorrow at 10.",
                "idempotency_key": "appointment-4712",
            },
        ]

    FlexSendOperator.partial(
        task_id="send",
        from_number="{{ params.from_number }}",
        route="studio",
        # How many texts of one run are sent at the same time.
        max_active_tis_per_dagrun=8,
    ).expand_kwargs(appointments())
