"""Sums up what a cleanup did, whatever became of its batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import BaseOperator, Context

from flexsms.arguments import flag
from flexsms.assets import CHANNEL_STATE
from flexsms.core.exceptions import PermanentError
from flexsms.failure_log import tell_failure
from flexsms.operators.approval import Answer, answer_to, in_a_word, why_not
from flexsms.operators.cleanup_failures import causes
from flexsms.operators.cleanup_xcom import PLAN_KEY, REPORT_KEY, planned_channels
from flexsms.telemetry import Metric, count, gauge
from flexsms.templates import LiteralRows
from flexsms.twilio.cleanup.outcomes import NAMED_FAILURES, Outcome
from flexsms.twilio.client import clock

Json = dict[str, Any]

_WORDS = {
    Outcome.DEACTIVATED: "deactivated",
    Outcome.DELETED: "deleted",
    Outcome.SKIPPED_OPEN_TASK: "skipped (live task)",
    Outcome.SKIPPED_CHANGED: "skipped (changed since the scan)",
    Outcome.ALREADY_GONE: "already gone",
    Outcome.SKIPPED_TYPE: "left alone (another kind of channel)",
}
_RETIRED = {Outcome.DEACTIVATED: "deactivate", Outcome.DELETED: "delete"}


class FlexCleanupReportOperator(LiteralRows, BaseOperator):
    """Say in one sentence, in XCom and in the asset event what a cleanup did.

    It has to run when batches failed too. Make it a teardown: then it always runs, and a failed batch still makes
    the run a failed one::

        [plan, retire] >> report.as_teardown()

    :param plan_task_id: the task of :class:`flexsms.operators.cleanup_plan.FlexCleanupPlanOperator`
    :param batch_task_id: the mapped task of :class:`flexsms.operators.cleanup.FlexCleanupOperator`
    :param approval_task_id: if there is one, the task of
        :class:`flexsms.operators.cleanup_approval.FlexCleanupApprovalOperator`
    :param preview: a dry run: nothing was written: say so, list the channels, and emit no asset event (templated)
    :return: ``{"scanned", "due", "deactivated", "deleted", "skipped_open_task", "skipped_changed", "already_gone",
        "skipped_type", "other_types", "interactions_left", "failed", "failures", "unanswered",
        "unanswered_channels", "oldest_ended_at", "duration_s", "api_calls"}`` and the figures that
        docs/monitoring.md lists; it is the asset event's ``extra`` too. ``interactions_left`` counts closed
        conversations whose interaction may still be open, because no task named it. ``unanswered_channels`` are
        those in which a customer wrote after the last task's end, and nobody was told, at most 50. ``api_calls``
        counts the last try of every task
    :raises PermanentError: when there is no plan to report on
    """

    template_fields: Sequence[str] = ("preview",)
    ui_color = "#fdf3e1"

    def __init__(
        self,
        *,
        plan_task_id: str,
        batch_task_id: str,
        approval_task_id: str | None = None,
        preview: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"outlets": [CHANNEL_STATE], **kwargs})
        self.plan_task_id = plan_task_id
        self.batch_task_id = batch_task_id
        self.approval_task_id = approval_task_id
        self.preview = preview

    @tell_failure
    def execute(self, context: Context) -> Json:
        """Gather, sum up, tell."""
        ti = context["ti"]
        preview = flag("dry_run", self.preview)
        plan = ti.xcom_pull(task_ids=self.plan_task_id, key=PLAN_KEY)
        if plan is None:
            raise PermanentError(
                f"Nothing was cleaned up: the task '{self.plan_task_id}' made no plan; see its log."
            )
        indexes = list(range(len(plan["batches"])))
        reports = ti.xcom_pull(task_ids=self.batch_task_id, key=REPORT_KEY, map_indexes=indexes)
        approval = self._approval(ti, plan)
        stopped = self._stopped(approval)
        if stopped:
            # Without an approval, a batch that has left no report has done nothing; what others did counts.
            reports = [report for report in reports if report]
            stopped = "" if reports else stopped
        elif None in reports:
            batches = ti.xcom_pull(task_ids=self.plan_task_id)
            reports = [
                report or _unreported(ti, batches[index], index) for index, report in enumerate(reports)
            ]
        summary = {**summarize(plan, reports, now=clock.utc_now()), "approval": in_a_word(approval)}
        tell = self.log.warning if summary["failed"] or stopped else self.log.info
        tell("%s%s", stopped, sentence(summary, taken=sum(plan["batches"]), dry_run=preview))
        if preview:
            for channel_sid, ended_ms in (one for report in reports for one in report.get("would", ())):
                ended = datetime.fromtimestamp(ended_ms / 1000, UTC)
                self.log.info(
                    "Would be retired: %s, last task ended %s", channel_sid, f"{ended:%F %H:%M} UTC"
                )
            self.outlets = []  # nothing changed, so nobody is told that something did
        else:
            context["outlet_events"][CHANNEL_STATE].extra = summary
            _measure(summary, now=clock.utc_now())
        return summary

    def _approval(self, ti: Any, plan: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.approval_task_id is None:
            return {"answer": Answer.NOT_NEEDED, "by": None}
        return answer_to(ti, self.approval_task_id, plan["scanned_at"])

    def _stopped(self, approval: Mapping[str, Any]) -> str:
        """Why nothing was retired, as a sentence and a blank; empty where no approval was missing."""
        why = why_not(approval, self.approval_task_id)
        return f"Nothing was retired: {why}. " if why else ""


def _measure(summary: Mapping[str, Any], *, now: datetime) -> None:
    for state, number in summary.get("channels", {}).items():
        gauge(Metric.CHANNELS, number, state=state)
    gauge(Metric.DUE, summary["due"])
    oldest = summary["oldest_ended_at"]
    gauge(Metric.OLDEST_DUE, (now - datetime.fromisoformat(oldest)).total_seconds() if oldest else 0)
    for outcome in Outcome:
        count(Metric.RETIRED, summary[outcome], outcome=str(outcome))


def summarize(plan: Mapping[str, Any], reports: Sequence[Mapping[str, Any]], *, now: datetime) -> Json:
    """The plan and what became of its batches as one summary.

    :param now: the present, an aware datetime
    """
    parts = [plan, *reports]
    counts = {str(outcome): sum(part.get(outcome, 0) for part in parts) for outcome in Outcome}
    return {
        "kind": "cleanup",
        "action": plan.get("action"),
        "retention_days": plan.get("retention_days"),
        **plan.get("census", {}),
        "scanned": plan["scanned"],
        "due": plan["due"],
        **counts,
        "other_types": plan.get("other_types", {}),
        "interactions_left": sum(part.get("interactions_left", 0) for part in parts),
        "failures": [failure for part in parts for failure in part["failures"]][:NAMED_FAILURES],
        "unanswered": sum(part.get("unanswered", 0) for part in parts),
        "unanswered_channels": [sid for part in parts for sid in part.get("unanswered_channels", ())][
            :NAMED_FAILURES
        ],
        "failed_by_code": _sums(parts, "failed_by_code"),
        "oldest_ended_at": plan["oldest_ended_at"],
        "duration_s": round((now - datetime.fromisoformat(plan["started_at"])).total_seconds(), 2),
        "api_calls": sum(part.get("api_calls", 0) for part in parts),
        "calls": _sums(parts, "calls"),
        "throttled": sum(part.get("throttled", 0) for part in parts),
    }


def sentence(summary: Mapping[str, Any], *, taken: int, dry_run: bool) -> str:
    """What the summary says, for a person.

    :param taken: how many of the due channels this run took, at most its limit
    """
    told = [_told(outcome, summary, dry_run=dry_run) for outcome in _WORDS if summary[outcome]]
    if summary["interactions_left"]:
        told.append(
            f"{_many(summary['interactions_left'])} closed without their interactions, which no task has named"
        )
    if summary["unanswered"]:
        told.append(f"{_many(summary['unanswered'])} with a text that nobody was told of")
    if summary["failed"]:
        told.append(f"{_many(summary['failed'])} failed")
    start = "Dry run, nothing was written. Scanned" if dry_run else "Scanned"
    found = f"{start} {_many(summary['scanned'])} channels, {_many(summary['due'])} due"
    if summary["due"] > taken:
        left = _many(summary["due"] - taken)
        found += f" (the {_many(taken)} longest quiet are taken, {left} are left for the next run)"
    said = f"{found}: {', '.join(told)}." if told else f"{found}."
    if not summary["failed"]:
        return said
    named = len(summary["failures"])
    some = f"Of the first {named}: " if named < summary["failed"] else ""
    return f"{said} {some}{causes(summary['failures'])}"


def _sums(parts: Sequence[Mapping[str, Any]], name: str) -> dict[str, int]:
    """Counts of the same name in several parts, added up key by key."""
    sums: Counter[str] = Counter()
    for part in parts:
        sums.update(part.get(name, {}))
    return dict(sums)


def _told(outcome: Outcome, summary: Mapping[str, Any], *, dry_run: bool) -> str:
    count = summary[outcome]
    if outcome is Outcome.SKIPPED_TYPE and summary["other_types"]:
        kinds = ", ".join(f"{_many(number)} {kind}" for kind, number in summary["other_types"].items())
        return f"{_many(count)} left alone (another kind of channel: {kinds})"
    if dry_run and outcome in _RETIRED:
        return f"would {_RETIRED[outcome]} {_many(count)}"
    return f"{_many(count)} {_WORDS[outcome]}"


def _many(count: int) -> str:
    return f"{count:,}".replace(",", " ")


def _unreported(ti: Any, batch: Mapping[str, Any], index: int) -> Json:
    """A batch that ended without a word: all of its channels count as failed, because nobody knows better."""
    message = (
        f"batch {index + 1} ended without a report; the next run finds out whether the channel was retired"
    )
    sids = [channel.channel_sid for channel in planned_channels(ti, batch)]
    failures = [{"channel_sid": sid, "code": 0, "message": message} for sid in sids[:NAMED_FAILURES]]
    return {"failed": len(sids), "failures": failures, "failed_by_code": {"0": len(sids)}}
