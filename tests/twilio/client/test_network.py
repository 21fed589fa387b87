"""The way to Twilio: HTTP proxies, a company's own certificates, regions that do not exist."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from flexsms.core import exceptions
from flexsms.twilio.account import Account, connect
from flexsms.twilio.client.network import env_proxy
from flexsms.twilio.client.settings import TwilioSettings
from tests.support.middle import NO_LOGIN, Authority, Middle, between
from tests.support.peer import DOCUMENT, Peer, answers, serving

pytestmark = pytest.mark.anyio

ACCOUNT, SERVICE = "AC" + "1" * 32, "IS" + "2" * 32
HOST = "sync.twilio.com"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the machine that the tests run on."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits before another try; nobody waits in earnest."""
    waits: list[float] = []

    def none(_: object) -> float:
        waits.append(0)
        return 0

    monkeypatch.setattr("flexsms.twilio.client.http_client._backoff", none)
    return waits


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def settings(**extra: Any) -> TwilioSettings:
    return TwilioSettings.from_connection(ACCOUNT, "secret", {"timeout_s": 5, **extra})


async def fetch(account: Account) -> str:
    document = await account.client.sync.v1.services(SERVICE).documents("x").fetch_async()
    return str(document.unique_name)


async def refused(**extra: Any) -> exceptions.TwilioError:
    """What a call that gets no answer of Twilio's ends with."""
    async with connect(settings(**extra)) as account:
        with pytest.raises(exceptions.TwilioError) as caught:
            await fetch(account)
    assert str(caught.value).endswith(".")
    return caught.value


@asynccontextmanager
async def behind_a_proxy(
    monkeypatch: pytest.MonkeyPatch, authority: Authority
) -> AsyncIterator[tuple[Peer, Middle]]:
    """Something that answers as Twilio's Sync, and a proxy that alone leads there."""
    async with AsyncExitStack() as stack:
        peer = await stack.enter_async_context(serving(authority.server(HOST)))
        peer.answers(DOCUMENT)
        middle = await stack.enter_async_context(between(peer.port))
        monkeypatch.setenv("HTTPS_PROXY", middle.url)
        yield peer, middle


SCRIPT = f"""
import asyncio
from flexsms.twilio.account import connect
from flexsms.twilio.client.settings import TwilioSettings

async def main():
    async with connect(TwilioSettings.from_connection("{ACCOUNT}", "secret", {{}})) as account:
        document = await account.client.sync.v1.services("{SERVICE}").documents("x").fetch_async()
        print(document.unique_name)

asyncio.run(main())
"""


@pytest.mark.parametrize("netrc", ["", "default login somebody password else"], ids=["no netrc", "netrc"])
async def test_a_process_behind_a_proxy_that_shows_its_own_certificates(
    monkeypatch: pytest.MonkeyPatch, authority: Authority, tmp_path: Path, netrc: str
) -> None:
    (tmp_path / ".netrc").write_text(netrc)
    async with behind_a_proxy(monkeypatch, authority) as (peer, middle):
        with_login = middle.url.replace("://", "://me:my%20word@")
        changed = {"HTTPS_PROXY": with_login, "SSL_CERT_FILE": str(authority.file), "HOME": str(tmp_path)}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SCRIPT, env={**os.environ, **changed}, stdout=asyncio.subprocess.PIPE
        )
        told, _ = await process.communicate()
        assert told.decode() == "x\n"
        assert [path for _, path, _ in peer.seen] == [f"/v1/Services/{SERVICE}/Documents/x"]
        (head,) = middle.asked
        assert head.startswith(f"CONNECT {HOST}:443 ")
        assert "Proxy-Authorization: Basic bWU6bXkgd29yZA==" in head
        assert "QUMx" not in head, "the proxy got Twilio's login"


async def test_a_certificate_that_nobody_trusts_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, authority: Authority, tries: list[float]
) -> None:
    async with behind_a_proxy(monkeypatch, authority) as (peer, _):
        error = await refused()
        assert peer.seen == []
    assert isinstance(error, exceptions.Unreachable)
    assert f"the certificate of {HOST} is not trusted (" in str(error)
    assert "set SSL_CERT_FILE to a file with your company's CA" in str(error)
    assert tries == []


async def test_so_is_one_without_a_proxy(authority: Authority, tries: list[float]) -> None:
    async with serving(authority.server("127.0.0.1")) as peer:
        error = await refused(base_url=peer.base_url)
    assert isinstance(error, exceptions.Unreachable)
    assert "SSL_CERT_FILE" in str(error)
    assert tries == []


async def test_an_expired_certificate_of_a_known_authority_is_not_about_trust(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusting = ssl.create_default_context(cafile=str(authority.file))
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusting)
    async with serving(authority.server("127.0.0.1", expired=True)) as peer:
        error = await refused(base_url=peer.base_url)
    assert isinstance(error, exceptions.Unreachable)
    assert "is not valid (certificate has expired); check this machine's clock" in str(error)


@pytest.mark.parametrize(
    ("answer", "kind", "sentence", "again"),
    [
        (NO_LOGIN, exceptions.Unreachable, r"HTTP 407; it is the HTTP proxy .* that wants a login", False),
        (
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
            exceptions.Unreachable,
            r"the HTTP proxy does not connect to sync\.twilio\.com \(403\)",
            False,
        ),
        (
            b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
            exceptions.ServiceUnavailable,
            r"the HTTP proxy got no connection to sync\.twilio\.com \(503\)",
            True,
        ),
    ],
    ids=["407", "403", "503"],
)
async def test_a_proxy_that_connects_nobody_is_named(
    monkeypatch: pytest.MonkeyPatch,
    authority: Authority,
    tries: list[float],
    answer: bytes,
    kind: type[exceptions.TwilioError],
    sentence: str,
    again: bool,
) -> None:
    async with behind_a_proxy(monkeypatch, authority) as (peer, middle):
        middle.answer = answer
        async with connect(settings()) as account:
            with pytest.raises(kind, match=sentence):
                await fetch(account)
        assert peer.seen == []
    assert bool(tries) is again


async def test_nothing_was_sent_through_a_proxy_that_refuses(
    monkeypatch: pytest.MonkeyPatch, authority: Authority, tries: list[float]
) -> None:
    """A text is not looked for where it cannot have left."""
    async with behind_a_proxy(monkeypatch, authority) as (_, middle):
        middle.answer = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
        async with connect(settings()) as account:
            messages = account.client.chat.v2.services(SERVICE).channels("CH" + "3" * 32).messages
            with pytest.raises(exceptions.ServiceUnavailable):
                await messages.create_async(body="Hello")
    assert tries


async def test_a_407_of_plain_http_is_the_proxys_as_well(
    monkeypatch: pytest.MonkeyPatch, tries: list[float]
) -> None:
    async with between() as middle:
        middle.answer = NO_LOGIN
        monkeypatch.setenv("HTTP_PROXY", middle.url)
        error = await refused(base_url="http://twilio.example:9999")
        assert middle.asked[0].startswith(f"GET http://twilio.example:9999/{HOST}/v1/Services/")
    assert isinstance(error, exceptions.PermanentError)
    assert "it is the HTTP proxy (environment variable HTTPS_PROXY) that wants a login" in str(error)
    assert tries == []


async def test_a_proxy_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, tries: list[float]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "127.0.0.1:9")  # without http://, as curl takes it
    error = await refused()
    assert isinstance(error, exceptions.ServiceUnavailable)
    assert "no connection to the HTTP proxy 127.0.0.1:9" in str(error)
    assert "check HTTPS_PROXY" in str(error)


async def test_a_proxy_of_another_kind_is_named(monkeypatch: pytest.MonkeyPatch, tries: list[float]) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://me:secret@127.0.0.1:9")
    error = await refused()
    assert isinstance(error, exceptions.Unreachable)
    assert "HTTPS_PROXY: is no HTTP proxy" in str(error)
    assert "secret" not in str(error)
    assert tries == []


async def test_this_machine_is_not_asked_for_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch, peer: Peer
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    peer.answers(answers('{"sid": "ET1", "unique_name": "x", "revision": "0", "data": {}}'))
    async with connect(settings(base_url=peer.base_url)) as account:
        assert await fetch(account) == "x"


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://sync.twilio.com/v1", "http://p:1"),
        ("https://taskrouter.twilio.com/v1", None),
        ("http://sandbox:9999", "http://q:2"),
        ("http://localhost:9999", None),
        ("http://127.0.0.2:9999", None),
        ("http://[::1]:9999", None),
    ],
)
def test_the_environment_says_which_proxy_leads_where(
    monkeypatch: pytest.MonkeyPatch, url: str, proxy: str | None
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://p:1")
    monkeypatch.setenv("HTTP_PROXY", "q:2")
    monkeypatch.setenv("NO_PROXY", "taskrouter.twilio.com")
    assert env_proxy(url) == proxy


@pytest.fixture
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that knows no name."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", unknown)


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        (
            {"edge": "dublin", "region": "ie1"},
            "nobody knows the name sync.dublin.ie1.twilio.com (Name or service not known); Twilio does not serve Sync "
            "in region ie1, or edge dublin and region ie1 do not go together (the regions are us1, ie1 and au1)",
        ),
        ({}, "nobody knows the name sync.twilio.com (Name or service not known); check the network's DNS"),
        ({"base_url": "http://sandbox.example"}, "check base_url"),
    ],
    ids=["region", "no region", "base_url"],
)
async def test_a_host_that_does_not_exist_is_named(
    no_names: None, tries: list[float], extra: dict[str, Any], sentence: str
) -> None:
    error = await refused(**extra)
    assert isinstance(error, exceptions.ServiceUnavailable)
    assert sentence in str(error)
