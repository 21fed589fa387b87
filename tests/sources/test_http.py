"""Events from any collector: its pages, its cursor, and what it may get wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flexsms.core.exceptions import InvalidInput, RateLimited
from flexsms.sources import http as module
from flexsms.sources.http import HttpSource
from flexsms.twilio.account import Account
from flexsms.twilio.tracking.tracker import track

pytestmark = pytest.mark.anyio

CHANNEL = "CH" + "1" * 32


def event(number: int, kind: str = "created") -> dict[str, Any]:
    """A CloudEvent about the one channel's tasks."""
    payload = {
        "task_sid": f"WT{number:032x}",
        "task_attributes": json.dumps({"conversationSid": CHANNEL}),
        "timestamp": f"2024-11-20T10:{number:02}:00.000Z",
    }
    return {
        "id": f"EZ{number:032x}",
        "type": f"com.twilio.taskrouter.task.{kind}",
        "data": {"timestamp": payload["timestamp"], "payload": payload},
    }


class Pages:
    """A collector that hands out prepared answers by their cursor."""

    scope = "pages"

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[str | None] = []

    async def fetch(self, after: str | None, limit: int) -> Any:
        assert limit > 0
        self.asked.append(after)
        return self.answers[after or "start"]


async def test_pages_are_followed_to_the_end_and_the_cursor_kept(account: Account) -> None:
    collector = Pages(
        start={"events": [event(1), event(2)], "next": "b"},
        b={"events": [event(1, "completed")], "next": "c"},
        c={"events": [], "next": None},
    )
    saved: list[str] = []

    async def save(cursor: str) -> None:
        saved.append(cursor)

    report = await track(HttpSource(collector), account.store, cursor=None, save_cursor=save, at_once=4)
    assert (report.events, report.channels, report.cursor) == (3, 1, "c")
    assert (collector.asked, saved) == ([None, "b", "c"], ["c"])
    stored = await account.store.load(CHANNEL)
    assert stored is not None
    assert stored.state.open_tasks == {f"WT{2:032x}"}
    # Nothing new: the cursor stays where it was.
    again = await track(HttpSource(collector), account.store, cursor="c", save_cursor=save, at_once=4)
    assert (again.events, again.cursor, saved) == (0, None, ["c"])


async def test_in_a_long_backlog_a_channel_is_written_once_per_so_many_events(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVENTS_PER_CURSOR", 4)
    answers = {str(n): {"events": [event(n), event(n + 20)], "next": str(n + 1)} for n in range(1, 6)}
    collector = Pages(start=answers.pop("1"), **answers, **{"6": {"events": [event(6)], "next": None}})
    pages = [page async for page in HttpSource(collector).read(None)]
    assert [page.cursor for page in pages] == [None, "3", None, "5", None, "6"]
    assert sum(len(page.events) for page in pages) == 11


class Limited(Pages):
    """A collector of ten pages behind a gateway that lets only so many requests through."""

    def __init__(self, requests: int) -> None:
        following = {str(n): {"events": [event(n)], "next": str(n + 1)} for n in range(1, 10)}
        start = {"events": [event(0)], "next": "1"}
        super().__init__(start=start, **following, **{"10": {"events": [], "next": None}})
        self.left = self.requests = requests

    async def fetch(self, after: str | None, limit: int) -> Any:
        if not self.left:
            raise RateLimited("too many requests")
        self.left -= 1
        return await super().fetch(after, limit)


async def test_one_that_fails_on_the_way_every_time_is_read_to_its_end(account: Account) -> None:
    collector = Limited(requests=4)
    cursor: str | None = None

    async def save(reached: str) -> None:
        nonlocal cursor
        cursor = reached

    for goal in ("4", "8"):
        with pytest.raises(RateLimited):
            await track(HttpSource(collector), account.store, cursor=cursor, save_cursor=save, at_once=4)
        assert cursor == goal
        collector.left = collector.requests
    await track(HttpSource(collector), account.store, cursor=cursor, save_cursor=save, at_once=4)
    assert (cursor, collector.asked) == ("10", [None, *map(str, range(1, 11))])
    stored = await account.store.load(CHANNEL)
    assert stored is not None
    assert len(stored.state.seen) == 10


@pytest.mark.parametrize("since", [None, "5"])
async def test_where_nothing_new_was_reached_there_is_no_cursor(since: str | None) -> None:
    with pytest.raises(RateLimited):
        await anext(HttpSource(Limited(requests=0)).read(since))


async def test_what_came_before_an_answer_of_another_shape_is_kept() -> None:
    reading = HttpSource(Pages(start={"events": [event(1)], "next": "b"}, b=[])).read(None)
    assert [(await anext(reading)).cursor, (await anext(reading)).cursor] == [None, "b"]
    with pytest.raises(InvalidInput, match="has no list of events"):
        await anext(reading)


async def test_half_an_emoji_in_an_event_that_is_named_can_be_written_down() -> None:
    """Another collector's JSON is not read by orjson, which would refuse it."""
    broken = json.loads(json.dumps({**event(2), "id": "EZ\ud83d", "data": {"payload": "]"}}))
    (page,) = [page async for page in HttpSource(Pages(start={"events": [broken], "next": None})).read(None)]
    assert page.rejected[0].encode().startswith(b"event 1 (EZ?): data.payload")


async def test_a_malformed_event_is_named_and_the_others_are_read() -> None:
    broken = {**event(2), "data": {"payload": "]"}}
    collector = Pages(start={"events": [event(1), broken, "no event"], "next": None})
    (page,) = [page async for page in HttpSource(collector).read(None)]
    assert len(page.events) == 1
    assert [sentence.partition(":")[0] for sentence in page.rejected] == [
        f"event 2 (EZ{2:032x})",
        "event 3",
    ]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ([], "has no list of events"),
        ({"next": None}, "has no list of events"),
        ({"events": {}, "next": None}, "has no list of events"),
        ({"events": [], "next": 5}, "leads nowhere"),
        ({"events": [], "next": "start"}, "leads nowhere"),
    ],
)
async def test_an_answer_of_another_shape_is_named(answer: Any, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        _ = [page async for page in HttpSource(Pages(start=answer)).read("start")]
