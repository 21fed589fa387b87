"""The plugin: registration only, and light, because every task process loads it."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.anyio

# What a task process pays for the plugin beyond Airflow itself.
LOAD = """
import json, sys
from airflow.sdk.plugins_manager import AirflowPlugin
before = set(sys.modules)
import flexsms.plugin
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_loading_it_imports_nothing() -> None:
    loaded = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=True).stdout
    imported = json.loads(loaded.splitlines()[-1])
    found = {name for name in imported if name.partition(".")[0] in ("fastapi", "twilio", "flexsms")}
    assert found <= {"flexsms", "flexsms.plugin"}


def test_the_folder_of_the_layout_registers_nothing() -> None:
    """It would be the same plugin a second time. Nor does a file in it take the place of the package."""
    [file] = (ROOT / "plugins").rglob("*.py")
    assert file.name == "flexsms_plugin.py"
    assert [type(one) for one in ast.parse(file.read_text()).body] == [ast.Expr]


async def test_airflow_lists_it(api: httpx.AsyncClient, login: Callable[[str], dict[str, str]]) -> None:
    answer = (await api.get("/api/v2/plugins", headers=login("admin"))).json()
    [plugin] = [one for one in answer["plugins"] if one["name"] == "flexsms"]
    assert "flexsms.plugin:FlexSmsPlugin" in plugin["source"]
    [app] = plugin["fastapi_apps"]
    assert (app["name"], app["url_prefix"]) == ("flexsms", "/flexsms")
    page, *_tab = plugin["external_views"]
    assert (page["href"], page["destination"], page["url_route"]) == ("/flexsms/dashboard", "nav", "flexsms")
    errors: list[Any] = (await api.get("/api/v2/plugins/importErrors", headers=login("admin"))).json()[
        "import_errors"
    ]
    assert errors == []


async def test_the_app_is_made_once(server: Any) -> None:
    from airflow import plugins_manager

    [mounted] = [route.app for route in server.routes if getattr(route, "path", "") == "/flexsms"]
    [listed] = [app["app"] for app in plugins_manager.get_fastapi_plugins()[0] if app["name"] == "flexsms"]
    assert mounted is listed


@pytest.mark.parametrize(
    ("airflow", "destinations"), [((3, 3), ["nav"]), ((3, 4), ["nav", "dag"]), ((4, 0), ["nav", "dag"])]
)
def test_airflow_can_read_every_view(
    airflow: tuple[int, int], destinations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that it cannot would cost the whole plugin. A tab shows on every DAG before Airflow 3.4, so there is none."""
    from airflow.api_fastapi.core_api.datamodels.plugins import ExternalViewResponse

    from flexsms import plugin

    monkeypatch.setattr(plugin, "_airflow", lambda: airflow)
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://example.com/data/airflow/")
    views = plugin.FlexSmsPlugin().external_views
    read = [ExternalViewResponse.model_validate(view) for view in views]
    assert [view.destination for view in read] == destinations
    assert len({view.url_route for view in read}) == len(views)
    assert {view.href.partition("?")[0] for view in read} == {"/data/airflow/flexsms/dashboard"}
    assert {view["applies_to"]["dag_id"][0] for view in views[1:]} <= {"flexsms_broadcast"}


def test_the_tab_is_for_the_dags_of_flexsms() -> None:
    from flexsms.plugin import DAG_IDS

    assert sorted(path.stem for path in (ROOT / "dags").glob("*.py")) == DAG_IDS


# Airflow's own way to its plugins, with a package that is not all there, and the app that it mounts.
BROKEN = """
import asyncio, json, sys
sys.path.insert(0, sys.argv[1])
from airflow import plugins_manager
from airflow.api_fastapi.app import init_plugins
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

server = FastAPI()
init_plugins(server)

async def ask():
    async with AsyncClient(transport=ASGITransport(app=server), base_url="http://x") as client:
        return [
            (await client.request(method, path)).status_code
            for method in ("GET", "POST") for path in ("/flexsms/events", "/flexsms/", "/flexsms/docs")
        ]

print(json.dumps(asyncio.run(ask())))
"""


MISSING = "raise ModuleNotFoundError('No module named flexsms_missing')"


@pytest.mark.parametrize(
    ("module", "content"),
    [("web/app.py", MISSING), ("web/app.py", "def half(:"), ("web/__init__.py", "1 / 0"), (None, "")],
    ids=["a dependency is missing", "half a file", "an error", "nothing there"],
)
def test_a_package_that_is_not_all_there_does_not_keep_airflow_from_starting(
    module: str | None, content: str, tmp_path: Path
) -> None:
    """And nothing is open that should not be."""
    package = tmp_path / "flexsms"
    (package / "web").mkdir(parents=True)
    # What Airflow itself loads.
    for name in ("__init__.py", "plugin.py", "provider_info.py", "connection_form.json"):
        shutil.copy(ROOT / "include" / "flexsms" / name, package)
    if module:
        (package / module).write_text(content)
    loaded = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BROKEN, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "AIRFLOW_HOME": str(tmp_path)},
    )
    assert loaded.returncode == 0, loaded.stderr[-2000:]
    assert json.loads(loaded.stdout.splitlines()[-1]) == [503] * 6
    assert "/flexsms stays closed" in loaded.stdout + loaded.stderr
