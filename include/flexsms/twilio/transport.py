"""The one HTTP client under the official SDK: limits, retries, timeouts, errors and the routing to a sandbox.

The SDK has no default timeout, never retries a 429, and raises four different things when a call fails. Here every
call has a timeout, every failure becomes one of :mod:`flexsms.core.errors`, and only what is harmless is repeated.

With ``base_url`` set to ``http://127.0.0.1:9999``, a call to ``https://sync.twilio.com/v1/x?y`` goes to
``http://127.0.0.1:9999/sync.twilio.com/v1/x?y``: the original host becomes the first path segment, for every product
and for the absolute ``next_page_url`` of a list too.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import aiohttp
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential_jitter,
)
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client
from yarl import URL

from flexsms import __version__
from flexsms.core.errors import RateLimited, ServiceUnavailable, TwilioError, advice, error_class
from flexsms.core.redaction import redact
from flexsms.twilio import clock
from flexsms.twilio.config import TwilioSettings
from flexsms.twilio.limits import RateLimits, endpoint, is_repeatable

logger = logging.getLogger(__name__)

ATTEMPTS = 8
_backoff = wait_exponential_jitter(multiplier=0.1, max=10, jitter=0.25)
LONGEST_RETRY_AFTER_S = 60


_before_sending: ContextVar[Callable[[], None] | None] = ContextVar("before_sending", default=None)


@contextmanager
def checked_before_sending(check: Callable[[], None]) -> Iterator[None]:
    """Let a check stop the requests of a block at the last moment, the repeated ones too.

    :param check: raises when a request must not leave any more
    """
    token = _before_sending.set(check)
    try:
        yield
    finally:
        _before_sending.reset(token)


def open_session(settings: TwilioSettings) -> aiohttp.ClientSession:
    """The connections to Twilio."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=settings.max_in_flight, keepalive_timeout=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=settings.timeout_s),
    )


class TwilioTransport(AsyncHttpClient):
    """An HTTP client for the SDK. Belongs to one event loop; use it as an async context manager.

    :param settings: limits, timeout and base_url
    """

    def __init__(self, settings: TwilioSettings) -> None:
        super().__init__(logger, is_async=True, timeout=settings.timeout_s)
        self.calls: Counter[str] = Counter()
        self._last_date = ""  # when Twilio gave its newest answer, as it writes it
        self._answered_s = 0.0  # and when that was, by a clock that nobody sets
        self._settings = settings
        self._limits = RateLimits(settings.rate_limits)
        self._in_flight = asyncio.Semaphore(settings.max_in_flight)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = open_session(self._settings)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()
        self._session = None

    @property
    def total_calls(self) -> int:
        """Requests sent so far, repeated ones included."""
        return self.calls.total()

    @property
    def twilio_now(self) -> datetime | None:
        """The present by Twilio's clock, UTC: its newest answer's date, and what has passed since.

        Never too late, but too early by up to a second and that answer's way. None when it gave no date.
        """
        try:
            date = parsedate_to_datetime(self._last_date)
        except ValueError:
            return None
        passed = timedelta(seconds=clock.monotonic_s() - self._answered_s)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)) + passed

    async def request(  # type: ignore[override]  # the SDK declares the synchronous form
        self,
        method: str,
        url: str,
        params: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002  # the SDK never gives one
        allow_redirects: bool = False,
    ) -> Response:
        """Send one request of the SDK, repeating it where that is harmless.

        :raises TwilioError: whatever went wrong, normalised
        """
        parts = urlsplit(url)
        name = endpoint(method, parts.netloc, parts.path)
        where = f"{method} {parts.netloc}{parts.path}"
        # Repeated fields (Proxy participants) are lists, which aiohttp's own form encoding does not take.
        query = f"{'&' if parts.query else '?'}{urlencode(params, doseq=True)}" if params else ""
        sent = {
            "data": urlencode(data, doseq=True) if data else None,
            "headers": {
                **(headers or {}),
                **({"Authorization": aiohttp.encode_basic_auth(*auth)} if auth else {}),
            },
            "allow_redirects": allow_redirects,
        }
        target = URL(self._route(url) + query, encoded=True)
        try:
            return await self._send(method, target, name, where, sent)
        except (RateLimited, ServiceUnavailable) as error:
            return await self._again(error, method, target, name, where, sent)

    async def _again(self, failure: TwilioError, *request: Any) -> Response:
        """Repeat a request that failed. The first try is outside: tenacity costs more than a call that works."""
        failures = iter([failure])

        async def attempt() -> Response:
            for failed in failures:
                raise failed
            return await self._send(*request)

        repeat = AsyncRetrying(
            retry=retry_if_exception_type((RateLimited, ServiceUnavailable)),
            wait=_wait,
            stop=stop_after_attempt(ATTEMPTS),
            reraise=True,
        )
        return await repeat(attempt)

    async def _send(self, method: str, url: URL, name: str, where: str, sent: Mapping[str, Any]) -> Response:
        if self._session is None:
            raise RuntimeError("use TwilioTransport as an async context manager")
        repeatable = is_repeatable(method, name)
        await self._limits.wait(name)
        async with self._in_flight:
            check = _before_sending.get()
            if check:
                check()
            self.calls[name] += 1
            try:
                async with self._session.request(method, url, **sent) as answer:
                    # What stands between us and Twilio may answer in any encoding.
                    response = Response(answer.status, await answer.text(errors="replace"), answer.headers)
                    self._last_date, self._answered_s = answer.headers.get("Date", ""), clock.monotonic_s()
            except aiohttp.ClientConnectorError as error:
                # No connection came about, so nothing was sent.
                raise ServiceUnavailable(f"{where}: no connection ({error.strerror}); check the network and base_url.",
                                         endpoint=name) from error  # fmt: skip
            except TimeoutError as error:
                seconds = f"{self._settings.timeout_s:g} s"
                raise _lost(where, name, f"no answer within {seconds}", repeatable=repeatable) from error
            except (aiohttp.ClientError, OSError) as error:
                raise _lost(where, name, "the connection was lost", repeatable=repeatable) from error
        if response.status_code >= 300:
            raise _refused(response, where, name, repeatable=repeatable)
        if response.text and not response.text.startswith("{"):
            raise _lost(where, name, "the answer was not Twilio's", repeatable=repeatable)
        return response

    def _route(self, url: str) -> str:
        if not self._settings.base_url:
            return url
        return f"{self._settings.base_url}/{url.partition('://')[2]}"


def twilio_client(settings: TwilioSettings, transport: TwilioTransport) -> Client:
    """The official SDK's client on top of our transport.

    The environment is replaced, because the SDK silently picks up ``TWILIO_REGION`` and ``TWILIO_EDGE`` from it.
    """
    return Client(  # type: ignore[no-untyped-call]  # the SDK's client has no annotation of its result
        username=settings.login,
        password=settings.password,
        account_sid=settings.account_sid,
        region=settings.region or None,
        edge=settings.edge or None,
        http_client=transport,
        environment={"FLEXSMS": __version__},
        user_agent_extensions=[f"flexsms/{__version__}"],
    )


def _wait(state: RetryCallState) -> float:
    """Seconds before the next attempt: longer each time, and never less than Twilio asked for."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, TwilioError) else None
    return max(_backoff(state), min(asked or 0, LONGEST_RETRY_AFTER_S))


def _lost(where: str, name: str, what: str, *, repeatable: bool) -> TwilioError:
    remedy = (
        "it may be repeated"
        if repeatable
        else "it may have been applied, so it is looked up before anything else"
    )
    return error_class(0, 0, repeatable=repeatable)(f"{redact(where)}: {what}; {remedy}.", endpoint=name)


def _refused(response: Response, where: str, name: str, *, repeatable: bool) -> TwilioError:
    try:
        body = json.loads(response.text)
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    status = response.status_code
    code = body["code"] if isinstance(body.get("code"), int) else status
    # RFC 9457 bodies say "detail" or "title" where the older ones say "message".
    text = str(body.get("message") or body.get("detail") or body.get("title") or f"HTTP {status}").rstrip(
        ". "
    )
    detail, remedy = redact(text), advice(status, code)
    return error_class(status, code, repeatable=repeatable)(
        f"{redact(where)}: {detail} ({code})" + (f"; {remedy}." if remedy else "."),
        status=status,
        code=code,
        endpoint=name,
        detail=detail,
        retry_after=_seconds(response.headers),
    )


def _seconds(headers: Mapping[str, str] | None) -> float | None:
    value = (headers or {}).get("Retry-After", "")
    return float(value) if value.replace(".", "", 1).isdigit() else None
