"""What `flexsms demo --history` stores fills every part of the page: the page's own arithmetic, in Node."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from flexsms.demo.history import MISSED, history
from flexsms.demo.made_up_runs import Run

from .test_page_figures import NOW, event, run, shown

__all__ = ["shown"]

Json = dict[str, Any]


def events(number: int, told: Run) -> list[Json]:
    """What Airflow says of a run's asset events, and of no others."""
    at = told.at.isoformat()
    extras = {told.task_id: told.extra, "delivery": told.delivery}
    return [
        {
            **event(2 * number + n, at, told.dag_id, **extra),
            "source_run_id": f"run {number}",
            "source_task_id": task,
        }
        for n, (task, extra) in enumerate(extras.items())
        if extra
    ]


def tasks(number: int, told: Run) -> list[Json]:
    run_id, at = f"run {number}", told.at.isoformat()
    named = {"dag_id": told.dag_id, "dag_run_id": run_id, "map_index": -1, "try_number": 1}
    return [
        {**named, "task_id": task, "state": state, "start_date": at, "run_after": at}
        for task, state in told.states.items()
    ]


@pytest.fixture(scope="module")
def answers() -> dict[str, list[Json]]:
    """As Airflow tells the history, the newest first."""
    found: dict[str, list[Json]] = {
        name: []
        for name in (
            "cleanup",
            "recent",
            "texts",
            "broadcasts",
            "cleanupRuns",
            "trackRuns",
            "broadcastRuns",
            "sendTasks",
            "sendFailures",
        )
    }
    by_dag = {
        "flexsms_cleanup": ("cleanup", "cleanupRuns"),
        "flexsms_track": ("recent", "trackRuns"),
        "flexsms_broadcast": ("broadcasts", "broadcastRuns"),
        "flexsms_send": ("texts", ""),
    }
    runs = sorted(history(datetime.fromisoformat(NOW)), key=lambda one: one.at, reverse=True)
    for number, told in enumerate(runs):
        reports, listed = by_dag[told.dag_id]
        found[reports] += events(number, told)
        if told.dag_id == "flexsms_send":
            found["sendTasks"] += tasks(number, told)
        else:
            found[listed].append(run(number, told.at.isoformat(), told.state, told.dag_id, **told.conf))
    found["sendFailures"] = [one for one in found["sendTasks"] if one["state"] == "failed"]
    return found


def test_it_has_ninety_days_with_holes(shown: Callable[..., Any], answers: dict[str, Any]) -> None:
    days = shown("series.byDay(found, zone).map((day) => day.reports.length)", **answers)
    assert len(days) == 90
    # A day without a run, and one whose run left no report.
    assert days.count(0) == len(MISSED) + 1
    assert shown("found.silent.length", **answers) == 1


def test_every_tile_and_plot_says_something(shown: Callable[..., Any], answers: dict[str, Any]) -> None:
    assert not shown("found.isEmpty", **answers)
    tiles = shown("tiles.tiles(found, zone).map((one) => [one.topic, one.value])", **answers)
    assert [topic for topic, value in tiles if value == "–"] == []
    assert len(shown("series.plots(found, zone).map((one) => one.id)", **answers)) == 6


def test_its_texts_are_for_somebody_and_have_come_to_an_end(
    shown: Callable[..., Any], answers: dict[str, Any]
) -> None:
    rows = shown("found.latest.map(({ to, state, console }) => [to, state, Boolean(console)])", **answers)
    assert len(rows) == 160
    assert {state for _, state, _ in rows} >= {"delivered", "not confirmed", "no text", "not sent again"}
    assert all(to and console for to, _, console in rows)


def test_its_last_broadcast_leaves_nobody_without_a_text(
    shown: Callable[..., Any], answers: dict[str, Any]
) -> None:
    rows = shown("found.broadcasts.map((one) => [one.campaign, broadcasts.nextStep(one)])", **answers)
    assert len(rows) == 6
    assert rows[0] == ["we-have-moved", ""]
    # It was run again, so nothing is to be done.
    assert [step for campaign, step in rows if campaign == "vouchers"] == ["", ""]
    assert not shown("problems(found).filter(({ what }) => what.includes('broadcast')).length", **answers)
