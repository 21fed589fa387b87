"""Airflow's own form of a connection: what nobody touched is kept."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from playwright.sync_api import Page

from flexsms.twilio.client.settings import TwilioSettings
from tests.support.api_server import ApiServer
from tests.web.conftest import token_of

pytestmark = pytest.mark.timeout(300)

LOGIN, PASSWORD = "AC" + "0" * 32, "very secret"
NO_EXTRA: dict[str, Any] = {}
# As `flexsms setup` and the command line leave one: numbers and objects, and a field of somebody else.
MADE_ELSEWHERE = {
    "stack": "chat",
    "sync_service_sid": "IS" + "1" * 32,
    "rate_limits": {"proxy.twilio.com": 10},
    "close_after_days": 7,
    "timeout_s": "20",
    "auth_token": "just as secret",
    "mine": {"kept": True},
}


@pytest.fixture(scope="module")
def airflow(airflow_db: Path) -> Iterator[ApiServer]:
    """Its web interface. It asks for a login, as every API server of the tests: they are forks of one."""
    with ApiServer() as airflow:
        yield airflow


@pytest.fixture
def token() -> str:
    """An administrator's login."""
    return token_of("admin")


@pytest.fixture
def api(airflow: ApiServer, token: str) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=airflow.url, timeout=60, headers=headers) as client:
        yield client


@pytest.fixture
def page(page: Page, airflow: ApiServer, token: str) -> Page:
    """A page of somebody who is logged in."""
    page.context.add_cookies([{"name": COOKIE_NAME_JWT_TOKEN, "value": token, "url": airflow.url}])
    return page


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[], dict[str, Any]]:
    """The connection as it is in the database: the web interface shows no secret, but an export does."""

    def stored() -> dict[str, Any]:
        file = tmp_path / "connections.json"
        command = [sys.executable, "-m", "airflow", "connections", "export", str(file), "--format", "json"]
        subprocess.run(command, capture_output=True, check=True)
        row: dict[str, Any] = json.loads(file.read_text())["edited"]
        return {**row, "extra": json.loads(row["extra"] or "{}")}

    return stored


@pytest.mark.parametrize(
    "extra", [MADE_ELSEWHERE, NO_EXTRA], ids=["one made elsewhere", "one without an extra"]
)
def test_a_connection_of_which_the_description_is_edited_means_what_it_meant(
    extra: Mapping[str, Any],
    airflow: ApiServer,
    api: httpx.Client,
    page: Page,
    stored: Callable[[], dict[str, Any]],
) -> None:
    fields = {"conn_type": "twilio", "login": LOGIN, "password": PASSWORD, "description": "Before"}
    api.delete("/api/v2/connections/edited")
    api.post(
        "/api/v2/connections", json={"connection_id": "edited", "extra": json.dumps(extra), **fields}
    ).raise_for_status()

    page.goto(f"{airflow.url}/connections")
    page.locator("tbody tr").filter(has_text="edited").get_by_role("button", name="Edit Connection").click()
    page.locator("[name=description]").fill("After")
    with page.expect_response(lambda answer: answer.request.method == "PATCH") as answer:
        page.get_by_role("button", name="Save").click()
    assert answer.value.ok

    row = stored()
    now = row["extra"]
    assert (row["description"], row["password"]) == ("After", PASSWORD)
    assert {name: value for name, value in now.items() if value is not None} == extra
    before, after = (TwilioSettings.from_connection(LOGIN, PASSWORD, one) for one in (extra, now))
    assert after == before


def test_a_field_that_is_edited_keeps_the_others(
    airflow: ApiServer, api: httpx.Client, page: Page, stored: Callable[[], dict[str, Any]]
) -> None:
    fields = {
        "conn_type": "twilio",
        "login": LOGIN,
        "password": PASSWORD,
        "extra": json.dumps(MADE_ELSEWHERE),
    }
    api.delete("/api/v2/connections/edited")
    api.post("/api/v2/connections", json={"connection_id": "edited", **fields}).raise_for_status()

    page.goto(f"{airflow.url}/connections")
    page.locator("tbody tr").filter(has_text="edited").get_by_role("button", name="Edit Connection").click()
    page.get_by_role("button", name="Extra Fields", exact=True).click()
    page.locator("[name=element_close_after_days]").fill("9")
    page.keyboard.press("Tab")
    with page.expect_response(lambda answer: answer.request.method == "PATCH") as answer:
        page.get_by_role("button", name="Save").click()
    assert answer.value.ok

    row = stored()
    assert row["password"] == PASSWORD
    assert row["extra"] == {**MADE_ELSEWHERE, "close_after_days": 9}
