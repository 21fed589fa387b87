"""What every source makes of events that cannot be right: each is named, and none of them is stored."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.event_source import EventSource
from flexsms.sources.http import HttpSource
from flexsms.sources.inbox import InboxSource
from flexsms.sources.kinesis import KinesisSource
from flexsms.sources.kinesis_stream import Batch, Record
from flexsms.sources.object_storage import ObjectStorageInbox
from flexsms.twilio.account import Account
from flexsms.twilio.tracking.tracker import TrackReport, track

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess
    from tests.twilio.conftest import Clock

pytestmark = pytest.mark.anyio

Make = Callable[[list[dict[str, Any]]], Awaitable[EventSource]]
# A line break, an end of text and the beginning of a colour, as a log would take them, and no end.
NASTY = "EZ\n\0\x1b[31m" + "x" * 5000


def channel(number: int) -> str:
    return f"CH{number:032x}"


def envelope(kind: str, number: int, at: datetime, event_id: Any = None) -> dict[str, Any]:
    """A CloudEvent of a task of its own, in a channel of its own."""
    payload = {
        "task_sid": f"WT{number:032x}",
        "task_attributes": json.dumps({"conversationSid": channel(number)}),
    }
    return {
        "id": f"EZ{number}" if event_id is None else event_id,
        "type": f"com.twilio.taskrouter.task.{kind}",
        "data": {"timestamp": at.isoformat(), "payload": payload},
    }


class OnePage:
    """A collector."""

    scope = "one page"

    def __init__(self, events: list[Any]) -> None:
        self._events = events

    async def fetch(self, after: str | None, limit: int) -> Any:
        return {"events": self._events, "next": None}


class OneShard:
    """A stream of one shard that has arrived and is closed."""

    scope = "one shard"

    def __init__(self, events: list[Any], arrived: datetime) -> None:
        self._records = [
            Record(str(number), one if isinstance(one, bytes) else json.dumps(one).encode(), arrived)
            for number, one in enumerate(events, 1)
        ]

    async def created(self) -> str:
        return "then"

    async def shards(self) -> list[str]:
        return ["shard"]

    async def iterator(self, shard_id: str, after: str | None) -> str:
        return "all"

    async def records(self, iterator: str, limit: int) -> Batch:
        return Batch(self._records, None, 0)


@pytest.fixture(params=["taskrouter", "inbox", "http", "kinesis"])
def source_of(
    request: pytest.FixtureRequest,
    account: Account,
    sandbox: SandboxProcess,
    clock: Clock,
    tmp_path: Path,
) -> Make:
    """Makes a source of some events, one for each kind of source."""

    async def make(events: list[dict[str, Any]]) -> EventSource:
        if request.param == "inbox":
            inbox = ObjectStorageInbox(f"file://{tmp_path}")
            await inbox.put(json.dumps(events).encode())
            return InboxSource(inbox, now=account.latest)
        if request.param == "http":
            return HttpSource(OnePage(events), now=account.latest)
        if request.param == "kinesis":
            return KinesisSource(OneShard(events, clock()), now=account.latest)
        raw = [
            {
                "type": one["type"].removeprefix("com.twilio.taskrouter."),
                "data": one["data"]["payload"],
                "at_ms": round(datetime.fromisoformat(one["data"]["timestamp"]).timestamp() * 1000),
            }
            for one in events
        ]
        sandbox.control.events(raw=raw)
        # The sandbox lists what is to come only where it is asked for so much.
        return account.taskrouter_range(clock() - timedelta(days=3), clock() + timedelta(days=400))

    return make


async def follow(account: Account, source: EventSource) -> TrackReport:
    async def save(_: str) -> None: ...

    return await track(source, account.store, cursor=None, save_cursor=save, at_once=4)


async def test_what_is_dated_in_the_future_is_named_and_not_stored(
    account: Account, clock: Clock, source_of: Make
) -> None:
    now = clock()
    source = await source_of(
        [
            envelope("created", 1, now - timedelta(days=2)),
            envelope("completed", 2, now + timedelta(days=365)),
            envelope("created", 3, now + timedelta(minutes=7)),
            envelope("completed", 4, now + timedelta(minutes=3)),  # clocks differ
        ]
    )
    report = await follow(account, source)
    assert (report.events, report.rejected, report.created) == (2, 2, 2)
    for late in (timedelta(days=365), timedelta(minutes=7)):
        said = f"timestamp: is {now + late:%Y-%m-%d %H:%M} UTC, and now it is {now:%Y-%m-%d}"
        assert len([sentence for sentence in report.rejects if said in sentence]) == 1
    stored = [number for number in range(1, 5) if await account.store.load(channel(number))]
    assert stored == [1, 4]


async def test_what_is_older_than_twilio_is_named_and_not_stored(
    account: Account, clock: Clock, source_of: Make
) -> None:
    seconds_for_milliseconds = datetime.fromtimestamp(clock().timestamp() / 1000, tz=clock().tzinfo)
    source = await source_of([envelope("completed", 1, seconds_for_milliseconds)])
    report = await follow(account, source)
    # TaskRouter is not asked for so much as that.
    assert report.rejected == (0 if source.name == "taskrouter" else 1)
    assert await account.store.load(channel(1)) is None


async def test_a_clock_that_is_behind_rejects_nothing_that_taskrouter_lists(
    account: Account, sandbox: SandboxProcess, clock: Clock
) -> None:
    sandbox.control.customer("+14155551001", sandbox.settings["numbers"]["twilio"], "Hello")
    account.now = lambda: clock() - timedelta(hours=1)
    report = await follow(account, account.taskrouter())
    assert (report.rejected, report.created) == (0, 1)


@pytest.mark.parametrize("event_id", [NASTY, [[[]]], {"a": 1}, 7, "\ud83d"])
async def test_what_a_stranger_calls_an_event_is_cleaned_before_it_is_written_anywhere(
    account: Account, clock: Clock, caplog: pytest.LogCaptureFixture, event_id: Any
) -> None:
    bad = {**envelope("created", 1, clock(), event_id), "data": {"payload": "]"}}
    worse = envelope("created", 2, clock(), event_id)
    worse["data"]["payload"]["task_sid"] = "WX"
    report = await follow(account, HttpSource(OnePage([bad, worse, "no event"])))
    assert len(report.rejects) == 3
    for sentence in report.rejects:
        assert sentence.isprintable()
        assert len(sentence) < 300
        assert sentence in caplog.text


async def test_an_event_that_is_nested_too_deeply_is_named_or_read(account: Account, clock: Clock) -> None:
    deep: Any = []
    for _ in range(995):
        deep = [deep]
    good = envelope("created", 1, clock())
    odd = [
        {**good, "id": deep, "data": {"payload": "]"}},
        {**good, "type": deep},
        {**good, "data": deep},
        {**good, "data": {"timestamp": deep, "payload": deep}},
        {**good, "subject": deep},
    ]
    report = await follow(account, HttpSource(OnePage(odd)))
    assert (report.events, report.ignored, report.rejected) == (1, 1, 3)


@pytest.mark.parametrize("depth", [90, 990, 5000])
@pytest.mark.parametrize("kind", ["inbox", "kinesis"])
async def test_a_post_or_a_record_that_is_nested_too_deeply_does_not_stop_the_reading(
    account: Account, clock: Clock, tmp_path: Path, kind: str, depth: int
) -> None:
    broken = {**envelope("created", 1, clock(), "deep"), "data": 7}
    deep = json.dumps(broken).replace('"deep"', "[" * depth + "]" * depth).encode()
    good = json.dumps(envelope("created", 2, clock())).encode()
    source: EventSource
    if kind == "inbox":
        inbox = ObjectStorageInbox(f"file://{tmp_path}")
        for body in (deep, good):
            await inbox.put(body)
        source = InboxSource(inbox, now=account.latest)
    else:
        source = KinesisSource(OneShard([deep, good], clock()), now=account.latest)
    report = await follow(account, source)
    assert (report.events, report.rejected, report.created) == (1, 1, 1)
    said = "event 1: data: is not a JSON object" if depth < 100 else "body: is "
    assert said in report.rejects[0]
