"""Who gets what from the web app under the FAB auth manager, asked over HTTP from the real API server of the wheel.

The simple auth manager's answers are in tests/web. There is no connection here, so whoever may ask Twilio gets a 503.
"""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.processes import HOST, lasting_port
from tests.cluster.processes import LOOK_EVERY_S, Process
from tests.conftest import ROOT

from .conftest import airflow_version, environment_of, installed

FAB = "apache-airflow-providers-fab==3.10.2"
AUTH_MANAGER = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
START_TIMEOUT_S = 300.0
# Roles of Airflow's, and two that may read one DAG each.
GIVEN = ["Public", "Viewer", "User", "Op"]
ONLY = {"Sends": "flexsms_send", "Cleans": "flexsms_cleanup"}
ROLES = [*GIVEN, *ONLY]
READ = ["Website", "Assets", "DAG Runs", "Task Instances", "HITL Detail"]
PARAMETERS = {"channel_sid": "CH" + "0" * 32, "digest": "x", "name": "page.js"}

NOBODY = dict.fromkeys(["anonymous", *ROLES], 403)
MAY_READ = {
    "anonymous": 401,
    "Public": 403,
    "Viewer": 200,
    "User": 200,
    "Op": 200,
    "Sends": 200,
    "Cleans": 200,
}
MAY_SEE = {**MAY_READ, "Sends": 403}  # the runs of flexsms_cleanup
MAY_SEE_BROADCASTS = {**MAY_READ, "Sends": 403, "Cleans": 403}  # XComs of flexsms_broadcast
MAY_TRACK = {**MAY_READ, "Viewer": 403, "User": 503, "Op": 503, "Sends": 403, "Cleans": 403}
ROUTES = {
    "POST /flexsms/events": NOBODY,
    "GET /flexsms/events": MAY_TRACK,
    "GET /flexsms/channels/{channel_sid}": MAY_TRACK,
    "GET /flexsms/broadcasts": MAY_SEE_BROADCASTS,
    "GET /flexsms/dashboard": MAY_SEE,
    "GET /flexsms/dashboard/{digest}/{name}": MAY_SEE,
}
# Where the dashboard has its figures from: see page/airflow.js.
FIGURES = [
    "GET /api/v2/assets/events?name_prefix_pattern=flexsms",
    "GET /api/v2/dags/flexsms_cleanup/dagRuns",
    "GET /api/v2/dags/flexsms_track/dagRuns",
    "GET /api/v2/dags/flexsms_send/dagRuns/~/taskInstances",
    "GET /api/v2/dags/~/dagRuns/~/hitlDetails?dag_id_prefix_pattern=flexsms",
    "GET /api/v2/dags?dag_id_prefix_pattern=flexsms&exclude_stale=false",
]
CONF = {"from_number": "+14155550100", "to_number": "+14155550199", "body": "Hello", "route": "studio"}


@contextmanager
def api_server(airflow: Path, home: Path, environment: dict[str, str]) -> Iterator[str]:
    """The address of an API server that listens, and ends with everything below it."""
    port = lasting_port()
    command = [str(airflow), "api-server", "--host", HOST, "--port", str(port), "--workers", "1"]
    server = Process("api-server", command, home, environment, home)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
                break
            assert server.runs, server.tail()
            assert time.monotonic() < deadline, f"it does not listen: {server.tail()}"
            time.sleep(LOOK_EVERY_S)
        yield f"http://{HOST}:{port}"
    finally:
        server.ask_to_end()
        server.wait()


def run(airflow: Path, home: Path, environment: dict[str, str], *arguments: str) -> None:
    """Run a command of Airflow, and see that it succeeds."""
    done = subprocess.run(
        [airflow, *arguments], cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def routes() -> list[str]:
    """Every route of the web app, with its method."""
    from flexsms.web.app import create_app

    app: Any = create_app()
    return [f"{method} /flexsms{route.path}" for route in app.routes for method in route.methods]


def may_read(route: str) -> dict[str, int]:
    """What each role is answered where Airflow tells of a DAG, or of those that the role may read."""
    named = re.search(r"/dags/(flexsms_\w+)", route)
    others = [role for role, dag_id in ONLY.items() if named and named[1] != dag_id]
    return {**MAY_READ, **dict.fromkeys(others, 403)}


def make_roles(airflow: Path, home: Path, environment: dict[str, str]) -> None:
    """A user of every role, with its name as name and password."""
    run(airflow, home, environment, "sync-perm", "--include-dags")
    run(airflow, home, environment, "roles", "create", *ONLY)
    run(airflow, home, environment, "roles", "add-perms", *ONLY, "-a", "can_read", "-r", *READ)
    for role, dag_id in ONLY.items():
        run(airflow, home, environment, "roles", "add-perms", role, "-a", "can_read", "-r", f"DAG:{dag_id}")
    for role in ROLES:
        user = {"role": role, "username": role, "password": role, "firstname": role, "lastname": role}
        options = [f"--{name}={value}" for name, value in user.items()]
        run(airflow, home, environment, "users", "create", *options, f"--email={role}@example.com")


def trigger(client: httpx.Client, login: dict[str, str]) -> None:
    """A run of each DAG whose runs the dashboard shows, so that there is something to hide."""
    for dag_id, conf in {"flexsms_cleanup": {}, "flexsms_track": {}, "flexsms_send": CONF}.items():
        path, body = f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf}
        answer = client.post(path, headers=login, json=body)
        assert answer.status_code == 200, answer.text


def log_in_by_form(client: httpx.Client, role: str) -> None:
    """As a browser does, which has a cookie from then on."""
    form = client.get("/auth/login/", follow_redirects=True)
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form.text)
    assert found, form.text[:2000]
    fields = {"username": role, "password": role, "csrf_token": found[1]}
    answer = client.post("/auth/login/", data=fields)
    assert "_token" in answer.cookies, answer.text[:2000]


@pytest.mark.timeout(1800)
def test_who_gets_what(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {**environment_of(home), "AIRFLOW__CORE__AUTH_MANAGER": AUTH_MANAGER}
    python = installed(wheel, airflow_version("pinned"), tmp_path / "environment", FAB)
    airflow = python.with_name("airflow")
    run(airflow, home, environment, "db", "migrate")
    run(airflow, home, environment, "dags", "reserialize")
    run(python, home, environment, str(ROOT / "tests" / "install" / "asset_events.py"))
    make_roles(airflow, home, environment)
    with (
        api_server(airflow, home, environment) as url,
        httpx.Client(base_url=url, timeout=START_TIMEOUT_S, trust_env=False) as client,
        httpx.Client(base_url=url, timeout=START_TIMEOUT_S, trust_env=False) as browser,
    ):
        logins: dict[str, dict[str, str]] = {"anonymous": {}}
        for role in ROLES:
            login = client.post("/auth/token", json={"username": role, "password": role})
            assert login.status_code == 201, login.text
            logins[role] = {"authorization": f"Bearer {login.json()['access_token']}"}
        client.cookies.clear()
        trigger(client, logins["Op"])

        def answers(route: str) -> dict[str, httpx.Response]:
            method, path = route.format(**PARAMETERS).split()
            return {who: client.request(method, path, headers=headers) for who, headers in logins.items()}

        found = {route: answers(route) for route in [*routes(), *FIGURES]}
        log_in_by_form(browser, "Viewer")
        by_cookie = {
            route: browser.get(route.format(**PARAMETERS).split()[1]).status_code
            for route in [*ROUTES, *FIGURES]
            if route.startswith("GET ")
        }
    statuses = {
        route: {who: answer.status_code for who, answer in some.items()} for route, some in found.items()
    }
    assert statuses == {**ROUTES, **{route: may_read(route) for route in FIGURES}}
    assert by_cookie == {route: statuses[route]["Viewer"] for route in by_cookie}
    pages = {who: page.text for who, page in found["GET /flexsms/dashboard"].items() if page.is_success}
    offered = {who: not re.search(r'<section id="look-up"\s+hidden>', page) for who, page in pages.items()}
    assert offered == {"Viewer": False, "User": True, "Op": True, "Cleans": False}
    told = {
        who: {
            dag_id
            for route in FIGURES
            if found[route][who].is_success
            for dag_id in re.findall(
                r"flexsms_(?:send|broadcast|track|cleanup|setup)\b", found[route][who].text
            )
        }
        for who in logins
    }
    everything = {"flexsms_send", "flexsms_broadcast", "flexsms_track", "flexsms_cleanup", "flexsms_setup"}
    assert told == {
        "anonymous": set(),
        "Public": set(),
        **dict.fromkeys(["Viewer", "User", "Op"], everything),
        **{role: {dag_id} for role, dag_id in ONLY.items()},
    }
