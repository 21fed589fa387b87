"""Whatever comes in, even what no server would let through, Airflow's API server answers it, and never with a 500.

What the routes themselves say they take is for `test_schemathesis.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from .conftest import KEY, PUBLIC, event

pytestmark = pytest.mark.anyio

FUZZ = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
EXPECTED = {200, 204, 400, 401, 403, 404, 405, 413, 422}

METHODS = st.sampled_from(["GET", "POST", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"])
PATHS = st.sampled_from(
    ["/events", "/events", "/events", "/events/", "/docs", "/openapi.json", "/"]
) | st.text(max_size=20).map(lambda text: f"/{text}")
QUERIES = st.binary(max_size=60) | st.sampled_from(
    [
        b"bodySHA256",
        b"bodySHA256=%ff",
        b"bodySHA256=\xe9",
        b"after=%00&limit=1",
        b"limit=1e3",
        b"after=a&after=b",
    ]
)
VALUES = st.binary(max_size=60)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            b"x-twilio-signature",
            b"x-twilio-webhooks-signature-settings",
            b"content-length",
            b"content-type",
            b"content-encoding",
            b"transfer-encoding",
            b"host",
            b"authorization",
            b"cookie",
            b"origin",
        ]
    ),
    VALUES
    | VALUES.map(b"Bearer ".__add__)
    | st.sampled_from(
        [
            b"Bearer x",
            b"Bearer ",
            b"Basic eDp5",
            b"_token=x",
            b"-1",
            b"9" * 30,
            b"\xb2",
            b"[::1",
            b"a:99999999",
        ]
    ),
)
BODIES = (
    st.lists(st.binary(max_size=100), max_size=4)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    ).map(lambda value: [json.dumps(value).encode()])
    | st.just([json.dumps([event()]).encode()])
    | st.just([b"[" * 5000, b"]" * 5000])
    | st.just([b"[" * 700, b"]" * 700])
)


async def call(
    app: Any, method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]], chunks: list[bytes]
) -> tuple[int, bytes]:
    """Ask the app as a server would that lets everything pass."""
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages += [{"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0) if len(messages) > 1 else messages[0]

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": f"/flexsms{path}",
        "raw_path": f"/flexsms{path}".encode("utf-8", "surrogatepass"),
        "root_path": "",
        "query_string": query,
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("inside", 8080),
        "state": {},
    }
    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], body


@FUZZ
@given(method=METHODS, path=PATHS, query=QUERIES, headers=HEADERS, chunks=BODIES)
@example("POST", "/events", b"bodySHA256=a", {b"x-twilio-signature": b"a", b"host": b"[::1"}, [b"[]"])
async def test_strangers_get_nowhere(
    server: Any,
    connection: Callable[..., None],
    method: str,
    path: str,
    query: bytes,
    headers: dict[bytes, bytes],
    chunks: list[bytes],
) -> None:
    assume(not path.startswith("//"))
    status, _ = await call(server, method, path, query, list(headers.items()), chunks)
    assert status in EXPECTED - {200, 204}


@FUZZ
@given(chunks=BODIES, headers=HEADERS, times=st.integers(1, 3))
async def test_what_twilio_signs_is_taken_in_or_named_and_can_be_pulled(
    server: Any,
    connection: Any,
    login: Callable[[str], dict[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    chunks: list[bytes],
    headers: dict[bytes, bytes],
    times: int,
) -> None:
    body = b"".join(chunks)
    query = b"&".join([b"bodySHA256=" + hashlib.sha256(body).hexdigest().encode()] * times)
    signature = RequestValidator(KEY).compute_signature(f"{PUBLIC}?{query.decode('latin-1')}", {})
    headers = {
        name: value
        for name, value in headers.items()
        if name not in (b"x-twilio-signature", b"x-twilio-webhooks-signature-settings", b"content-length")
    }
    status, _ = await call(
        server,
        "POST",
        "/events",
        query,
        [*headers.items(), (b"x-twilio-signature", signature.encode())],
        chunks,
    )
    assert status in {204, 400}
    from flexsms.web import event_streams

    monkeypatch.setattr(event_streams, "PULL_DELAY", event_streams.PULL_DELAY * 0)
    token = [(b"authorization", login("user")["authorization"].encode())]
    status, page = await call(server, "GET", "/events", b"", token, [])
    assert status == 200
    assert page.startswith(b'{"events":[')
    for path in tmp_path.glob("inbox/*/*"):
        path.unlink()


@FUZZ
@given(query=QUERIES | st.text(max_size=20).map(lambda text: f"after={text}".encode("utf-8", "replace")))
async def test_whoever_may_pull_can_ask_anything(
    server: Any, connection: Any, login: Callable[[str], dict[str, str]], query: bytes
) -> None:
    token = [(b"authorization", login("user")["authorization"].encode())]
    status, _ = await call(server, "GET", "/events", query, token, [])
    assert status in {200, 422}
