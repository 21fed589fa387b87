"""A collector behind an Airflow connection of type http, over real HTTP."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from flexsms.core.exceptions import FlexSmsError, PermanentError, ServiceUnavailable
from flexsms.sources.http import HttpSource
from flexsms.sources.http_collector import HttpCollector

pytestmark = pytest.mark.anyio

PAGE = {"events": [{"id": "EZ1"}], "next": "b"}


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, Any]]:
    """A server that answers as it is told and writes down what it was asked."""
    told: dict[str, Any] = {"status": 200, "body": json.dumps(PAGE), "type": "application/json", "asked": []}

    async def answer(request: web.Request) -> web.Response:
        told["asked"].append((request.path, dict(request.query), request.headers.get("Authorization")))
        return web.Response(
            status=told["status"],
            text=told["body"],
            content_type=told["type"],
            headers=told.get("headers"),
        )

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
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
        (
            {"status": 302, "headers": {"Location": "http://127.0.0.1:9/login"}},
            PermanentError,
            "HTTP 302 for /e leads elsewhere, and the login does not go along; give the connection the address",
        ),
        ({"status": 304}, PermanentError, "HTTP 304"),
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


@pytest.mark.parametrize("depth", [200, 1000, 5000])
async def test_an_event_that_is_nested_too_deeply_does_not_stop_the_pulling(
    collector: dict[str, Any], depth: int
) -> None:
    payload = {"task_sid": "WT" + "1" * 32, "task_attributes": json.dumps({"channelSid": "CH" + "1" * 32})}
    good = {
        "type": "com.twilio.taskrouter.task.created",
        "id": "EZ1",
        "data": {"timestamp": "2024-11-18T16:42:07Z", "payload": payload},
    }
    deep = json.dumps({**good, "id": "EZ2", "data": "deep"}).replace('"deep"', "[" * depth + "]" * depth)
    collector["body"] = f'{{"events": [{json.dumps(good)}, {deep}], "next": null}}'
    [page] = [page async for page in HttpSource(HttpCollector("flexsms_events", "e")).read("a")]
    assert [event.event_id for event in page.events] == ["EZ1"]
    assert page.rejected == [
        "event 2 (EZ2): data: is not a JSON object; the event cannot be read and is left out."
    ]


async def test_an_address_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "http", "host": "http://[::1"}
    monkeypatch.setenv("AIRFLOW_CONN_FLEXSMS_EVENTS", json.dumps(connection))
    with pytest.raises(PermanentError, match=r"cannot be asked .*; check host and port"):
        await HttpCollector("flexsms_events", "e").fetch(None, 7)


@pytest.mark.parametrize(
    "change", [{"status": 403}, {"status": 503}, {"type": "text/html", "body": "<p>"}, {"body": "{"}]
)
async def test_a_secret_in_the_endpoint_is_told_nobody(
    change: dict[str, Any], collector: dict[str, Any]
) -> None:
    collector.update(change)
    secret = "c0de"
    with pytest.raises(FlexSmsError, match="endpoint api/events: ") as caught:
        await HttpCollector("flexsms_events", f"api/events?code={secret}").fetch("cursor", 7)
    assert secret not in "".join(traceback.format_exception(caught.value))


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

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_login_and_token_go_to_nobody_else(
        self, collector: dict[str, Any], monkeypatch: pytest.MonkeyPatch, status: int
    ) -> None:
        """Neither where `/auth/token` leads elsewhere, nor where the events do."""
        elsewhere = json.loads(os.environ["AIRFLOW_CONN_FLEXSMS_EVENTS"])
        to = {"Location": f"http://127.0.0.1:{elsewhere['port']}/stolen"}
        asked = []

        async def answer(request: web.Request) -> web.Response:
            asked.append(request.path)
            if request.path == "/auth/token" or request.headers["Authorization"].startswith("Bearer"):
                return web.Response(status=status, headers=to)
            return web.Response(status=401)

        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host = {"conn_type": "http", "host": f"http://127.0.0.1:{runner.addresses[0][1]}", "login": "puller"}
        self.connect(monkeypatch, host, "secret of a puller")
        try:
            source = HttpCollector("flexsms_events", "events")
            said = rf"HTTP {status} for /auth/token leads elsewhere, and the login does not go along"
            with pytest.raises(PermanentError, match=said):
                await source.fetch(None, 7)
            source._token = "t1"
            with pytest.raises(PermanentError, match=f"HTTP {status} for /events leads elsewhere"):
                await source.fetch(None, 7)
        finally:
            await runner.cleanup()
        assert collector["asked"] == []
        assert asked == ["/events", "/auth/token", "/events"]

    @pytest.mark.parametrize(
        ("asked", "error"),
        [
            ((404, ""), PermanentError),
            ((201, "[]"), PermanentError),
            ((201, '{"access_token": "a\\r\\nHost: b"}'), PermanentError),
            ((201, '{"access_token": 7}'), PermanentError),
            ((201, "no JSON"), PermanentError),
            ((500, ""), ServiceUnavailable),
        ],
        indirect=["asked"],
    )
    async def test_there_may_be_no_token(self, asked: list[str], error: type[FlexSmsError]) -> None:
        with pytest.raises(error):
            await HttpCollector("flexsms_events", "flexsms/events").fetch(None, 7)
        assert "/auth/token" in asked
