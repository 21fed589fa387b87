"""The question whether a cleanup may go on, and which plan it is about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from airflow.sdk.exceptions import TaskAwaitingInput

from flexsms.core.exceptions import PermanentError
from flexsms.core.stack_name import StackName
from flexsms.operators.approval import answer_to
from flexsms.operators.cleanup_approval import FlexCleanupApprovalOperator
from flexsms.twilio.cleanup.scan import DueChannel, pack

from .conftest import Page

FIRST, SECOND = "2026-11-21T02:58:00+00:00", "2026-11-21T09:58:00+00:00"
ANSWER = {
    "chosen_options": ["Approve"],
    "params_input": {},
    "responded_at": datetime(2026, 11, 21, tzinfo=UTC),
    "responded_by_user": {"id": "1", "name": "ida"},
}


def planned(context: Any, scanned_at: str, due: int, action: str = "delete") -> None:
    """Leave a plan."""
    context["ti"].id = UUID(int=1)
    context["task_instance"] = context["ti"]
    context["dag_run"] = None
    context.pulled = {
        ("plan", "plan", -1): {
            "scanned": 20,
            "due": due,
            "batches": [due],
            "action": action,
            "retention_days": 2.0,
            "oldest_ended_at": "2026-11-01T00:00:00+00:00",
            "scanned_at": scanned_at,
        },
        ("plan", "return_value", -1): [{"task_id": "plan", "start": 0, "end": due}],
        ("plan", "channels.0", -1): pack([DueChannel("CHa", 1, StackName.CHAT, "0")] * due),
    }


def approve() -> FlexCleanupApprovalOperator:
    return FlexCleanupApprovalOperator(task_id="approve", plan_task_id="plan")


def test_a_plan_that_is_made_again_is_not_approved_by_the_question_of_the_one_before(
    context: Any, page: Page
) -> None:
    """Airflow keeps the text of the first question: a person would read 12, and approve 15."""
    planned(context, FIRST, due=12)
    for _ in range(2):  # the same plan may be asked about again
        with pytest.raises(TaskAwaitingInput):
            approve().execute(context)
    planned(context, SECOND, due=15)
    with pytest.raises(PermanentError, match=r"planned anew, and its page still shows .*; trigger a new run"):
        approve().execute(context)
    assert page.shown.subject == "Approve a cleanup of 12 channels"


def test_what_airflow_has_forgotten_of_the_question_its_page_still_shows(context: Any, page: Page) -> None:
    """`[state_store] clear_on_success` forgets it with the answer, and its retention after 30 days."""
    planned(context, FIRST, due=12)
    with pytest.raises(TaskAwaitingInput):
        approve().execute(context)
    context.tasks.clear()
    with pytest.raises(TaskAwaitingInput):  # the same plan
        approve().execute(context)
    context.tasks.clear()
    planned(context, SECOND, due=12)
    with pytest.raises(PermanentError, match="planned anew"):
        approve().execute(context)


def test_an_answer_of_which_nobody_knows_the_plan_approves_none(context: Any, page: Page) -> None:
    planned(context, FIRST, due=12)
    with pytest.raises(TaskAwaitingInput):
        approve().execute(context)
    context.tasks.clear()
    approve().execute_complete(context, ANSWER)
    context.pulled["approve", "approval", -1] = context.pushed["approval"]
    assert answer_to(context["ti"], "approve", FIRST)["answer"] is None


def test_a_plan_that_is_made_again_and_needs_no_approval_goes_on(context: Any, page: Page) -> None:
    planned(context, FIRST, due=12)
    with pytest.raises(TaskAwaitingInput):
        approve().execute(context)
    planned(context, SECOND, due=12, action="deactivate")
    approve().execute(context)
    assert context.pushed["approval"] == {"answer": "not needed", "by": None, "planned_at": SECOND}


def test_an_answer_is_about_the_plan_that_was_asked_about(context: Any, page: Page) -> None:
    """Somebody clears the plan alone while a person reads the question."""
    planned(context, FIRST, due=12)
    with pytest.raises(TaskAwaitingInput):
        approve().execute(context)
    assert context.pushed["approval"] == {"answer": "waiting", "by": None, "planned_at": FIRST}
    planned(context, SECOND, due=15)
    approve().execute_complete(context, ANSWER)
    assert context.pushed["approval"] == {"answer": "approved", "by": "ida", "planned_at": FIRST}
