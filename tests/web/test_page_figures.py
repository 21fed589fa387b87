"""The page's own arithmetic, in Node: from what Airflow answers to what is shown, without a browser."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NOW = "2026-11-30T19:30:00Z"
SID = "CH" + "a" * 32


@pytest.fixture
def shown(modules: Path) -> Callable[..., Any]:
    """The value of an expression over `found`, the figures of some answers, and the modules' functions."""

    def shown(expression: str, **answers: Any) -> Any:
        names = (
            "cleanup",
            "recent",
            "texts",
            "cleanupRuns",
            "trackRuns",
            "sendFailures",
            "sendTasks",
            "approvals",
            "dags",
            "broadcasts",
            "broadcastRuns",
            "broadcastProgress",
        )
        usual = {"dags": [dag("flexsms_cleanup"), dag("flexsms_track")]}
        filled = {name: collection({**usual, **answers}.get(name, [])) for name in names}
        code = f"""
        const data = await import({json.dumps(str(modules / "data.js"))});
        const {{ problems }} = await import({json.dumps(str(modules / "problems.js"))});
        const sentence = await import({json.dumps(str(modules / "sentence.js"))});
        const tiles = await import({json.dumps(str(modules / "tiles.js"))});
        const series = await import({json.dumps(str(modules / "series.js"))});
        const tables = await import({json.dumps(str(modules / "tables.js"))});
        const broadcasts = await import({json.dumps(str(modules / "broadcasts.js"))});
        const {{ withFailure }} = await import({json.dumps(str(modules / "texts.js"))});
        const words = await import({json.dumps(str(modules / "words.js"))});
        const found = data.figures({json.dumps(filled)}, Date.parse({json.dumps(NOW)}));
        const zone = "UTC";
        console.log(JSON.stringify({expression}));
        """
        command = ["node", "--input-type=module"]
        answer = subprocess.run(command, input=code, capture_output=True, text=True, check=False, timeout=60)
        assert answer.returncode == 0, answer.stderr[-2000:]
        return json.loads(answer.stdout)

    return shown


def collection(items: Any) -> dict[str, Any]:
    return items if isinstance(items, dict) else {"items": items, "total": len(items)}


def event(number: int, at: str, dag_id: str = "flexsms_cleanup", **extra: Any) -> dict[str, Any]:
    """An asset event as Airflow tells it."""
    return {
        "id": number,
        "timestamp": at,
        "extra": extra,
        "source_dag_id": dag_id,
        "source_run_id": f"run {number}",
        "source_task_id": "report",
    }


def run(
    number: int, at: str, state: str = "success", dag_id: str = "flexsms_cleanup", **conf: Any
) -> dict[str, Any]:
    return {
        "dag_id": dag_id,
        "dag_run_id": f"run {number}",
        "state": state,
        "run_type": "scheduled",
        "run_after": at,
        "start_date": at,
        "end_date": at,
        "conf": conf,
    }


def dag(
    dag_id: str,
    following: str | None = "2026-12-01T03:00:00Z",
    *,
    is_paused: bool = False,
    is_stale: bool = False,
) -> dict[str, Any]:
    return {
        "dag_id": dag_id,
        "is_paused": is_paused,
        "is_stale": is_stale,
        "next_dagrun_run_after": following,
    }


def approval(state: str) -> dict[str, Any]:
    task = {"dag_id": "flexsms_x", "dag_run_id": "r", "task_id": "approve", "state": state, "start_date": NOW}
    return {"task_instance": task, "created_at": NOW}


GOOD = event(
    1,
    "2026-11-30T03:04:00Z",
    kind="cleanup",
    due=310,
    deactivated=306,
    skipped_open_task=4,
    failed=0,
    retention_days=2,
    oldest_ended_at="2026-11-27T03:04:00+00:00",
    channels={"open": 1234, "waiting": 700, "due": 310},
    ages=[[1, 400], [2, 300], [3, 310], [None, 0]],
    calls={"sync.twilio.com": 620, "conversations.twilio.com": 612},
)
TRACKED = event(
    2,
    "2026-11-30T19:29:00Z",
    "flexsms_track",
    kind="track",
    source="inbox",
    behind_s=4.2,
    waiting=0,
    events=9,
)
# As versions wrote them that said less.
OLD = event(
    3, "2026-11-28T03:04:00Z", scanned=10, due=2, deactivated=2, failed=0, oldest_ended_at=None, api_calls=9
)
OLD_TRACK = event(4, "2026-11-30T18:00:00Z", "flexsms_track", events=3, cursor="x", channels=1, api_calls=4)


def test_a_good_morning_is_said_in_a_line(shown: Callable[..., Any]) -> None:
    line = shown("sentence.topLine(found, zone)", cleanup=[GOOD], recent=[TRACKED, GOOD])
    assert line == {
        "isBad": False,
        "text": "All is well.",
        "rest": "Cleaned up at 03:04 today: 310 due, 306 retired, none failed. Events are 4.2 s behind. Nothing waits.",
        "steps": [],
    }


def test_every_tile_of_a_good_morning(shown: Callable[..., Any]) -> None:
    tiles = shown("tiles.tiles(found, zone)", cleanup=[GOOD], recent=[TRACKED, GOOD])
    assert [(tile["topic"], tile["value"].replace("\u202f", " ")) for tile in tiles] == [
        ("open", "1 234"),
        ("due", "0"),
        ("oldest", "3 days"),
        ("retired", "306"),
        ("failed", "0"),
        ("behind", "4.2 s"),
        ("posts", "0"),
        ("approvals", "0"),
        ("texts", "–"),
        ("broadcasts", "–"),
    ]
    assert not any(tile["isBad"] for tile in tiles)


PROBLEMS: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "failed channels": (
        {"cleanup": [event(1, "2026-11-30T03:04:00Z", kind="cleanup", due=3, failed=2)]},
        "2 channels failed in the last cleanup.",
        {"topic": "failed"},
    ),
    "a cleanup without a report": (
        {"cleanup": [OLD], "cleanupRuns": [run(9, "2026-11-30T03:00:00Z", "failed")]},
        "The last cleanup ended without a report.",
        {"run": "run 9"},
    ),
    "no cleanup last night": (
        {"cleanup": [OLD], "dags": [dag("flexsms_cleanup", "2026-11-30T03:00:00Z")]},
        "The next cleanup is overdue.",
        {"dag": "flexsms_cleanup"},
    ),
    "cleanup paused": (
        {"cleanup": [GOOD], "dags": [dag("flexsms_cleanup", is_paused=True)]},
        "flexsms_cleanup is paused.",
        {"dag": "flexsms_cleanup"},
    ),
    "tracking failed": (
        {"cleanup": [GOOD], "trackRuns": [run(8, "2026-11-30T19:20:00Z", "failed", "flexsms_track")]},
        "The last run of tracking failed.",
        {"run": "run 8"},
    ),
    "tracking stands still": (
        {
            "cleanup": [GOOD],
            "dags": [dag("flexsms_cleanup"), dag("flexsms_track", "2026-11-30T18:20:00Z")],
        },
        "The next run of tracking is overdue.",
        {"dag": "flexsms_track"},
    ),
    "tracking is late": (
        {
            "recent": [
                event(5, "2026-11-30T19:29:00Z", "flexsms_track", kind="track", source="inbox", behind_s=4000)
            ]
        },
        "Events are over half an hour behind.",
        {"topic": "behind"},
    ),
    "cleanup no longer loads": (
        {"cleanup": [OLD], "dags": [dag("flexsms_cleanup", is_stale=True), dag("flexsms_track")]},
        "flexsms_cleanup is no longer loaded.",
        {"dag": ""},
    ),
    "tracking is gone": (
        {
            "cleanup": [GOOD],
            "trackRuns": [run(8, "2026-11-27T19:20:00Z", dag_id="flexsms_track")],
            "dags": [dag("flexsms_cleanup")],
        },
        "flexsms_track is no longer loaded.",
        {"dag": ""},
    ),
    "its approval failed": (
        {"cleanup": [GOOD], "cleanupRuns": [run(1, "2026-11-30T03:00:00Z", "failed")]},
        "The last cleanup failed.",
        {"run": "run 1"},
    ),
    "nobody has answered": (
        {
            "cleanup": [event(1, "2026-11-30T15:04:00Z", kind="cleanup", due=3, approval="no answer")],
            "cleanupRuns": [run(1, "2026-11-30T03:00:00Z")],
        },
        "Nobody has approved the last cleanup in time.",
        {"run": "run 1"},
    ),
    "a run without a report, before a dry run that failed": (
        {
            "cleanup": [OLD],
            "cleanupRuns": [
                run(10, "2026-11-30T09:00:00Z", "failed", dry_run=True),
                run(9, "2026-11-30T03:00:00Z", "failed"),
            ],
        },
        "The last cleanup ended without a report.",
        {"run": "run 9"},
    ),
    "a run without a report, at the same time as one of another DAG": (
        {
            "cleanup": [OLD],
            "recent": [event(9, "2026-11-30T03:04:00Z", "own", kind="cleanup", due=2, deactivated=2)],
            "cleanupRuns": [run(9, "2026-11-30T03:00:00Z", "failed")],
        },
        "The last cleanup ended without a report.",
        {"run": "run 9"},
    ),
    "no cleanup has ever gone well": (
        {"cleanupRuns": [run(9, "2026-11-30T03:00:00Z", "failed")]},
        "The last cleanup ended without a report.",
        {"run": "run 9"},
    ),
    "an approval": (
        {"cleanup": [GOOD], "approvals": [approval("awaiting_input")]},
        "1 approval waits.",
        {"run": "r"},
    ),
    "posts are rejected": (
        {
            "recent": [
                event(5, "2026-11-30T19:29:00Z", "flexsms_track", kind="track", source="inbox", rejected=1)
            ]
        },
        "1 event could not be read.",
        {"run": "run 5"},
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_what_is_wrong_is_said_with_what_to_do(name: str, shown: Callable[..., Any]) -> None:
    answers, text, to = PROBLEMS[name]
    line = shown("sentence.topLine(found, zone)", **answers)
    assert (line["isBad"], line["text"]) == (True, text)
    [step] = line["steps"]
    assert step["step"]
    [(kind, where)] = step["to"].items()
    assert {kind: where["id"] if kind == "run" else where} == to


def test_what_has_no_clock_is_not_late(shown: Callable[..., Any]) -> None:
    dags = [dag("flexsms_cleanup", None), dag("flexsms_track", None)]
    assert shown("problems(found)", cleanup=[OLD], recent=[OLD_TRACK], dags=dags) == []


def test_a_dry_run_is_no_cleanup(shown: Callable[..., Any]) -> None:
    runs = [run(9, "2026-11-30T09:00:00Z", "failed", dry_run=True), run(1, "2026-11-30T03:00:00Z")]
    assert shown("problems(found)", cleanup=[GOOD], cleanupRuns=runs) == []


def test_a_dry_run_that_failed_is_drawn_as_no_run(shown: Callable[..., Any]) -> None:
    runs = [
        run(9, "2026-11-29T09:00:00Z", "failed", dry_run=True),
        run(8, "2026-11-28T03:00:00Z", "failed"),
        run(1, "2026-11-30T03:00:00Z"),
    ]
    columns = shown("series.plots(found, zone)[0].columns.slice(-3)", cleanup=[GOOD], cleanupRuns=runs)
    assert [(one["note"], one["isSilent"]) for one in columns] == [
        ("a run without a report", True),
        ("no run", False),
        ("", False),
    ]


@pytest.mark.parametrize("name", ["cleanupRuns", "trackRuns", "dags"])
def test_all_is_well_is_said_only_by_those_who_may_see_it(name: str, shown: Callable[..., Any]) -> None:
    answers = {"cleanup": [GOOD], name: {"items": [], "total": 0, "refused": True}}
    line = shown("sentence.topLine(found, zone)", **answers)
    assert (line["isBad"], line["text"]) == (False, "Nothing is wrong in what you may see.")


def test_a_dag_that_was_never_used_is_not_missed(shown: Callable[..., Any]) -> None:
    assert shown("problems(found)", texts=[event(1, NOW, "flexsms_send", kind="send")], dags=[]) == []


def track(at: str, behind_s: float = 43200, **extra: Any) -> dict[str, Any]:
    """The event of a run of tracking that was far behind."""
    more = {"kind": "track", "source": "taskrouter", "behind_s": behind_s, **extra}
    return {**event(5, at, "flexsms_track", **more), "source_run_id": "run 5"}


LATE = ["events are over half an hour behind"]


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([("2026-11-30T07:00:00Z", 5, {})], LATE),
        ([("2026-11-30T07:10:00Z", 6, {})], []),
        ([("2026-11-30T07:10:00Z", 6, {"source": "taskrouter"})], []),
        ([("2026-11-30T07:10:00Z", 6, {"source": "inbox"})], LATE),
        ([("2026-11-30T07:10:00Z", 6, {"since": "2026-11-29T00:00:00Z"})], LATE),
    ],
    ids=["its own run", "a later one", "of its source", "of another source", "of a range"],
)
def test_a_lag_is_over_when_a_later_run_finds_no_news(
    runs: list[Any], expected: list[str], shown: Callable[..., Any]
) -> None:
    listed = [run(number, at, dag_id="flexsms_track", **conf) for at, number, conf in runs]
    answers = {"recent": [track("2026-11-30T07:01:00Z")], "trackRuns": listed}
    assert shown("problems(found).map((one) => one.what)", **answers) == expected


def test_another_sources_news_do_not_end_a_lag(shown: Callable[..., Any]) -> None:
    other = event(6, "2026-11-30T07:11:00Z", "flexsms_track", kind="track", source="inbox", behind_s=3)
    answers = {
        "recent": [track("2026-11-30T07:01:00Z"), other],
        "trackRuns": [run(6, "2026-11-30T07:10:00Z", dag_id="flexsms_track")],
    }
    assert shown("problems(found).map((one) => one.what)", **answers) == LATE


def test_a_range_that_is_read_again_is_no_lag(shown: Callable[..., Any]) -> None:
    recent = [track("2026-11-30T19:01:00Z", 5_184_000, read_up_to=None)]
    assert shown("problems(found)", recent=recent) == []
    assert shown("series.plots(found, zone)", recent=recent) == []


OWN_CLEANUP = event(7, "2026-11-30T03:04:00Z", "own", kind="cleanup", due=2, deactivated=2, failed=0)
OWN_TRACK = event(8, "2026-11-30T19:20:00Z", "own", kind="track", source="taskrouter", behind_s=3)
PAUSED = [dag("flexsms_cleanup", is_paused=True), dag("flexsms_track", is_paused=True)]
LEFT: dict[str, dict[str, Any]] = {
    "own DAGs took over": {
        "cleanup": [OLD],
        "recent": [OWN_CLEANUP, OWN_TRACK],
        "cleanupRuns": [run(3, "2026-11-28T03:00:00Z")],
        "trackRuns": [run(4, "2026-11-27T18:00:00Z", "failed", "flexsms_track")],
    },
    "only own DAGs": {"recent": [OWN_CLEANUP, OWN_TRACK]},
    "only texts": {"texts": [event(9, NOW, "flexsms_send", kind="send", outcome="sent")]},
}


@pytest.mark.parametrize("name", LEFT)
def test_a_paused_dag_that_nobody_needs_is_no_problem(name: str, shown: Callable[..., Any]) -> None:
    assert shown("problems(found)", dags=PAUSED, **LEFT[name]) == []


def test_a_paused_dag_that_did_the_work_is_one(shown: Callable[..., Any]) -> None:
    answers = {
        "cleanup": [GOOD],
        "recent": [event(9, "2026-11-29T22:00:00Z", "own", kind="cleanup", due=1)],
        "trackRuns": [run(4, "2026-11-30T18:00:00Z", dag_id="flexsms_track")],
    }
    whats = shown("problems(found).map((one) => one.what)", dags=PAUSED, **answers)
    assert whats == ["flexsms_cleanup is paused", "flexsms_track is paused"]


def test_a_look_of_days_ago_is_no_lag_of_zero(shown: Callable[..., Any]) -> None:
    tile = "tiles.tiles(found, zone).find((one) => one.topic === 'behind').value"
    runs = [run(8, "2026-11-30T19:20:00Z", dag_id="flexsms_track")]
    assert shown(tile, trackRuns=runs) == "0 s"
    assert shown(tile, trackRuns=[run(8, "2026-11-27T19:20:00Z", dag_id="flexsms_track")]) == "–"


def test_events_of_former_versions_are_understood_as_far_as_they_go(shown: Callable[..., Any]) -> None:
    found = shown(
        "[found.cleanups.length, found.tracks.length, found.behind.seconds, found.channels]",
        recent=[OLD, OLD_TRACK],
    )
    assert found == [1, 1, None, None]
    plots = shown("series.plots(found, zone).map((one) => one.id)", recent=[OLD, OLD_TRACK])
    assert plots == ["cleanup", "calls"]


@pytest.mark.parametrize("extra", [{}, None, {"kind": "something new"}, {"kind": 5}, {"scanned": None}])
def test_events_of_others_break_nothing(extra: Any, shown: Callable[..., Any]) -> None:
    strange = {**OLD, "extra": extra, "source_run_id": None, "id": 77}
    assert (
        shown("sentence.topLine(found, zone).isBad", cleanup=[strange], recent=[strange], texts=[strange])
        is False
    )
    assert isinstance(shown("series.plots(found, zone).length", cleanup=[strange, GOOD]), int)


def test_an_event_that_comes_with_two_answers_counts_once(shown: Callable[..., Any]) -> None:
    assert shown("found.cleanups.length", cleanup=[GOOD], recent=[GOOD]) == 1


def test_a_day_without_a_run_is_a_hole_and_no_zero(shown: Callable[..., Any]) -> None:
    plot = shown("series.plots(found, zone)[0]", cleanup=[GOOD, OLD])
    assert len(plot["columns"]) == 14
    [due] = [one["values"] for one in plot["lines"] if one["key"] == "due"]
    assert due[-3:] == [2, None, 310]
    assert plot["columns"][-2]["note"] == "no run"
    assert plot["columns"][-1]["run"] == {"dag": "flexsms_cleanup", "id": "run 1"}


def test_a_first_run_that_reads_30_days_back_is_no_wait_of_anybodys(shown: Callable[..., Any]) -> None:
    def track(number: int, p95: float) -> dict[str, Any]:
        latency = {"p50": 1.0, "p95": p95, "n": 3}
        return event(number, f"2026-11-30T19:0{number}:00Z", "flexsms_track", kind="track", latency_s=latency)

    plot = "series.plots(found, zone).find((one) => one.id === 'latency')"
    found = shown(plot, recent=[track(1, 2_500_000.0), track(2, 8.5)])
    assert [line["values"] for line in found["lines"]] == [[1.0], [8.5]]


def test_a_night_belongs_to_the_day_of_the_viewers_zone(shown: Callable[..., Any]) -> None:
    late = event(1, "2026-11-30T03:04:00Z", kind="cleanup", due=5, deactivated=5, failed=0)
    days = "series.byDay(found, {!r}).filter((one) => one.reports.length).map((one) => one.day)"
    assert shown(days.format("UTC"), cleanup=[late]) == ["2026-11-30"]
    assert shown(days.format("America/Los_Angeles"), cleanup=[late]) == ["2026-11-29"]


def test_days_are_those_of_the_calendar_where_clocks_change(shown: Callable[..., Any]) -> None:
    first = event(1, "2026-09-02T03:04:00Z", kind="cleanup", due=5, deactivated=5, failed=0)
    days = shown("series.byDay(found, 'Europe/Berlin').map((one) => one.day)", cleanup=[first])
    assert (len(set(days)), days[0]) == (90, "2026-09-02")
    assert days == sorted(days)
    assert "2026-10-25" in days


def test_failures_are_told_by_code_with_what_to_do(shown: Callable[..., Any]) -> None:
    message = f"403 POST conversations.twilio.com/v1/Conversations/{SID}: forbidden"
    one = event(
        1,
        "2026-11-29T03:04:00Z",
        kind="cleanup",
        failed=3,
        failed_by_code={"20003": 2, "20404": 1},
        failures=[{"channel_sid": SID, "code": 20404, "message": message}],
    )
    other = event(
        2, "2026-11-30T03:04:00Z", kind="cleanup", failed=1, failed_by_code={"20003": 1}, failures=[]
    )
    first, second = shown("found.failures", cleanup=[one, other])
    assert (first["code"], first["count"], first["isNow"], first["run"]["id"]) == (20003, 3, True, "run 2")
    assert "check login and password" in first["advice"]
    assert (second["code"], second["count"], second["isNow"]) == (20404, 1, False)
    assert SID not in second["said"]


def test_texts_are_counted_by_what_became_of_them(shown: Callable[..., Any]) -> None:
    def text(number: int, outcome: str, **more: Any) -> dict[str, Any]:
        at = f"2026-11-30T10:00:{number:02}Z"
        return event(number, at, "flexsms_send", kind="send", outcome=outcome, **more)

    texts = [
        text(1, "sent"),
        text(2, "delivered", of="delivery"),
        text(3, "sent"),
        text(4, "undelivered", code=30003, of="delivery"),
        text(5, "duplicate"),
        text(6, "no_text"),
        text(7, "delivered"),
    ]
    counts = shown("found.texts", texts=texts)
    assert {name: counts[name] for name in ("sent", "delivered", "notDelivered", "duplicate", "no_text")} == {
        "sent": 3,
        "delivered": 2,
        "notDelivered": 1,
        "duplicate": 1,
        "no_text": 1,
    }
    [reason] = counts["reasons"]
    assert (reason["code"], reason["count"]) == (30003, 1)
    assert reason["advice"].startswith("the handset is switched off")


def test_a_text_that_did_not_arrive_is_a_red_task(shown: Callable[..., Any]) -> None:
    """Airflow emits no event of it."""

    def red(task: str, number: int) -> dict[str, Any]:
        return {"dag_id": "flexsms_send", "dag_run_id": f"run {number}", "task_id": task, "start_date": NOW}

    failures = [red("delivery", 1), red("delivery", 2), red("send", 3)]
    told = event(1, NOW, "flexsms_send", kind="send", of="delivery", outcome="undelivered", code=30003)
    counts = shown("found.texts", texts=[told], sendFailures=failures)
    assert (counts["notDelivered"], counts["notSent"]) == (2, 1)


def test_ages_are_named_by_what_they_lie_between(shown: Callable[..., Any]) -> None:
    plot = shown("series.plots(found, zone).find((one) => one.id === 'ages')", cleanup=[GOOD])
    assert [column["label"] for column in plot["columns"]] == ["< 1", "1–2", "2–3", "> 3"]
    assert plot["mark"] == {"at": 2, "label": "retention 2 days"}


@pytest.mark.parametrize(
    ("retention", "at"), [(0.5, 0.5), (2, 2), (2.25, 2.25), (3, 3.0), (4, 3.5), (9, 4.5)]
)
def test_the_line_of_the_retention_is_within_its_column(
    retention: float, at: float, shown: Callable[..., Any]
) -> None:
    ages = [[1, 4], [2, 3], [3, 1], [5, 1], [None, 0]]
    report = event(1, "2026-11-30T03:04:00Z", kind="cleanup", ages=ages, retention_days=retention)
    assert shown("series.plots(found, zone).find((one) => one.id === 'ages').mark.at", cleanup=[report]) == at


def test_a_report_that_was_cleared_counts_once(shown: Callable[..., Any]) -> None:
    first = event(1, "2026-11-30T03:04:00Z", kind="cleanup", due=10, deactivated=0)
    again = {
        **event(2, "2026-11-30T04:04:00Z", kind="cleanup", due=10, deactivated=10),
        "source_run_id": "run 1",
    }
    other = {**event(3, "2026-11-30T04:04:00Z", "own", kind="cleanup", due=5), "source_run_id": "run 1"}
    day = "series.byDay(found, zone).at(-1).reports.map((one) => [one.due, one.deactivated ?? null])"
    assert shown(day, cleanup=[again, first, other]) == [[10, 10], [5, None]]


def test_each_text_of_a_mapped_task_has_its_own_delivery(shown: Callable[..., Any]) -> None:
    def text(number: int, index: int, **extra: Any) -> dict[str, Any]:
        one = event(number, f"2026-11-30T10:00:0{number}Z", "own", kind="send", **extra)
        return {**one, "source_run_id": "run 1", "source_map_index": index}

    texts = [text(n, n, outcome="sent", text=f"text {n}") for n in range(3)]
    texts.append(text(4, 1, outcome="delivered", of="delivery", text="text 1"))
    red = {"dag_id": "own", "dag_run_id": "run 1", "task_id": "delivery", "map_index": 2}
    red |= {"start_date": NOW, "state": "failed", "try_number": 1}
    rows = "found.latest.map((one) => one.state)"
    assert shown(rows, texts=texts, sendFailures=[red]) == ["not confirmed", "delivered", "sent"]


def text(outcome: str, task_id: str = "send", **extra: Any) -> dict[str, Any]:
    """The event of a text's task."""
    of = {"of": "delivery"} if task_id == "delivery" else {}
    more = {"kind": "send", "outcome": outcome, "to": "…0199", "text": "to Ada", **of, **extra}
    one = event(len(task_id), "2026-11-30T10:00:00Z", "flexsms_send", **more)
    return {**one, "source_run_id": "run 1", "source_task_id": task_id}


def task(task_id: str, state: str | None) -> dict[str, Any]:
    return {
        "dag_id": "flexsms_send",
        "dag_run_id": "run 1",
        "task_id": task_id,
        "map_index": -1,
        "try_number": 1,
        "state": state,
        "start_date": None,
        "run_after": "2026-11-30T09:59:00Z",
    }


SENT = task("send", "success")
UNHEARD = {"error": "NotAuthorized", "sentence": "Twilio refused the login."}
LOST = {"error": "NotDelivered", "sentence": "Not delivered: the handset is off (undelivered, error 30003)."}
WRONG = {"error": "InvalidInput", "sentence": "to_number: …0000 is not valid; check it.", "to": "…0000"}
# Its events, its tasks, what its red one has said; who it was for, what became of it, why.
TEXTS: dict[str, tuple[list[Any], list[Any], Any, tuple[str | None, str, str]]] = {
    "arrived": (
        [text("sent"), text("delivered", "delivery")],
        [SENT, task("delivery", "success")],
        None,
        ("…0199", "delivered", ""),
    ),
    "did not arrive": (
        [text("sent")],
        [SENT, task("delivery", "failed")],
        LOST,
        ("…0199", "not delivered", "the handset is off (undelivered, error 30003)."),
    ),
    "nobody could look": (
        [text("sent")],
        [SENT, task("delivery", "failed")],
        UNHEARD,
        ("…0199", "not confirmed", "Twilio refused the login."),
    ),
    "red, and nothing said": (
        [text("sent")],
        [SENT, task("delivery", "failed")],
        None,
        ("…0199", "not confirmed", "The log of its task says why."),
    ),
    "on its way": (
        [text("sent")],
        [SENT, task("delivery", "deferred")],
        None,
        ("…0199", "still on its way", ""),
    ),
    "not begun to wait": (
        [text("sent")],
        [SENT, task("delivery", None)],
        None,
        ("…0199", "still on its way", ""),
    ),
    "looks again": (
        [text("sent")],
        [SENT, task("delivery", "up_for_retry")],
        UNHEARD,
        ("…0199", "still on its way", "Twilio refused the login."),
    ),
    "no receipt": (
        [text("sent")],
        [SENT, task("delivery", "skipped")],
        None,
        ("…0199", "not known", "No receipt came in time."),
    ),
    "nobody waited": (
        [text("sent")],
        [SENT, task("delivery", "success")],
        None,
        ("…0199", "sent", "Nobody waited for its receipt."),
    ),
    "of another DAG": ([text("sent")], [], None, ("…0199", "sent", "")),
    "not sent": (
        [],
        [task("send", "failed"), task("delivery", "upstream_failed")],
        WRONG,
        ("…0000", "not sent", "to_number: …0000 is not valid; check it."),
    ),
    "not sent yet": (
        [],
        [task("send", "up_for_retry"), task("delivery", None)],
        WRONG,
        ("…0000", "not sent yet", "to_number: …0000 is not valid; check it."),
    ),
    "about to be sent": (
        [],
        [task("send", "queued"), task("delivery", None)],
        None,
        (None, "being sent", ""),
    ),
    "under a key that was used": (
        [text("duplicate")],
        [SENT],
        None,
        ("…0199", "not sent again", "An earlier run sent it under the same key."),
    ),
    "cleared afterwards": (
        [{**text("duplicate"), "id": 9, "timestamp": "2026-11-30T11:00:00Z"}, text("sent")],
        [SENT, task("delivery", "running")],
        None,
        ("…0199", "still on its way", ""),
    ),
    "under the name of a run that was deleted": (
        [],
        [task("send", "skipped"), task("delivery", "skipped")],
        None,
        (None, "not sent again", "It was sent before under this run’s name."),
    ),
    "without a text": (
        [text("no_text")],
        [SENT, task("delivery", "success")],
        None,
        ("…0199", "no text", "The agent writes first."),
    ),
    "of a former version": ([text("sent", to=None)], [], None, (None, "sent", "")),
    "by hand, with a whole number": ([text("sent", to="+14155550199")], [], None, (None, "sent", "")),
}


@pytest.mark.parametrize("name", TEXTS)
def test_who_a_text_was_for_and_what_became_of_it(name: str, shown: Callable[..., Any]) -> None:
    texts, tasks, failure, expected = TEXTS[name]
    row = f"found.latest.map((one) => one.red ? withFailure(one, {json.dumps(failure)}) : one)"
    [found] = shown(row, texts=texts, sendTasks=tasks)
    assert (found["to"], found["state"], found.get("why", "")) == expected
    assert bool(found.get("isBad")) == (expected[1] in ("not delivered", "not confirmed", "not sent"))
    assert bool(found.get("red")) == (failure is not None or "nothing said" in name)


def test_a_text_leads_to_the_twilio_console_and_nowhere_else(shown: Callable[..., Any]) -> None:
    there = "https://console.twilio.com/us1/develop/conversations/CH1"
    for url, expected in ((there, there), ("https://example.com/CH1", None), ("javascript:x", None)):
        assert shown("found.latest[0].console", texts=[text("sent", console_url=url)]) == expected


def test_a_red_run_says_why(shown: Callable[..., Any]) -> None:
    line = shown(
        "sentence.topLine(found, zone, (run) => run.id === 'run 8' ? {sentence: 'Twilio refused it.'} : null)",
        cleanup=[GOOD],
        trackRuns=[run(8, "2026-11-30T19:20:00Z", "failed", "flexsms_track")],
    )
    assert line["text"] == "The last run of tracking failed."
    assert line["rest"].startswith("Twilio refused it. Cleaned up at 03:04 today")


def test_where_only_a_text_failed_there_is_something_to_see(shown: Callable[..., Any]) -> None:
    assert shown("found.isEmpty")
    assert not shown("found.isEmpty", sendTasks=[task("send", "failed")])


def test_each_text_of_a_run_has_its_own_delivery(shown: Callable[..., Any]) -> None:
    def of_one_run(number: int, **extra: Any) -> dict[str, Any]:
        one = event(number, f"2026-11-30T10:00:0{number}Z", "own", kind="send", **extra)
        return {**one, "source_run_id": "run 1", "source_map_index": -1}

    texts = [
        of_one_run(0, outcome="sent", text="to Ada"),
        of_one_run(1, outcome="sent", text="to Ben"),
        of_one_run(2, outcome="no_text", text=None),
        of_one_run(3, outcome="delivered", of="delivery", text="to Ben"),
        of_one_run(4, outcome="delivered", of="delivery"),
    ]
    rows = "found.latest.map((one) => one.state)"
    assert shown(rows, texts=texts) == ["no text", "delivered", "sent"]


def test_a_delivery_that_is_told_again_counts_once(shown: Callable[..., Any]) -> None:
    told = {"kind": "send", "of": "delivery", "outcome": "delivered"}
    texts = [event(n, f"2026-11-30T10:00:0{n}Z", **told, text="to Ada") for n in range(2)]
    texts += [event(2, "2026-11-30T10:00:02Z", **told, text="to Ben")]
    assert shown("found.texts.delivered", texts=texts) == 2


STRANGE = [
    {"kind": "cleanup", "failures": "x", "ages": "x", "calls": "x", "failed": "x"},
    {"kind": "cleanup", "failures": [None], "ages": [1], "channels": [], "oldest_ended_at": "x"},
    {"kind": "cleanup", "failures": 5, "ages": 5, "failed_by_code": 5, "calls": None, "retention_days": "x"},
    {"kind": "cleanup", "failed_by_code": {"constructor": 1}, "failed": 1, "due": 1},
    {"kind": "cleanup", "failures": [{"code": "constructor"}]},
    {"kind": "track", "source": "inbox", "behind_s": "4.5", "latency_s": {"n": "x"}},
    {"kind": "track", "source": {}, "behind_s": {}, "rejected": "x", "waiting": []},
    {"kind": "send", "outcome": "constructor", "code": "constructor", "route": {}},
    {"kind": "send", "outcome": "failed", "code": "constructor", "segments": "x"},
]


@pytest.mark.parametrize("extra", STRANGE, ids=range(len(STRANGE)))
def test_an_event_by_hand_breaks_nothing(extra: Any, shown: Callable[..., Any]) -> None:
    one = {**event(1, "2026-11-30T19:04:00Z"), "extra": extra}
    told = shown(
        "[found, sentence.topLine(found, zone), tiles.tiles(found, zone), tables.lastRuns(found), found.latest, "
        "series.plots(found, zone)]",
        cleanup=[one],
        recent=[one],
        texts=[one],
    )
    assert "NaN" not in json.dumps(told)
    assert all(isinstance(one["advice"], str) for one in told[0]["failures"] + told[0]["texts"]["reasons"])


def test_what_is_cut_off_is_said(shown: Callable[..., Any]) -> None:
    cut = shown("found.cut", recent={"items": [TRACKED], "total": 400})
    assert cut == [{"name": "recent", "since": 1_796_066_940_000}]


def test_what_may_not_be_seen_is_named(shown: Callable[..., Any]) -> None:
    refused = {"items": [], "total": 0, "refused": True}
    assert shown("found.hidden", approvals=refused, cleanup=[GOOD]) == ["approvals"]


def test_only_approvals_that_wait_are_counted(shown: Callable[..., Any]) -> None:
    details = [approval(state) for state in ("awaiting_input", "deferred", "failed", "success")]
    assert shown("found.approvals.map((one) => one.state)", approvals=details) == [
        "awaiting_input",
        "deferred",
    ]


def test_the_file_has_a_row_per_day_and_no_formula(shown: Callable[..., Any]) -> None:
    evil = event(1, "2026-11-30T03:04:00Z", kind="cleanup", due=1, failed=0, calls={"=cmd()": 1, 'a,"b': 2})
    text = shown("series.csv(series.plots(found, zone))", cleanup=[evil])
    lines = text.splitlines()
    assert len(lines) == 15
    assert lines[0].startswith("day,cleanup: deactivated,")
    assert lines[-1].startswith("2026-11-30,")
    assert '"calls: a,""b"' in lines[0]
    assert not any(cell.startswith("=") for cell in lines[0].split(","))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("words.span(4.25)", "4.3 s"),
        ("words.span(5)", "5 s"),
        ("words.span(150)", "3 min"),
        ("words.span(7200)", "2 h"),
        ("words.span(400000)", "4.6 days"),
        ("words.many(1234567)", "1\u202f234\u202f567"),
        ("words.plural(1, 'post')", "1 post"),
        ("words.moment(found.now - 864e5, found.now, zone)", "19:30 yesterday"),
        ("words.moment(found.now - 9 * 864e5, found.now, zone)", "19:30 on 21 Nov"),
    ],
)
def test_words(expression: str, expected: str, shown: Callable[..., Any]) -> None:
    assert shown(expression) == expected
