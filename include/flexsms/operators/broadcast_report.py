"""Sums up what a broadcast did, whatever became of its batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow.sdk import BaseOperator, Context

from flexsms.arguments import flag
from flexsms.assets import BROADCAST
from flexsms.core.broadcast import BroadcastBatch, Outcome
from flexsms.core.broadcast_totals import BroadcastTotals, many, outcomes_in_words
from flexsms.failure_log import tell_failure
from flexsms.operators.approval import Answer, answer_to, in_a_word, why_not
from flexsms.operators.broadcast_xcom import BroadcastPlan, pull_plan
from flexsms.recipients.folder import REPORT, BroadcastFolder
from flexsms.recipients.report import newest, settle, write_report
from flexsms.templates import LiteralRows
from flexsms.twilio.client import clock

DRY_RUN = "Dry run: nothing was sent."
# Who goes without a text until somebody puts something right.
LOST = (Outcome.INVALID, Outcome.NOT_DELIVERED)
SILENT = (
    "The batch ended early, as after a cancel; the next run of the campaign texts whoever has no text yet."
)


class FlexBroadcastReportOperator(LiteralRows, BaseOperator):
    """Say for each recipient, in one sentence, in XCom and in the asset event what a broadcast did.

    It has to run when batches failed too. Make it a teardown: then it always runs, and a failed batch still makes the
    run a failed one::

        [check, send] >> report.as_teardown()

    It writes ``report.csv`` into the broadcast's folder, a line per row of the list, and removes the work list with the
    whole numbers and the texts there, once nothing is left that a cleared task could send: each text has left, was left
    out, or has failed for a reason that no further try heals.

    :param plan_task_id: the task of :class:`flexsms.operators.broadcast_check.FlexBroadcastCheckOperator`
    :param approval_task_id: if there is one, the task of
        :class:`flexsms.operators.broadcast_approval.FlexBroadcastApprovalOperator`
    :param preview: a dry run: nothing was sent: say so, and emit no asset event (templated)
    :return: ``{"campaign", "rows", "texted", "segments", "failed_by_code", "not_delivered_by_code", "approval",
        "duration_s", "report"}`` and a count per outcome: ``delivered``, ``not_delivered``, ``sent`` (not known
        yet), ``invalid``, ``repeated``, ``texted_before``, ``suppressed``, ``too_late``, ``stopped``, ``failed`` and
        ``unknown``. It is the asset event's ``extra`` too. ``report`` is the URL of the file
    :raises PermanentError: when there is no plan to report on
    """

    template_fields: Sequence[str] = ("preview",)
    ui_color = "#fdf3e1"

    def __init__(
        self,
        *,
        plan_task_id: str,
        approval_task_id: str | None = None,
        preview: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"outlets": [BROADCAST], **kwargs})
        self.plan_task_id = plan_task_id
        self.approval_task_id = approval_task_id
        self.preview = preview

    @tell_failure
    def execute(self, context: Context) -> dict[str, Any]:
        """Gather, sum up, tell."""
        ti = context["ti"]
        preview = flag("dry_run", self.preview)
        plan = pull_plan(ti, self.plan_task_id)
        batches = [BroadcastBatch.from_json(one) for one in ti.xcom_pull(task_ids=self.plan_task_id)]
        approval = self._approval(ti, plan)
        why = why_not(approval, self.approval_task_id)
        folder = BroadcastFolder(plan.folder)
        outcome, reason = (
            (Outcome.STOPPED, DRY_RUN)
            if preview
            else (Outcome.STOPPED, f"Nobody was texted: {why}.")
            if why
            else (Outcome.UNKNOWN, SILENT)
        )
        for batch in batches:
            settle(folder, batch, outcome, reason)
        totals = BroadcastTotals.of(write_report(folder, newest(folder, batches)))
        if preview or why or not totals.unfinished:
            folder.forget_texts()
        began = datetime.fromisoformat(plan.checked_at)
        summary = {
            "kind": "broadcast",
            "campaign": plan.campaign,
            **totals.to_json(),
            "approval": in_a_word(approval),
            "duration_s": round((clock.utc_now() - began).total_seconds(), 2),
            "report": str(folder.path(REPORT)),
        }
        lost = why or totals.missing or any(totals.counts[outcome] for outcome in LOST)
        tell = self.log.warning if lost and not preview else self.log.info
        tell("%s", _sentence(plan, totals, preview=preview, why=why))
        self.log.info("The result by row: %s", summary["report"])
        if preview:
            self.outlets = []  # nothing was sent, so nobody is told that something was
        else:
            context["outlet_events"][BROADCAST].extra = summary
        return summary

    def _approval(self, ti: Any, plan: BroadcastPlan) -> Mapping[str, Any]:
        if self.approval_task_id is None:
            return {"answer": Answer.NOT_NEEDED, "by": None}
        return answer_to(ti, self.approval_task_id, plan.checked_at)


def _sentence(plan: BroadcastPlan, totals: BroadcastTotals, *, preview: bool, why: str) -> str:
    """What became of it, for a person."""
    if preview:
        return f"{DRY_RUN} {_planned(plan, 'would be')}"
    if why and not totals.texted:
        return f"Nobody was texted: {why}. {_planned(plan, 'would have been')}"
    again = ""
    if totals.missing:
        again = " Run the campaign again for those without a text: nobody is texted twice."
    return f"{totals.sentence()}{again}"


def _planned(plan: BroadcastPlan, were: str) -> str:
    left_out = outcomes_in_words(plan.left_out)
    return (
        f"{many(plan.texts)} of {many(plan.rows)} rows {were} texted{left_out and f'; left out: {left_out}'}."
    )
