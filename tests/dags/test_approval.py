"""flexsms_cleanup stops for a person's approval, run by Airflow."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import airflow
import pytest
from packaging.version import Version

from flexsms.sandbox.client import SandboxProcess

from .conftest import Run

SLEEP = time.sleep
STARTED_BY = "dag_test"  # what `dag.test()` calls whoever starts a run


class Person:
    """Answers what Airflow asks, as its REST API does it; ``asked`` is the newest question."""

    def __init__(self) -> None:
        self.answer, self.name = "", ""
        self.asked: list[SimpleNamespace] = []

    def will(self, answer: str, name: str = "ida") -> None:
        """Say this; by nobody, it is what Airflow says when the time is up."""
        self.answer, self.name = answer, name

    def look(self, seconds: float) -> None:
        """In the place of waiting, where somebody is asked."""
        from airflow.models.hitl import HITLDetail  # noqa: TID251
        from airflow.models.taskinstance import TaskInstance  # noqa: TID251
        from airflow.models.trigger import handle_event_submit  # noqa: TID251
        from airflow.sdk import timezone
        from airflow.triggers.base import TriggerEvent
        from airflow.utils.session import create_session  # noqa: TID251

        with create_session() as session:
            ti = session.query(TaskInstance).filter_by(state="awaiting_input").one_or_none()
            if ti is None:
                SLEEP(seconds)
                return
            detail: Any = session.get(HITLDetail, ti.id)
            self.asked.append(
                SimpleNamespace(subject=detail.subject, body=detail.body, defaults=detail.defaults)
            )
            detail.responded_by = {"id": self.name, "name": self.name} if self.name else None
            detail.responded_at = timezone.utcnow()
            detail.chosen_options = [self.answer] if self.answer else detail.defaults
            detail.params_input = {}
            handle_event_submit(
                TriggerEvent(detail.as_resume_event_payload()), task_instance=ti, session=session
            )


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Person:
    """Whoever is asked. Airflow's `dag.test()` waits a second between two looks for an answer."""
    found = Person()
    monkeypatch.setattr(time, "sleep", found.look)
    return found


def test_channels_are_deleted_when_somebody_has_approved(
    run: Callable[..., Run],
    sandbox: SandboxProcess,
    person: Person,
    table: Callable[[str], list[Any]],
) -> None:
    made = sandbox.control.seed(channels=3, due=2)
    person.will("Approve")
    cleaned = run("flexsms_cleanup", action="delete")
    assert cleaned.state == "success"
    assert cleaned.xcom("report")["deleted"] == 2
    assert len(table("channels")) == 1
    [asked] = person.asked
    assert asked.subject == "Approve a cleanup of 2 channels"
    for told in (
        "deleted with their history, for good",
        "due: 2 of 3 channels",
        "retention: 2 days",
        "action: `delete`",
    ):
        assert told in asked.body
    assert sum(sid in asked.body for sid in made["channels"]) == 2
    assert asked.defaults == ["Reject"]


@pytest.mark.parametrize(
    ("answer", "name", "told"),
    [
        ("Reject", "ida", "Nothing was retired: ida has rejected it. Scanned 3 channels, 2 due."),
        ("", "", "Nothing was retired: nobody has approved it in time. Scanned 3 channels, 2 due."),
    ],
)
def test_what_is_not_approved_is_not_done(
    answer: str,
    name: str,
    told: str,
    run: Callable[..., Run],
    sandbox: SandboxProcess,
    person: Person,
    table: Callable[[str], list[Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    sandbox.control.seed(channels=3, due=2)
    person.will(answer, name)
    before = table("channels")
    stopped = run("flexsms_cleanup", action="delete")
    assert stopped.state == "success"
    states = {name: stopped.states(name) for name in ("plan", "approve", "retire", "report")}
    assert states == {
        "plan": ["success"],
        "approve": ["success"],
        "retire": ["skipped"],
        "report": ["success"],
    }
    assert table("channels") == before
    summary = stopped.xcom("report")
    assert (summary["due"], summary["deleted"], summary["failed"]) == (2, 0, 0)
    printed = capsys.readouterr().out
    [line] = [line for line in printed.splitlines() if told in line]
    assert "[warning" in line


def test_more_than_usual_has_to_be_approved(
    run: Callable[..., Run], sandbox: SandboxProcess, person: Person
) -> None:
    sandbox.control.seed(channels=4, due=3)
    person.will("Reject")
    assert run("flexsms_cleanup", approve_over=2).xcom("report")["deactivated"] == 0
    assert "more than 2 channels are due" in person.asked[0].body
    # One fewer, a dry run or nothing due: nobody is asked.
    assert run("flexsms_cleanup", approve_over=2, dry_run=True).xcom("report")["deactivated"] == 3
    done = run("flexsms_cleanup", approve_over=3, dry_run=False)
    assert done.xcom("report")["deactivated"] == 3
    assert done.xcom("approve", "approval") == {
        "answer": "not needed",
        "by": None,
        "planned_at": done.xcom("plan", "plan")["scanned_at"],
    }
    idle = run("flexsms_cleanup", approve_over=0, dry_run=False, action="delete")
    assert (idle.state, idle.xcom("report")["due"]) == ("success", 0)
    assert len(person.asked) == 1


def test_who_has_started_it_may_not_approve_it_where_that_takes_two(
    run: Callable[..., Run],
    sandbox: SandboxProcess,
    person: Person,
    dags: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sandbox.control.seed(channels=3, due=2)
    monkeypatch.setattr(dags["flexsms_cleanup"].get_task("approve"), "second_person", True)
    person.will("Approve", STARTED_BY)
    stopped = run("flexsms_cleanup", action="delete")
    assert stopped.state == "failed"
    assert (stopped.states("approve"), stopped.states("retire")) == (["failed"], ["upstream_failed"])
    assert (stopped.xcom("report")["deleted"], stopped.xcom("report")["failed"]) == (0, 0)
    told = capsys.readouterr().out
    assert "dag_test has started this run and may not approve it; clear the task 'approve'" in told
    assert "Nothing was retired: it was not approved; see the task 'approve'." in told
    person.will("Approve", "ida")
    assert run("flexsms_cleanup", action="delete").xcom("report")["deleted"] == 2


def test_the_question_about_an_earlier_plan_approves_no_other_one_whatever_airflow_has_forgotten(
    run: Callable[..., Run],
    sandbox: SandboxProcess,
    person: Person,
    tries: Callable[[int], None],
    table: Callable[[str], list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The plan is made again once a person has read the question, and the answer is tried again."""
    from airflow.models.xcom import XComModel  # noqa: TID251
    from airflow.utils.session import create_session  # noqa: TID251

    from flexsms.operators.cleanup_approval import FlexCleanupApprovalOperator

    complete = FlexCleanupApprovalOperator.execute_complete

    def plan_anew(self: Any, context: Any, event: Any) -> Any:
        if context["ti"].try_number > 1:
            return complete(self, context, event)
        with create_session() as session:
            for row in session.query(XComModel).filter_by(task_id="plan", run_id=context["ti"].run_id):
                old = context["ti"].xcom_pull(task_ids="plan", key="plan")["scanned_at"]
                row.value = json.loads(json.dumps(row.value).replace(old, "2026-11-21T09:58:00+00:00"))
        context["task_state_store"].delete("asked")
        raise ConnectionError("the database was away")

    monkeypatch.setattr(FlexCleanupApprovalOperator, "execute_complete", plan_anew)
    tries(2)
    sandbox.control.seed(channels=3, due=2)
    before = table("channels")
    person.will("Approve")
    stopped = run("flexsms_cleanup", action="delete")
    if Version(airflow.__version__) >= Version("3.4.0b1"):  # shows each question anew, so it is asked again
        assert (stopped.states("approve"), len(person.asked)) == (["success"], 2)
        return
    assert (stopped.tries("approve"), stopped.states("approve")) == ([2], ["failed"])
    assert len(person.asked) == 1
    assert table("channels") == before
    told = capsys.readouterr().out
    assert "its page still shows the question about the plan before; trigger a new run." in told
    assert "Nothing was retired: it was not approved; see the task 'approve'." in told


def test_an_approval_that_is_only_marked_as_success_approves_nothing(
    run: Callable[..., Run],
    sandbox: SandboxProcess,
    tries: Callable[[int], None],
    table: Callable[[str], list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from flexsms.operators.cleanup_approval import FlexCleanupApprovalOperator

    monkeypatch.setattr(FlexCleanupApprovalOperator, "execute", lambda *_, **__: None)
    tries(1)
    sandbox.control.seed(channels=3, due=2)
    before = table("channels")
    stopped = run("flexsms_cleanup", action="delete")
    assert (stopped.state, stopped.states("approve"), stopped.states("retire")) == (
        "failed",
        ["success"],
        ["failed"],
    )
    assert table("channels") == before
    told = capsys.readouterr().out
    assert "Nothing is retired: this plan is not approved; clear the task 'approve' to ask again." in told
    assert "Nothing was retired: it was not approved; see the task 'approve'." in told


def test_an_option_asks_for_two(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setenv("AIRFLOW__FLEXSMS__SECOND_PERSON", "True")
    monkeypatch.setenv("AIRFLOW__FLEXSMS__APPROVE_OVER", "5000")
    cleanup = request.getfixturevalue("dags")["flexsms_cleanup"]  # only now: it reads them when it is parsed
    assert cleanup.get_task("approve").second_person
    assert cleanup.params["approve_over"] == 5000
