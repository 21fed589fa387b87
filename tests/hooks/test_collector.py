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
