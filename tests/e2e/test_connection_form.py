"""Airflow's own form of a connection: what it asks for, what it keeps, and its Test button."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from playwright.sync_api import Page

from flexsms.sandbox.client import SandboxProcess
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
    airflow = ApiServer()
    airflow.environment["AIRFLOW__CORE__TEST_CONNECTION"] = "Enabled"
    with airflow:
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
def stored() -> Callable[[], dict[str, Any]]:
    """The connection as it is in the database: the web interface shows no secret."""

    def stored() -> dict[str, Any]:
        from airflow.models.connection import Connection  # noqa: TID251
        from airflow.utils.session import create_session  # noqa: TID251

        with create_session() as session:
            row: Any = session.query(Connection).filter_by(conn_id="edited").one()
            return {
                "description": row.description,
                "password": row.password,
                "extra": json.loads(row.extra or "{}"),
            }

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
    page.get_by_role("button", name="Flex Conversations", exact=True).click()
    page.locator("[name=element_close_after_days]").fill("9")
    page.keyboard.press("Tab")
    with page.expect_response(lambda answer: answer.request.method == "PATCH") as answer:
        page.get_by_role("button", name="Save").click()
    assert answer.value.ok

    row = stored()
    assert row["password"] == PASSWORD
    assert row["extra"] == {**MADE_ELSEWHERE, "close_after_days": 9}


@pytest.fixture
def form(page: Page, airflow: ApiServer) -> Page:
    """An empty form for a new connection of our type."""
    page.goto(f"{airflow.url}/connections")
    page.get_by_role("button", name="Add Connection").click()
    page.get_by_role("combobox").last.click()
    page.keyboard.type("Twilio Flex")
    page.keyboard.press("Enter")
    page.locator("[name=login]").wait_for()
    return page


def test_it_asks_for_eight_things_first(form: Page) -> None:
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    form.locator("[name=element_account_sid]").wait_for()
    extra = form.locator("[name^=element_]:visible").evaluate_all("all => all.map(one => one.name)")
    assert {"login", "password", *(name.removeprefix("element_") for name in extra if name)} == {
        *("login", "password", "account_sid", "workspace_sid", "sync_service_sid"),
        *("workflow_sid", "studio_flow_sid"),
    }
    assert form.get_by_text("Stack", exact=True).is_visible()
    for section in (
        "Flex Conversations",
        "Programmable Chat",
        "Event Streams",
        "Other sources",
        "Notifications",
        "Advanced",
    ):
        assert form.get_by_role("button", name=section, exact=True).is_visible()


def test_a_connection_that_was_made_in_the_form_can_be_tested(
    form: Page, api: httpx.Client, sandbox: SandboxProcess
) -> None:
    api.delete("/api/v2/connections/made_here")
    settings = sandbox.settings
    form.locator("[name=connection_id]").fill("made_here")
    form.locator("[name=login]").fill(settings["account_sid"])
    form.locator("[name=password]").fill(settings["auth_token"])
    form.locator("[name=port]").fill("0")
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    form.locator("[name=element_sync_service_sid]").fill(settings["sync_service_sid"])
    form.locator("[name=element_workspace_sid]").fill(settings["workspace_sid"])
    form.get_by_role("button", name="Advanced", exact=True).click()
    form.locator("[name=element_base_url]").fill(sandbox.base_url)
    form.keyboard.press("Tab")
    form.get_by_role("button", name="Save").click()
    row = form.locator("tbody tr").filter(has_text="made_here")
    with form.expect_response(lambda answer: answer.url.endswith("/connections/test")) as answer:
        row.get_by_role("button", name="Test Connection").click()
    assert answer.value.json() == {
        "status": True,
        "message": "Connected: Sync, TaskRouter, Conversations, Interactions answer.",
    }
