"""What a cleanup says about itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from flexsms.core.exceptions import PermanentError
from flexsms.core.stack_name import StackName
from flexsms.operators.cleanup_failures import causes
from flexsms.operators.cleanup_report import FlexCleanupReportOperator, sentence, summarize
from flexsms.twilio.cleanup.scan import DueChannel, pack

from .conftest import FakeContext

PLAN: dict[str, Any] = {
    "scanned": 1240,
    "due": 310,
    "oldest_ended_at": "2026-11-01T00:00:00+00:00",
    "failed": 0,
    "failures": [],
    "started_at": "2026-11-21T03:00:00+00:00",
    "scanned_at": "2026-11-21T02:58:00+00:00",
    "failed_by_code": {"0": 2},
    "api_calls": 20,
    "calls": {"sync.twilio.com": 20},
    "throttled": 1,
    "action": "deactivate",
    "retention_days": 2.0,
    "census": {"channels": {"open": 4, "waiting": 7, "due": 310}},
    "batches": [200, 110],
}
NOW = datetime(2026, 11, 21, 3, 1, tzinfo=UTC)


def report(**counts: Any) -> dict[str, Any]:
    return {"failures": [], "api_calls": 100, **counts}


def failure(number: int, code: int = 50400) -> dict[str, Any]:
    return {"channel_sid": f"CH{number}", "code": code, "message": "Channel is not yours (50400)."}


def run(context: FakeContext, **arguments: Any) -> tuple[FlexCleanupReportOperator, Any]:
    task = FlexCleanupReportOperator(
        task_id="report", plan_task_id="plan", batch_task_id="retire", **arguments
    )
    return task, task.execute(context)  # type: ignore[arg-type]


def test_plan_and_batches_add_up() -> None:
    parts = [
        report(
            deactivated=199,
            failed=1,
            failures=[failure(1)],
            failed_by_code={"50400": 3},
            calls={"sync.twilio.com": 10, "chat.twilio.com": 90},
            throttled=4,
        ),
        report(
            deactivated=107,
            skipped_open_task=3,
            unanswered=1,
            unanswered_channels=["CH2"],
            failed_by_code={"20403": 1},
            calls={"chat.twilio.com": 100},
        ),
    ]
    assert summarize(PLAN, parts, now=NOW) == {
        "kind": "cleanup",
        "action": "deactivate",
        "retention_days": 2.0,
        "channels": {"open": 4, "waiting": 7, "due": 310},
        "scanned": 1240,
        "due": 310,
        "deactivated": 306,
        "deleted": 0,
        "skipped_open_task": 3,
        "skipped_changed": 0,
        "already_gone": 0,
        "skipped_type": 0,
        "other_types": {},
        "interactions_left": 0,
        "failed": 1,
        "failures": [failure(1)],
        "unanswered": 1,
        "unanswered_channels": ["CH2"],
        "oldest_ended_at": "2026-11-01T00:00:00+00:00",
        "duration_s": 60.0,
        "failed_by_code": {"0": 2, "50400": 3, "20403": 1},
        "api_calls": 220,
        "calls": {"sync.twilio.com": 30, "chat.twilio.com": 190},
        "throttled": 5,
    }


def test_no_more_than_fifty_failures_are_named() -> None:
    parts = [report(failed=40, failures=[failure(n) for n in range(40)])] * 2
    summary = summarize(PLAN, parts, now=NOW)
    assert summary["failed"] == 80
    assert len(summary["failures"]) == 50


@pytest.mark.parametrize(
    ("counts", "more", "expected"),
    [
        (
            {"deactivated": 306, "skipped_open_task": 3, "failed": 1, "failures": [failure(7)]},
            {},
            "Scanned 1 240 channels, 310 due: 306 deactivated, 3 skipped (live task), 1 failed. "
            "1 × Channel is not yours (50400) (CH7).",
        ),
        (
            {"deleted": 300, "already_gone": 8, "skipped_changed": 2},
            {},
            "Scanned 1 240 channels, 310 due: 300 deleted, 2 skipped (changed since the scan), 8 already gone.",
        ),
        (
            {"failed": 2, "failures": [failure(7, code=0), failure(8)]},
            {},
            "Scanned 1 240 channels, 310 due: 2 failed. 2 × Channel is not yours (50400) (CH7, CH8).",
        ),
        (
            {"failed": 60, "failures": [failure(number) for number in range(50)]},
            {},
            "Scanned 1 240 channels, 310 due: 60 failed. Of the first 50: 50 × Channel is not yours (50400) "
            "(CH0, CH1, CH2, …).",
        ),
        (
            {"deactivated": 310},
            {"dry_run": True},
            "Dry run, nothing was written. Scanned 1 240 channels, 310 due: would deactivate 310.",
        ),
        (
            {"deactivated": 100},
            {"taken": 100},
            "Scanned 1 240 channels, 310 due (the 100 longest quiet are taken, 210 are left for the next run): "
            "100 deactivated.",
        ),
        (
            {"skipped_open_task": 2, "unanswered": 2},
            {},
            "Scanned 1 240 channels, 310 due: 2 skipped (live task), 2 with a text that nobody was told of.",
        ),
        ({}, {}, "Scanned 1 240 channels, 310 due."),
    ],
)
def test_it_is_one_sentence(counts: dict[str, Any], more: dict[str, Any], expected: str) -> None:
    summary = summarize(PLAN, [report(**counts)], now=NOW)
    assert sentence(summary, **{"taken": 310, "dry_run": False, **more}) == expected


def test_one_cause_is_told_once() -> None:
    sids = [f"CH{number:032x}" for number in range(5)]
    gone = [{"channel_sid": sid, "code": 0, "message": f"{sid}: no session is known."} for sid in sids[:4]]
    other = {"channel_sid": sids[4], "code": 20403, "message": "Forbidden (20403); ask an administrator."}
    assert causes([other, *gone]) == (
        f"4 × the channel: no session is known ({sids[0]}, {sids[1]}, {sids[2]}, …). "
        f"1 × Forbidden (20403); ask an administrator ({sids[4]})."
    )


def test_many_causes_are_not_all_told() -> None:
    many = [{"channel_sid": f"CH{n}", "code": 0, "message": f"cause {n}."} for n in range(8)]
    assert causes(many).endswith("1 × cause 4 (CH4). 3 more causes.")


@pytest.mark.parametrize(("failed", "level"), [(0, "info"), (1, "warning")])
def test_a_report_of_failures_is_a_warning(
    failed: int, level: str, context: FakeContext, capsys: pytest.CaptureFixture[str]
) -> None:
    context.pulled = {
        ("plan", "plan", -1): {**PLAN, "batches": [1]},
        ("retire", "report", 0): report(failed=failed, failures=[failure(1)] * failed),
    }
    run(context)
    [line] = [line for line in capsys.readouterr().out.splitlines() if "Scanned 1 240" in line]
    assert f"[{level}" in line


def test_channels_of_other_kinds_are_told_by_kind() -> None:
    plan = {**PLAN, "other_types": {"whatsapp": 9, "web": 3}, "skipped_type": 12}
    summary = summarize(plan, [report(deactivated=309, skipped_type=1, interactions_left=2)], now=NOW)
    assert (summary["skipped_type"], summary["other_types"]) == (13, {"whatsapp": 9, "web": 3})
    assert sentence(summary, taken=310, dry_run=False) == (
        "Scanned 1 240 channels, 310 due: 309 deactivated, 13 left alone (another kind of channel: 9 whatsapp, 3 web), "
        "2 closed without their interactions, which no task has named."
    )


def test_a_batch_without_a_report_counts_as_failed(context: FakeContext) -> None:
    batches = [
        {"task_id": "plan", "start": 0, "end": 200},
        {"task_id": "plan", "start": 200, "end": 310},
    ]
    context.pulled = {
        ("plan", "plan", -1): PLAN,
        ("plan", "return_value", -1): batches,
        ("plan", "channels.0", -1): pack(
            [DueChannel(sid, 1, StackName.CHAT, "0") for sid in ["CHa"] * 200 + ["CHb"] * 110]
        ),
        ("retire", "report", 0): report(deactivated=200),
    }
    _, summary = run(context)
    assert (summary["deactivated"], summary["failed"], len(summary["failures"])) == (200, 110, 50)
    assert summary["failures"][0]["channel_sid"] == "CHb"
    assert "batch 2 ended without a report" in summary["failures"][0]["message"]
    assert summary["failed_by_code"] == {"0": 112}
    assert context.event.extra == summary


@pytest.mark.parametrize("done", [[10, None], [10, 3], [None, None]], ids=repr)
@pytest.mark.parametrize(
    "approval",
    [
        {"answer": "waiting", "by": None, "planned_at": PLAN["scanned_at"]},
        {"answer": "approved", "by": "ida", "planned_at": "2026-11-20T02:58:00+00:00"},
        None,
    ],
    ids=["waiting", "of an earlier plan", "none"],
)
def test_what_was_retired_counts_whatever_became_of_the_approval(
    done: list[int | None], approval: Any, context: FakeContext, capsys: pytest.CaptureFixture[str]
) -> None:
    context.pulled = {("plan", "plan", -1): PLAN, ("approve", "approval", -1): approval}
    for index, deleted in enumerate(done):
        context.pulled["retire", "report", index] = report(deleted=deleted) if deleted else None
    _, summary = run(context, approval_task_id="approve")
    deleted = sum(filter(None, done))
    assert (summary["deleted"], summary["failed"]) == (deleted, 0)
    assert ("Nothing was retired: it was not approved" in capsys.readouterr().out) is (deleted == 0)


@pytest.mark.parametrize(
    ("approval", "expected"),
    [
        ({"answer": "approved", "by": "ida"}, "approved"),
        ({"answer": "rejected", "by": "ida"}, "rejected"),
        ({"answer": "rejected", "by": None}, "no answer"),
        ({"answer": "waiting", "by": None}, "waiting"),
        (None, None),
    ],
)
def test_the_event_says_what_became_of_the_approval_and_names_nobody(
    approval: dict[str, Any] | None, expected: str | None, context: FakeContext
) -> None:
    context.pulled = {
        ("plan", "plan", -1): {**PLAN, "batches": [1]},
        ("approve", "approval", -1): approval and {**approval, "planned_at": PLAN["scanned_at"]},
        ("retire", "report", 0): report(deactivated=1),
    }
    run(context, approval_task_id="approve")
    assert context.event.extra["approval"] == expected
    assert "ida" not in str(context.event.extra)


def test_without_a_plan_there_is_nothing_to_report(context: FakeContext) -> None:
    with pytest.raises(PermanentError, match="the task 'plan' made no plan"):
        run(context)


def test_a_dry_run_emits_no_asset_event(context: FakeContext, capsys: pytest.CaptureFixture[str]) -> None:
    context.pulled = {
        ("plan", "plan", -1): {**PLAN, "batches": [1]},
        ("retire", "report", 0): report(deactivated=1, would=[["CHa", 1763481600000]]),
    }
    task, summary = run(context, preview="True")
    assert summary["deactivated"] == 1
    assert task.outlets == []
    told = capsys.readouterr().out
    assert "Would be retired: CHa, last task ended 2025-11-18 16:00 UTC" in told
    assert told.index("Dry run, nothing was written.") < told.index("Would be retired")
    assert context.event.extra == {}
