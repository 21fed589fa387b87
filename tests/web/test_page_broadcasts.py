"""The page's panel of broadcasts, in Node: how far those are that run, and what became of the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .test_page_figures import approval, event, run, shown

__all__ = ["shown"]

DAG = "flexsms_broadcast"
TOTALS = {
    "kind": "broadcast",
    "campaign": "spring",
    "rows": 5000,
    "texted": 4800,
    "delivered": 4700,
    "not_delivered": 60,
    "sent": 40,
    "invalid": 150,
    "suppressed": 50,
    "failed": 0,
    "failed_by_code": {},
    "not_delivered_by_code": {"30003": 50, "0": 10},
    "approval": "approved",
}
REPORT = event(1, "2026-11-30T12:00:00Z", DAG, **TOTALS)
IN_WORDS = (
    "found.broadcasts.map((one) => [one.campaign, one.state, broadcasts.inWords(one, found.now, zone)])"
)


def xcom(key: str, number: int = 1, **value: Any) -> dict[str, Any]:
    return {"run_id": f"run {number}", "key": key, "value": value}


def test_a_broadcast_that_is_over_is_told_as_a_funnel(shown: Callable[..., Any]) -> None:
    rows = shown(
        IN_WORDS,
        broadcasts=[REPORT],
        broadcastRuns=[run(1, "2026-11-30T11:00:00Z", dag_id=DAG, campaign="spring")],
    )
    assert rows == [
        [
            "spring",
            "success",
            "4\u202f800 of 5\u202f000 rows texted (4\u202f700 delivered, 60 not delivered, 40 not known yet); "
            "150 invalid, 50 opted out",
        ]
    ]


def test_one_that_runs_says_how_many_of_how_many_and_until_when(shown: Callable[..., Any]) -> None:
    live = run(1, "2026-11-30T19:00:00Z", "running", DAG, campaign="spring")
    plan = xcom("plan", texts=2500, last_at="2026-11-30T20:10:00+00:00")
    sends = xcom("progress", texts=1000, done=700, sent=690, failed=4, suppressed=6, until="")
    waits = xcom(
        "progress", texts=1000, done=10, sent=10, failed=0, suppressed=0, until="2026-12-01T08:00:00+00:00"
    )
    of_another = xcom("progress", 7, texts=9, done=9, sent=9)
    [[_, state, words]] = shown(
        IN_WORDS, broadcastRuns=[live], broadcastXComs=[plan, sends, waits, of_another]
    )
    assert (state, words) == ("running", "700 of 2\u202f500 sent, 4 failed, 6 opted out, until 20:10 today")
    [progress] = shown(
        "found.broadcasts.map((one) => one.progress)",
        broadcastRuns=[live],
        broadcastXComs=[plan, sends, waits],
    )
    assert (progress["texts"], progress["done"]) == (2500, 710)
    [[_, _, words]] = shown(IN_WORDS, broadcastRuns=[live], broadcastXComs=[plan, waits])
    assert words == "10 of 2\u202f500 sent, waits until 08:00 on 1 Dec"
    late = xcom("plan", texts=2500, last_at="2026-11-30T19:20:00+00:00")  # the approval took its time
    [[_, _, words]] = shown(IN_WORDS, broadcastRuns=[live], broadcastXComs=[late, sends])
    assert words.endswith("6 opted out")
    [[_, _, words]] = shown(IN_WORDS, broadcastRuns=[live])
    assert words == "the list is being checked"


def test_dry_runs_rejections_and_runs_without_a_report_say_so(shown: Callable[..., Any]) -> None:
    runs = [
        run(3, "2026-11-30T13:00:00Z", dag_id=DAG, campaign="c", dry_run=True),
        run(2, "2026-11-30T12:00:00Z", "failed", DAG, campaign="b"),
        run(1, "2026-11-30T11:00:00Z", dag_id=DAG, campaign="a"),
    ]
    rejected = event(
        1,
        "2026-11-30T11:10:00Z",
        DAG,
        kind="broadcast",
        campaign="a",
        rows=3,
        stopped=3,
        approval="no answer",
    )
    rows = shown(IN_WORDS, broadcasts=[rejected], broadcastRuns=runs)
    assert [words for _, _, words in rows] == [
        "dry run: nothing was sent",
        "The log of the task that failed says why.",
        "not approved in time. 0 of 3 rows texted; 3 stopped",
    ]


def test_a_run_that_failed_before_its_report_says_why(shown: Callable[..., Any]) -> None:
    failed = run(2, "2026-11-30T12:00:00Z", "failed", DAG, dry_run=True)
    failure = {"sentence": "recipients: line 3 has no to_number; add it."}
    words = f"broadcasts.inWords(found.broadcasts[0], found.now, zone, {failure})"
    assert shown(words, broadcastRuns=[failed]) == failure["sentence"]
    assert shown("broadcasts.reds(found)", broadcastRuns=[failed]) == [
        {"dag": DAG, "id": "run 2", "attempt": "2026-11-30T12:00:00Z"}
    ]
    assert (
        shown(
            "broadcasts.reds(found)", broadcasts=[REPORT], broadcastRuns=[{**failed, "dag_run_id": "run 1"}]
        )
        == []
    )


def test_one_that_a_person_has_to_approve_says_so(shown: Callable[..., Any]) -> None:
    live = run(1, "2026-11-30T19:00:00Z", "running", DAG, campaign="spring")
    other = {**live, "dag_run_id": "run 2"}
    asked = approval("awaiting_input")
    asked["task_instance"] |= {"dag_id": DAG, "dag_run_id": "run 1"}
    rows = shown(
        IN_WORDS,
        broadcastRuns=[live, other],
        broadcastXComs=[xcom("plan", texts=293), xcom("plan", 2, texts=5)],
        approvals=[asked],
    )
    assert [words for _, _, words in rows] == ["waits for approval", "0 of 5 sent"]


def test_a_report_of_a_dag_of_ones_own_is_told_too(shown: Callable[..., Any]) -> None:
    own = event(5, "2026-11-30T12:00:00Z", "visits", **{**TOTALS, "campaign": "visits"})
    again = {**own, "id": 6, "extra": {**own["extra"], "delivered": 4740, "sent": 0}}
    [[campaign, state, words]] = shown(IN_WORDS, broadcasts=[own, again])
    assert (campaign, state) == ("visits", "over")
    assert "4\u202f740 delivered, 60 not delivered);" in words


def test_people_without_a_text_are_a_problem_of_the_last_broadcast_only(shown: Callable[..., Any]) -> None:
    failed = {**REPORT, "extra": {**TOTALS, "failed": 3, "unknown": 2}}
    runs = [run(1, "2026-11-30T11:00:00Z", "failed", DAG)]
    told = shown(
        "problems(found).map((one) => [one.what, one.to.run.id])", broadcasts=[failed], broadcastRuns=runs
    )
    assert told == [["5 people have no text of the last broadcast", "run 1"]]
    newer = [run(2, "2026-11-30T12:00:00Z", dag_id=DAG), *runs]
    assert shown("problems(found)", broadcasts=[failed], broadcastRuns=newer) == []
    good = [run(1, "2026-11-30T11:00:00Z", dag_id=DAG)]
    assert shown("problems(found)", broadcasts=[REPORT], broadcastRuns=good) == []


def test_the_tile_counts_those_under_way(shown: Callable[..., Any]) -> None:
    tile = "tiles.tiles(found, zone).find((one) => one.topic === 'broadcasts')"
    assert shown(tile)["value"] == "–"
    assert shown(tile, broadcastRuns=[run(1, "2026-11-30T19:00:00Z", "running", DAG)])["value"] == "1"
    assert shown(tile, broadcasts=[REPORT])["note"] == "1 in 30 days"


def test_hand_made_events_and_xcoms_break_nothing(shown: Callable[..., Any]) -> None:
    odd = event(
        9, "2026-11-30T12:00:00Z", DAG, kind="broadcast", campaign={"a": 1}, rows="many", failed_by_code=7
    )
    live = run(1, "2026-11-30T19:00:00Z", "running", DAG)
    xcoms = [
        xcom("plan", texts=3),
        {"run_id": "run 1", "key": "progress", "value": None},
        xcom("progress", sent="x"),
    ]
    rows = shown(IN_WORDS, broadcasts=[odd], broadcastRuns=[live], broadcastXComs=xcoms)
    assert rows[0][2] == "0 of 3 sent"
    assert rows[1][2] == "0 of 0 rows texted"
