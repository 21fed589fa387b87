"""FlexBroadcastReportOperator: it says what became of everybody, and keeps no number that nobody needs."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from flexsms.assets import BROADCAST
from flexsms.core.broadcast import BroadcastBatch, BroadcastResult, BroadcastText, Outcome, digest_of
from flexsms.core.exceptions import PermanentError
from flexsms.operators.broadcast_report import FlexBroadcastReportOperator
from flexsms.operators.broadcast_xcom import BroadcastPlan
from flexsms.recipients.folder import DELIVERY, LEFT_OUT, REPORT, WORK_LIST, BroadcastFolder, results_of

CHECKED_AT = "2026-11-21T02:58:00+00:00"


class Broadcast:
    """Four rows: one is left out, two are of a batch, one is of another."""

    def __init__(self, context: Any, path: Path) -> None:
        self.context = context
        self.folder = BroadcastFolder(path.as_uri())
        lines = [BroadcastText(n, "+14155550100", f"+1415555020{n}", "Dear Ida").to_line() for n in (1, 2, 4)]
        self.folder.path(WORK_LIST).write_bytes(b"".join(lines))
        self.folder.write_results(
            LEFT_OUT, [BroadcastResult(3, "0203", Outcome.INVALID, reason="No number.")]
        )
        first, end = len(b"".join(lines[:2])), len(b"".join(lines))
        self.batches = [
            BroadcastBatch(0, "one", self.folder.url, 0, first, 2, digest=digest_of(b"".join(lines[:2]))),
            BroadcastBatch(1, "two", self.folder.url, first, end, 1, digest=digest_of(lines[2])),
        ]
        plan = BroadcastPlan(
            "spring", self.folder.url, 4, 3, {"invalid": 1}, 3, {"GSM-7": 3}, None, None, None, 0, CHECKED_AT
        )
        context.pulled = {
            ("check", "plan", -1): plan.to_json(),
            ("check", "return_value", -1): [batch.to_json() for batch in self.batches],
        }

    def sends(self, number: int, *outcomes: Outcome, code: int | None = None) -> None:
        """A batch leaves its results."""
        rows = [[1, 2], [4]][number]
        results = [
            BroadcastResult(row, f"020{row}", outcome, code, segments=1)
            for row, outcome in zip(rows, outcomes, strict=True)
        ]
        self.folder.write_results(results_of(self.batches[number]), results)

    def answered(self, answer: str, by: str | None) -> None:
        """Somebody has answered."""
        self.context.pulled["approve", "approval", -1] = {
            "answer": answer,
            "by": by,
            "planned_at": CHECKED_AT,
        }

    def outcomes(self) -> list[str]:
        with self.folder.path(REPORT).open(encoding="utf-8-sig") as file:
            return [line["outcome"] for line in csv.DictReader(file)]

    def has_work_list(self) -> bool:
        return self.folder.path(WORK_LIST).exists()


@pytest.fixture
def broadcast(context: Any, tmp_path: Path) -> Broadcast:
    return Broadcast(context, tmp_path)


def report(**more: Any) -> FlexBroadcastReportOperator:
    return FlexBroadcastReportOperator(**{"task_id": "report", "plan_task_id": "check", **more})


def level_of(told: str, printed: str) -> str:
    """How loud something was told."""
    [line] = [line for line in printed.splitlines() if told in line]
    return line.partition("[")[2].partition("]")[0].strip()


def test_it_tells_who_was_texted_and_forgets_the_numbers(
    broadcast: Broadcast, context: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    broadcast.sends(0, Outcome.SENT, Outcome.SENT)
    broadcast.sends(1, Outcome.SUPPRESSED)
    broadcast.folder.write_results(DELIVERY, [BroadcastResult(1, "0201", Outcome.DELIVERED, segments=1)])
    summary = report().execute(context)
    printed = capsys.readouterr().out
    told = "4 rows: 2 texted (1 delivered, 1 not known yet), 2 not (1 invalid, 1 opted out)."
    assert level_of(told, printed) == "warning"  # a row is to be corrected
    assert "Run the campaign again" not in printed
    assert broadcast.outcomes() == ["delivered", "sent", "invalid", "suppressed"]
    assert not broadcast.has_work_list()
    assert context.event.extra == summary
    assert {
        name: summary[name] for name in ("kind", "campaign", "rows", "texted", "delivered", "approval")
    } == {
        "kind": "broadcast",
        "campaign": "spring",
        "rows": 4,
        "texted": 2,
        "delivered": 1,
        "approval": "not needed",
    }
    assert report().execute(context)["texted"] == 2  # cleared, it says the same


def test_what_failed_is_a_warning_and_can_be_sent_by_a_cleared_task(
    broadcast: Broadcast, context: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    broadcast.sends(0, Outcome.SENT, Outcome.FAILED, code=30034)
    summary = report().execute(context)
    printed = capsys.readouterr().out
    assert level_of("1 failed, 1 whose batch ended early", printed) == "warning"
    assert "Run the campaign again for those without a text: nobody is texted twice." in printed
    assert broadcast.outcomes() == ["sent", "failed", "invalid", "unknown"]
    assert summary["failed_by_code"] == {"30034": 1}
    assert broadcast.has_work_list()


@pytest.mark.parametrize(("may_retry", "kept"), [(False, False), (True, True)])
def test_the_numbers_are_kept_only_while_a_cleared_task_could_send(
    may_retry: bool, kept: bool, broadcast: Broadcast, context: Any
) -> None:
    broadcast.sends(0, Outcome.SENT, Outcome.STOPPED)
    broadcast.folder.write_results(
        results_of(broadcast.batches[1]), [BroadcastResult(4, "0204", Outcome.FAILED, may_retry=may_retry)]
    )
    report().execute(context)
    assert broadcast.has_work_list() is kept


def test_who_was_too_late_is_a_warning_and_the_next_run_texts_them(
    broadcast: Broadcast, context: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    broadcast.folder.write_results(LEFT_OUT, [BroadcastResult(3, "0203", Outcome.REPEATED)])
    broadcast.sends(0, Outcome.TOO_LATE, Outcome.TOO_LATE)
    broadcast.sends(1, Outcome.TOO_LATE)
    report().execute(context)
    told = "4 rows: 0 texted, 4 not (1 twice in the list, 3 too late). Run the campaign again"
    assert level_of(told, capsys.readouterr().out) == "warning"


def test_who_needs_no_text_is_no_warning(
    broadcast: Broadcast, context: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    broadcast.folder.write_results(LEFT_OUT, [BroadcastResult(3, "0203", Outcome.REPEATED)])
    broadcast.sends(0, Outcome.TEXTED_BEFORE, Outcome.TEXTED_BEFORE)
    broadcast.sends(1, Outcome.SUPPRESSED)
    report().execute(context)
    assert level_of("4 rows: 0 texted, 4 not", capsys.readouterr().out) == "info"


@pytest.mark.parametrize(
    ("answer", "by", "told"),
    [
        (
            "rejected",
            "ida",
            "Nobody was texted: ida has rejected it. 3 of 4 rows would have been texted; left out: 1 invalid.",
        ),
        ("rejected", None, "Nobody was texted: nobody has approved it in time."),
        ("waiting", None, "Nobody was texted: it was not approved; see the task 'approve'."),
    ],
)
def test_without_an_approval_nobody_was_texted(
    answer: str,
    by: str | None,
    told: str,
    broadcast: Broadcast,
    context: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broadcast.answered(answer, by)
    summary = report(approval_task_id="approve").execute(context)
    assert level_of(told, capsys.readouterr().out) == "warning"
    assert (summary["texted"], summary["stopped"]) == (0, 3)
    assert broadcast.outcomes() == ["stopped", "stopped", "invalid", "stopped"]
    assert not broadcast.has_work_list()


def test_a_dry_run_tells_what_would_be_and_no_asset(
    broadcast: Broadcast, context: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    task = report(preview="True")
    task.execute(context)
    assert "Dry run: nothing was sent. 3 of 4 rows would be texted" in capsys.readouterr().out
    assert task.outlets == []
    assert context.event.extra == {}
    assert not broadcast.has_work_list()


def test_it_has_the_asset(context: Any) -> None:
    assert report().outlets == [BROADCAST]


def test_without_a_plan_there_is_nothing_to_report(context: Any) -> None:
    with pytest.raises(PermanentError, match="'check' has left no plan"):
        report().execute(context)


def test_an_answer_about_another_check_is_none(broadcast: Broadcast, context: Any) -> None:
    broadcast.answered("approved", "ida")
    plan = context.pulled["check", "plan", -1]
    context.pulled["check", "plan", -1] = {**plan, "checked_at": "2026-11-21T03:58:00+00:00"}
    assert report(approval_task_id="approve").execute(context)["approval"] is None


def test_nothing_personal_is_in_what_it_leaves(broadcast: Broadcast, context: Any) -> None:
    broadcast.sends(0, Outcome.SENT, Outcome.SENT)
    broadcast.sends(1, Outcome.SENT)
    told = str(report().execute(context)) + broadcast.folder.path(REPORT).read_text(encoding="utf-8")
    assert "555" not in told
    assert "Ida" not in told
