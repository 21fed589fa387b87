"""The plugin: registration only, and light, because every task process loads it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.anyio

# What a task process pays for the plugin beyond Airflow itself.
LOAD = """
import json, runpy, sys
from airflow.sdk.plugins_manager import AirflowPlugin
before = set(sys.modules)
runpy.run_path(sys.argv[1])
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_loading_it_imports_nothing() -> None:
    path = ROOT / "plugins" / "flexsms_plugin.py"
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD, str(path)], capture_output=True, text=True, check=True
    ).stdout
    imported = json.loads(loaded.splitlines()[-1])
    assert [name for name in imported if name.partition(".")[0] in ("fastapi", "twilio", "flexsms")] == []


def test_no_file_in_the_folder_takes_the_place_of_the_package() -> None:
    assert [path.name for path in (ROOT / "plugins").rglob("*.py")] == ["flexsms_plugin.py"]


async def test_airflow_lists_it(api: httpx.AsyncClient, login: Callable[[str], dict[str, str]]) -> None:
    answer = (await api.get("/api/v2/plugins", headers=login("admin"))).json()
    [plugin] = [one for one in answer["plugins"] if one["name"] == "flexsms"]
    [app] = plugin["fastapi_apps"]
    assert (app["name"], app["url_prefix"]) == ("flexsms", "/flexsms")
    errors: list[Any] = (await api.get("/api/v2/plugins/importErrors", headers=login("admin"))).json()[
        "import_errors"
    ]
    assert errors == []


async def test_the_app_is_made_once(server: Any) -> None:
    from airflow import plugins_manager

    [mounted] = [route.app for route in server.routes if getattr(route, "path", "") == "/flexsms"]
    [listed] = [app["app"] for app in plugins_manager.get_fastapi_plugins()[0] if app["name"] == "flexsms"]
    assert mounted is listed
