"""The REST client against a server with canned answers; a whole Airflow answers it in tests/e2e."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from flexsms.demo.airflow_api import AirflowApi, ApiError

NOTHING_THERE = ["api", "database", "scheduler", "dag processor", "triggerer"]
RUN = "/api/v2/dags/flexsms_send/dagRuns/run1"


class Server(ThreadingHTTPServer):
    """Answers by path; remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {}
        self.asked: list[tuple[str, str, Any]] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, json.loads(body) if body else None))
        status, answer = self.server.answers.get(self.path.split("?")[0], (404, {"detail": "not here"}))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def api(server: Server) -> Iterator[AirflowApi]:
    api = AirflowApi(server.url, "admin", "secret")
    yield api
    api.close()


def test_nothing_is_there_yet() -> None:
    api = AirflowApi("http://127.0.0.1:9", "admin", "secret")
    assert api.missing() == NOTHING_THERE
    with pytest.raises(ApiError, match="Airflow did not answer GET dags"):
        api.call("GET", "dags")


def test_what_is_not_healthy_is_missing(server: Server, api: AirflowApi) -> None:
    healthy = {"status": "healthy"}
    health = {"metadatabase": healthy, "scheduler": {"status": "unhealthy"}, "dag_processor": healthy}
    server.answers["/api/v2/monitor/health"] = (200, health)
    server.answers["/execution/health"] = (200, {})
    assert api.missing() == ["scheduler", "triggerer"]
    server.answers["/api/v2/monitor/health"] = (503, {})
    assert api.missing() == ["database", "scheduler", "dag processor", "triggerer"]
    server.answers["/execution/health"] = (503, {})
    assert api.missing() == NOTHING_THERE


def test_a_refusal_names_the_call_and_not_the_password(server: Server, api: AirflowApi) -> None:
    server.answers["/auth/token"] = (401, {"detail": "Invalid credentials"})
    with pytest.raises(ApiError, match=r"refused the demo's login: 401") as refused:
        api.log_in()
    assert "secret" not in str(refused.value)
    with pytest.raises(ApiError, match=r"Airflow answered 404 to POST dags/none/dagRuns: .*not here"):
        api.trigger("none", {})


def test_import_errors_end_with_the_reason(server: Server, api: AirflowApi) -> None:
    error = {"filename": "dags/broken.py", "stack_trace": "x" * 2000 + "\nImportError: no flexsms\n"}
    server.answers["/api/v2/importErrors"] = (200, {"import_errors": [error]})
    [found] = api.import_errors()
    assert found.startswith("dags/broken.py: ")
    assert found.endswith("ImportError: no flexsms")
    assert len(found) < 900


def test_what_a_run_came_of(server: Server, api: AirflowApi) -> None:
    runs = [{"dag_run_id": "run1", "run_type": "asset_triggered", "state": "success"}]
    server.answers["/api/v2/dags/flexsms_track/dagRuns"] = (200, {"dag_runs": runs})
    assert api.runs("flexsms_track") == runs
    events = [{"timestamp": "2026-11-21T10:00:00Z"}]
    server.answers[f"{RUN}/upstreamAssetEvents"] = (200, {"asset_events": events})
    assert api.triggered_by("flexsms_send", "run1") == ["2026-11-21T10:00:00Z"]
    server.answers[RUN] = (200, runs[0])
    assert api.run_state("flexsms_send", "run1") == "success"


def test_the_last_asset_event_of_a_run(server: Server, api: AirflowApi) -> None:
    events = [{"extra": {"due": 1}}, {"extra": {"due": 2}}]
    server.answers["/api/v2/assets/events"] = (200, {"asset_events": events})
    assert api.asset_extra("flexsms_cleanup", "run1") == {"due": 2}
    server.answers["/api/v2/assets/events"] = (200, {"asset_events": []})
    assert api.asset_extra("flexsms_cleanup", "run1") is None


def test_complaints_are_the_ends_of_the_logs_of_failed_tasks(server: Server, api: AirflowApi) -> None:
    states = {"good": "success", "bad": "failed", "worse": "up_for_retry"}
    tasks = [
        {"task_id": name, "state": state, "try_number": 1, "map_index": -1} for name, state in states.items()
    ]
    error = {
        "event": "Task failed",
        "error_detail": [{"exc_type": "InvalidInput", "exc_value": "body: empty"}],
    }
    lines = [{"event": f"line {n}"} for n in range(40)]
    server.answers[f"{RUN}/taskInstances"] = (200, {"task_instances": tasks})
    server.answers[f"{RUN}/taskInstances/bad/logs/1"] = (200, {"content": ["raw", *lines, error]})
    bad, worse = api.complaints("flexsms_send", "run1")
    assert bad.startswith("bad:\nline 16\n")
    assert bad.endswith("line 39\nTask failed InvalidInput: body: empty")
    assert worse.startswith("worse: its log cannot be read (Airflow answered 404")
