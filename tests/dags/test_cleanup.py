"""flexsms_cleanup, run by Airflow."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from flexsms.sandbox.client import SandboxProcess

from .conftest import Run, on_both_stacks

SUMMARY = [
    "kind",
    "action",
    "retention_days",
    "channels",
    "by_stack",
    "by_type",
    "ages",
    "scanned",
    "due",
    "deactivated",
    "deleted",
    "skipped_open_task",
    "skipped_changed",
    "already_gone",
    "skipped_type",
    "failed",
    "other_types",
    "interactions_left",
    "failures",
    "unanswered",
    "unanswered_channels",
    "failed_by_code",
    "oldest_ended_at",
    "duration_s",
    "api_calls",
    "calls",
    "throttled",
    "approval",
]


@pytest.fixture
def small_batches(dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two channels per batch."""
    monkeypatch.setattr(dags["flexsms_cleanup"].get_task("plan"), "batch_size", 2)


def test_runs_of_a_backfill_take_turns(dags: dict[str, Any]) -> None:
    """A backfill does not keep to `max_active_runs` of the DAG, and all its runs share Twilio's rate limits."""
    tasks = dags["flexsms_cleanup"].task_dict
    assert {name: tasks[name].max_active_tis_per_dag for name in ("plan", "retire")} == {
        "plan": 1,
        "retire": 1,
    }


@on_both_stacks
def test_due_channels_are_retired_and_live_ones_stay(
    stack: str,
    run: Callable[..., Run],
    sandbox: SandboxProcess,
    writes: Callable[[], list[str]],
    active: Callable[[str], bool],
) -> None:
    sandbox.control.seed(story=True, stack=stack)
    story = sandbox.control.story()
    cleaned = run("flexsms_cleanup")
    assert cleaned.state == "success"
    summary = cleaned.xcom("report")
    assert list(summary) == SUMMARY
    assert (summary["scanned"], summary["due"], summary["deactivated"]) == (3, 1, 1)
    assert (summary["failed"], summary["failures"]) == (0, [])
    assert summary["oldest_ended_at"].endswith("+00:00")
    assert cleaned.events() == [summary]
    assert (summary["kind"], summary["action"], summary["retention_days"]) == ("cleanup", "deactivate", 2)
    assert summary["channels"] == {"open": 2, "waiting": 0, "due": 1}
    assert (summary["by_stack"], summary["by_type"]) == ({stack: 3}, {"sms": 3})
    assert sum(number for _, number in summary["ages"]) == 1
    assert sum(summary["calls"].values()) == summary["api_calls"]
    assert summary["calls"]["sync.twilio.com"] > 0
    assert (summary["failed_by_code"], summary["throttled"]) == ({}, 0)
    assert [active(story[name]["channel_sid"]) for name in ("ada", "ben", "cleo")] == [
        False,
        True,
        True,
    ]

    sandbox.control.clear_journal()
    again = run("flexsms_cleanup")
    assert again.state == "success"
    assert again.xcom("report")["due"] == 0
    assert again.states("retire") == ["success"]
    assert writes() == []


def test_the_log_has_one_human_sentence(
    run: Callable[..., Run], sandbox: SandboxProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox.control.seed(channels=5, due=3)
    run("flexsms_cleanup")
    assert "Scanned 5 channels, 3 due: 3 deactivated." in capsys.readouterr().out


def test_a_dry_run_writes_nothing_and_says_what_it_would_do(
    run: Callable[..., Run],
    cursor: Callable[[], str | None],
    sandbox: SandboxProcess,
    writes: Callable[[], list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    sandbox.control.seed(channels=5, due=3)
    before = sandbox.control.state()
    sandbox.control.clear_journal()
    looked = run("flexsms_cleanup", dry_run=True)
    assert looked.state == "success"
    assert looked.xcom("report")["deactivated"] == 3
    assert looked.events() == []
    assert writes() == []
    assert cursor() is None
    assert sandbox.control.state()["tables"] == before["tables"]
    told = capsys.readouterr().out
    assert "Dry run, nothing was written. Scanned 5 channels, 3 due: would deactivate 3." in told
    assert (
        len(re.findall(r"Would be retired: CH\w+, last task ended \d{4}-\d\d-\d\d \d\d:\d\d UTC", told)) == 3
    )


def test_the_limit_leaves_the_rest_for_the_next_run(run: Callable[..., Run], sandbox: SandboxProcess) -> None:
    sandbox.control.seed(channels=4, due=4)
    assert [run("flexsms_cleanup", limit=3).xcom("report")["deactivated"] for _ in range(2)] == [3, 1]


def test_retention_may_be_a_fraction(run: Callable[..., Run], sandbox: SandboxProcess) -> None:
    sandbox.control.seed(channels=4, due=4)
    assert run("flexsms_cleanup", retention_days=400.5).xcom("report")["due"] == 0
    assert run("flexsms_cleanup", retention_days=0.25).xcom("report")["due"] == 4


@pytest.mark.usefixtures("small_batches")
def test_one_bad_channel_is_one_failure_and_the_run_says_so(
    run: Callable[..., Run],
    sandbox: SandboxProcess,
    tries: Callable[[int], None],
    active: Callable[[str], bool],
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = sandbox.control.seed(channels=5, due=5)["channels"][0]
    forbidden = {"action": "status", "status": 403, "code": 50400, "message": "Channel is not yours"}
    sandbox.control.fault(match={"method": "POST", "path": f"/Channels/{bad}$"}, **forbidden)
    tries(3)
    cleaned = run("flexsms_cleanup")
    assert cleaned.state == "failed"
    assert sorted(cleaned.states("retire")) == ["failed", "success", "success"]
    assert cleaned.tries("retire") == [1, 1, 1]  # a refusal is not tried again
    summary = cleaned.xcom("report")
    assert (summary["due"], summary["deactivated"], summary["failed"]) == (5, 4, 1)
    [failure] = summary["failures"]
    assert (failure["channel_sid"], failure["code"]) == (bad, 50400)
    assert active(bad)
    told = capsys.readouterr().out
    assert "4 deactivated, 1 failed. 1 × Channel is not yours (50400)" in told
    assert f" ({bad})." in told


def test_what_may_heal_is_tried_again(
    run: Callable[..., Run],
    sandbox: SandboxProcess,
    tries: Callable[[int], None],
    active: Callable[[str], bool],
) -> None:
    bad = sandbox.control.seed(channels=3, due=3)["channels"][1]
    away = {"action": "status", "status": 503, "times": 3}
    sandbox.control.fault(match={"method": "POST", "path": f"/Channels/{bad}$"}, **away)
    tries(2)
    cleaned = run("flexsms_cleanup")
    assert cleaned.state == "success"
    assert cleaned.tries("retire") == [2]
    summary = cleaned.xcom("report")
    assert (summary["deactivated"], summary["failed"]) == (3, 0)
    assert not active(bad)


def test_a_customer_who_writes_in_between_keeps_the_channel(
    run: Callable[..., Run], sandbox: SandboxProcess, active: Callable[[str], bool]
) -> None:
    sandbox.control.seed(story=True)
    ada = sandbox.control.story()["ada"]
    text = {"from": ada["customer_number"], "to": ada["twilio_number"], "body": "Wait!"}
    fetch = {"method": "GET", "host": "chat.twilio.com", "path": f"/Channels/{ada['channel_sid']}$"}
    sandbox.control.fault(match=fetch, times=1, after=[{"customer": text}])
    summary = run("flexsms_cleanup").xcom("report")
    assert (summary["deactivated"], summary["skipped_open_task"]) == (0, 1)
    assert active(ada["channel_sid"])


@pytest.mark.usefixtures("small_batches")
def test_a_batch_that_dies_without_a_word_is_counted(
    run: Callable[..., Run],
    sandbox: SandboxProcess,
    tries: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from flexsms.operators.cleanup import FlexCleanupOperator

    work = FlexCleanupOperator.aexecute

    async def dies(self: FlexCleanupOperator, context: Any) -> None:
        if context["ti"].map_index == 1:
            raise MemoryError
        await work(self, context)

    monkeypatch.setattr(FlexCleanupOperator, "aexecute", dies)
    sandbox.control.seed(channels=4, due=4)
    tries(1)
    cleaned = run("flexsms_cleanup")
    assert cleaned.state == "failed"
    summary = cleaned.xcom("report")
    assert (summary["deactivated"], summary["failed"]) == (2, 2)
    assert "batch 2 ended without a report" in summary["failures"][0]["message"]


def test_an_unreadable_document_is_a_named_failure(run: Callable[..., Run], sandbox: SandboxProcess) -> None:
    sid = "CH" + "a" * 32
    sandbox.control.load(documents=[{"unique_name": f"flexsms.{sid}", "data": {"v": 1, "oops": True}}])
    cleaned = run("flexsms_cleanup")
    summary = cleaned.xcom("report")
    assert (summary["scanned"], summary["failed"]) == (1, 1)
    assert summary["failures"][0]["channel_sid"] == sid


def test_without_a_plan_the_report_does_not_pretend(
    run: Callable[..., Run],
    sandbox: SandboxProcess,
    tries: Callable[[int], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    tries(1)
    sandbox.control.fault(match={"host": "taskrouter.twilio.com"}, action="status", status=401, code=20003)
    cleaned = run("flexsms_cleanup")
    assert cleaned.state == "failed"
    assert cleaned.states("plan") == cleaned.states("report") == ["failed"]
    assert cleaned.xcom("report") is None
    assert cleaned.events() == []
    assert "the task 'plan' made no plan" in capsys.readouterr().out


def test_documents_of_the_original_recipe_are_migrated(
    run: Callable[..., Run], sandbox: SandboxProcess, table: Callable[[str], list[Any]]
) -> None:
    sandbox.control.seed(channels=3, due=2, documents=True)
    assert run("flexsms_cleanup").xcom("report")["deactivated"] == 2
    assert "ChannelSIDIS" not in str(table("documents"))
    assert str(table("documents")).count("flexsms.CH") == 3
