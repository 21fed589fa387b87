"""The page's panel of broadcasts, in Node: how far those are that run, and what became of the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .test_page_figures import approval, dag, event, run, shown

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


def progress(number: int = 1, **more: Any) -> dict[str, Any]:
    """How far a run is, as flexsms tells the page."""
    counts = {"texts": 0, "done": 0, "sent": 0, "failed": 0, "suppressed": 0}
    return {"run_id": f"run {number}", **counts, "waits_until": None, "last_at": None, **more}


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
    counts = {"texts": 2500, "done": 710, "sent": 700, "failed": 4, "suppressed": 6}
    sends = progress(**counts, last_at="2026-11-30T20:10:00+00:00")
    of_another = progress(7, texts=9, done=9, sent=9)
    [[_, state, words]] = shown(IN_WORDS, broadcastRuns=[live], broadcastProgress=[sends, of_another])
    assert state == "running"
    assert words == "700 of 2\u202f500 sent, 4 failed, 6 opted out, the last at about 20:10 today"
    waits = progress(texts=2500, done=10, sent=10, waits_until="2026-12-01T08:00:00+00:00")
    [[_, _, words]] = shown(IN_WORDS, broadcastRuns=[live], broadcastProgress=[waits])
    assert words == "10 of 2\u202f500 sent, waits for its hours until 08:00 on 1 Dec"
    late = progress(**counts, last_at="2026-11-30T19:20:00+00:00")  # the approval took its time
    [[_, _, words]] = shown(IN_WORDS, broadcastRuns=[live], broadcastProgress=[late])
    assert words.endswith("6 opted out")
    [[_, _, words]] = shown(IN_WORDS, broadcastRuns=[live])
    assert words == "the list is being checked"


def test_one_whose_dag_is_paused_says_so(shown: Callable[..., Any]) -> None:
    runs = [
        run(2, "2026-11-30T19:00:00Z", "running", DAG, campaign="spring"),
        run(1, "2026-11-30T18:00:00Z", dag_id=DAG, campaign="winter"),
    ]
    rows = shown(
        IN_WORDS,
        broadcastRuns=runs,
        broadcastProgress=[progress(2, texts=5, done=1, sent=1)],
        dags=[dag(DAG, is_paused=True)],
    )
    assert [words for _, _, words in rows] == [
        "the DAG is paused, and what has not begun waits. 1 of 5 sent",
        "no report",
    ]


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
        broadcastProgress=[progress(texts=293), progress(2, texts=5)],
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


STEP = "broadcasts.nextStep(found.broadcasts.at(-1))"


def test_who_is_left_without_a_text_gets_one_from_the_same_campaign(shown: Callable[..., Any]) -> None:
    failed = {"failed": 15, "stopped": 1945, "failed_by_code": {"21408": 14, "0": 1}}
    stopped = {**REPORT, "extra": {**TOTALS, **failed}}
    runs = [run(1, "2026-11-30T11:00:00Z", dag_id=DAG, campaign="spring")]
    [[_, _, words]] = shown(IN_WORDS, broadcasts=[stopped], broadcastRuns=runs)
    assert words.startswith("stopped, because too many failed. 4\u202f800 of 5\u202f000 rows texted")
    step = shown(STEP, broadcasts=[stopped], broadcastRuns=runs)
    assert step.startswith("21408: texts to this country are switched off;")
    assert step.endswith(". Then trigger the campaign again: it texts whoever has no text, and nobody twice.")
    canceled = {**REPORT, "extra": {**TOTALS, "unknown": 80}}
    step = shown(STEP, broadcasts=[canceled], broadcastRuns=[{**runs[0], "state": "failed"}])
    assert step == "Trigger the campaign again: it texts whoever has no text, and nobody twice."
    # Somebody has.
    again = run(2, "2026-11-30T12:30:00Z", "running", DAG, campaign="spring")
    told = {"broadcasts": [canceled], "broadcastRuns": [again, {**runs[0], "state": "failed"}]}
    assert shown(STEP, **told) == ""
    assert shown("problems(found)", **told) == []
    dry = {**again, "state": "success", "conf": {"campaign": "spring", "dry_run": True}}
    assert shown(STEP, broadcasts=[canceled], broadcastRuns=[dry, *runs]) != ""


def test_what_a_person_has_rejected_is_not_missed(shown: Callable[..., Any]) -> None:
    runs = [run(1, "2026-11-30T11:00:00Z", dag_id=DAG, campaign="spring")]
    told = "[broadcasts.nextStep(found.broadcasts[0]), problems(found).map((one) => one.what)]"
    totals = {"kind": "broadcast", "campaign": "spring", "rows": 3, "stopped": 3}
    rejected = event(1, "2026-11-30T12:00:00Z", DAG, **totals, approval="rejected")
    assert shown(told, broadcasts=[rejected], broadcastRuns=runs) == ["", []]
    forgotten = event(1, "2026-11-30T12:00:00Z", DAG, **totals, approval="no answer")
    assert shown(told, broadcasts=[forgotten], broadcastRuns=runs) == [
        "To send it, trigger the campaign again, and approve it.",
        ["nobody has approved the last broadcast in time"],
    ]


def test_the_tile_counts_those_under_way(shown: Callable[..., Any]) -> None:
    tile = "tiles.tiles(found, zone).find((one) => one.topic === 'broadcasts')"
    assert shown(tile)["value"] == "–"
    assert shown(tile, broadcastRuns=[run(1, "2026-11-30T19:00:00Z", "running", DAG)])["value"] == "1"
    assert shown(tile, broadcasts=[REPORT])["note"] == "1 in 30 days"


def test_hand_made_events_break_nothing(shown: Callable[..., Any]) -> None:
    odd = event(
        9, "2026-11-30T12:00:00Z", DAG, kind="broadcast", campaign={"a": 1}, rows="many", failed_by_code=7
    )
    rows = shown(IN_WORDS, broadcasts=[odd])
    assert rows[0][2] == "0 of 0 rows texted"
    assert shown("broadcasts.nextStep(found.broadcasts[0])", broadcasts=[odd]) == ""
