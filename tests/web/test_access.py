"""Who gets what from the web app, asked over HTTP from Airflow's real API server, where nobody is admin by being there.

What Airflow says of itself is open in Airflow 3.3: `/docs`, `/redoc` and `/openapi.json` answer 200 to anybody. A
mounted app is no part of that: neither our routes nor our name are in there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from flexsms.sources.object_storage import name_at
from tests.support.api_server import ApiServer
from tests.support.auth_cases import ANONYMOUS, CALLERS, Call, bearer, twilio

from .conftest import PATH, connection_to, event, token_of

pytestmark = pytest.mark.e2e

KEPT = event(0xEE)  # what is in the inbox, and not for everybody's eyes
METHODS = ("GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")

# Below our name; docs are turned off, and a path has to be spelled as it is.
NOT_THERE = [
    "/",
    "/docs",
    "/docs/",
    "/docs/oauth2-redirect",
    "/redoc",
    "/openapi.json",
    "/openapi.yaml",
    "/events/",
    "/events/x",
    "/events//",
    "//events",
    "/./events",
    "/x/../events",
    "/%2e/events",
    "/events%2f",
    "/events%00",
    "/events%20",
    "/events;a=b",
    "/%2e%2e/flexsms/events",
    "/%2e%2e/openapi.json",
    "/events/%2e%2e/docs",
    "/events/%2e%2e/events",
    "/Events",
    "/EVENTS",
    "/events.json",
    "/dashboard/",
    "/dashboard/page.js",
    "/channels",
    "/channels/",
]
# What is not under our name is Airflow's to answer. It shows a page of its own, where people log in, to any GET.
NOT_OURS = [
    "/flexsms",
    "/Flexsms/events",
    "/FLEXSMS/events",
    "/FLEXSMS/openapi.json",
    "//flexsms/events",
    "/./flexsms/events",
    "/x/../flexsms/events",
    "/%2e%2e/flexsms/events",
    "/auth/%2e%2e/flexsms/events",
]
# The same path by the rules of URLs. So it is guarded, and not absent.
SAME = ["/flexsms/%65vents", "/flexsms%2fevents", "/%66lexsms/events"]
# What GET and POST answer.
PATHS = {
    **{f"/flexsms{path}": (404, 404) for path in NOT_THERE},
    **dict.fromkeys(NOT_OURS, (200, 405)),
    **dict.fromkeys(SAME, (401, 403)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of posts that came in, and one has been there for a while."""
    folder = tmp_path_factory.mktemp("access") / "inbox" / "new"
    folder.mkdir(parents=True)
    name = name_at(datetime.now(UTC) - timedelta(minutes=1))
    (folder / f"{name}-0.json").write_bytes(orjson.dumps([KEPT]))
    return folder


@pytest.fixture(scope="module")
def ask(airflow_db: Path, folder: Path) -> Iterator[Callable[..., httpx.Response]]:
    """Asks the server, exactly under the path given: no client puts it in order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", connection_to(f"file://{folder.parent}"))
        with ApiServer() as server, httpx.Client(timeout=60) as client:

            def ask(method: str, path: str, call: Call = ANONYMOUS) -> httpx.Response:
                target = f"{path}?{call.query}" if call.query else path
                exactly = {"target": target.encode()}
                return client.request(
                    method, server.url, headers=call.headers, content=call.body, extensions=exactly
                )

            yield ask


def seen_in(answer: httpx.Response) -> bool:
    return KEPT["id"] in answer.text


def test_the_tables_know_every_route() -> None:
    from flexsms.web.app import create_app

    routes: Any = create_app().routes
    assert {(route.path, method) for route in routes for method in route.methods} == {
        ("/events", "GET"),
        ("/events", "POST"),
        # See test_dashboard.py, test_broadcasts.py and test_channel.py.
        ("/dashboard", "GET"),
        ("/dashboard/{digest}/{name}", "GET"),
        ("/broadcasts", "GET"),
        ("/channels/{channel_sid}", "GET"),
    }


@pytest.mark.parametrize("caller", CALLERS)
def test_who_gets_what(caller: str, ask: Callable[..., httpx.Response], folder: Path) -> None:
    get, post, call = CALLERS[caller]
    for path in folder.glob("*"):
        if not path.name.endswith("-0.json"):
            path.unlink()  # what is kept already would not be kept again
    before = len(list(folder.iterdir()))
    call = call() if callable(call) else call
    answers = {method: ask(method, PATH, call) for method in METHODS}
    expected = {**dict.fromkeys(METHODS, 405), "GET": get, "POST": post}
    assert {method: answer.status_code for method, answer in answers.items()} == expected
    assert [method for method in METHODS if seen_in(answers[method])] == ["GET"] * (get == 200)
    assert len(list(folder.iterdir())) - before == (post == 204)


@pytest.mark.parametrize("path", PATHS)
def test_no_other_path_leads_in(path: str, ask: Callable[..., httpx.Response], folder: Path) -> None:
    get, post = PATHS[path]
    expected = {"GET": {get}, "POST": {post}}
    answers = {method: ask(method, path) for method in METHODS}
    for method, answer in answers.items():
        assert answer.status_code in expected.get(method, {404, 405})
        assert not seen_in(answer)
        assert "flexsms" not in answer.text.lower()
    if path in SAME:
        return
    # Nor for those who may come in.
    before = len(list(folder.iterdir()))
    assert not seen_in(ask("GET", path, bearer(token_of("admin"))))
    assert ask("POST", path, twilio()).status_code == post
    assert len(list(folder.iterdir())) == before


def test_what_airflow_says_of_itself_does_not_name_us(ask: Callable[..., httpx.Response]) -> None:
    for path in ("/docs", "/redoc", "/openapi.json"):
        answer = ask("GET", path)
        assert answer.status_code == 200
        assert "flexsms" not in answer.text
