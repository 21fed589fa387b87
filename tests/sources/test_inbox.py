"""Reading an inbox: nothing is put away before it is stored, and one bad event does not take others with it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexsms.core.channel_state import ChannelState
from flexsms.core.cloud_events import from_cloud_event
from flexsms.core.event_source import NAMED_REJECTS, EventPage
from flexsms.core.exceptions import FlexSmsError, InvalidInput, ServiceUnavailable, UnreadableState
from flexsms.core.task_events import Ignored, TaskEvent
from flexsms.sources import inbox as module
from flexsms.sources.inbox import InboxSource
from flexsms.twilio.account import Account
from flexsms.twilio.tracking.parked_states import ParkedStates
from flexsms.twilio.tracking.tracker import TrackReport, track
from tests.support.kept import Kept

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio

BEGAN = datetime(2024, 11, 18, 16, tzinfo=UTC)


class Shelf:
    """An inbox in memory."""

    url = "memory://shelf"

    def __init__(self, *posts: Any) -> None:
        self.new: dict[str, bytes] = {}
        self.read_posts: dict[str, bytes] = {}
        self.reasons: dict[str, str] = {}
        self.tidied = 0
        for post in posts:
            self.arrive(post)

    def arrive(self, post: Any) -> None:
        body = post if isinstance(post, bytes) else json.dumps(post).encode()
        self.new[f"{len(self.new) + len(self.read_posts):06d}.json"] = body

    async def names(self) -> list[str]:
        return sorted(self.new)

    async def read(self, name: str) -> bytes | None:
        await asyncio.sleep(0)
        return self.new.get(name)

    async def done(self, name: str) -> None:
        if name in self.new:
            self.read_posts[name] = self.new.pop(name)

    async def reject(self, name: str, reason: str) -> None:
        await self.done(name)
        self.reasons[name] = reason

    async def tidy(self) -> None:
        self.tidied += 1


def sid(prefix: str, number: int) -> str:
    return f"{prefix}{number:032x}"


def event(kind: str = "created", *, task: int = 1, channel: int = 1, minute: int = 0, **changes: Any) -> Any:
    attributes = json.dumps({"channelSid": sid("CH", channel)})
    return {
        "type": f"com.twilio.taskrouter.task.{kind}",
        "id": f"EZ{kind}{task}",
        "data": {
            "timestamp": (BEGAN + timedelta(minutes=minute)).isoformat(),
            "payload": {"task_sid": sid("WT", task), "task_attributes": attributes},
        },
        **changes,
    }


BAD = event(data={"timestamp": "soon", "payload": event()["data"]["payload"]}, id="EZbad")
VOICE = event(data={**event()["data"], "payload": {"task_sid": sid("WT", 9), "task_attributes": "{}"}})


async def pages(shelf: Shelf) -> list[EventPage]:
    return [page async for page in InboxSource(shelf).read(None)]


async def run(account: Account, shelf: Shelf) -> TrackReport:
    async def save(_: str) -> None:
        pass

    return await track(InboxSource(shelf), account.store, cursor=None, save_cursor=save, at_once=8)


async def test_an_empty_inbox_is_no_page() -> None:
    shelf = Shelf()
    assert await pages(shelf) == []
    assert shelf.tidied == 1


async def test_arrays_and_single_objects_are_read_and_put_away() -> None:
    shelf = Shelf([event(task=1), event(task=2)], event(task=3), [VOICE, {"type": "test-event"}], [])
    [page] = await pages(shelf)
    assert sorted(one.task_sid for one in page.events) == [sid("WT", n) for n in (1, 2, 3)]
    assert page.ignored == {Ignored.NO_CHANNEL: 1, Ignored.OTHER_TYPE: 1}
    assert (page.rejected, page.cursor) == ([], "000003.json")
    assert (shelf.new, len(shelf.read_posts), shelf.reasons, shelf.tidied) == ({}, 4, {}, 1)


@pytest.mark.parametrize(
    ("post", "reason"),
    [
        (b"", "body: is not JSON"),
        (b'[{"type"', "body: is not JSON"),
        (b"5", "body: is neither an array nor an object"),
        (["text"], "event 1: data: is not a JSON object; expected a CloudEvent."),
        ([BAD], "event 1 (EZbad): data.timestamp: is not a date"),
    ],
)
async def test_what_cannot_be_read_is_put_aside_with_the_reason(post: Any, reason: str) -> None:
    shelf = Shelf([event()], post)
    [page] = await pages(shelf)
    assert len(page.events) == 1
    assert page.rejected[0].startswith(f"000001.json: {reason}")
    assert list(shelf.reasons) == ["000001.json"]
    assert shelf.reasons["000001.json"].startswith(reason)


async def test_the_good_ones_beside_a_bad_one_are_kept() -> None:
    shelf = Shelf([event(task=1), BAD, 5, event(task=2)])
    [page] = await pages(shelf)
    assert [one.task_sid for one in page.events] == [sid("WT", 1), sid("WT", 2)]
    assert len(page.rejected) == 2
    assert [line.partition(":")[0] for line in shelf.reasons["000000.json"].splitlines()] == [
        "event 2 (EZbad)",
        "event 3",
    ]


async def test_of_many_bad_ones_the_first_are_named() -> None:
    """A post of one mebibyte may hold 150 000 of them."""
    shelf = Shelf([5] * 30_000, [5] * NAMED_REJECTS)
    [page] = await pages(shelf)
    assert len(page.rejected) == 30_000 + NAMED_REJECTS
    *named, more = shelf.reasons["000000.json"].splitlines()
    assert len(named) == NAMED_REJECTS
    assert more == f"… and {30_000 - NAMED_REJECTS} more."
    assert len(shelf.reasons["000001.json"].splitlines()) == NAMED_REJECTS


class Rough(Shelf):
    """An inbox whose store fails now and then.

    :ivar fails: what is asked of it, and for which post (or ``""`` for all), to the error
    """

    def __init__(self, *posts: Any) -> None:
        super().__init__(*posts)
        self.fails: dict[tuple[str, str], Exception] = {}

    async def read(self, name: str) -> bytes | None:
        self._stumble("read", name)
        return await super().read(name)

    async def done(self, name: str) -> None:
        self._stumble("done", name)
        await super().done(name)

    async def tidy(self) -> None:
        self._stumble("tidy", "")
        await super().tidy()

    def _stumble(self, what: str, name: str) -> None:
        if (what, name) in self.fails:
            raise self.fails[what, name]


@pytest.mark.parametrize("what", ["read", "done"])
async def test_a_post_that_there_is_no_getting_at_does_not_hold_up_the_others(
    what: str, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    monkeypatch.setattr(module, "POSTS_PER_PAGE", 2)
    shelf = Rough(*([event(channel=n, task=n)] for n in range(1, 8)))
    shelf.fails[what, "000000.json"] = IsADirectoryError(21, "Is a directory", "/secret/000000.json")
    shelf.fails[what, "000004.json"] = ConnectionError("https://key:secret@store.example.com")
    with pytest.raises(ServiceUnavailable) as caught:
        await run(account, shelf)
    assert str(caught.value).startswith(
        "Post 000000.json in the inbox cannot be read and moved (Is a directory), like 1 more; all else is stored; let"
    )
    assert list(shelf.new) == ["000000.json", "000004.json"]
    assert shelf.tidied == 1
    stored = [number for number in range(1, 8) if await account.store.load(sid("CH", number))]
    assert stored == ([2, 3, 4, 6, 7] if what == "read" else [*range(1, 8)])
    del shelf.fails[what, "000004.json"]
    with pytest.raises(ServiceUnavailable, match=r"directory\); all else"):
        await run(account, shelf)
    shelf.fails.clear()
    await run(account, shelf)
    assert shelf.new == {}


async def test_tidying_can_wait(account: Account, caplog: pytest.LogCaptureFixture) -> None:
    shelf = Rough([event()])
    shelf.fails["tidy", ""] = PermissionError("https://key:secret@store.example.com")
    assert (await run(account, shelf)).created == 1
    assert (shelf.new, shelf.tidied) == ({}, 0)
    assert "could not be removed from the inbox: PermissionError" in caplog.text
    assert "secret" not in caplog.text


async def test_nothing_is_put_away_before_the_next_page_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    monkeypatch.setattr(module, "POSTS_PER_PAGE", 2)
    shelf = Shelf(*([event(task=n)] for n in range(5)))
    reading = InboxSource(shelf).read(None)
    left = []
    async for page in reading:
        assert page.cursor is not None
        left.append(len(shelf.new))
    assert left == [5, 3, 1]
    assert shelf.new == {}


async def test_a_reader_that_fails_leaves_everything(account: Account, sandbox: SandboxProcess) -> None:
    shelf = Shelf([event(task=1, channel=1), event(task=2, channel=2)], b"no")
    sandbox.control.fault(match={"method": "POST", "host": "sync.twilio.com"}, action="status", status=403)
    with pytest.raises(FlexSmsError):
        await run(account, shelf)
    assert (len(shelf.new), shelf.read_posts, shelf.reasons) == (2, {}, {})
    sandbox.control.clear_faults()
    report = await run(account, shelf)
    assert (report.created + report.updated + report.unchanged, report.rejected) == (2, 1)
    assert shelf.new == {}


@pytest.mark.parametrize(
    ("limits", "sizes"), [({"POSTS_PER_PAGE": 4}, [8, 8, 4]), ({"EVENTS_PER_PAGE": 3}, [4, 4, 4, 4, 4])]
)
async def test_a_page_ends_by_posts_and_by_events(
    monkeypatch: pytest.MonkeyPatch, limits: dict[str, int], sizes: list[int]
) -> None:
    for name, limit in {"AT_ONCE": 2, **limits}.items():
        monkeypatch.setattr(module, name, limit)
    shelf = Shelf(*([event(task=n), event("completed", task=n)] for n in range(10)))
    found = await pages(shelf)
    assert [len(page.events) for page in found] == sizes
    assert found[-1].cursor == "000009.json"
    assert shelf.new == {}


async def test_an_unreadable_document_holds_up_no_post_and_none_is_read_twice(
    account: Account, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    monkeypatch.setattr(module, "POSTS_PER_PAGE", 2)
    document = f"flexsms.{sid('CH', 1)}"
    sandbox.control.load(documents=[{"unique_name": document, "data": {"v": 99}}])
    posts = [[event(channel=n, task=n)] for n in range(1, 8)]
    shelf = Shelf(*posts, [event(channel=7, task=8), BAD, event("completed", channel=1)], b"no")
    kept = Kept()

    async def run() -> TrackReport:
        async def save(_: str) -> None:
            assert shelf.new  # nothing is put away before it is stored

        source, parked = InboxSource(shelf), ParkedStates(kept)
        return await track(source, account.store, cursor=None, save_cursor=save, at_once=8, parked=parked)

    with pytest.raises(UnreadableState, match="upgrade"):
        await run()
    assert (shelf.new, sorted(shelf.reasons)) == ({}, ["000007.json", "000008.json"])
    assert [number for number in range(2, 8) if await account.store.load(sid("CH", number))] == [*range(2, 8)]
    shelf.arrive([event("wrapup", channel=1)])
    for events in (1, 0):
        report = await run()
        assert (report.events, report.parked, shelf.new) == (events, [sid("CH", 1)], {})
    documents = account.client.sync.v1.services(account.settings.sync_service_sid).documents
    await documents(document).delete_async()
    assert (await run()).created == 1
    stored = await account.store.load(sid("CH", 1))
    assert stored is not None
    told = [event(channel=1), event("completed", channel=1), event("wrapup", channel=1)]
    assert stored.state == fold(told, sid("CH", 1))


async def test_a_page_is_stored_before_the_next_one_is_asked_for(account: Account) -> None:
    """What InboxSource builds on; see EventSource."""
    asked: list[tuple[bool, str | None]] = []
    saved: list[str] = []

    class Source:
        name, scope = "two pages", ""

        async def read(self, cursor: str | None) -> Any:
            for number in (1, 2):
                channel = sid("CH", number)
                found = from_cloud_event(event(channel=number))
                yield EventPage(events=[found] if isinstance(found, TaskEvent) else [], cursor=str(number))
                stored = await account.store.load(channel)
                asked.append((stored is not None, saved[-1]))

    async def save(cursor: str) -> None:
        saved.append(cursor)

    await track(Source(), account.store, cursor=None, save_cursor=save, at_once=8)
    assert asked == [(True, "1"), (True, "2")]


async def test_two_runs_at_a_time_come_to_the_same(account: Account) -> None:
    chaos = random.Random(4)
    clean = [
        event(kind, task=task, channel=task % 5, minute=task * 3 + minute)
        for task in range(60)
        for minute, kind in enumerate(["created", "wrapup", "completed"])
    ]
    posted = clean + chaos.sample(clean, 40)
    chaos.shuffle(posted)
    shelf = Shelf(*(posted[start : start + 7] for start in range(0, len(posted), 7)))
    await asyncio.gather(run(account, shelf), run(account, shelf))
    assert shelf.new == {}
    for channel in range(5):
        stored = await account.store.load(sid("CH", channel))
        assert stored is not None
        assert stored.state == fold(clean, sid("CH", channel))


def fold(events: Iterable[Any], channel_sid: str) -> ChannelState:
    found: list[TaskEvent] = [one for one in map(from_cloud_event, events) if isinstance(one, TaskEvent)]
    state, *others = [ChannelState.of(one) for one in found if one.channel_sid == channel_sid]
    for other in others:
        state = state.merge(other)
    return state


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
# Close enough to an event to get far into the parser.
ALMOST = st.fixed_dictionaries(
    {
        "type": st.just("com.twilio.taskrouter.task.created"),
        "data": st.fixed_dictionaries(
            {"timestamp": JSON | st.just("0001-01-01T00:00:00+23:59") | st.just("9999-12-31T23:59:59-23:59")},
            optional={
                "payload": JSON
                | st.fixed_dictionaries(
                    {
                        "task_sid": JSON | st.just(sid("WT", 1)),
                        "task_attributes": JSON
                        | st.just(json.dumps({"channelSid": sid("CH", 1)}))
                        | st.just("[" * 200_000),
                    }
                )
            },
        ),
    },
    optional={"id": JSON, "time": JSON},
)


@given(ALMOST | JSON.filter(lambda value: isinstance(value, dict)))
def test_an_event_is_read_or_named_whatever_it_holds(value: dict[str, Any]) -> None:
    with contextlib.suppress(InvalidInput):
        from_cloud_event(value)
