"""Lets a person look before many people are texted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from airflow.sdk import Context

from flexsms.arguments import flag, whole_number
from flexsms.core.broadcast import BroadcastBatch
from flexsms.core.broadcast_totals import counted, many, outcomes_in_words
from flexsms.core.outbound_message import Route
from flexsms.core.redaction import mask_number
from flexsms.operators.approval import PlanApprovalOperator, Question, started_by
from flexsms.operators.broadcast_xcom import BroadcastPlan
from flexsms.recipients.folder import BroadcastFolder

SAMPLES = 4
REPLIES = {Route.AGENT: "each text opens a task for an agent", Route.STUDIO: "they run the Studio flow"}


class FlexBroadcastApprovalOperator(PlanApprovalOperator):
    """Wait for a person's approval of a broadcast to more people than so many.

    A smaller one goes on at once. Put it between the check and the batches, and name it to these and to the report::

        send = FlexBroadcastOperator.partial(task_id="send", approval_task_id="approve").expand(batch=check.output)
        check >> approve >> send

    The question shows how many are texted and who is left out, what it costs at least, from which numbers and within
    which hours, when the first and the last text leave, by UTC and by their recipients' clocks, and some of the texts
    with the last four digits of their numbers: the longest, the first in UCS-2 with the character that made it so, the
    shortest, and an ordinary one. So texts are read by whoever may read the required actions of the run, and Airflow
    keeps them with the question. ``samples=0`` leaves them out.

    Who may answer in Airflow may approve. Without an answer in time the broadcast is rejected, and nobody is texted.

    :param plan_task_id: the task of :class:`flexsms.operators.broadcast_check.FlexBroadcastCheckOperator`
    :param approve_over: how many may be texted without an approval; None or empty: any number (templated)
    :param preview: a dry run: never waits (templated)
    :param samples: how many texts the question shows
    :param second_person: who has started the run may not approve it
    :param hitl: of Airflow's ``ApprovalOperator``, like ``response_timeout``, ``assigned_users`` and ``notifiers``
    :return: what Airflow's operator returns; nothing where no approval was needed. Under the key ``approval`` also
        ``{"answer", "by", "planned_at"}``: ``not needed``, ``waiting``, ``approved`` or ``rejected``, who has answered,
        and the moment of the check that this is about
    :raises InvalidInput: when an argument is wrong
    :raises PermanentError: when who has started the run approves it, and that takes a second person; or when the run
        has asked about an earlier check
    """

    template_fields: Sequence[str] = ("approve_over", "preview")
    planned_at: ClassVar[str] = "checked_at"

    def __init__(
        self,
        *,
        plan_task_id: str,
        approve_over: int | str | None = None,
        preview: bool | str = False,
        samples: int = SAMPLES,
        second_person: bool = False,
        **hitl: Any,
    ) -> None:
        super().__init__(plan_task_id=plan_task_id, second_person=second_person, **hitl)
        self.approve_over = approve_over
        self.preview = preview
        self.samples = samples

    def question(self, plan: Mapping[str, Any], context: Context) -> Question | None:
        """Ask about a broadcast to more people than may be texted unasked."""
        if flag("dry_run", self.preview) or self.approve_over in (None, ""):
            return None
        most = whole_number("approve_over", self.approve_over, low=0, high=10**9)
        found = BroadcastPlan.from_json(plan)
        if found.texts <= most:
            return None
        return Question(
            f"more than {many(most)} people are texted (approve_over)",
            f"Approve a broadcast to {many(found.texts)} people",
            [*_told(found, started_by(context)), *_samples(found.samples[: self.samples])],
            "nobody is texted",
        )


def _told(plan: BroadcastPlan, by: str | None) -> list[str]:
    encodings = ", ".join(f"{many(count)} × {name}" for name, count in plan.encodings.items())
    told = {
        "campaign": _literal(plan.campaign),
        "texts": f"{many(plan.texts)} of {many(plan.rows)} rows",
        "left out": outcomes_in_words(plan.left_out),
        "segments": many(plan.segments) + (f" ({encodings})" if encodings else ""),
        "cost": f"at least {plan.cost['amount']} {plan.cost['currency']}" if plan.cost else "not known",
        "from": ", ".join(f"…{sender} ({counted(count, 'text')})" for sender, count in plan.senders.items()),
        "replies": REPLIES[Route(plan.route)] if plan.route else "",
        "hours": f"{plan.hours}, by the recipients' clocks" if plan.hours else "",
        "the first text leaves": _moment(plan.first_at, plan.first_local),
        "the last text leaves": _moment(plan.last_at, plan.last_local),
        "to look at": " ".join(map(_literal, plan.problems)),
        "started by": by or "the schedule",
    }
    return [f"* {name}: {value}" for name, value in told.items() if value]


def _samples(samples: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Some texts as they will be sent, which is not as Markdown would show them."""
    for sample in map(BroadcastBatch.from_json, samples):
        [text] = BroadcastFolder(sample.folder).texts(sample)
        fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text.body))])
        yield from ("", f"To {mask_number(text.to_number)} ({sample.label}):", "", fence, text.body, fence)


def _literal(text: str) -> str:
    """A text of which Markdown makes nothing else."""
    return re.sub(r"([\\`*_\[\]<>#|!~])", r"\\\1", text)


def _moment(iso: str | None, local: str) -> str:
    if not iso:
        return ""
    return f"{datetime.fromisoformat(iso):%F %H:%M} UTC" + (f", {local}" if local else "")
