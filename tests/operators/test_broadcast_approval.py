"""The question whether a broadcast may go on: what it shows, and when it is asked."""

from __future__ import annotations

from dataclasses import replace
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
    first_local="08:00 local time",
    last_local="09:20 local time",
    hours="08:00-21:00, mon-sun",
    senders={"0100": 1199, "0102": 1},
    route="agent",
)


@pytest.fixture
def checked(context: Any, tmp_path: Path) -> Any:
    """A check has left its plan, its texts, and which of them are to be shown."""
    shown = {
        "the longest, 4 segments": "Your visit: *tomorrow* <b>",
        "the shortest, 1 segment": "a ``` fence ```` here\nand a second line",
    }
    folder = BroadcastFolder(tmp_path.as_uri())
    written, samples = b"", []
    for n, (why, body) in enumerate(shown.items(), start=1):
        line = BroadcastText(n, "+14155550100", f"+1415555020{n}", body).to_line()
        span = (len(written), len(written) + len(line))
        samples.append(BroadcastBatch(0, why, folder.url, *span, 1, digest=digest_of(line)))
        written += line
    folder.path(WORK_LIST).write_bytes(written)
    context["ti"].id = UUID(int=1)
    context["task_instance"] = context["ti"]
    context["dag_run"] = SimpleNamespace(triggering_user_name="otto")
    context.pulled = {
        ("check", "plan", -1): replace(PLAN, samples=[one.to_json() for one in samples]).to_json()
    }
    return context


def approve(**more: Any) -> FlexBroadcastApprovalOperator:
    return FlexBroadcastApprovalOperator(**{"task_id": "approve", "plan_task_id": "check", **more})


def test_it_shows_totals_cost_hours_and_texts_with_masked_numbers(checked: Any, page: Page) -> None:
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
        "* from: …0100 (1 199 texts), …0102 (1 text)",
        "* replies: each text opens a task for an agent",
        "* hours: 08:00-21:00, mon-sun, by the recipients' clocks",
        "* the first text leaves: 2026-11-21 13:00 UTC, 08:00 local time",
        "* the last text leaves: 2026-11-21 17:20 UTC, 09:20 local time",
        "* to look at: Row 7: zone \\*Mars\\* is not known; give one like Europe/Berlin.",
        "* started by: otto",
        "",
        "To …0201 (the longest, 4 segments):",
        "",
        "```",
        "Your visit: *tomorrow* <b>",
        "```",
        "",
        "To …0202 (the shortest, 1 segment):",
        "",
        "`````",
        "a ``` fence ```` here",
        "and a second line",
        "`````",
        "",
        "**Reject**, and nobody is texted. Without an answer in time, the same.",
    ]
    assert checked.pushed["approval"] == {"answer": "waiting", "by": None, "planned_at": CHECKED_AT}


def test_a_plan_of_an_earlier_version_is_asked_about_too(checked: Any, page: Page) -> None:
    checked.pulled["check", "plan", -1] = {
        name: value
        for name, value in PLAN.to_json().items()
        if name not in ("first_local", "last_local", "hours", "senders", "route", "samples")
    }
    with pytest.raises(TaskAwaitingInput):
        approve(approve_over=0).execute(checked)
    told = page.shown.body.split("\n")
    assert "* the first text leaves: 2026-11-21 13:00 UTC" in told
    assert not [line for line in told if line.startswith(("* from", "* replies", "* hours", "To "))]


def test_fewer_texts_can_be_shown(checked: Any, page: Page) -> None:
    with pytest.raises(TaskAwaitingInput):
        approve(approve_over=0, samples=1).execute(checked)
    assert ["0201" in page.shown.body, "0202" in page.shown.body] == [True, False]


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
