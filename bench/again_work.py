"""Runs the tasks of ``flexsms_broadcast`` one after the other, without Airflow's scheduler.

``python -m bench.again_work`` reads a job as JSON from its standard input, and writes what came of it.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from bench.memory import peak_mb
from flexsms.core.phone_numbers import parse_number
from flexsms.operators.broadcast import FlexBroadcastOperator
from flexsms.operators.broadcast_check import FlexBroadcastCheckOperator
from flexsms.operators.broadcast_report import FlexBroadcastReportOperator
from flexsms.sensors.broadcast_delivery import FlexBroadcastDeliverySensor

BODY = "Your appointment is tomorrow at nine."
HOURS = "00:00-24:00"


class Run:
    """What Airflow hands the tasks of a run, and what these hand each other."""

    def __init__(self) -> None:
        self._left: dict[tuple[str, str], Any] = {}

    def leave(self, task_id: str, key: str, value: Any) -> None:
        """Keep an XCom, which is JSON."""
        self._left[task_id, key] = json.loads(json.dumps(value))

    def context(self, task_id: str) -> Context:
        """The context of a task."""
        memory: dict[str, Any] = {}
        ti = SimpleNamespace(
            dag_id="flexsms_broadcast",
            run_id="again",
            task_id=task_id,
            map_index=-1,
            try_number=1,
            max_tries=0,
            xcom_push=lambda key, value: self.leave(task_id, key, value),
            xcom_pull=lambda task_ids, key="return_value": self._left.get((task_ids, key)),
        )
        found: Any = {
            "ti": ti,
            "dag_run": SimpleNamespace(clear_number=0),
            "task_state_store": SimpleNamespace(get=memory.get, set=memory.__setitem__),
            "outlet_events": defaultdict(SimpleNamespace),
        }
        return found  # type: ignore[no-any-return]  # a dictionary, typed


def send(run: Run, recipients: str, from_number: str, campaign: str) -> None:
    """Check a list, and send its batches.

    :param recipients: the URL of the list
    """
    check = FlexBroadcastCheckOperator(
        task_id="check",
        recipients=recipients,
        from_number=from_number,
        body=BODY,
        campaign=campaign,
        hours=HOURS,
    )
    batches = check.execute(run.context("check"))
    run.leave("check", "return_value", batches)
    for batch in batches:
        task = FlexBroadcastOperator(task_id="send", batch=batch, campaign=campaign, hours=HOURS)
        task.execute(run.context("send"))


def broadcast(recipients: str, from_number: str, campaign: str) -> dict[str, Any]:
    """All tasks but the approval, which asks Twilio for nothing; returns what the report says.

    :param recipients: the URL of the list
    """
    run = Run()
    send(run, recipients, from_number, campaign)
    delivery = FlexBroadcastDeliverySensor(task_id="delivery", plan_task_id="check")
    with suppress(AirflowSkipException):  # no text has left
        delivery.execute(run.context("delivery"))
    report = FlexBroadcastReportOperator(task_id="report", plan_task_id="check")
    return report.execute(run.context("report"))


def main() -> None:
    """Do the job, and print the figures."""
    asked = json.load(sys.stdin)
    parse_number("from_number", asked["from_number"])  # imports the world's numbers
    began = time.perf_counter()
    report = broadcast(**asked)
    seconds = time.perf_counter() - began
    told = {
        "recipients": report["rows"],
        "texted_before": report["texted_before"],
        "seconds": seconds,
        "peak_mb": peak_mb(),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
