"""The transport against a server that is not the sandbox: it only speaks the base_url convention."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from flexsms.core import exceptions
from flexsms.twilio.account import Account, connect
from flexsms.twilio.client.settings import TwilioSettings
from tests.support.peer import DOCUMENT, Handler, Peer, dawdles, hangs_up, refuses, says

ACCOUNT, SERVICE, CHANNEL = "AC" + "1" * 32, "IS" + "2" * 32, "CH" + "3" * 32


@pytest.fixture
async def account(peer: Peer) -> AsyncIterator[Account]:
    extra = {"base_url": peer.base_url, "timeout_s": 0.4, "max_in_flight": 4, "chat_service_sid": SERVICE}
    async with connect(TwilioSettings.from_connection(ACCOUNT, "secret", extra)) as connected:
        yield connected


def fetch(account: Account) -> Awaitable[Any]:
    return account.client.sync.v1.services(SERVICE).documents("x").fetch_async()


def post_text(account: Account) -> Awaitable[Any]:
    messages = account.client.chat.v2.services(SERVICE).channels(CHANNEL).messages
    return messages.create_async(body="Hello +14155550101", attributes="{}")


pytestmark = pytest.mark.anyio


async def test_the_original_host_becomes_the_first_path_segment(peer: Peer, account: Account) -> None:
    peer.answers(DOCUMENT)
    await fetch(account)
    assert peer.seen[0][:2] == ("GET", f"/sync.twilio.com/v1/Services/{SERVICE}/Documents/x")
    assert account.transport.calls == {"GET sync.twilio.com/v1/Services/{id}/Documents/{id}": 1}
    assert account.transport.calls_by_host() == {"sync.twilio.com": 1}


@pytest.mark.parametrize(("zone", "hours"), [("GMT", 3), ("-0000", 3), ("+0200", 1)])
async def test_twilios_time_is_that_of_its_newest_answer(
    peer: Peer, account: Account, zone: str, hours: int
) -> None:
    assert account.transport.twilio_now is None
    assert account.skew() == timedelta()
    peer.answers(
        says(
            200,
            {"sid": "ET1", "unique_name": "x", "revision": "0", "data": {}},
            {"Date": f"Sat, 21 Nov 2026 03:00:00 {zone}"},
        )
    )
    await fetch(account)
    account.now = lambda: datetime(2026, 11, 21, 9, tzinfo=UTC)
    assert timedelta(hours=9 - hours) - account.skew() < timedelta(seconds=5)
    assert account.present() <= datetime(2026, 11, 21, hours, 0, 5, tzinfo=UTC)
    # Where Twilio is ahead, ours is the earlier one.
    account.now = lambda: datetime(2026, 11, 20, tzinfo=UTC)
    assert account.present() == account.now()


async def test_absolute_next_page_urls_are_routed_too(peer: Peer, account: Account) -> None:
    base = f"https://sync.twilio.com/v1/Services/{SERVICE}/Documents"
    meta = {
        "key": "documents",
        "page": 0,
        "page_size": 1,
        "next_page_url": f"{base}?PageSize=1&PageToken=a%2Bb",
    }
    document = {"revision": "0", "data": {}}
    peer.answers(
        says(200, {"documents": [{**document, "unique_name": "one"}], "meta": meta}),
        says(
            200,
            {
                "documents": [{**document, "unique_name": "two"}],
                "meta": {**meta, "next_page_url": None},
            },
        ),
    )
    names = [
        d.unique_name
        for d in await account.client.sync.v1.services(SERVICE).documents.list_async(page_size=1)
    ]
    assert names == ["one", "two"]
    assert peer.seen[1][1].endswith("/Documents?PageSize=1&PageToken=a%2Bb")


async def test_repeated_fields_arrive_as_such(peer: Peer, account: Account) -> None:
    peer.answers(says(201, {"sid": "KC" + "1" * 32, "unique_name": "x", "status": "open"}))
    sessions = account.client.proxy.v1.services("KS" + "1" * 32).sessions
    await sessions.create_async(unique_name="x", participants=[{"Identifier": "+1"}, {"Identifier": "CH"}])
    form = peer.seen[0][2]
    assert form.getall("Participants") == ['{"Identifier": "+1"}', '{"Identifier": "CH"}']
    assert form["UniqueName"] == "x"


@pytest.mark.parametrize("code", [20429, 45780, 54009])
async def test_too_many_requests_are_repeated_whatever_the_method(
    peer: Peer, account: Account, code: int
) -> None:
    peer.answers(refuses(429, code), says(201, {"sid": "IM" + "1" * 32}))
    assert (await post_text(account)).sid == "IM" + "1" * 32
    assert len(peer.seen) == 2
    assert account.transport.throttled == 1


class Waits:
    """Keeps what a call waited for."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float]] = []

    def answered(self, host: str, status: int) -> None:
        """Not wanted."""

    def throttled(self, host: str, seconds: float) -> None:
        self.told.append((host, seconds))


@pytest.mark.parametrize(("limits", "hosts"), [("off", []), ({"sync.twilio.com": 5}, ["sync.twilio.com"])])
async def test_only_a_wait_for_twilios_limits_is_told(peer: Peer, limits: Any, hosts: list[str]) -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.05)
        return await DOCUMENT(request)

    peer.answers(slow)
    waits = Waits()
    extra = {"base_url": peer.base_url, "max_in_flight": 1, "rate_limits": limits}
    settings = TwilioSettings.from_connection(ACCOUNT, "secret", extra)
    async with connect(settings, observer=waits) as account:
        await asyncio.gather(*(fetch(account) for _ in range(3)))
    assert peer.most_at_once == 1
    assert list(dict.fromkeys(host for host, _ in waits.told)) == hosts


async def test_retry_after_is_honoured(peer: Peer, account: Account) -> None:
    peer.answers(refuses(429, 20429, headers={"Retry-After": "0.6"}), DOCUMENT)
    began = asyncio.get_running_loop().time()
    await fetch(account)
    assert asyncio.get_running_loop().time() - began >= 0.6


@pytest.mark.parametrize("fault", [refuses(503, 20500), hangs_up, dawdles])
async def test_a_read_is_repeated_when_its_answer_is_lost(
    peer: Peer, account: Account, fault: Handler
) -> None:
    peer.answers(fault, DOCUMENT)
    await fetch(account)
    assert [method for method, _, _ in peer.seen] == ["GET", "GET"]


@pytest.mark.parametrize("fault", [refuses(503, 20500), hangs_up, dawdles])
async def test_a_text_is_never_repeated_when_its_answer_is_lost(
    peer: Peer, account: Account, fault: Handler
) -> None:
    peer.answers(fault)
    with pytest.raises(exceptions.OutcomeUnknown) as caught:
        await post_text(account)
    assert len(peer.seen) == 1
    assert "4155550101" not in str(caught.value)


async def test_without_a_connection_nothing_was_sent(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 2)
    settings = TwilioSettings.from_connection(ACCOUNT, "secret", {"base_url": "http://127.0.0.1:9"})
    async with connect(settings) as account:
        with pytest.raises(exceptions.ServiceUnavailable, match=r"no connection .*base_url"):
            await post_text(account)
    assert peer.seen == []


async def test_giving_up_after_a_while_keeps_the_reason(
    peer: Peer, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 3)
    peer.answers(refuses(503, 20500, "Down"))
    with pytest.raises(exceptions.ServiceUnavailable, match=r"Down \(20500\)") as caught:
        await fetch(account)
    assert (caught.value.status, caught.value.code, len(peer.seen)) == (503, 20500, 3)


async def test_no_more_requests_at_once_than_were_asked_for(peer: Peer, account: Account) -> None:
    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(0.05)
        return web.json_response({"sid": "ET" + "1" * 32, "unique_name": "x", "revision": "0", "data": {}})

    peer.answers(slow)
    await asyncio.gather(*(fetch(account) for _ in range(12)))
    assert peer.most_at_once == 4
    assert account.transport.total_calls == 12


@pytest.mark.parametrize(
    ("answer", "kind", "says_what"),
    [
        (
            refuses(401, 20003, "Authenticate"),
            exceptions.NotAuthorized,
            r"Authenticate \(20003\); check login and password",
        ),
        (refuses(403, 403, "Forbidden"), exceptions.NotAuthorized, r"give the API key the permission"),
        (refuses(404, 20404, "Not here"), exceptions.NotFound, r"Not here \(20404\); check the SID"),
        (
            refuses(400, 21211, "Bad 'To' +14155550101"),
            exceptions.TwilioRefused,
            r"Bad 'To' …0101 \(21211\); give to_number",
        ),
        (says(410, {}), exceptions.ProductGone, r"HTTP 410 \(410\); Twilio no longer serves this endpoint"),
        (
            says(409, {"type": "x", "title": "Conflict", "status": 409, "code": 54301, "detail": "Taken"}),
            exceptions.AlreadyExists,
            r"Taken \(54301\)",
        ),
        (
            refuses(400, 20001, "No such 'To'"),
            exceptions.TwilioRefused,
            r"No such 'To' \(20001\)\.$",
        ),
    ],
)
async def test_every_refusal_is_one_sentence(
    peer: Peer, account: Account, answer: Handler, kind: type[exceptions.TwilioError], says_what: str
) -> None:
    peer.answers(answer)
    with pytest.raises(kind, match=says_what):
        await fetch(account)


async def test_a_page_of_a_list_fails_like_everything_else(peer: Peer, account: Account) -> None:
    peer.answers(refuses(401, 20003, "Authenticate"))
    with pytest.raises(exceptions.NotAuthorized):
        await account.client.sync.v1.services(SERVICE).documents.list_async()


async def test_the_transport_is_a_context_manager(account: Account) -> None:
    await account.transport.__aexit__(None, None, None)
    with pytest.raises(RuntimeError, match="context manager"):
        await fetch(account)


async def test_the_environment_of_the_process_has_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_REGION", "ie1")
    async with connect(TwilioSettings.from_connection(ACCOUNT, "secret", {})) as account:
        assert account.client.get_hostname("https://sync.twilio.com/v1") == "https://sync.twilio.com/v1"


async def test_edge_and_region_go_into_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWILIO_REGION", raising=False)
    extra = {"edge": "dublin", "region": "ie1"}
    async with connect(TwilioSettings.from_connection(ACCOUNT, "secret", extra)) as account:
        assert account.client.get_hostname("https://sync.twilio.com/v1").startswith(
            "https://sync.dublin.ie1."
        )


@pytest.mark.parametrize(
    "odd",
    [
        lambda: web.Response(
            status=502, body="Zwischenfall Nr. 1: gestört".encode("latin-1"), content_type="text/html"
        ),
        lambda: web.Response(text="<html>Please log in</html>", content_type="text/html"),
    ],
    ids=["no UTF-8", "no JSON"],
)
async def test_what_stands_in_between_may_answer_oddly(
    peer: Peer, account: Account, odd: Callable[[], web.Response]
) -> None:
    async def answers(_: web.Request) -> web.Response:
        return odd()

    peer.answers(answers, DOCUMENT)
    assert (await fetch(account)).unique_name == "x"
    peer.answers(answers)
    with pytest.raises(exceptions.OutcomeUnknown):
        await post_text(account)
