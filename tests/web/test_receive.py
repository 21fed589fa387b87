"""POST /flexsms/events in Airflow's API server: what is taken in of what Twilio signed (who signed: test_access.py)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from flexsms.hooks.inbox import ObjectStorageInbox
from flexsms.hooks.twilio import TwilioHook
from flexsms.web import desk, events
from flexsms.web.desk import Desk

from .conftest import KEY, event, signed

pytestmark = pytest.mark.anyio

BODY = json.dumps([event()]).encode()
MIB = 1024 * 1024


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
    "body", [b"", b"no", b"[", b'{"a": NaN}', b"5", b'"text"', b"null", b"\xff", b"[" * 100_000, b'"\\ud800"']
)
async def test_what_is_not_json_of_events_is_named(
    body: bytes, api: httpx.AsyncClient, inbox: ObjectStorageInbox
) -> None:
    response = await api.post(content=body, **signed(body))
    assert response.status_code == 400
    assert response.json()["detail"].startswith("body: is n")
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


async def test_a_store_that_hangs_makes_twilio_post_again_in_time(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_: ObjectStorageInbox, body: bytes) -> str:
        await asyncio.sleep(60)
        return ""

    assert events.STORE_WITHIN_S <= 4
    monkeypatch.setattr(events, "STORE_WITHIN_S", 0.2)
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
        monkeypatch.setattr(desk, "MISSING_AGE_S", 0)
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

    async def test_without_an_events_url_the_request_says_what_was_called(
        self, api: httpx.AsyncClient, connection: Callable[..., None]
    ) -> None:
        connection(events_url="")
        assert await send(api, url="http://inside:8080/flexsms/events") == 204
        assert await send(api) == 403

    @pytest.mark.parametrize("host", ["", "a:99999999", "[::1", "a:b"])
    async def test_a_host_that_is_none_is_refused(
        self, host: str, api: httpx.AsyncClient, connection: Callable[..., None]
    ) -> None:
        connection(events_url="")
        request = signed(BODY)
        request["headers"] = [*request["headers"].items(), (b"host", host.encode("latin-1", "replace"))]
        assert (await api.post(content=BODY, **request)).status_code == 403

    async def test_a_new_key_counts_at_once(
        self, api: httpx.AsyncClient, connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(events, "MIN_AGE_S", 0)
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
