"""The ASGI application: one request from bytes to bytes.

Everything that reads or changes the account happens between two awaits, so requests are atomic towards each
other.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from ..control.actions import perform
from ..control.faults import Rule
from ..control.journal import Recorder
from ..control.routes import Control
from ..http import NotFound, Problem, Request, Response, decode_form, presented
from ..products.proxy.contention import under_way
from ..routing.router import ROUTERS
from ..state.account import EmulatedAccount
from ..state.clock import http_date
from . import replica
from .delivery_worker import DeliveryWorker
from .guard import foreign

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

CONTROL = "/_sandbox"


class App:
    """Serves `/<original host>/<path>` and the control plane.

    Parameters
    ----------
    control: holds the account, which a reset exchanges.
    recorder: gets every exchange, or None.
    names: the hosts that the control plane answers to, or None for any: for a caller in the same process.
    """

    def __init__(
        self, control: Control, recorder: Recorder | None = None, names: frozenset[str] | None = None
    ) -> None:
        self.control = control
        self.recorder = recorder
        self.names = names
        self.delivery_worker = DeliveryWorker(control)
        self._served = 0
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await _body(receive)
        path = scope["raw_path"].decode("latin-1")
        if path.startswith(CONTROL):
            query = decode_form(scope["query_string"].decode("latin-1"))
            response = foreign(dict(scope["headers"]), self.names) or self.control.answer(
                scope["method"], path[len(CONTROL) :], query, body
            )
            await _respond(send, response)
            self.delivery_worker.wake()
            return
        request = _request(scope, path, body)
        self._running += 1
        try:
            response, rule = await self._answer(request)
        finally:
            self._running -= 1
            self.delivery_worker.wake()
        self._served += 1
        response.headers.append((b"date", http_date(int(self.control.account.clock.present()))))
        response.headers.append((b"twilio-request-id", b"RQ%032x" % self._served))
        response.headers.append((b"twilio-concurrent-requests", b"%d" % (self._running + 1)))
        if rule and rule.cuts:
            await _cut(scope, receive, send, response, rule.begins(response))
        else:
            await _respond(send, response)

    async def _answer(self, request: Request) -> tuple[Response, Rule | None]:
        """What is to be sent, and the fault rule that hit the request."""
        control = self.control
        rule = control.faults.take(request) if control.faults.rules else None
        latency = control.account.settings.latency_ms / 2000
        if latency:
            await asyncio.sleep(latency)
        if rule and rule.action == "delay":
            await asyncio.sleep(rule.delay_ms / 1000)
        account = control.account
        response, sent = self._apply(account, request, rule)
        fault = rule.name if rule else None
        if self.recorder and not (rule and rule.invents):
            self.recorder.add(request, response, fault)
        control.journal.add(account.clock.now(), request, None if rule and rule.cuts else sent, fault)
        if latency:
            with under_way(account, request):
                await asyncio.sleep(latency)
        return sent, rule

    def _apply(
        self, account: EmulatedAccount, request: Request, rule: Rule | None
    ) -> tuple[Response, Response]:
        """The sandbox's own answer, and what a fault rule makes of it."""
        try:
            account.run_due_timers()
            if rule is None:
                response = self._serve(account, request)
                return response, response
            perform(account, rule.before)
            response = rule.problem().response() if rule.refuses else self._serve(account, request)
            sent = rule.sent(response)
            sent.headers.extend(
                (name.lower().encode(), value.encode()) for name, value in rule.headers.items()
            )
            perform(account, rule.after)
        except Problem as problem:  # of an action: the test that wrote it wants to see it
            response = sent = problem.response()
        except Exception:
            # A mistake of the sandbox: told by GET /_sandbox/health, so that a test run can fail for it.
            self.control.errors.append(f"{request.method} {request.path}\n{traceback.format_exc()}")
            response = sent = Problem(500, 20500, "Internal Server Error").response()
        return response, sent

    def _serve(self, account: EmulatedAccount, request: Request) -> Response:
        try:
            credentials = presented(request.headers)
            if credentials not in account.full_access:
                _check_restricted(account, request, credentials)
            router = ROUTERS.get(request.host)
            if router is None:
                raise NotFound(f"/{request.host}{request.path}")
            route, found = router.find(request)
            if account.settings.rate_limits == "documented":
                self.control.limits.check(route, request, found)
            response = route.answer(account, request, found)
            replica.check(account, request, response)
            return response
        except Problem as problem:
            return problem.response()


def _check_restricted(account: EmulatedAccount, request: Request, credentials: bytes) -> None:
    """401 for nobody, `forbidden_answer` for the restricted key where it may not go (unverified, G.1)."""
    if credentials != account.restricted_access:
        raise Problem(401, 20003, "Authenticate")
    if "*" in account.settings.forbidden_hosts or request.host in account.settings.forbidden_hosts:
        status, code = map(int, account.settings.forbidden_answer.split())
        raise Problem(status, code, "Forbidden: the API key lacks the permission for this request")


def _request(scope: Scope, path: str, body: bytes) -> Request:
    host, _, rest = path.lstrip("/").partition("/")
    headers = dict(scope["headers"])
    form = headers.get(b"content-type", b"").startswith(b"application/x-www-form-urlencoded")
    return Request(
        scope["method"],
        host,
        f"/{rest}",
        [unquote(segment) for segment in rest.split("/")] if "%" in rest else rest.split("/"),
        decode_form(scope["query_string"].decode("latin-1")),
        decode_form(body.decode("utf-8", "replace")) if body and form else {},
        headers,
    )


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


async def _respond(send: Send, response: Response) -> None:
    await _begin(send, response)
    await send({"type": "http.response.body", "body": response.body})


async def _begin(send: Send, response: Response) -> None:
    headers = [*response.headers, (b"content-length", b"%d" % len(response.body))]
    if response.body:
        headers.append((b"content-type", response.content_type))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})


async def _cut(scope: Scope, receive: Receive, send: Send, response: Response, begins: int | None) -> None:
    """End the connection, without a word or after so many bytes of the body."""
    if begins is not None:
        await _begin(send, response)
        await send({"type": "http.response.body", "body": response.body[:begins], "more_body": True})
    scope["extensions"]["flexsms.cut"]()
    while (await receive())["type"] != "http.disconnect":
        pass
