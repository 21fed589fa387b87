"""Lets a person look before a cleanup does what nobody can undo, or more than usual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context

from flexsms.arguments import flag, whole_number
from flexsms.core.exceptions import PermanentError
from flexsms.failure_log import tell_failure
from flexsms.operators.cleanup_xcom import PLAN_KEY, Answer, planned_channels, push_answer
from flexsms.twilio.cleanup.outcomes import Action

WAIT = timedelta(hours=12)  # the next nightly run waits for this one
NAMED_CHANNELS = 10
ASKED_KEY = "asked"


class FlexCleanupApprovalOperator(ApprovalOperator):
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
        ``{"answer", "by", "scanned_at"}``: ``not needed``, ``waiting``, ``approved`` or ``rejected``, who has answered,
        and the moment of the plan that this is about
    :raises InvalidInput: when an argument is wrong
    :raises PermanentError: when who has started the run approves it, and that takes a second person; or when the run
        has asked about an earlier plan
    """

    template_fields: Sequence[str] = ("approve_over", "preview")
    ui_color = "#fdf3e1"

    def __init__(
        self,
        *,
        plan_task_id: str,
        approve_over: int | str | None = None,
        preview: bool | str = False,
        second_person: bool = False,
        **hitl: Any,
    ) -> None:
        usual = {
            "subject": "Approve a cleanup of channels",
            "defaults": self.REJECT,
            "response_timeout": WAIT,
        }
        super().__init__(**{**usual, **hitl})
        self.plan_task_id = plan_task_id
        self.approve_over = approve_over
        self.preview = preview
        self.second_person = second_person

    @tell_failure
    def execute(self, context: Context) -> Any:
        """Ask, if there is something to ask."""
        ti = context["ti"]
        plan = ti.xcom_pull(task_ids=self.plan_task_id, key=PLAN_KEY)
        why = self._why(plan)
        if not why:
            push_answer(ti, Answer.NOT_NEEDED, None, plan["scanned_at"])
            self.log.info("No approval is needed.")
            return None
        # Airflow keeps the first question of a task in a run, whatever it asks later.
        memory = context["task_state_store"]
        if memory.get(ASKED_KEY, plan["scanned_at"]) != plan["scanned_at"]:
            raise PermanentError(
                "The run has planned anew, and its page still shows the question about the plan before; trigger a new "
                "run."
            )
        memory.set(ASKED_KEY, plan["scanned_at"])
        push_answer(ti, Answer.WAITING, None, plan["scanned_at"])
        self.subject = f"Approve a cleanup of {plan['due']:,} channels".replace(",", " ")
        self.body = _body(plan, why, self._first_channels(context), started_by=_started_by(context))
        self.log.info("An approval is needed: %s. Answer under Required Actions of this run.", why)
        return super().execute(context)

    @tell_failure
    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Go on with the answer; a rejection skips the batches."""
        if "error" not in event:
            by = (event["responded_by_user"] or {}).get("name")
            answer = Answer.APPROVED if event["chosen_options"] == [self.APPROVE] else Answer.REJECTED
            if answer is Answer.APPROVED and self.second_person and by == _started_by(context):
                raise PermanentError(
                    f"{by} has started this run and may not approve it; clear the task '{self.task_id}', and let "
                    "another person answer."
                )
            push_answer(context["ti"], answer, by, context["task_state_store"].get(ASKED_KEY))
        return super().execute_complete(context, event)

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


def _started_by(context: Context) -> str | None:
    """The user who has triggered the run, None where the schedule has."""
    return getattr(context["dag_run"], "triggering_user_name", None)


def _body(plan: Mapping[str, Any], why: str, first: Sequence[str], *, started_by: str | None) -> str:
    """What will happen, in Markdown."""
    oldest = datetime.fromisoformat(plan["oldest_ended_at"])
    lines = [
        f"**Why you are asked:** {why}.",
        f"* action: `{plan['action']}`",
        f"* retention: {plan['retention_days']:g} days",
        f"* due: {plan['due']} of {plan['scanned']} channels; this run takes {sum(plan['batches'])}",
        f"* the longest quiet one: its last task ended {oldest:%F %H:%M} UTC",
        f"* started by: {started_by or 'the schedule'}",
        f"* the first channels: {', '.join(f'`{sid}`' for sid in first)}",
        "",
        "**Reject**, and nothing is retired. Without an answer in time, nothing is retired either.",
    ]
    return "\n".join(lines)
