"""A broadcast that is canceled: what is under way leaves, nothing else begins, and the next run texts the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from flexsms.core.broadcast import BroadcastBatch, BroadcastText, Outcome, digest_of
from flexsms.core.exceptions import TextsUnsent
from flexsms.operators.broadcast import FlexBroadcastOperator
from flexsms.operators.broadcast_report import FlexBroadcastReportOperator
from flexsms.operators.broadcast_xcom import BroadcastPlan
from flexsms.recipients.folder import WORK_LIST, BroadcastFolder, results_of
from flexsms.sandbox.client import SandboxProcess
from flexsms.sensors.broadcast_delivery import FlexBroadcastDeliverySensor
from flexsms.twilio.broadcast.outcomes import BatchOutcomes
from flexsms.twilio.client import clock
from flexsms.twilio.sending.progress import SendResult

from .conftest import FakeContext

TEXTS = 60
FROM = {"chat": "twilio", "conversations": "conversations"}


class Run:
    """One run of the campaign, with a batch of all its texts."""

    def __init__(self, run_id: str, root: Path, number: str) -> None:
        self.context: Any = FakeContext()
        self.context["ti"].run_id = run_id
        self.folder = BroadcastFolder((root / run_id).as_uri())
        texts = [
            BroadcastText(row, number, f"+1415556{row:04d}", f"Text {row}", zones=("UTC",))
            for row in range(1, TEXTS + 1)
        ]
        lines = b"".join(text.to_line() for text in texts)
        self.folder.path(WORK_LIST).write_bytes(lines)
        self.batch = BroadcastBatch(
            0, "all", self.folder.url, 0, len(lines), TEXTS, ("UTC",), digest_of(lines)
        )
        at = (clock.utc_now() - timedelta(minutes=1)).isoformat()
        plan = BroadcastPlan("spring", self.folder.url, TEXTS, TEXTS, {}, TEXTS, {}, None, None, None, 0, at)
        self.context.pulled = {
            ("check", "plan", -1): plan.to_json(),
            ("check", "return_value", -1): [self.batch.to_json()],
        }

    def sends(self, cancel_after: int | None = None) -> None:
        """The batch is sent; Airflow ends its task once so many results are there."""
        task = FlexBroadcastOperator(
            task_id="send", batch=self.batch.to_json(), campaign="spring", hours="00:00-24:00"
        )

        tell = BatchOutcomes.sent

        def cancel(outcomes: BatchOutcomes, text: BroadcastText, result: SendResult) -> None:
            tell(outcomes, text, result)
            if outcomes.counts["sent"] == cancel_after:
                task.on_kill()

        with patch.object(BatchOutcomes, "sent", cancel):
            asyncio.run(task.aexecute(self.context))

    def outcomes(self) -> dict[int, Outcome]:
        """What the batch has said."""
        return {result.row: result.outcome for result in self.folder.results(results_of(self.batch))}

    def looks(self) -> None:
        """What has left is looked up."""
        with suppress(AirflowSkipException):
            FlexBroadcastDeliverySensor(task_id="delivery", plan_task_id="check").execute(self.context)

    def reports(self) -> dict[str, Any]:
        """The report of the run."""
        task = FlexBroadcastReportOperator(task_id="report", plan_task_id="check")
        found: dict[str, Any] = task.execute(self.context)
        return found


@pytest.fixture
def begin(
    stack: str, connection: Callable[..., None], sandbox: SandboxProcess, tmp_path: Path
) -> Callable[[str], Run]:
    connection(stack=stack, studio_flow_sid=sandbox.settings["studio_flow_sid"], max_in_flight=4)
    sandbox.control.settings(sms_step_s=0)
    number = str(sandbox.settings["numbers"][FROM[stack]])
    return lambda run_id: Run(run_id, tmp_path, number)


def left(sandbox: SandboxProcess) -> list[int]:
    """The rows whose texts have left."""
    return sorted(int(str(sms["body"]).removeprefix("Text ")) for sms in sandbox.control.outbox())


@pytest.mark.parametrize("is_killed", [False, True], ids=["ends in time", "is killed"])
def test_the_report_knows_what_has_left_and_the_next_run_texts_exactly_the_others(
    is_killed: bool, begin: Callable[[str], Run], sandbox: SandboxProcess
) -> None:
    canceled = begin("first")
    with pytest.raises(TextsUnsent, match="stopped"):
        canceled.sends(cancel_after=5)
    before = left(sandbox)
    assert 5 <= len(before) <= TEXTS // 2
    # What was under way has left, and the results say so.
    assert canceled.outcomes() == dict.fromkeys(before, Outcome.SENT)
    if is_killed:  # before it could write them
        canceled.folder.path(results_of(canceled.batch)).unlink()
    canceled.looks()
    report = canceled.reports()
    assert (report["delivered"], report["unknown"]) == (len(before), TEXTS - len(before))
    assert canceled.folder.path(WORK_LIST).exists()  # `send` may be cleared

    again = begin("second")
    again.sends()
    assert left(sandbox) == list(range(1, TEXTS + 1))
    again.looks()
    report = again.reports()
    assert (report["delivered"], report["texted_before"]) == (TEXTS - len(before), len(before))
    assert not again.folder.path(WORK_LIST).exists()


def test_cleared_the_canceled_batch_goes_on(begin: Callable[[str], Run], sandbox: SandboxProcess) -> None:
    run = begin("first")
    with pytest.raises(TextsUnsent, match="stopped"):
        run.sends(cancel_after=5)
    run.looks()
    run.reports()
    run.context["ti"].try_number = 2
    run.context["ti"].max_tries = 6
    run.sends()
    assert left(sandbox) == list(range(1, TEXTS + 1))
    run.looks()
    assert run.reports()["delivered"] == TEXTS
