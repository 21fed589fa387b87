"""A collector behind an Airflow connection of type http, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from flexsms.core.errors import FlexSmsError, PermanentError, ServiceUnavailable
from flexsms.hooks.collector import HttpCollector

pytestmark = pytest.mark.anyio

PAGE = {"events": [{"id": "EZ1"}], "next": "b"}


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, Any]]:
    """A server that answers as it is told and writes down what it was asked."""
    told: dict[str, Any] = {"status": 200, "body": json.dumps(PAGE), "type": "application/json", "asked": []}

    async def answer(request: web.Request) -> web.Response:
        told["asked"].append((request.path, dict(request.query), request.headers.get("Authorization")))
        return web.Response(status=told["status"], text=told["body"], content_type=told["type"])

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    connection = {
        "conn_type": "http",
        "host": "http://127.0.0.1",
        "port": port,
        "extra": {"Authorization": "Bearer of-somebody"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_FLEXSMS_EVENTS", json.dumps(connection))
    yield told
    await runner.cleanup()


async def test_a_page_is_asked_for_with_the_cursor_and_the_login(collector: dict[str, Any]) -> None:
    source = HttpCollector("flexsms_events", "/flexsms/events")
    assert await source.fetch(None, 7) == PAGE
    assert await source.fetch("a b", 7) == PAGE
    assert collector["asked"] == [
        ("/flexsms/events", {"limit": "7"}, "Bearer of-somebody"),
        ("/flexsms/events", {"limit": "7", "after": "a b"}, "Bearer of-somebody"),
    ]


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"status": 403}, PermanentError, "HTTP 403; check host, endpoint and what this login may read"),
        ({"status": 503}, ServiceUnavailable, "HTTP 503; trying again later"),
        ({"type": "text/html", "body": "<p>"}, PermanentError, "not JSON but text/html"),
        ({"body": '{"events'}, PermanentError, "not JSON"),
    ],
)
async def test_what_a_collector_gets_wrong_is_told(
    change: dict[str, Any], error: type[FlexSmsError], sentence: str, collector: dict[str, Any]
) -> None:
    collector.update(change)
    with pytest.raises(
        error, match=rf"Airflow connection 'flexsms_events', endpoint e: .*{sentence}"
    ) as caught:
        await HttpCollector("flexsms_events", "e").fetch(None, 7)
    assert "of-somebody" not in str(caught.value)


async def test_no_collector_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "http", "host": "http://127.0.0.1", "port": 9}
    monkeypatch.setenv("AIRFLOW_CONN_FLEXSMS_EVENTS", json.dumps(connection))
    with pytest.raises(ServiceUnavailable, match="no answer"):
        await HttpCollector("flexsms_events", "e").fetch(None, 7)
    with pytest.raises(PermanentError, match="no connection 'nowhere'"):
        await HttpCollector("nowhere", "e").fetch(None, 7)


class TestAirflow:
    """Another Airflow takes no login but at ``/auth/token``."""

    @pytest.fixture
    async def asked(
        self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[list[str]]:
        """What it was asked for. It gives a token for the right password, unless told to answer otherwise."""
        asked = []
        status, text = getattr(request, "param", (201, json.dumps({"access_token": "t1"})))

        async def events(request: web.Request) -> web.Response:
            asked.append(request.path)
            known = request.headers.get("Authorization") == "Bearer t1"
            return web.json_response(PAGE, status=200 if known else 401)

        async def token(request: web.Request) -> web.Response:
            asked.append(request.path)
            right = await request.json() == {"username": "puller", "password": "secret of a puller"}
            return web.Response(status=status if right else 401, text=text, content_type="application/json")

        app = web.Application()
        app.router.add_get("/flexsms/events", events)
        app.router.add_post("/auth/token", token)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        connection = {
            "conn_type": "http",
            "host": f"http://127.0.0.1:{runner.addresses[0][1]}",
            "login": "puller",
        }
        self.connect(monkeypatch, connection, "secret of a puller")
        self.connection = connection
        yield asked
        await runner.cleanup()

    def connect(self, monkeypatch: pytest.MonkeyPatch, connection: dict[str, Any], password: str) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_FLEXSMS_EVENTS", json.dumps({**connection, "password": password}))

    async def test_a_login_is_changed_for_a_token_once(self, asked: list[str]) -> None:
        source = HttpCollector("flexsms_events", "flexsms/events")
        assert [await source.fetch(None, 7) for _ in range(3)] == [PAGE] * 3
        assert asked == ["/flexsms/events", "/auth/token", *["/flexsms/events"] * 3]

    async def test_a_wrong_password_is_told(self, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.connect(monkeypatch, self.connection, "secret of nobody")
        with pytest.raises(PermanentError, match="HTTP 401") as caught:
            await HttpCollector("flexsms_events", "flexsms/events").fetch(None, 7)
        assert "nobody" not in str(caught.value)
        assert asked == ["/flexsms/events", "/auth/token"]

    @pytest.mark.parametrize(
        ("asked", "error"),
        [
            ((404, ""), PermanentError),
            ((201, "[]"), PermanentError),
            ((201, "no JSON"), PermanentError),
            ((500, ""), ServiceUnavailable),
        ],
        indirect=["asked"],
    )
    async def test_there_may_be_no_token(self, asked: list[str], error: type[FlexSmsError]) -> None:
        with pytest.raises(error):
            await HttpCollector("flexsms_events", "flexsms/events").fetch(None, 7)
        assert "/auth/token" in asked
