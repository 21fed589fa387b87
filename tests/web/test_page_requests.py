"""What the page asks Airflow for, in Node, with an Airflow that answers as told."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

EMPTY = {
    "total_entries": 0,
    "asset_events": [],
    "dag_runs": [],
    "task_instances": [],
    "hitl_details": [],
    "dags": [],
    "xcom_entries": [],
}


@pytest.fixture
def loaded(modules: Path) -> Any:
    """What `load` returns, or its error: `{"answers", "error", "asked"}`, of the last of some loads.

    Each is a function from a URL to `[status, body]`, in JavaScript.
    """

    def loaded(*airflows: str) -> Any:
        code = f"""
        const {{ load }} = await import({json.dumps(str(modules / "airflow.js"))});
        const empty = {json.dumps(EMPTY)};
        let told = null;
        for (const airflow of [{",".join(airflows)}]) {{
          const asked = [];
          globalThis.fetch = async (url) => {{
            const [ours, airflows] = url.pathname.split("/api/v2/");
            asked.push(`${{airflows ?? ours.match("/flexsms/[a-z]+$")[0]}}${{url.search}}`);
            const [status, body] = airflow(url);
            return {{ ok: status === 200, status, json: async () => body }};
          }};
          const now = Date.parse("2026-11-30T19:30:00Z");
          told = await load(now).then((answers) => ({{ answers, asked }}), (error) => ({{ error: error.status }}));
        }}
        console.log(JSON.stringify(told));
        """
        command = ["node", "--input-type=module", "--eval", code]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert answer.returncode == 0, answer.stderr[-2000:]
        return json.loads(answer.stdout)

    return loaded


def failing(part: str, status: int) -> str:
    """An Airflow with nothing in it that answers one kind of question with an error."""
    return f"(url) => url.pathname.endsWith({json.dumps(part)}) ? [{status}, {{}}] : [200, empty]"


def test_dags_that_no_longer_load_are_asked_for_too(loaded: Any) -> None:
    [dags] = [one for one in loaded("() => [200, empty]")["asked"] if one.startswith("dags?")]
    assert "exclude_stale=false" in dags


def test_a_missing_right_hides_only_what_it_is_about(loaded: Any) -> None:
    answers = loaded(failing("/flexsms_track/dagRuns", 403))["answers"]
    assert [name for name, answer in answers.items() if "refused" in answer] == ["trackRuns"]


def test_a_dag_that_is_not_there_has_no_runs(loaded: Any) -> None:
    answers = loaded(failing("/flexsms_track/dagRuns", 404))["answers"]
    assert answers["trackRuns"] == {"items": [], "total": 0}


@pytest.mark.parametrize("status", [401, 500, 503])
@pytest.mark.parametrize("part", ["/flexsms_cleanup/dagRuns", "/dags"])
def test_an_error_of_airflows_is_no_missing_right(part: str, status: int, loaded: Any) -> None:
    assert loaded(failing(part, status)) == {"error": status}


def tracked(first: int, last: int, total: int) -> str:
    """An Airflow with so many events of tracking, one a second, and the newest of them on each page."""
    return f"""(url) => {{
      if (!url.pathname.endsWith("/assets/events") || url.searchParams.has("source_dag_id")) return [200, empty];
      const offset = Number(url.searchParams.get("offset") ?? 0);
      const ids = Array.from({{ length: {last - first} }}, (_, n) => {last} - n).slice(offset, offset + 100);
      const at = (id) => new Date(Date.parse("2026-11-30T00:00:00Z") + 1000 * id).toISOString();
      const asset_events = ids.map((id) => ({{ id, timestamp: at(id) }}));
      return [200, {{ ...empty, asset_events, total_entries: {total} }}];
    }}"""


@pytest.mark.parametrize(("total", "oldest"), [(300, 0), (900, 1001)], ids=["all of them", "too many"])
def test_no_hole_is_left_between_new_events_and_those_of_before(total: int, oldest: int, loaded: Any) -> None:
    answers = loaded(tracked(0, 50, 50), tracked(1000, 1300, total))["answers"]
    ids = [one["id"] for one in answers["recent"]["items"]]
    assert ids[:300] == list(range(1300, 1000, -1))
    assert ids[-1] == (oldest or 1)
    assert (answers["recent"]["total"] > len(ids)) == bool(oldest)


def test_an_airflow_without_assets_is_an_error(loaded: Any) -> None:
    assert loaded(failing("/assets/events", 404)) == {"error": 404}


PROGRESS = {
    "texts": 5,
    "done": 1,
    "sent": 1,
    "failed": 0,
    "suppressed": 0,
    "waits_until": None,
    "last_at": None,
}
# An Airflow in which one broadcast runs, and one is over.
BROADCASTING = f"""(url) => {{
  const path = url.pathname.split("/api/v2/")[1];
  const ran = (dag_run_id, state) => ({{ dag_id: "flexsms_broadcast", dag_run_id, state }});
  if (path === "dags/flexsms_broadcast/dagRuns")
    return [200, {{ dag_runs: [ran("run 1", "running"), ran("run 0", "success")], total_entries: 2 }}];
  return [200, path ? empty : {{ "run 1": {json.dumps(PROGRESS)} }}];
}}"""


def test_of_broadcasts_that_run_one_request_tells_how_far_they_are(loaded: Any) -> None:
    told = loaded(BROADCASTING)
    assert told["answers"]["broadcastProgress"]["items"] == [{"run_id": "run 1", **PROGRESS}]
    assert [one for one in told["asked"] if "/api/v2/" not in one and one.startswith("/")] == [
        "/flexsms/broadcasts?run=run+1"
    ]
    assert not [one for one in told["asked"] if "xcomEntries" in one]


def test_where_none_runs_nothing_is_asked_of_flexsms(loaded: Any) -> None:
    assert not [one for one in loaded("() => [200, empty]")["asked"] if one.startswith("/")]


def test_without_the_right_to_its_runs_the_rest_of_the_page_is_there(loaded: Any) -> None:
    answers = loaded(failing("/flexsms_broadcast/dagRuns", 403))["answers"]
    assert [name for name, answer in answers.items() if "refused" in answer] == [
        "broadcastRuns",
        "broadcastProgress",
    ]


@pytest.fixture
def told(modules: Path) -> Any:
    """What some red tasks have said, and what Airflow was asked for, `[failures, asked]`.

    :param airflow: a function from a URL to `[status, body]`, in JavaScript
    """

    def told(airflow: str, *reds: dict[str, Any]) -> Any:
        code = f"""
        const {{ askWhy, failureOf }} = await import({json.dumps(str(modules / "airflow.js"))});
        const asked = [];
        globalThis.fetch = async (url) => {{
          asked.push(`${{url.pathname.split("/api/v2/")[1]}}${{url.search}}`);
          const [status, body] = ({airflow})(url);
          return {{ ok: status === 200, status, json: async () => body }};
        }};
        const reds = {json.dumps(reds)};
        await askWhy(reds);
        await askWhy(reds);
        console.log(JSON.stringify([reds.map((red) => failureOf(red) ?? null), asked]));
        """
        command = ["node", "--input-type=module", "--eval", code]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert answer.returncode == 0, answer.stderr[-2000:]
        return json.loads(answer.stdout)

    return told


FAILURE = {"error": "InvalidInput", "sentence": "body: is empty; write one."}
TASK = {"dag": "flexsms_send", "id": "a/b", "task": "send", "index": -1, "attempt": 1}
XCOMS = "dags/flexsms_send/dagRuns/a%2Fb/taskInstances"


def test_a_red_task_is_asked_why_once(told: Any) -> None:
    answer = json.dumps({"value": json.dumps(FAILURE)})
    failures, asked = told(f"() => [200, {answer}]", TASK)
    assert failures == [FAILURE]
    assert asked == [f"{XCOMS}/send/xcomEntries/failure?map_index=-1"]


def test_of_a_red_run_the_last_task_that_failed_is_asked(told: Any) -> None:
    entries = json.dumps({"xcom_entries": [{"task_id": "retire", "map_index": 3}]})
    answer = json.dumps({"value": FAILURE})
    airflow = f"(url) => url.pathname.endsWith('/failure') ? [200, {answer}] : [200, {entries}]"
    failures, asked = told(airflow, {**TASK, "task": None})
    assert failures == [FAILURE]
    assert asked == [
        f"{XCOMS}/~/xcomEntries?xcom_key=failure&order_by=-timestamp&limit=1",
        f"{XCOMS}/retire/xcomEntries/failure?map_index=3",
    ]


@pytest.mark.parametrize(("status", "times"), [(403, 1), (404, 1), (503, 2)])
def test_a_task_that_says_nothing_is_left_alone(status: int, times: int, told: Any) -> None:
    """Where Airflow was away, it is asked again."""
    failures, asked = told(f"() => [{status}, {{}}]", TASK)
    assert (failures, len(asked)) == ([None], times)


@pytest.mark.parametrize("value", ["[]", "null", '"x"', '{"sentence": 5}', "7"])
def test_what_is_no_sentence_is_left_out(value: str, told: Any) -> None:
    failures, _ = told(f"() => [200, {json.dumps({'value': value})}]", TASK)
    assert failures == [None]
