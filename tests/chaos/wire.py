"""The wire between flexsms and the sandbox, in one process: latency, faults, and a tape of all that was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
from aiohttp.client_reqrep import ConnectionKey
from multidict import CIMultiDict
from yarl import URL

from flexsms.sandbox.server.app import App
from flexsms.sandbox.state.clock import http_date

from .universe import EPOCH_S, Process, Universe

Step = dict[str, Any]

PAGE = "<html><body><h1>We will be back soon</h1></body></html>"
# What a fault of this kind answers in Twilio's place: status, Twilio's code, and the header Retry-After.
REFUSALS: Mapping[str, tuple[int, int]] = {
    "400": (400, 20001),
    "403": (403, 20403),
    "404": (404, 20404),
    "429": (429, 20429),
    "500": (500, 20500),
    "503": (503, 20503),
}
# Kinds of faults, by whether the request is applied all the same.
NOT_APPLIED = (*REFUSALS, "cut_before", "no_connection", "page")
APPLIED = (
    "cut_after", "late_answer", "late", "cut_body", "lost_body", "page_after", "list", "empty", "other", "503_after",
)  # fmt: skip
KINDS = (*NOT_APPLIED, *APPLIED)


@dataclass(slots=True)
class Exchange:
    """One request, and what became of it.

    :param at_s: when it was applied, or would have been
    :param sent_s: when it left
    :param owner: the task instance that sent it
    :param number: which request of its run it was, from 1
    """

    at_s: float
    owner: str
    process: str
    number: int
    method: str
    host: str
    path: str
    form: dict[str, str]
    status: int = 0
    code: int | None = None
    fault: str = ""
    applied: bool = False
    sent_s: float = 0.0

    def line(self) -> str:
        """For the trace, without what differs from one Python to another."""
        what = f"{self.status}{f' ({self.code})' if self.code else ''}" if self.status else "no answer"
        fault = f"  <- {self.fault}" if self.fault else ""
        return (
            f"{self.at_s:12.3f}  {self.process:<22} {self.number:>3}  "
            f"{self.method:<6} {self.host.partition('.')[0]}{self.path}  {what}{fault}"
        )


@dataclass(slots=True)
class Answer:
    """What aiohttp's response offers, as far as the transport looks at it."""

    status: int
    headers: CIMultiDict[str]
    body: bytes
    is_cut: bool = False

    async def read(self) -> bytes:
        """The body."""
        if self.is_cut:
            raise aiohttp.ClientPayloadError("Response payload is not completed")
        return self.body

    async def text(self, encoding: str | None = None, errors: str = "strict") -> str:
        """The body as a text."""
        return (await self.read()).decode(encoding or "utf-8", errors)


@dataclass
class Tape:
    """All that was asked, and what happened beside."""

    exchanges: list[Exchange] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def note(self, at_s: float, what: str) -> None:
        """Add something that is no request."""
        self.lines.append(f"{at_s:12.3f}  {what}")


class Wire:
    """Carries requests to the sandbox.

    :param seed: of the latencies
    :param land: called with the steps of a schedule that are to happen right before or after a request
    """

    def __init__(
        self, universe: Universe, app: App, seed: int, land: Callable[[list[Step], Process], None]
    ) -> None:
        self.universe = universe
        self.app = app
        self.tape = Tape()
        self.outages: list[Step] = []
        self.calm = False
        self._seed = seed
        self._land = land

    def open_session(self, settings: Any) -> Session:
        """In the place of :func:`flexsms.twilio.client.http_client.open_session`."""
        loop: Any = asyncio.get_running_loop()
        return Session(self, loop.process, settings.timeout_s)

    def carry(
        self, process: Process, method: str, url: URL, body: str, headers: Mapping[str, str], future: Any
    ) -> None:
        """Send a request, and let its answer come to the future some time later."""
        if not process.alive:
            raise aiohttp.ServerDisconnectedError
        task = process.owner
        number = task.run.next_request()
        steps: list[Step] = [] if self.calm else task.run.landings.get(number, [])
        host, path = str(url.host), url.raw_path
        form = dict(parse_qsl(body or url.raw_query_string, keep_blank_values=True))
        exchange = Exchange(0.0, task.name, process.name, number, method, host, path, form)
        exchange.sent_s = self.universe.now_s
        self.tape.exchanges.append(exchange)
        up_s, down_s = self._latency(task.run.name, number)
        self._land([step for step in steps if step["do"] == "kill" and step["when"] == "before"], process)
        self._land([step for step in steps if step["do"] in ("freeze", "term")], process)
        if not process.alive:
            exchange.at_s, exchange.fault = self.universe.now_s, "killed before it was sent"
            self.tape.lines.append(exchange.line())
            return
        fault = next((step["kind"] for step in steps if step["do"] == "fault"), None)
        beside = [step for step in steps if step["do"] not in ("fault", "freeze", "term")]

        def deliver(outcome: Answer | Exception) -> None:
            if not process.alive or process.loop.is_closed():
                return
            process.loop.call_soon(_resolve, future, outcome)

        def arrive() -> None:
            exchange.at_s = self.universe.now_s
            self._land([s for s in beside if s["do"] != "kill" and s["when"] == "before"], process)
            kind = fault or self._outage(host)
            exchange.fault = kind or ""
            if kind in NOT_APPLIED:
                outcome = self._refuse(kind, url, exchange)
            else:
                served = self._serve(method, host, url, body, headers)
                exchange.applied = served.status < 400
                exchange.status = served.status
                if served.status >= 400:
                    exchange.code = json.loads(served.body or b"{}").get("code")
                outcome = _spoil(kind, served) if kind else served
            self.tape.lines.append(exchange.line())
            self._land([s for s in beside if s["when"] == "after"], process)
            late_s = 20.0 if kind == "late_answer" else 0.0
            self.universe.after(down_s + late_s, lambda: deliver(outcome))

        if fault == "late":
            # On its way for longer than anybody waits.
            self.universe.after(up_s + 8 + 12 * (down_s % 1), arrive)
        else:
            self.universe.after(up_s, arrive)

    def _latency(self, run: str, number: int) -> tuple[float, float]:
        """Of a request and its answer, in seconds: the same in every schedule of this seed."""
        digest = blake2b(f"{self._seed}/{run}/{number}".encode(), digest_size=3).digest()
        slow = 30 if digest[2] < 8 else 1
        return 0.01 + digest[0] / 2560 * slow, 0.01 + digest[1] / 2560 * slow

    def _outage(self, host: str) -> str | None:
        if self.calm:
            return None
        for outage in self.outages:
            if (
                outage["host"] in (host.partition(".")[0], "*")
                and outage["from_s"] <= self.universe.now_s < (outage["until_s"])
            ):
                return str(outage["kind"])
        return None

    def _refuse(self, kind: str, url: URL, exchange: Exchange) -> Answer | Exception:
        if kind == "cut_before":
            return aiohttp.ServerDisconnectedError()
        if kind == "no_connection":
            key = ConnectionKey(str(url.host), 443, True, True, None, None, None)
            return aiohttp.ClientConnectorError(key, ConnectionRefusedError(111, "Connection refused"))
        if kind == "page":
            exchange.status = 200
            return self._answer(200, PAGE.encode(), "text/html")
        exchange.status, exchange.code = REFUSALS[kind]
        body = {"code": exchange.code, "message": "A fault of the schedule", "status": exchange.status}
        answer = self._answer(exchange.status, json.dumps(body).encode())
        if kind == "429":
            answer.headers["Retry-After"] = "1"
        return answer

    def _answer(self, status: int, body: bytes, kind: str = "application/json") -> Answer:
        date = http_date(int(EPOCH_S + self.universe.now_s)).decode()
        return Answer(status, CIMultiDict({"Content-Type": kind, "Date": date}), body)

    def _serve(self, method: str, host: str, url: URL, body: str, headers: Mapping[str, str]) -> Answer:
        """Let the sandbox answer. It does so without ever waiting, because nothing in it takes time."""
        scope = {
            "type": "http",
            "method": method,
            "raw_path": f"/{host}{url.raw_path}".encode(),
            "query_string": url.raw_query_string.encode(),
            "headers": [(name.lower().encode(), str(value).encode()) for name, value in headers.items()],
            "extensions": {},
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body.encode(), "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        run_now(self.app(scope, receive, send))
        start, content = sent
        answered = CIMultiDict((name.decode(), value.decode()) for name, value in start["headers"])
        return Answer(start["status"], answered, content["body"])


def run_now(work: Any) -> Any:
    """The result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits for something")


def _spoil(kind: str, answer: Answer) -> Answer | Exception:
    """What arrives of an answer."""
    if kind == "cut_after":
        return aiohttp.ServerDisconnectedError()
    if kind == "503_after":
        answer.status, answer.body = 503, b'{"code": 20503, "message": "Service unavailable", "status": 503}'
    elif kind == "lost_body":
        answer.is_cut = True
    elif answer.status < 300:
        if kind == "cut_body":
            answer.body = answer.body[: len(answer.body) // 2]
        elif kind == "page_after":
            answer.status, answer.body = 200, PAGE.encode()
        elif kind == "list":
            answer.body = b"[]"
        elif kind == "empty":
            answer.body = b""
        elif kind == "other":
            answer.body = b'{"hello": "world"}'
    return answer


def _resolve(future: asyncio.Future[Answer], outcome: Answer | Exception) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


class Session:
    """In the place of aiohttp's client session.

    :param timeout_s: seconds per request
    """

    def __init__(self, wire: Wire, process: Process, timeout_s: float) -> None:
        self._wire = wire
        self._process = process
        self._timeout_s = timeout_s

    def request(
        self,
        method: str,
        url: URL,
        *,
        data: str | None = None,
        headers: Mapping[str, str] | None = None,
        **_more: Any,
    ) -> Request:
        """A request, to be entered."""
        return Request(
            self._wire, self._process, self._timeout_s, (method, URL(url), data or "", headers or {})
        )

    async def close(self) -> None:
        """Close the connections."""


class Request:
    """A request under way."""

    def __init__(
        self, wire: Wire, process: Process, timeout_s: float, what: tuple[str, URL, str, Mapping[str, str]]
    ) -> None:
        self._wire, self._process, self._timeout_s, self._what = wire, process, timeout_s, what

    async def __aenter__(self) -> Answer:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._wire.carry(self._process, *self._what, future)
        async with asyncio.timeout(self._timeout_s):
            return await future

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
