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

from .conftest import airflow_version, environment_of, installed

FAB = "apache-airflow-providers-fab==3.10.2"
AUTH_MANAGER = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
START_TIMEOUT_S = 300.0
ROLES = ["Public", "Viewer", "User", "Op"]
PARAMETERS = {"channel_sid": "CH" + "0" * 32, "digest": "x", "name": "page.js"}

NOBODY = dict.fromkeys(["anonymous", *ROLES], 403)
MAY_SEE = {"anonymous": 401, "Public": 403, "Viewer": 200, "User": 200, "Op": 200}
MAY_TRACK = {"anonymous": 401, "Public": 403, "Viewer": 403, "User": 503, "Op": 503}
ROUTES = {
    "POST /flexsms/events": NOBODY,
    "GET /flexsms/events": MAY_TRACK,
    "GET /flexsms/channels/{channel_sid}": MAY_TRACK,
    "GET /flexsms/dashboard": MAY_SEE,
    "GET /flexsms/dashboard/{digest}/{name}": MAY_SEE,
}
FIGURES = "GET /api/v2/assets/events"  # where the dashboard has them from


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


@pytest.mark.timeout(1800)
def test_who_gets_what(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {**environment_of(home), "AIRFLOW__CORE__AUTH_MANAGER": AUTH_MANAGER}
    airflow = installed(wheel, airflow_version("pinned"), tmp_path / "environment", FAB).with_name("airflow")
    run(airflow, home, environment, "db", "migrate")
    for role in ROLES:
        user = {"role": role, "username": role, "password": role, "firstname": role, "lastname": role}
        options = [f"--{name}={value}" for name, value in user.items()]
        run(airflow, home, environment, "users", "create", *options, f"--email={role}@example.com")
    with (
        api_server(airflow, home, environment) as url,
        httpx.Client(base_url=url, timeout=START_TIMEOUT_S, trust_env=False) as client,
    ):
        logins: dict[str, dict[str, str]] = {"anonymous": {}}
        for role in ROLES:
            login = client.post("/auth/token", json={"username": role, "password": role})
            assert login.status_code == 201, login.text
            logins[role] = {"authorization": f"Bearer {login.json()['access_token']}"}

        def answers(route: str) -> dict[str, httpx.Response]:
            method, path = route.format(**PARAMETERS).split()
            return {who: client.request(method, path, headers=headers) for who, headers in logins.items()}

        found = {route: answers(route) for route in [*routes(), FIGURES]}
    statuses = {
        route: {who: answer.status_code for who, answer in some.items()} for route, some in found.items()
    }
    assert statuses == {**ROUTES, FIGURES: MAY_SEE}
    pages = {who: page.text for who, page in found["GET /flexsms/dashboard"].items() if page.is_success}
    offered = {who: not re.search(r'<section id="look-up"\s+hidden>', page) for who, page in pages.items()}
    assert offered == {"Viewer": False, "User": True, "Op": True}
