"""POST /flexsms/events in Airflow's API server: what is taken in of what Twilio signed (who signed: test_access.py)."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import shutil
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import HTTPException, Request

from flexsms.hooks.twilio import TwilioHook
from flexsms.sources import stores
from flexsms.sources.object_storage import AT_ONCE, ObjectStorageInbox
from flexsms.telemetry import Metric
from flexsms.web import connection_cache, event_streams, request_body
from flexsms.web.connection_cache import Desk
from tests.conftest import ROOT
from tests.support.statsd import statsd

from .conftest import KEY, PATH, PUBLIC, event, signed

pytestmark = pytest.mark.anyio

BODY = json.dumps([event()]).encode()
MIB = 1024 * 1024
DEEP = b"[" * 101 + b"]" * 101


async def send(api: httpx.AsyncClient, body: bytes = BODY, **signing: Any) -> int:
    return (await api.post(content=body, **signed(body, **signing))).status_code


async def stored(inbox: ObjectStorageInbox) -> list[bytes | None]:
    return [await inbox.read(name) for name in await inbox.names()]


@pytest.mark.parametrize(
    "body",
    [BODY, json.dumps(event()).encode(), json.dumps([event(n) for n in range(50)], indent=1).encode(), b"{}"],
    ids=["array of one", "single object", "array", "whatever object"],
)
async def test_what_twilio_signed_is_kept_as_it_came(
    body: bytes, api: httpx.AsyncClient, inbox: ObjectStorageInbox
) -> None:
    response = await api.post(content=body, **signed(body))
    assert (response.status_code, response.content) == (204, b"")
    assert await stored(inbox) == [body]


async def test_a_key_that_is_shared_signs_with_sha256(
    api: httpx.AsyncClient, inbox: ObjectStorageInbox
) -> None:
    request = signed(BODY, algorithm="HMAC_SHA256")
    assert (await api.post(content=BODY, **request)).status_code == 403
    request["headers"]["x-twilio-webhooks-signature-settings"] = "key=one,algorithm=HMAC_SHA256"
    assert (await api.post(content=BODY, **request)).status_code == 204
    assert len(await inbox.names()) == 1


async def test_an_empty_post_is_not_worth_keeping(api: httpx.AsyncClient, inbox: ObjectStorageInbox) -> None:
    assert await send(api, b"[]") == 204
    assert await inbox.names() == []


def message(body: str, number: str = "+14155550199") -> dict[str, Any]:
    """What Event Streams tells of a customer's text."""
    data = {
        "messageSid": "SM" + "3" * 32,
        "timestamp": "2026-11-18T16:42:07.105Z",
        "accountSid": "AC" + "0" * 32,
        "from": number,
        "to": "+14155550100",
        "body": body,
    }
    return event(7, type="com.twilio.messaging.inbound-message.received", data=data)


@pytest.mark.parametrize(
    "events", [[message("Call me at +14155550123")], [message("Hi"), message("Ada here")]]
)
async def test_what_customers_write_is_dropped_at_the_door(
    events: list[Any], api: httpx.AsyncClient, inbox: ObjectStorageInbox
) -> None:
    assert await send(api, json.dumps(events).encode()) == 204
    assert await inbox.names() == []


@pytest.mark.parametrize(("word", "out"), [("STOP", True), (" start ", False)])
async def test_of_who_opts_out_or_in_neither_number_nor_text_is_kept(
    word: str, out: bool, api: httpx.AsyncClient, inbox: ObjectStorageInbox
) -> None:
    assert await send(api, json.dumps([event(), message(word), message("Hello")]).encode()) == 204
    [post] = await stored(inbox)
    assert post is not None
    task, kept = json.loads(post)
    assert task == event()
    assert kept["data"] == {
        "messageSid": "SM" + "3" * 32,
        "accountSid": "AC" + "0" * 32,
        "timestamp": "2026-11-18T16:42:07.105Z",
        "optsOut": out,
    }
    assert b"1415555" not in post
    assert word.strip().encode() not in post


async def test_a_word_that_cannot_be_read_is_dropped_and_named(
    api: httpx.AsyncClient, inbox: ObjectStorageInbox, caplog: pytest.LogCaptureFixture
) -> None:
    broken = message("STOP")
    del broken["data"]["messageSid"]
    assert await send(api, json.dumps(broken).encode()) == 204
    assert await inbox.names() == []
    assert "A customer's message cannot be read and is dropped: data.messageSid" in caplog.text
    assert "1415555" not in caplog.text


@pytest.mark.parametrize("settings", ["key=one,algorithm=ROT13", "algorithm=" + "x" * 5000])
async def test_an_unknown_algorithm_is_refused_without_a_stranger_writing_the_log(
    settings: str, api: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    request = signed(BODY)
    request["headers"]["x-twilio-webhooks-signature-settings"] = settings
    assert (await api.post(content=BODY, **request)).status_code == 403
    assert settings[-10:] not in caplog.text


async def test_nothing_of_a_strangers_body_is_read(api: httpx.AsyncClient) -> None:
    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("a stranger's body was read")
        yield b""

    request = signed(BODY, key=KEY[::-1])
    assert (await api.post(content=body(), **request)).status_code == 403


@pytest.mark.parametrize(
    "body",
    [b"", b"no", b"[", b'{"a": NaN}', b"5", b'"text"', b"null", b"\xff", b"[" * 100_000, b'"\\ud800"', DEEP],
)
async def test_what_is_not_json_of_events_is_named(
    body: bytes, api: httpx.AsyncClient, inbox: ObjectStorageInbox
) -> None:
    response = await api.post(content=body, **signed(body))
    assert response.status_code == 400
    assert response.json()["detail"].startswith("body: is ne" if body == DEEP else "body: is n")
    assert await inbox.names() == []


@pytest.mark.parametrize("extra", [0, 1])
async def test_one_mebibyte_is_the_limit(
    extra: int, api: httpx.AsyncClient, inbox: ObjectStorageInbox
) -> None:
    body = b'["' + b"1" * (MIB - 4 + extra) + b'"]'
    assert await send(api, body) == (413 if extra else 204)
    assert len(await inbox.names()) == (0 if extra else 1)


async def test_a_body_without_an_announced_length_ends_at_the_limit_too(api: httpx.AsyncClient) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65536
            yield b"1" * 65536

    response = await api.post(content=body(), **signed(BODY))
    assert response.status_code == 413
    assert sent <= MIB + 2 * 65536


async def test_what_does_not_fit_is_not_read_at_all(api: httpx.AsyncClient) -> None:
    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("it was read")
        yield b""

    request = signed(BODY)
    request["headers"]["content-length"] = str(MIB + 1)
    assert (await api.post(content=body(), **request)).status_code == 413


async def test_a_store_that_fails_makes_twilio_post_again(
    api: httpx.AsyncClient, inbox: ObjectStorageInbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "inbox").write_text("a file where the folder should be")
    assert await send(api) == 503
    assert "could not be stored" in caplog.text
    assert KEY not in caplog.text
    # Nor does a post without events look as if all were well.
    assert await send(api, b"[]") == 503
    (tmp_path / "inbox").unlink()
    assert await send(api, b"[]") == 204
    assert await send(api) == 204
    assert await stored(inbox) == [BODY]


async def test_what_a_store_says_of_itself_is_told_nobody(
    api: httpx.AsyncClient,
    login: Callable[[str], dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    """Its address may hold a secret, and so may what its errors quote."""

    def fail(*_: object) -> None:
        raise ConnectionError("no answer from https://user:hunter2@store.example.com/inbox?sig=hunter2")

    for name in ("write", "files"):
        monkeypatch.setattr(stores.Folder, name, fail)
    assert [await send(api), await send(api, b"[]")] == [503, 503]
    assert (await api.get(PATH, headers=login("user"))).status_code == 503
    said = [one for one in caplog.records if one.name.startswith("flexsms")]
    assert [one.getMessage().rpartition(": ")[2] for one in said] == ["ConnectionError"] * 3
    assert "hunter2" not in caplog.text
    assert str(tmp_path) not in "".join(one.getMessage() for one in said)


async def test_a_store_that_hangs_makes_twilio_post_again_in_time(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_: ObjectStorageInbox, body: bytes) -> str:
        await asyncio.sleep(60)
        return ""

    assert event_streams.STORE_WITHIN_S <= 4
    monkeypatch.setattr(event_streams, "STORE_WITHIN_S", 0.2)
    monkeypatch.setattr(ObjectStorageInbox, "put", hang)
    began = time.monotonic()
    assert await send(api) == 503
    assert time.monotonic() - began < 30


async def test_two_hundred_at_once_are_two_hundred_files(
    api: httpx.AsyncClient, inbox: ObjectStorageInbox
) -> None:
    bodies = [json.dumps([event(n)]).encode() for n in range(200)]
    assert await asyncio.gather(*(send(api, body) for body in bodies)) == [204] * 200
    assert sorted(filter(None, await stored(inbox))) == sorted(bodies)


class TestSettings:
    """The Airflow connection, which may change under way."""

    @pytest.mark.parametrize("extra", [{"inbox_path": ""}, {"timeout_s": "soon"}])
    async def test_without_an_inbox_twilio_keeps_its_posts(
        self, extra: dict[str, Any], api: httpx.AsyncClient, connection: Callable[..., None]
    ) -> None:
        connection(**extra)
        assert await send(api) == 503

    async def test_without_a_connection_as_well(
        self, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AIRFLOW_CONN_TWILIO_DEFAULT")
        assert await send(api) == 503

    async def test_a_look_that_fails_is_no_500_and_soon_repeated(
        self, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*_: object) -> None:
            raise RuntimeError("the secrets backend is away")

        with monkeypatch.context() as away:
            away.setattr(TwilioHook, "get_connection", fail)
            assert await send(api) == 503
        assert "cannot be looked up" in caplog.text
        monkeypatch.setattr(connection_cache, "MISSING_AGE_S", 0)
        assert await send(api) == 204

    async def test_an_api_keys_secret_signs_nothing(
        self, api: httpx.AsyncClient, connection: Callable[..., None], caplog: pytest.LogCaptureFixture
    ) -> None:
        connection(login="SK" + "0" * 32)
        assert await send(api) == 503
        assert "Connection field auth_token: is empty; give the account's Auth Token" in caplog.text

    async def test_the_auth_token_outranks_the_password(
        self, api: httpx.AsyncClient, connection: Callable[..., None]
    ) -> None:
        connection(auth_token=KEY[::-1])
        assert await send(api) == 403
        assert await send(api, key=KEY[::-1]) == 204

    async def test_without_an_events_url_nothing_is_taken_in(
        self, api: httpx.AsyncClient, connection: Callable[..., None], caplog: pytest.LogCaptureFixture
    ) -> None:
        """The host that a request names is no part of what Twilio is known to call: whoever sends it names it."""
        connection(events_url="")
        own_url = "http://inside:8080/flexsms/events"
        assert [await send(api), await send(api, url=own_url), await send(api, b"[]", url=own_url)] == [
            503
        ] * 3
        said = [line for line in caplog.messages if "Nothing is taken in" in line]
        assert said == [
            "Nothing is taken in under /flexsms/events: Connection field events_url: is empty; give https://<your "
            "Airflow>/flexsms/events as Twilio calls it; flexsms setup --events-url … --write stores it."
        ]

    @pytest.mark.parametrize("host", ["", "a:99999999", "[::1", "a:b", "evil.example"])
    async def test_a_host_header_says_nothing(self, host: str, api: httpx.AsyncClient) -> None:
        for url, status in ((f"http://{host}/flexsms/events", 403), (PUBLIC, 204)):
            request = signed(BODY, url=url)
            request["headers"] = [*request["headers"].items(), (b"host", host.encode())]
            assert (await api.post(content=BODY, **request)).status_code == status

    async def test_a_new_key_counts_at_once(
        self, api: httpx.AsyncClient, connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(event_streams, "MIN_AGE_S", 0)
        assert await send(api) == 204
        connection(auth_token="f" * 32)
        assert await send(api, key="f" * 32) == 204
        assert await send(api) == 403

    async def test_the_connection_is_looked_up_now_and_then_only(
        self, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks = 0
        look = Desk._look

        def counted(one: Desk) -> Any:
            nonlocal looks
            looks += 1
            return look(one)

        monkeypatch.setattr(Desk, "_look", counted)
        assert [await send(api) for _ in range(20)] == [204] * 20
        assert looks == 1
        # A stranger cannot make it be looked up more often than once a second.
        assert [await send(api, key="0" * 32) for _ in range(20)] == [403] * 20
        assert looks <= 2

    async def test_another_connection_can_be_named(
        self, api: httpx.AsyncClient, connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__FLEXSMS__TWILIO_CONN_ID", "other")
        connection(conn_id="other", auth_token="e" * 32)
        assert await send(api, key="e" * 32) == 204
        assert await send(api) == 403


class TestMemory:
    """What a store that hangs costs the API server, which is Airflow's: counted in bytes, not in seconds."""

    @pytest.fixture
    def gate(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
        """Until it is set, nothing is written."""
        gate, write = threading.Event(), stores.Folder.write

        def hang(*args: Any) -> None:
            assert gate.wait(120)
            write(*args)

        monkeypatch.setattr(stores.Folder, "write", hang)
        monkeypatch.setattr(event_streams, "STORE_WITHIN_S", 0.3)
        yield gate
        gate.set()

    async def test_a_store_that_hangs_takes_no_more_than_its_threads(
        self, api: httpx.AsyncClient, gate: threading.Event
    ) -> None:
        async def post(number: int) -> int:
            return await send(api, b'["%d%b"]' % (number, b"1" * (MIB - 20)))

        assert await send(api, b"[]") == 503  # what is loaded with the first one is not counted
        answers = []
        gc.collect()
        tracemalloc.start()
        try:
            for begin in range(0, 150, 50):
                answers += await asyncio.gather(*(post(number) for number in range(begin, begin + 50)))
            gc.collect()
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert set(answers) == {503}
        assert held < (AT_ONCE + 5) * MIB

    async def test_nor_does_it_while_nobody_collects_garbage(
        self, inbox: ObjectStorageInbox, gate: threading.Event
    ) -> None:
        async def post(number: int) -> None:
            with pytest.raises(HTTPException):
                await event_streams._store(inbox, b"%d%b" % (number, b"1" * MIB))

        await post(0)
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            for begin in range(1, 150, 50):
                await asyncio.gather(*(post(number) for number in range(begin, begin + 50)))
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            gc.enable()
        assert held < (AT_ONCE + 5) * MIB

    async def test_once_no_thread_is_left_nothing_is_read_any_more(
        self,
        api: httpx.AsyncClient,
        inbox: ObjectStorageInbox,
        gate: threading.Event,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        async def body() -> AsyncIterator[bytes]:
            raise AssertionError("it was read")
            yield b""

        monkeypatch.setattr("flexsms.sources.object_storage.WRITTEN_WITHIN", timedelta(hours=1))
        posts = [json.dumps([event(number)]).encode() for number in range(2, AT_ONCE + 2)]
        assert await asyncio.gather(*(send(api, post) for post in posts)) == [503] * AT_ONCE
        assert (await api.post(content=body(), **signed(BODY))).status_code == 503
        gate.set()
        monkeypatch.setattr(event_streams, "STORE_WITHIN_S", 30)
        async with asyncio.timeout(60):
            while await send(api) != 204:  # noqa: ASYNC110  # a thread tells nobody
                await asyncio.sleep(0.01)
        # What came while nobody could be told that it was kept is kept, and once.
        assert await asyncio.gather(*(send(api, post) for post in posts)) == [204] * AT_ONCE
        assert len(await inbox.names()) == AT_ONCE + 1

    async def test_who_reads_does_not_keep_twilios_posts_out(
        self,
        api: httpx.AsyncClient,
        monkeypatch: pytest.MonkeyPatch,
        login: Callable[[str], dict[str, str]],
    ) -> None:
        gate = threading.Event()
        monkeypatch.setattr(stores.Folder, "files", lambda *_: gate.wait(120))
        monkeypatch.setattr(event_streams, "PULL_WITHIN_S", 0.2)
        try:
            async with asyncio.timeout(60):
                pulls = (api.get(PATH, headers=login("user")) for _ in range(2 * AT_ONCE))
                assert {answer.status_code for answer in await asyncio.gather(*pulls)} == {503}
                assert await send(api) == 204
        finally:
            gate.set()

    async def test_a_body_that_does_not_come_takes_no_room(
        self, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        left = event_streams.room._left

        async def body() -> AsyncIterator[bytes]:
            yield BODY[:5]
            await asyncio.sleep(3600)

        monkeypatch.setattr(request_body, "READ_WITHIN_S", 0.1)
        monkeypatch.setattr(event_streams.room, "_left", request_body.MAX_BODY)
        async with asyncio.timeout(60):
            answer = await api.post(content=body(), **signed(BODY))
            assert (answer.status_code, answer.headers["connection"]) == (503, "close")
            assert await send(api) == 204
        assert left == request_body.MAX_HELD

    async def test_more_than_there_is_room_for_is_refused_unread(
        self, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def body() -> AsyncIterator[bytes]:
            raise AssertionError("it was read")
            yield b""

        monkeypatch.setattr(event_streams.room, "_left", len(BODY))
        # Without a length it may become as long as is allowed.
        assert (await api.post(content=body(), **signed(BODY))).status_code == 503
        assert await send(api) == 204


async def test_each_refused_post_counts_once_by_its_reason(
    api: httpx.AsyncClient, connection: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stalls(_: object) -> AsyncIterator[bytes]:
        await asyncio.sleep(60)
        yield b""

    with statsd() as metrics:
        assert await send(api) == 204
        assert await send(api, key="f" * 32) == 403
        assert (await api.post(PATH, content=BODY)).status_code == 403
        assert (await api.post(content=b"[2]", **signed(BODY))).status_code == 403
        assert await send(api, b"1") == 400
        assert await send(api, b"1" * (MIB + 1)) == 413
        with monkeypatch.context() as patch:
            patch.setattr(event_streams, "room", request_body.Room(0))
            assert await send(api) == 503
        with monkeypatch.context() as patch:
            patch.setattr(request_body, "READ_WITHIN_S", 0.05)
            patch.setattr(Request, "stream", stalls)
            assert await send(api) == 503
        shutil.rmtree(tmp_path / "inbox")
        (tmp_path / "inbox").write_text("a file where the folder should be")
        assert await send(api) == 503
        connection(inbox_path="")
        monkeypatch.setattr(event_streams, "desk", Desk())
        assert await send(api) == 503
        found = Counter(tags["reason"] for _, tags in metrics.of(Metric.INBOX_REFUSED))
    assert found == {
        "signature": 3,
        "unreadable": 1,
        "too_large": 1,
        "busy": 1,
        "incomplete": 1,
        "not_stored": 1,
        "no_inbox": 1,
    }
    section = (
        (ROOT / "docs" / "monitoring.md").read_text().partition("### Refused posts")[2].partition("\n###")[0]
    )
    assert set(re.findall(r"^\| `(\w+)` ", section, re.MULTILINE)) == found.keys()
