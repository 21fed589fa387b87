"""The dashboard's page and files: who gets them, with which headers, and that they name no figure and nobody else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from .conftest import token_of

pytestmark = pytest.mark.anyio

Login = Callable[[str], dict[str, str]]
PAGE = "/flexsms/dashboard"


@pytest.fixture
def anyone(login: Login) -> dict[str, dict[str, str]]:
    """The headers of everybody who might come."""
    return {
        "anonymous": {},
        **{role: login(role) for role in ("viewer", "user", "op", "admin")},
        "viewer in a browser": {"cookie": f"_token={token_of('viewer')}"},
        "expired": {"authorization": f"Bearer {token_of('admin', expires_in_s=-3600)}"},
        "nonsense": {"authorization": "Bearer nonsense"},
    }


ANSWERS = {
    "anonymous": 401,
    "viewer": 200,
    "user": 200,
    "op": 200,
    "admin": 200,
    "viewer in a browser": 200,
    "expired": 401,
    "nonsense": 403,
}


@pytest.mark.parametrize("path", [PAGE, f"{PAGE}/x/page.js", f"{PAGE}/x/codes.js", f"{PAGE}/icon/icon.svg"])
async def test_whoever_may_see_the_runs_of_cleanup_gets_in(
    path: str, api: httpx.AsyncClient, anyone: dict[str, dict[str, str]]
) -> None:
    assert {
        who: (await api.get(path, headers=headers)).status_code for who, headers in anyone.items()
    } == ANSWERS


async def test_strangers_see_nothing_of_it(api: httpx.AsyncClient) -> None:
    answer = await api.get(PAGE)
    assert "dashboard" not in answer.text
    assert "flexsms" not in answer.text
    assert (await api.get(f"{PAGE}/x/no-such-file.js")).status_code == 401


async def test_the_right_that_is_asked_for(
    api: httpx.AsyncClient, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GET on runs of flexsms_cleanup, and for the look-up POST on runs of flexsms_track."""
    from airflow.api_fastapi.app import get_auth_manager

    asked = []

    def is_authorized_dag(*, method: str, access_entity: Any, details: Any, user: Any) -> bool:
        asked.append((method, access_entity.value, details.id))
        return method == "GET"

    monkeypatch.setattr(get_auth_manager(), "is_authorized_dag", is_authorized_dag)
    assert (await api.get(PAGE, headers=login("viewer"))).status_code == 200
    assert (await api.get(f"/flexsms/channels/CH{'0' * 32}", headers=login("admin"))).status_code == 403
    cleanup, track = ("GET", "RUN", "flexsms_cleanup"), ("POST", "RUN", "flexsms_track")
    assert asked == [cleanup, track, track]


async def test_only_who_may_start_tracking_is_offered_the_look_up(
    api: httpx.AsyncClient, anyone: dict[str, dict[str, str]]
) -> None:
    offered = {
        role: '<section id="look-up" hidden>' not in (await api.get(PAGE, headers=anyone[role])).text
        for role in ("viewer", "user", "op", "admin")
    }
    assert offered == {"viewer": False, "user": True, "op": True, "admin": True}


async def test_it_needs_no_connection(
    api: httpx.AsyncClient, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_TWILIO_DEFAULT")
    assert (await api.get(PAGE, headers=login("viewer"))).status_code == 200


async def test_nothing_keeps_the_page_and_the_browser_keeps_its_files(
    api: httpx.AsyncClient, login: Login
) -> None:
    page = await api.get(PAGE, headers=login("viewer"))
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    named = set(re.findall(r'(?:href|src)="([^"]+)"', page.text))
    assert len(named) > 8
    for name in named:
        file = await api.get(f"/flexsms/{name}", headers=login("viewer"))
        assert file.status_code == 200, name
        assert file.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert file.headers["x-content-type-options"] == "nosniff"
        # As under the digest of another version: by then there may be other files.
        other = await api.get(f"/flexsms/{re.sub('/[0-9a-f]{12}/', '/0/', name)}", headers=login("viewer"))
        assert (other.content, other.headers["cache-control"]) == (file.content, "no-store")


async def test_it_may_load_from_here_only_and_be_framed_here_only(
    api: httpx.AsyncClient, login: Login
) -> None:
    answer = await api.get(PAGE, headers=login("viewer"))
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'self'"
    assert {value for name, value in policy.items() if name not in ("default-src", "frame-ancestors")} <= {
        "'self'",
        "'none'",
    }
    # Hence no script or style in the page itself.
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\bon\w+=|\bstyle=", answer.text)


async def test_every_module_names_files_that_are_there(api: httpx.AsyncClient, login: Login) -> None:
    from flexsms.web.dashboard import FILES

    for name, content in FILES.items():
        if not name.endswith(".js"):
            continue
        text = content.decode()
        assert set(re.findall(r'from "\./([^"]+)"', text)) <= set(FILES), name
        # No other host is ever asked; a link may lead to Twilio's page about a code, and to its Console.
        assert set(re.findall(r"https?://[^\s\"'`$]+", text)) <= {
            "http://www.w3.org/2000/svg",
            "https://www.twilio.com/docs/api/errors/",
            "https://console.twilio.com/",
        } | set(re.findall(r"https?://[^\s\"'`$]+", FILES["codes.js"].decode())), name
        # Text is text: nothing that was counted is ever read as HTML.
        assert "innerHTML" not in text
        assert "insertAdjacentHTML" not in text


@pytest.mark.parametrize(
    "name", ["index.html", "../page.js", "%2e%2e%2fapp.py", "theme.js/", "app.py", "x" * 65]
)
async def test_no_other_file_is_handed_out(name: str, api: httpx.AsyncClient, login: Login) -> None:
    answer = await api.get(f"{PAGE}/x/{name}", headers=login("admin"))
    assert answer.status_code in (404, 422)
    assert "import" not in answer.text
