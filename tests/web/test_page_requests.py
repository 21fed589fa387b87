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
            asked.push(`${{url.pathname.split("/api/v2/")[1]}}${{url.search}}`);
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
