"""GET /flexsms/events: what those get who may (who may: test_access.py), and what without its guard all others get."""

from __future__ import annotations

import builtins
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from flexsms.sources.http import HttpSource
from flexsms.sources.object_storage import ObjectStorageInbox, name_at
from flexsms.web.app import create_app

from .conftest import PATH, event, signed

pytestmark = pytest.mark.anyio

Login = Callable[[str], dict[str, str]]


@pytest.fixture
def arrive(tmp_path: Path) -> Callable[..., str]:
    """A post that arrived some time ago, and waits in a folder."""

    def arrive(*events: Any, ago_s: float = 60, folder: str = "new", raw: bytes | None = None) -> str:
        name = f"{name_at(datetime.now(UTC) - timedelta(seconds=ago_s))}-0.json"
        path = tmp_path / "inbox" / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw if raw is not None else json.dumps(events).encode())
        return name

    return arrive


@pytest.fixture
def pull(api: httpx.AsyncClient, login: Login) -> Callable[..., Any]:
    """A page, for somebody who may."""

    async def pull(**query: Any) -> tuple[list[Any], str | None]:
        response = await api.get(PATH, params=query, headers=login("user"))
        assert response.status_code == 200, response.text
        assert response.headers["cache-control"] == "no-store"
        page = response.json()
        assert list(page) == ["events", "next"]
        return page["events"], page["next"]

    return pull


async def test_events_come_as_they_were_posted_oldest_first(
    pull: Callable[..., Any], arrive: Callable[..., str]
) -> None:
    arrive(event(3), ago_s=30)
    arrive(event(1), event(2), ago_s=50)
    single = arrive(raw=json.dumps(event(4), indent=2).encode(), ago_s=20)
    assert await pull() == ([event(1), event(2), event(3), event(4)], single)


async def test_a_cursor_goes_on_behind_what_was_pulled(
    pull: Callable[..., Any], arrive: Callable[..., str]
) -> None:
    names = [arrive(event(2 * n), event(2 * n + 1), ago_s=500 - n) for n in range(100)]
    pulled, cursor = [], None
    for _ in range(200):
        page, following = await pull(limit=3, **{"after": cursor} if cursor else {})
        if following is None:
            break
        assert len(page) <= 4  # whole posts
        pulled += page
        cursor = following
    assert pulled == [event(n) for n in range(200)]
    assert cursor == names[-1]
    assert await pull(after=cursor) == ([], None)


async def test_a_page_does_not_grow_beyond_measure(
    pull: Callable[..., Any], arrive: Callable[..., str]
) -> None:
    names = [arrive(event(n, padding="x" * 1_000_000), ago_s=100 - n) for n in range(6)]
    page, cursor = await pull()
    assert (len(page), cursor) == (5, names[4])
    assert len((await pull(after=cursor))[0]) == 1


async def test_what_was_read_here_can_still_be_pulled_elsewhere(
    pull: Callable[..., Any], arrive: Callable[..., str], inbox: ObjectStorageInbox
) -> None:
    names = [arrive(event(n), ago_s=100 - n) for n in range(4)]
    await inbox.done(names[0])
    await inbox.done(names[2])
    await inbox.reject(names[3], "one of its events cannot be read")
    assert await pull() == ([event(n) for n in range(4)], names[3])
    assert await pull(after=names[1]) == ([event(2), event(3)], names[3])


async def test_what_moves_while_it_is_pulled_is_not_missed(
    pull: Callable[..., Any],
    arrive: Callable[..., str],
    inbox: ObjectStorageInbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [arrive(event(n), ago_s=100 - n) for n in range(3)]
    kept = ObjectStorageInbox.kept

    async def then_read(one: ObjectStorageInbox, after: str, most: int) -> list[str]:
        keys = await kept(one, after, most)
        for name in names:
            await inbox.done(name)
        return keys

    monkeypatch.setattr(ObjectStorageInbox, "kept", then_read)
    assert await pull() == ([event(n) for n in range(3)], names[-1])


async def test_what_is_may_still_be_joined_by_older_ones_waits(
    pull: Callable[..., Any], arrive: Callable[..., str]
) -> None:
    old = arrive(event(1), ago_s=30)
    arrive(event(2), ago_s=1)
    arrive(event(3), ago_s=-60)
    assert await pull() == ([event(1)], old)


@pytest.mark.parametrize("raw", [b"", b"[{", b"5", b"\xff", b'[{"a":' + b"[" * 99 + b"]" * 99 + b"}]"])
async def test_what_nobody_can_read_is_passed_over(
    raw: bytes, pull: Callable[..., Any], arrive: Callable[..., str]
) -> None:
    arrive(event(1), ago_s=50)
    arrive(raw=raw, ago_s=40)
    last = arrive(event(2), ago_s=30)
    assert await pull() == ([event(1), event(2)], last)


async def test_strange_values_come_through_as_they_are(
    pull: Callable[..., Any], arrive: Callable[..., str], api: httpx.AsyncClient, login: Login
) -> None:
    deep = b'[{"a":' + b"[" * 98 + b"]" * 98 + b"}]"
    arrive(raw=deep, ago_s=40)
    arrive(
        raw='  [ {"ü": 123456789012345678901234567890, "e": 1e400} ] '.encode().replace(b"1e400", b"1e30"),
        ago_s=30,
    )
    arrive(raw=b"[ ]", ago_s=20)
    response = await api.get(PATH, headers=login("user"))
    assert response.status_code == 200
    assert deep[1:-1] in response.content
    assert b"123456789012345678901234567890" in response.content


async def test_a_folder_among_the_posts_is_none(
    pull: Callable[..., Any], arrive: Callable[..., str], tmp_path: Path
) -> None:
    last = arrive(event(1), ago_s=50)
    (tmp_path / "inbox" / "new" / last.replace("-0", "-1")).mkdir()
    (tmp_path / "inbox" / "new" / "x.json").mkdir()
    assert await pull() == ([event(1)], last)


async def test_a_post_that_comes_again_is_pulled_once(
    pull: Callable[..., Any], api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flexsms.web.event_streams.PULL_DELAY", timedelta())
    body = json.dumps([event(1)]).encode()
    assert [(await api.post(content=body, **signed(body))).status_code for _ in range(7)] == [204] * 7
    page, cursor = await pull()
    assert page == [event(1)]
    assert (await api.post(content=body, **signed(body))).status_code == 204
    assert await pull(after=cursor) == ([], None)


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=many", "after=" + "x" * 101])
async def test_a_query_that_makes_no_sense_is_named(query: str, api: httpx.AsyncClient, login: Login) -> None:
    response = await api.get(f"{PATH}?{query}", headers=login("user"))
    assert response.status_code == 422
    assert query.partition("=")[0] in response.text


async def test_without_an_inbox_there_is_nothing_to_pull(
    api: httpx.AsyncClient, login: Login, connection: Callable[..., None]
) -> None:
    connection(inbox_path="")
    assert (await api.get(PATH, headers=login("user"))).status_code == 503


async def test_an_inbox_that_cannot_be_read_is_no_empty_one(
    api: httpx.AsyncClient, login: Login, tmp_path: Path
) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "new").write_text("a file where the folder should be")
    assert (await api.get(PATH, headers=login("user"))).status_code == 503


async def test_without_its_guard_the_app_stays_closed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, connection: Any
) -> None:
    real = builtins.__import__

    def no_guard(name: str, *args: Any, **more: Any) -> Any:
        if name == "airflow.api_fastapi.core_api.security":
            raise ImportError("moved elsewhere")
        return real(name, *args, **more)

    for module in ("access", "channel", "dashboard", "event_streams"):
        monkeypatch.delitem(sys.modules, f"flexsms.web.{module}", raising=False)
    monkeypatch.setattr(builtins, "__import__", no_guard)
    app = create_app()
    monkeypatch.undo()
    assert "stays closed" in caplog.text
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://x") as client:
        for method, path in [
            ("GET", "/events"),
            ("POST", "/events"),
            ("GET", "/docs"),
            ("GET", "/dashboard"),
        ]:
            assert (await client.request(method, path)).status_code == 503
        request = signed(b"[{}]")
        url = request["url"].removeprefix("/flexsms")
        response = await client.post(url, content=b"[{}]", headers=request["headers"])
        assert response.status_code == 503


async def test_another_airflow_pulls_all_that_arrived_here(
    api: httpx.AsyncClient, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source `http` against this endpoint, through pages, with posts of all sizes."""
    monkeypatch.setattr("flexsms.web.event_streams.PULL_DELAY", timedelta())
    monkeypatch.setattr("flexsms.sources.http.EVENTS_PER_PAGE", 7)
    channels = [f"CH{number:032x}" for number in range(60)]
    start = 0
    for size in (1, 5, 20, 3, 30, 1):
        some = channels[start : start + size]
        body = json.dumps([event(channel_sid=channel) for channel in some]).encode()
        assert (await api.post(content=body, **signed(body))).status_code == 204
        start += size
    asked = 0

    class Elsewhere:
        scope = "elsewhere"

        async def fetch(self, after: str | None, limit: int) -> Any:
            nonlocal asked
            asked += 1
            query = {"limit": str(limit), **({"after": after} if after else {})}
            return (await api.get(PATH, params=query, headers=login("user"))).json()

    pages = [page async for page in HttpSource(Elsewhere()).read(None)]
    assert [found.channel_sid for page in pages for found in page.events] == channels
    assert len(pages) == asked == 4
    last = pages[-1].cursor
    assert [page.events async for page in HttpSource(Elsewhere()).read(last)] == [[]]


async def test_half_an_emoji_is_taken_in_and_handed_out(
    api: httpx.AsyncClient, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON allows what a text ends in that was cut in the middle of a character; some parsers do not."""
    monkeypatch.setattr("flexsms.web.event_streams.PULL_DELAY", timedelta())
    body = json.dumps([event(1, text="Hello \ud83d"), event(2)]).encode()
    assert (await api.post(content=body, **signed(body))).status_code == 204
    page = (await api.get(PATH, headers=login("user"))).json()
    assert page["events"] == json.loads(body)
