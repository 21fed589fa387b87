"""A server that is not the sandbox: it only speaks the base_url convention, and answers with what a test scripts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from multidict import MultiDictProxy

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Peer:
    """Answers with what was scripted, in turn; the last one for ever."""

    def __init__(self) -> None:
        self.script: list[Handler] = []
        self.seen: list[tuple[str, str, MultiDictProxy[Any]]] = []
        self.base_url = ""
        self.port = 0
        self.most_at_once = 0
        self._at_once = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        self.seen.append((request.method, request.path_qs, form))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return await (self.script.pop(0) if len(self.script) > 1 else self.script[0])(request)
        finally:
            self._at_once -= 1

    def answers(self, *script: Handler) -> None:
        self.script = list(script)


def says(status: int, body: Any = None, headers: dict[str, str] | None = None) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        return web.json_response(body if body is not None else {}, status=status, headers=headers)

    return handler


def refuses(status: int, code: int, message: str = "No", headers: dict[str, str] | None = None) -> Handler:
    return says(status, {"code": code, "message": message, "status": status}, headers)


async def hangs_up(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def dawdles(_: web.Request) -> web.Response:
    await asyncio.sleep(2)
    return web.json_response({})


def answers(text: str, status: int = 200, content_type: str = "application/json") -> Handler:
    """An answer of any kind."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=text, status=status, content_type=content_type)

    return handler


DOCUMENT_JSON = {"sid": "ET" + "1" * 32, "unique_name": "x", "revision": "0", "data": {}}
DOCUMENT = says(200, DOCUMENT_JSON)


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """A peer, listening.

    :param tls: what it shows who speaks TLS; None: nobody does
    """
    peer = Peer()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", peer.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    peer.port = runner.addresses[0][1]
    peer.base_url = f"http{'s' if tls else ''}://127.0.0.1:{peer.port}"
    yield peer
    await runner.cleanup()
