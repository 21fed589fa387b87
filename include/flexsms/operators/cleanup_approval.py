"""Lets a person look before a cleanup does what nobody can undo, or more than usual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from airflow.sdk import Context

from flexsms.arguments import flag, whole_number
from flexsms.operators.approval import PlanApprovalOperator, Question, started_by
from flexsms.operators.cleanup_xcom import planned_channels
from flexsms.twilio.cleanup.outcomes import Action

NAMED_CHANNELS = 10


class FlexCleanupApprovalOperator(PlanApprovalOperator):
    """Wait for a person's approval of a cleanup that deletes channels, or for which more are due than so many.

    Any other cleanup goes on at once. Put it between the plan and the batches, and name it to these and to the report::

        retire = FlexCleanupOperator.partial(task_id="retire", approval_task_id="approve").expand(batch=plan.output)
        plan >> approve >> retire

    Who may answer in Airflow may approve. Without an answer in time the cleanup is rejected, and nothing is retired.

    :param plan_task_id: the task of :class:`flexsms.operators.cleanup_plan.FlexCleanupPlanOperator`, which says how
        channels are retired
    :param approve_over: how many channels may be due without an approval; None or empty: any number (templated)
    :param preview: a dry run: never waits (templated)
    :param second_person: who has started the run may not approve it
    :param hitl: of Airflow's ``ApprovalOperator``, like ``response_timeout``, ``assigned_users`` and ``notifiers``
    :return: what Airflow's operator returns; nothing where no approval was needed. Under the key ``approval`` also
        ``{"answer", "by", "planned_at"}``: ``not needed``, ``waiting``, ``approved`` or ``rejected``, who has answered,
        and the moment of the plan that this is about
    :raises InvalidInput: when an argument is wrong
    :raises PermanentError: when who has started the run approves it, and that takes a second person; or when the run
        has asked about an earlier plan
    """

    template_fields: Sequence[str] = ("approve_over", "preview")
    planned_at: ClassVar[str] = "scanned_at"

    def __init__(
        self,
        *,
        plan_task_id: str,
        approve_over: int | str | None = None,
        preview: bool | str = False,
        second_person: bool = False,
        **hitl: Any,
    ) -> None:
        super().__init__(plan_task_id=plan_task_id, second_person=second_person, **hitl)
        self.approve_over = approve_over
        self.preview = preview

    def question(self, plan: Mapping[str, Any], context: Context) -> Question | None:
        """Ask about a cleanup that deletes, or that is larger than usual."""
        why = self._why(plan)
        if not why:
            return None
        oldest = datetime.fromisoformat(plan["oldest_ended_at"])
        first = self._first_channels(context)
        return Question(
            why,
            f"Approve a cleanup of {plan['due']:,} channels".replace(",", " "),
            [
                f"* action: `{plan['action']}`",
                f"* retention: {plan['retention_days']:g} days",
                f"* due: {plan['due']} of {plan['scanned']} channels; this run takes {sum(plan['batches'])}",
                f"* the longest quiet one: its last task ended {oldest:%F %H:%M} UTC",
                f"* started by: {started_by(context) or 'the schedule'}",
                f"* the first channels: {', '.join(f'`{sid}`' for sid in first)}",
            ],
            "nothing is retired",
        )

    def _why(self, plan: Mapping[str, Any]) -> str:
        """Why a person has to look; empty: nobody has to."""
        if flag("dry_run", self.preview) or not plan["due"]:
            return ""
        if plan["action"] == Action.DELETE:
            return "channels are deleted with their history, for good"
        if self.approve_over in (None, ""):
            return ""
        most = whole_number("approve_over", self.approve_over, low=0, high=10**9)
        return f"more than {most} channels are due (approve_over)" if plan["due"] > most else ""

    def _first_channels(self, context: Context) -> list[str]:
        ti = context["ti"]
        batch = ti.xcom_pull(task_ids=self.plan_task_id)[0]
        end = min(batch["end"], batch["start"] + NAMED_CHANNELS)
        return [channel.channel_sid for channel in planned_channels(ti, {**batch, "end": end})]
