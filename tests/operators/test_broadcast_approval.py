"""The question whether a broadcast may go on: what it shows, and when it is asked."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from airflow.sdk.exceptions import TaskAwaitingInput

from flexsms.core.broadcast import BroadcastBatch, BroadcastText, digest_of
from flexsms.core.exceptions import InvalidInput, PermanentError
from flexsms.operators.broadcast_approval import FlexBroadcastApprovalOperator
from flexsms.operators.broadcast_xcom import BroadcastPlan
from flexsms.recipients.folder import WORK_LIST, BroadcastFolder

from .conftest import Page

CHECKED_AT = "2026-11-21T02:58:00+00:00"
PLAN = BroadcastPlan(
    campaign="spring_2026",
    folder="",
    rows=1300,
    texts=1200,
    left_out={"invalid": 60, "suppressed": 40, "repeated": 0},
    segments=1300,
    encodings={"GSM-7": 1100, "UCS-2": 100},
    cost={"amount": "10.27", "currency": "USD"},
    first_at="2026-11-21T13:00:00+00:00",
    last_at="2026-11-21T17:20:00+00:00",
    opted_out=80,
    checked_at=CHECKED_AT,
    problems=["Row 7: zone *Mars* is not known; give one like Europe/Berlin."],
)


@pytest.fixture
def checked(context: Any, tmp_path: Path) -> Any:
    """A check has left its plan, two batches and their texts."""
    bodies = [
        "Your visit: *tomorrow* <b>",
        "a ``` fence ```` here\nand a second line",
        "short",
        "a fourth text",
    ]
    texts = [
        BroadcastText(n, "+14155550100", f"+1415555020{n}", body) for n, body in enumerate(bodies, start=1)
    ]
    lines = [text.to_line() for text in texts]
    folder = BroadcastFolder(tmp_path.as_uri())
    folder.path(WORK_LIST).write_bytes(b"".join(lines))
    first, end = len(b"".join(lines[:2])), len(b"".join(lines))
    batches = [
        BroadcastBatch(0, "one", folder.url, 0, first, 2, digest=digest_of(b"".join(lines[:2]))),
        BroadcastBatch(1, "two", folder.url, first, end, 2, digest=digest_of(b"".join(lines[2:]))),
    ]
    context["ti"].id = UUID(int=1)
    context["task_instance"] = context["ti"]
    context["dag_run"] = SimpleNamespace(triggering_user_name="otto")
    context.pulled = {
        ("check", "plan", -1): PLAN.to_json(),
        ("check", "return_value", -1): [batch.to_json() for batch in batches],
    }
    return context


def approve(**more: Any) -> FlexBroadcastApprovalOperator:
    return FlexBroadcastApprovalOperator(**{"task_id": "approve", "plan_task_id": "check", **more})


def test_it_shows_totals_cost_hours_and_three_texts_with_masked_numbers(checked: Any, page: Page) -> None:
    with pytest.raises(TaskAwaitingInput):
        approve(approve_over="1199").execute(checked)
    assert page.shown.subject == "Approve a broadcast to 1 200 people"
    assert page.shown.defaults == ["Reject"]
    assert page.shown.body.split("\n") == [
        "**Why you are asked:** more than 1 199 people are texted (approve_over).",
        f"* planned: {CHECKED_AT}",
        "* campaign: spring\\_2026",
        "* texts: 1 200 of 1 300 rows",
        "* left out: 60 invalid, 40 opted out",
        "* segments: 1 300 (1 100 × GSM-7, 100 × UCS-2)",
        "* cost: at least 10.27 USD",
        "* the first text leaves: 2026-11-21 13:00 UTC",
        "* the last text leaves: 2026-11-21 17:20 UTC",
        "* to look at: Row 7: zone \\*Mars\\* is not known; give one like Europe/Berlin.",
        "* started by: otto",
        "",
        "To …0201:",
        "",
        "```",
        "Your visit: *tomorrow* <b>",
        "```",
        "",
        "To …0202:",
        "",
        "`````",
        "a ``` fence ```` here",
        "and a second line",
        "`````",
        "",
        "To …0203:",
        "",
        "```",
        "short",
        "```",
        "",
        "**Reject**, and nobody is texted. Without an answer in time, the same.",
    ]
    assert checked.pushed["approval"] == {"answer": "waiting", "by": None, "planned_at": CHECKED_AT}


@pytest.mark.parametrize(
    "arguments",
    [
        {"approve_over": 1200},
        {"approve_over": ""},
        {"approve_over": None},
        {"approve_over": 5, "preview": "True"},
    ],
)
def test_nobody_is_asked_about_fewer_or_about_a_dry_run(
    arguments: dict[str, Any], checked: Any, page: Page
) -> None:
    assert approve(**arguments).execute(checked) is None
    assert page.shown is None
    assert checked.pushed["approval"] == {"answer": "not needed", "by": None, "planned_at": CHECKED_AT}


def test_texts_can_be_left_out_of_the_question(checked: Any, page: Page) -> None:
    with pytest.raises(TaskAwaitingInput):
        approve(approve_over=0, samples=0).execute(checked)
    assert "tomorrow" not in page.shown.body
    assert "0201" not in page.shown.body


def test_a_check_that_is_made_again_takes_another_run(checked: Any, page: Page) -> None:
    with pytest.raises(TaskAwaitingInput):
        approve(approve_over=0).execute(checked)
    checked.pulled["check", "plan", -1]["checked_at"] = "2026-11-21T03:58:00+00:00"
    with pytest.raises(PermanentError, match="planned anew"):
        approve(approve_over=0).execute(checked)
    assert CHECKED_AT in page.shown.body


def test_without_a_plan_nobody_is_asked(context: Any, page: Page) -> None:
    with pytest.raises(PermanentError, match="'check' has left no plan"):
        approve(approve_over=0).execute(context)


def test_a_limit_that_is_no_number_is_named(checked: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^approve_over: "):
        approve(approve_over="many").execute(checked)
