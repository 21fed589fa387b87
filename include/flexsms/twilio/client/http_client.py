"""The one HTTP client under the official SDK: limits, retries, timeouts, errors and the routing to a sandbox.

The SDK has no default timeout, never retries a 429, and raises four different things when a call fails. Here every
call has a timeout, every failure becomes one of :mod:`flexsms.core.exceptions`, and only what is harmless is repeated.

With ``base_url`` set to ``http://127.0.0.1:9999``, a call to ``https://sync.twilio.com/v1/x?y`` goes to
``http://127.0.0.1:9999/sync.twilio.com/v1/x?y``: the original host becomes the first path segment, for every product
and for the absolute ``next_page_url`` of a list too.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from types import TracebackType
from typing import Self
from urllib.parse import urlencode, urlsplit

import aiohttp
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from yarl import URL

from flexsms.core.exceptions import NotFound, RateLimited, ServiceUnavailable, TwilioError
from flexsms.twilio.client import clock
from flexsms.twilio.client.endpoints import endpoint, host_of, limited_as
from flexsms.twilio.client.network import env_proxy, no_connection
from flexsms.twilio.client.observer import CallObserver
from flexsms.twilio.client.precondition import check_now
from flexsms.twilio.client.rate_limits import Throttle
from flexsms.twilio.client.request_errors import Request, lost, refused
from flexsms.twilio.client.response_schemas import what_is_wrong
from flexsms.twilio.client.routing import routed
from flexsms.twilio.client.settings import TwilioSettings

logger = logging.getLogger(__name__)

ATTEMPTS = 8
_backoff = wait_exponential(multiplier=0.1, max=10) + wait_random(0, 0.25)
LONGEST_RETRY_AFTER_S = 60
# A request that found a place at once has not waited.
SHORTEST_WAIT_S = 0.001


def open_session(settings: TwilioSettings) -> aiohttp.ClientSession:
    """The connections to Twilio."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=settings.max_in_flight, keepalive_timeout=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=settings.timeout_s),
        middlewares=(_once,),
    )


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from repeating a request by itself when a connection that it has used before is cut.

    It would do so past the limits and past the last check, and a DELETE that had worked would seem to find nothing.
    """
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise ConnectionResetError(str(error)) from None


class TwilioTransport(AsyncHttpClient):
    """An HTTP client for the SDK. Belongs to one event loop; use it as an async context manager.

    :param settings: limits, timeout and base_url
    :param observer: hears of every call
    """

    def __init__(self, settings: TwilioSettings, observer: CallObserver | None = None) -> None:
        super().__init__(logger, is_async=True, timeout=settings.timeout_s)
        self.calls: Counter[str] = Counter()
        self.throttled = 0  # answers with status 429
        self._last_date = ""  # when Twilio gave its newest answer, as it writes it
        self._answered_s = 0.0  # and when that was, by a clock that nobody sets
        self._settings = settings
        self._observer = observer
        self._throttle: Throttle | None = None
        self._session: aiohttp.ClientSession | None = None
        self._login_works = False
        self._proxies: dict[str, str | None] = {}  # by host

    async def __aenter__(self) -> Self:
        self._throttle = Throttle(self._settings)
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

    def calls_by_host(self) -> dict[str, int]:
        """Requests sent so far by Twilio's host, like ``sync.twilio.com``."""
        hosts: Counter[str] = Counter()
        for name, count in self.calls.items():
            hosts[host_of(name)] += count
        return dict(hosts)

    @property
    def twilio_now(self) -> datetime | None:
        """The present by Twilio's clock, UTC: its newest answer's date, and what has passed since.

        Never too late, but too early by up to a second and that answer's way. None when it gave no date.
        """
        date = _date(self._last_date)
        return None if date is None else date + timedelta(seconds=clock.monotonic_s() - self._answered_s)

    async def request(  # type: ignore[override]  # the SDK declares the synchronous form
        self,
        method: str,
        url: str,
        params: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002  # the SDK never gives one
        allow_redirects: bool = False,  # noqa: ARG002  # none is followed: it might lead to another host
    ) -> Response:
        """Send one request of the SDK, repeating it where that is harmless.

        :raises TwilioError: whatever went wrong, normalised
        """
        parts = urlsplit(url)
        name = endpoint(method, parts.netloc, parts.path)
        where = f"{method} {parts.netloc}{parts.path}"
        # Repeated fields (Proxy participants) are lists, which aiohttp's own form encoding does not take.
        query = f"{'&' if parts.query else '?'}{urlencode(params, doseq=True)}" if params else ""
        target = URL(routed(url, self._settings.base_url) + query, encoded=True)
        sent = {
            "data": urlencode(data, doseq=True) if data else None,
            "headers": {
                **(headers or {}),
                **({"Authorization": aiohttp.encode_basic_auth(*auth)} if auth else {}),
            },
            "allow_redirects": False,
            "proxy": self._proxy(target),
        }
        wanted = Request(method, url, target, name, where, data or {}, sent)
        try:
            return await self._send(wanted)
        except (RateLimited, ServiceUnavailable) as error:
            return await self._again(error, wanted)

    def _proxy(self, target: URL) -> str | None:
        """The HTTP proxy that leads there; the environment is read once for a host."""
        host = str(target.host)
        if host not in self._proxies:
            self._proxies[host] = env_proxy(str(target.origin()))
        return self._proxies[host]

    async def _again(self, failure: TwilioError, wanted: Request) -> Response:
        """Repeat a request that failed. The first try is outside: tenacity costs more than a call that works."""
        failures = iter([failure])

        async def attempt() -> Response:
            for failed in failures:
                raise failed
            try:
                return await self._send(wanted)
            except NotFound:
                if wanted.method == "DELETE" and wanted.may_be_applied:
                    return Response(204, "")  # the try before has done it
                raise

        def before_pause(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            if isinstance(error, RateLimited):
                self._waited(wanted, state.upcoming_sleep)

        repeat = AsyncRetrying(
            retry=retry_if_exception_type((RateLimited, ServiceUnavailable)),
            wait=_wait,
            stop=stop_after_attempt(ATTEMPTS),
            before_sleep=before_pause,
            reraise=True,
        )
        return await repeat(attempt)

    async def _send(self, wanted: Request) -> Response:
        """Send a request once."""
        response = await self._ask(wanted)
        if response.status_code >= 300:
            is_key = self._settings.login.startswith("SK")
            raise refused(response, wanted, is_key=is_key, works=self._login_works)
        problem = what_is_wrong(wanted.name, wanted.asked, response.status_code, response.text)
        if problem:
            raise lost(wanted, problem)
        self._login_works = True
        return response

    async def _ask(self, wanted: Request) -> Response:
        if self._session is None or self._throttle is None:
            raise RuntimeError("use TwilioTransport as an async context manager")
        limited_name = limited_as(wanted.name, wanted.target.raw_query_string)
        async with self._throttle.slot(limited_name) as waited_s:
            check_now()
            self._waited(wanted, waited_s)
            self.calls[wanted.name] += 1
            status = 0
            try:
                async with self._session.request(wanted.method, wanted.target, **wanted.sent) as answer:
                    # What stands between us and Twilio may answer in any encoding, and name one that there is not.
                    text = (await answer.read()).decode(errors="replace")
                    self._last_date, self._answered_s = answer.headers.get("Date", ""), clock.monotonic_s()
                    status = answer.status
                    self.throttled += status == 429
                    return Response(answer.status, text, answer.headers)
            # aiohttp's errors quote the URL, in which a number may stand, so none of them is chained.
            except (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError) as error:
                raise no_connection(
                    error,
                    host=str(wanted.target.host),
                    product=wanted.product,
                    where=wanted.where,
                    endpoint=wanted.name,
                    settings=self._settings,
                ) from None
            except TimeoutError:
                raise lost(wanted, f"no answer within {self._settings.timeout_s:g} s") from None
            except (aiohttp.ClientError, OSError, ValueError):
                raise lost(wanted, "the connection was lost") from None
            finally:
                if self._observer:
                    self._observer.answered(host_of(wanted.name), status)

    def _waited(self, wanted: Request, seconds: float) -> None:
        if self._observer and seconds >= SHORTEST_WAIT_S:
            self._observer.throttled(host_of(wanted.name), seconds)


@lru_cache(maxsize=1)  # the answers of a second have the same one, and a text asks for the present ten times
def _date(header: str) -> datetime | None:
    """What a header says, UTC; None where it says nothing."""
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _wait(state: RetryCallState) -> float:
    """Seconds before the next attempt: longer each time, and never less than Twilio asked for."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, TwilioError) else None
    return max(_backoff(state), min(asked or 0, LONGEST_RETRY_AFTER_S))
