"""Airflow's REST API, as far as the story needs it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import requests  # noqa: TID251 (this is Airflow's API, not Twilio's)

Json = dict[str, Any]

TIMEOUT_S = 60.0
FINISHED = frozenset({"success", "failed"})
COMPONENTS = {
    "metadatabase": "database",
    "scheduler": "scheduler",
    "dag_processor": "dag processor",
    "triggerer": "triggerer",
}


class ApiError(RuntimeError):
    """Airflow refused; the sentence says what."""


class AirflowApi:
    """The API of one Airflow.

    :param url: of the api-server, like ``http://127.0.0.1:8080``
    :param user: who asks, and ``password``: of Airflow's simple auth manager
    :param authority: a file with the certificate of whoever has signed the api-server's; empty: the usual ones
    """

    def __init__(self, url: str, user: str, password: str, authority: str = "") -> None:
        self.url = url
        self._credentials = {"username": user, "password": password}
        self._http = requests.Session()
        # A proxy of the environment has no business between two processes of one machine.
        self._http.trust_env = False
        self._http.verify = authority or True

    def missing(self) -> list[str]:
        """The parts of Airflow that are not healthy yet; empty when all are."""
        try:
            health = self._http.get(f"{self.url}/api/v2/monitor/health", timeout=TIMEOUT_S).json()
            # The api-server puts together the API for tasks when it is first asked, and answers nobody meanwhile.
            # Tasks would give up on it on a slow machine.
            self._http.get(f"{self.url}/execution/health", timeout=TIMEOUT_S).raise_for_status()
        except (requests.RequestException, ValueError):
            return ["api", *COMPONENTS.values()]
        return [
            label for name, label in COMPONENTS.items() if (health.get(name) or {}).get("status") != "healthy"
        ]

    def log_in(self) -> None:
        """Get a token for everything that follows."""
        answer = self._http.post(f"{self.url}/auth/token", json=self._credentials, timeout=TIMEOUT_S)
        if not answer.ok:
            raise ApiError(f"Airflow refused the demo's login: {answer.status_code} {answer.text[:300]}")
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def call(self, method: str, path: str, body: Json | None = None, **query: Any) -> Json:
        """One call below ``/api/v2/``.

        :raises ApiError: for every answer that is not 2xx, and for none
        """
        url = f"{self.url}/api/v2/{path}"
        try:
            answer = self._http.request(method, url, json=body, params=query, timeout=TIMEOUT_S)
        except requests.RequestException as error:
            raise ApiError(f"Airflow did not answer {method} {path}: {error}") from error
        if not answer.ok:
            raise ApiError(f"Airflow answered {answer.status_code} to {method} {path}: {answer.text[:500]}")
        found: Json = answer.json()
        return found

    def dag_ids(self) -> set[str]:
        """The DAGs that are parsed and stored."""
        return {dag["dag_id"] for dag in self.call("GET", "dags", limit=100)["dags"]}

    def import_errors(self) -> list[str]:
        """What the DAG processor could not import: file and the end of the traceback."""
        found = self.call("GET", "importErrors", limit=20)["import_errors"]
        return [f"{error['filename']}: {error['stack_trace'].strip()[-800:]}" for error in found]

    def trigger(self, dag_id: str, conf: Json) -> str:
        """Start a run with these params; returns its run id."""
        run = self.call("POST", f"dags/{dag_id}/dagRuns", {"conf": conf, "logical_date": None})
        return str(run["dag_run_id"])

    def runs(self, dag_id: str) -> list[Json]:
        """The runs of a DAG, the newest first, at most 50."""
        found: list[Json] = self.call("GET", f"dags/{dag_id}/dagRuns", order_by="-id")["dag_runs"]
        return found

    def run(self, dag_id: str, run_id: str) -> Json:
        """A run, with its ``state``, ``run_type`` and moments."""
        return self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}")

    def run_state(self, dag_id: str, run_id: str) -> str:
        """queued, running, success or failed."""
        return str(self.run(dag_id, run_id)["state"])

    def triggered_by(self, dag_id: str, run_id: str) -> list[str]:
        """The moments of the asset events that a run came of, ISO 8601."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/upstreamAssetEvents"
        return [str(event["timestamp"]) for event in self.call("GET", path)["asset_events"]]

    def tasks(self, dag_id: str, run_id: str) -> list[Json]:
        """The task instances of a run, mapped ones each."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        found: list[Json] = self.call("GET", path, limit=100)["task_instances"]
        return found

    def returned(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """The XCom that a task returned."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        return self.call("GET", path, deserialize=True)["value"]

    def asset_extra(self, dag_id: str, run_id: str) -> Json | None:
        """The ``extra`` of the last asset event of a run."""
        found = self.call("GET", "assets/events", source_dag_id=dag_id, source_run_id=run_id)["asset_events"]
        return found[-1]["extra"] if found else None

    def complaints(self, dag_id: str, run_id: str) -> Iterator[str]:
        """The end of the log of each task that failed."""
        for task in self.tasks(dag_id, run_id):
            if task["state"] not in ("failed", "up_for_retry"):
                continue
            path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
            try:
                log = self.call("GET", path, map_index=task["map_index"])
            except ApiError as error:
                yield f"{task['task_id']}: its log cannot be read ({error})"
                continue
            lines = [_line(entry) for entry in log["content"]]
            yield f"{task['task_id']}:\n" + "\n".join(lines[-25:])

    def close(self) -> None:
        self._http.close()


def _line(entry: Any) -> str:
    """A log entry as one line; errors bring their exception along."""
    if not isinstance(entry, dict):
        return str(entry)
    details = [
        f"{detail.get('exc_type')}: {detail.get('exc_value')}" for detail in entry.get("error_detail") or []
    ]
    return " ".join([str(entry.get("event", "")), *details])
