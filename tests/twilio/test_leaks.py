"""No number, no text and no credential goes where it must not: errors, tracebacks, logs, other hosts."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from flexsms.core.exceptions import FlexSmsError, PermanentError, ServiceUnavailable, TwilioRefused
from flexsms.twilio.account import Account, connect
from flexsms.twilio.client.routing import is_twilios, routed
from flexsms.twilio.client.sdk_client import plain_client
from flexsms.twilio.client.settings import TwilioSettings
from tests.support.peer import DOCUMENT_JSON, Handler, Peer, answers, hangs_up, refuses, says

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

ACCOUNT, SERVICE, CHANNEL = "AC" + "1" * 32, "IS" + "2" * 32, "CH" + "3" * 32
NUMBER = "+14155550167"


def settings(base_url: str = "", **extra: Any) -> TwilioSettings:
    given = {"base_url": base_url, "timeout_s": 0.4, "rate_limits": "off", **extra}
    return TwilioSettings.from_connection(ACCOUNT, "secret", given)


@pytest.fixture
async def account(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Account]:
    monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 2)
    monkeypatch.setattr("flexsms.twilio.client.http_client._backoff", lambda _: 0.0)
    async with connect(settings(peer.base_url)) as connected:
        yield connected


def look_for(account: Account) -> Awaitable[Any]:
    return account.client.conversations.v1.participant_conversations.page_async(address=NUMBER)


def raw(*lines: bytes) -> Handler:
    """Bytes of a server's own, be they HTTP or not."""

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.write(b"\r\n".join(lines))
        request.transport.close()
        return web.Response()

    return handler


BROKEN = {
    "cut": hangs_up,
    "no HTTP": raw(b"garbage", b"", b""),
    "a bad header": raw(b"HTTP/1.1 200 OK", b"no colon", b"", b""),
    "a long header": raw(b"HTTP/1.1 200 OK", b"X: " + b"x" * 70_000, b"", b""),
    "a bad chunk": raw(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", b"", b"zz", b"", b""),
    "too short": raw(b"HTTP/1.1 200 OK", b"Content-Length: 99", b"", b"{}"),
    "no encoding": raw(b"HTTP/1.1 200 OK", b"Content-Encoding: gzip", b"Content-Length: 2", b"", b"{}"),
    "HTML": answers("<html>", 502, "text/html"),
    "elsewhere": answers("", 302),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
async def test_no_traceback_shows_a_number(
    peer: Peer, account: Account, broken: Handler, caplog: pytest.LogCaptureFixture
) -> None:
    """B10: aiohttp's errors quote the URL, and were chained."""
    peer.answers(broken)
    caplog.set_level(logging.DEBUG)
    logging.getLogger("aiohttp.access").disabled = True
    with pytest.raises(FlexSmsError) as caught:
        await look_for(account)
    told = "".join(traceback.format_exception(caught.value))
    assert "4155550167" not in told
    assert "4155550167" not in "".join(
        record.getMessage() for record in caplog.records if "Task" not in record.name
    )
    logging.getLogger("aiohttp.access").disabled = False


@pytest.mark.parametrize(
    "message",
    [
        "The message body 'Hello Ada, your results are in.' is too long",
        "Invalid body: Hello Ada, your results are in.",
        "Invalid body: hello ada, your results are in.",
        'Body "Hello Ada, your resu',
        "Attributes hold Lovelace",
    ],
)
async def test_an_error_does_not_quote_what_was_sent(peer: Peer, account: Account, message: str) -> None:
    """Security 6b: whatever Twilio repeats of a text ends in a log."""
    peer.answers(refuses(400, 50005, message))
    messages = account.client.conversations.v1.conversations(CHANNEL).messages
    with pytest.raises(TwilioRefused) as caught:
        await messages.create_async(
            body="Hello Ada, your results are in.", attributes='{"name": ["Lovelace"]}'
        )
    told = str(caught.value) + caught.value.detail
    assert not any(word in told.lower() for word in ("ada", "results", "lovelace"))
    assert "…" in told


@pytest.mark.parametrize("spelling", ["14155550167", "4155550167", "(415) 555-0167", "001 415 555 0167"])
async def test_an_error_shows_four_digits_of_a_number(peer: Peer, account: Account, spelling: str) -> None:
    """Security 6c."""
    peer.answers(refuses(400, 50407, f"Invalid address: {spelling}"))
    with pytest.raises(TwilioRefused, match=r"Invalid address: …0167 \(50407\)"):
        await account.client.conversations.v1.conversations(CHANNEL).fetch_async()


async def test_the_plain_client_logs_no_url(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    """B10: the SDK logs URL and query at INFO."""
    import asyncio

    caplog.set_level(logging.INFO)
    logging.getLogger("aiohttp.access").disabled = True
    peer.answers(says(200, {"conversations": [], "meta": {"key": "conversations", "next_page_url": None}}))
    found = plain_client(settings(peer.base_url)).conversations.v1.participant_conversations
    await asyncio.to_thread(found.list, address=NUMBER)
    logging.getLogger("aiohttp.access").disabled = False
    assert len(peer.seen) == 1
    assert "0167" not in caplog.text
    assert "Request" not in caplog.text


# Credentials


TWILIOS = ["https://sync.twilio.com/v1/x?y=1", "https://sync.dublin.ie1.twilio.com/v1/x"]
NOT_TWILIOS = [
    "http://sync.twilio.com/v1/x",
    "https://sync.twilio.com.evil.example/v1/x",
    "https://evil.example/sync.twilio.com",
    "https://eviltwilio.com/v1/x",
    "https://twilio.com@evil.example/x",
    "https://x:y@sync.twilio.com/x",
    "https://sync.twilio.com:8443/x",
    "https://evil.example#.twilio.com/",
    "https://evil.example\\.twilio.com/",
    "https://[::1/",
    "//sync.twilio.com/x",
    "",
]


@pytest.mark.parametrize("url", TWILIOS)
def test_twilios_urls_are_called(url: str) -> None:
    assert routed(url, "") == url
    assert routed(url, "http://127.0.0.1:9") == url.replace("https:/", "http://127.0.0.1:9", 1)


@pytest.mark.parametrize("base_url", ["", "http://127.0.0.1:9"])
@pytest.mark.parametrize("url", NOT_TWILIOS)
def test_no_other_url_is(url: str, base_url: str) -> None:
    assert not is_twilios(url)
    with pytest.raises(PermanentError, match="no host of Twilio's, so nothing was sent"):
        routed(url, base_url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "https://evil.example/x", "/v1/x"])
async def test_a_page_that_leads_elsewhere_is_not_followed(peer: Peer, account: Account, url: str) -> None:
    meta = {"key": "documents", "next_page_url": url}
    peer.answers(says(200, {"documents": [DOCUMENT_JSON], "meta": meta}))
    with pytest.raises(ServiceUnavailable, match="the page leads to another host"):
        await account.client.sync.v1.services(SERVICE).documents.list_async()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_no_redirect_is_followed(peer: Peer, account: Account, status: int) -> None:
    import asyncio

    async def leads_away(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": f"{peer.base_url}/elsewhere"})

    peer.answers(leads_away)

    def document(client: Any) -> Any:
        return client.sync.v1.services(SERVICE).documents("x")

    with pytest.raises(ServiceUnavailable):
        await document(account.client).fetch_async()
    plain = plain_client(settings(peer.base_url))
    with pytest.raises(Exception, match=r"Unable to fetch|JSON|Expecting"):
        await asyncio.to_thread(document(plain).fetch)
    await asyncio.to_thread(
        plain.http_client.request, "GET", "https://sync.twilio.com/v1/x", allow_redirects=True
    )
    assert not any("elsewhere" in path for _, path, _ in peer.seen)
