"""The days that never were: the same every time, and as the operators would have told them."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from flexsms.core.broadcast import Outcome
from flexsms.core.broadcast_totals import MISSING
from flexsms.demo.history import DAYS, MISSED, history

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def test_it_is_the_same_every_time() -> None:
    assert list(history(NOW)) == list(history(NOW))


def test_how_many_runs_there_are() -> None:
    counts = Counter(run.dag_id for run in history(NOW, track_days=2))
    assert counts == {
        "flexsms_cleanup": DAYS - len(MISSED),
        "flexsms_track": 2 * 144,
        "flexsms_send": 160,
        "flexsms_broadcast": 6,
    }


def test_nothing_lies_ahead() -> None:
    runs = list(history(NOW))
    assert max(run.at for run in runs) <= NOW
    assert min(run.at for run in runs) > NOW - timedelta(days=DAYS)


def test_every_due_channel_is_accounted_for() -> None:
    outcomes = ("deactivated", "deleted", "skipped_open_task", "skipped_changed", "already_gone", "failed")
    reports = [run.extra for run in history(NOW) if run.dag_id == "flexsms_cleanup" and run.extra]
    assert len(reports) > 80
    for report in reports:
        assert sum(report[outcome] for outcome in outcomes) == report["due"]
        assert sum(count for _, count in report["ages"]) == report["channels"]["waiting"] + report["due"]


def test_every_row_of_a_broadcast_is_accounted_for_and_the_last_one_did_well() -> None:
    reports = [run.extra for run in history(NOW) if run.dag_id == "flexsms_broadcast" and run.extra]
    for report in reports:
        assert sum(report[outcome] for outcome in Outcome) == report["rows"]
        for outcome in (Outcome.FAILED, Outcome.NOT_DELIVERED):
            assert sum(report[f"{outcome}_by_code"].values()) == report[outcome]
    assert not sum(reports[-1][outcome] for outcome in MISSING)
    # One was stopped, and run again, which has texted the others.
    stopped, again = (report for report in reports if report["campaign"] == "vouchers")
    assert stopped["texted"] == again["texted_before"]
    assert stopped["rows"] == again["rows"]
