"""Lets a person look before a run does what nobody can undo, or more than usual."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context

from flexsms.core.exceptions import PermanentError
from flexsms.failure_log import tell_failure

WAIT = timedelta(hours=12)
APPROVAL_KEY = "approval"
ASKED_KEY = "asked"


class Answer(StrEnum):
    """What became of the question whether a run may go on."""

    NOT_NEEDED = "not needed"
    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"


GRANTED = (Answer.NOT_NEEDED, Answer.APPROVED)


class Question(NamedTuple):
    """What a person is asked.

    :param why: a person has to look; half a sentence
    :param subject: one line
    :param told: what there is to know, lines of Markdown
    :param otherwise: what becomes of it without an approval; a sentence
    """

    why: str
    subject: str
    told: Sequence[str]
    otherwise: str


class PlanApprovalOperator(ApprovalOperator):
    """Wait for a person's approval of a plan, where there is something to ask. An answer is about one plan only.

    Who may answer in Airflow may approve. Without an answer in time the plan is rejected.

    :cvar planned_at: under which name a plan says when it was made; one that is made again has another moment
    :param plan_task_id: the task that has left the plan, under the XCom key ``plan``
    :param second_person: who has started the run may not approve it
    :param hitl: of Airflow's ``ApprovalOperator``, like ``response_timeout``, ``assigned_users`` and ``notifiers``
    :return: what Airflow's operator returns; nothing where no approval was needed. Under the key ``approval`` also
        ``{"answer", "by", "planned_at"}``: ``not needed``, ``waiting``, ``approved`` or ``rejected``, who has answered,
        and the moment of the plan that this is about
    :raises PermanentError: when who has started the run approves it, and that takes a second person; or when the run
        has asked about an earlier plan, which its page goes on showing
    """

    planned_at: ClassVar[str]
    ui_color = "#fdf3e1"

    def __init__(self, *, plan_task_id: str, second_person: bool = False, **hitl: Any) -> None:
        usual = {"subject": "Approve", "defaults": self.REJECT, "response_timeout": WAIT}
        super().__init__(**{**usual, **hitl})
        self.plan_task_id = plan_task_id
        self.second_person = second_person

    @abstractmethod
    def question(self, plan: Mapping[str, Any], context: Context) -> Question | None:
        """What to ask about a plan; None: nobody has to look."""

    @tell_failure
    def execute(self, context: Context) -> Any:
        """Ask, if there is something to ask."""
        ti = context["ti"]
        plan = ti.xcom_pull(task_ids=self.plan_task_id, key="plan")
        if plan is None:
            raise PermanentError(f"The task '{self.plan_task_id}' has left no plan; see its log.")
        moment = plan[self.planned_at]
        question = self.question(plan, context)
        if question is None:
            _push_answer(ti, Answer.NOT_NEEDED, None, moment)
            self.log.info("No approval is needed.")
            return None
        self.subject = question.subject
        self.body = "\n".join(
            [
                f"**Why you are asked:** {question.why}.",
                f"* planned: {moment}",
                *question.told,
                "",
                f"**Reject**, and {question.otherwise}. Without an answer in time, the same.",
            ]
        )
        # The task's state may be forgotten, with `[state_store] clear_on_success` or after its retention.
        if self._shown(context) != self.body:
            raise PermanentError(
                "The run has planned anew, and its page still shows the question about the plan before; trigger a new "
                "run."
            )
        context["task_state_store"].set(ASKED_KEY, moment)
        _push_answer(ti, Answer.WAITING, None, moment)
        self.log.info("An approval is needed: %s. Answer under Required Actions of this run.", question.why)
        return super().execute(context)

    @tell_failure
    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Go on with the answer; a rejection skips what is behind it."""
        if "error" not in event:
            by = (event["responded_by_user"] or {}).get("name")
            answer = Answer.APPROVED if event["chosen_options"] == [self.APPROVE] else Answer.REJECTED
            if answer is Answer.APPROVED and self.second_person and by == started_by(context):
                raise PermanentError(
                    f"{by} has started this run and may not approve it; clear the task '{self.task_id}', and let "
                    "another person answer."
                )
            _push_answer(context["ti"], answer, by, context["task_state_store"].get(ASKED_KEY))
        return super().execute_complete(context, event)

    def _shown(self, context: Context) -> str | None:
        """What Airflow shows when it is given the question: before 3.4, of a task in a run, the first one for ever.

        Airflow's own operator sends the same, and does not look at the answer.
        """
        from airflow.sdk.execution_time.comms import CreateHITLDetailPayload, HITLDetailRequestResult
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

        users: Any = self.assigned_users or []
        shown = SUPERVISOR_COMMS.send(
            CreateHITLDetailPayload(
                ti_id=context["ti"].id,
                options=self.options,
                subject=self.subject,
                body=self.body,
                defaults=self.defaults,
                multiple=self.multiple,
                params=self.serialized_params,
                assigned_users=users,
            )
        )
        return shown.body if isinstance(shown, HITLDetailRequestResult) else None


def started_by(context: Context) -> str | None:
    """The user who has triggered the run, None where the schedule has."""
    return getattr(context["dag_run"], "triggering_user_name", None)


def answer_to(ti: Any, approval_task_id: str, planned_at: str) -> Mapping[str, Any]:
    """What became of the question about a plan; its ``answer`` is None where nobody has asked about this one.

    :param ti: the task instance that wants to know
    :param planned_at: the moment of the plan
    """
    found: Mapping[str, Any] = ti.xcom_pull(task_ids=approval_task_id, key=APPROVAL_KEY) or {}
    return found if found.get("planned_at") == planned_at else {"answer": None, "by": None}


def why_not(approval: Mapping[str, Any], approval_task_id: str | None) -> str:
    """Why a plan was not carried out, as half a sentence; empty where its approval is not what is missing.

    :param approval: of :func:`answer_to`
    """
    match approval["answer"]:
        case answer if answer in GRANTED:
            return ""
        case Answer.REJECTED if approval["by"]:
            return f"{approval['by']} has rejected it"
        case Answer.REJECTED:
            return "nobody has approved it in time"
    return f"it was not approved; see the task '{approval_task_id}'"


def in_a_word(approval: Mapping[str, Any]) -> str | None:
    """What became of the approval, without the name of who answered; None: its task has left nothing."""
    answer: str | None = approval["answer"]
    return "no answer" if answer == Answer.REJECTED and not approval["by"] else answer


def _push_answer(ti: Any, answer: Answer, by: str | None, planned_at: Any) -> None:
    ti.xcom_push(APPROVAL_KEY, {"answer": answer, "by": by, "planned_at": planned_at})
