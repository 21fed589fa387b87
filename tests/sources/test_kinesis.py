"""Events from a Kinesis stream: every shard to its end, through whatever Kinesis may answer, and none skipped."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexsms.core.event_source import EventPage
from flexsms.core.exceptions import (
    ExpiredIterator,
    InvalidInput,
    PermanentError,
    RetryableError,
    ServiceUnavailable,
    ShardGone,
    UnknownPosition,
)
from flexsms.sources import kinesis as module
from flexsms.sources.kinesis import END, MOST_SKEW, KinesisSource
from flexsms.sources.kinesis_stream import Batch, Record

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
PER_CALL, PER_PAGE = 3, 4
FAST = 1e9


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Pages of a few records."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "RECORDS_PER_CALL", PER_CALL)
        patch.setattr(module, "RECORDS_PER_PAGE", PER_PAGE)
        patch.setattr(module, "EVENTS_PER_CURSOR", PER_PAGE)
        yield


def event(number: int) -> dict[str, Any]:
    """A CloudEvent about a task of its own."""
    payload = {
        "task_sid": f"WT{number:032x}",
        "task_attributes": json.dumps({"conversationSid": f"CH{number:032x}"}),
    }
    return {
        "id": f"EZ{number}",
        "type": "com.twilio.taskrouter.task.created",
        "data": {"timestamp": "2026-11-20T10:00:00.000Z", "payload": payload},
    }


@dataclass
class Shard:
    """A shard as Kinesis keeps it.

    :param trimmed: so many of its records are older than the retention
    """

    records: list[Record] = field(default_factory=list)
    closed: bool = False
    trimmed: int = 0


class Kinesis:
    """A stream in memory. Iterators are ``shard:place:serial``.

    :param portion: how many of the records that could be handed out a call does hand out
    :param late_end: that a closed shard is at its end, only an empty answer says
    """

    scope = "memory"

    def __init__(
        self, shards: int = 1, portion: Callable[[int], int] = lambda most: most, *, late_end: bool = False
    ) -> None:
        self.late_end = late_end
        self.born = "2026-11-01T00:00:00+00:00"
        self.portion = portion
        self.shard: dict[str, Shard] = {}
        self.valid_from = 0
        # So many more requests for records are answered before one fails.
        self.patience: int | None = None
        self.calls: list[tuple[str, ...]] = []
        self.in_flight = self.most_in_flight = self.serial = self.number = 0
        for _ in range(shards):
            self.open()

    # What happens to it

    def open(self) -> str:
        name = f"shardId-{len(self.shard):012d}"
        self.shard[name] = Shard()
        return name

    def put(self, data: Any, shard: int = 0, arrived: datetime = NOW) -> str:
        self.number += 1
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        [*self.shard.values()][shard].records.append(Record(f"{self.number:056d}", body, arrived))
        return f"{self.number:056d}"

    def close(self, *shards: str) -> None:
        for one in shards:
            self.shard[one].closed = True

    def expire(self) -> None:
        """All iterators of so far are too old."""
        self.valid_from = self.serial + 1

    def opened(self) -> list[str]:
        return [name for name, shard in self.shard.items() if not shard.closed]

    # What it answers

    async def created(self) -> str:
        return self.born

    async def shards(self) -> list[str]:
        self.calls.append(("shards",))
        return list(self.shard)

    async def iterator(self, shard_id: str, after: str | None) -> str:
        self.calls.append(("iterator", shard_id, str(after)))
        if shard_id not in self.shard:
            raise ShardGone("gone")
        shard = self.shard[shard_id]
        known = [record.sequence_number for record in shard.records]
        if after is not None and after not in known:
            raise UnknownPosition("unknown")
        place = shard.trimmed if after is None else max(shard.trimmed, known.index(after) + 1)
        return self._iterator(shard_id, place)

    async def records(self, iterator: str, limit: int) -> Batch:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(0)
        self.in_flight -= 1
        self.calls.append(("records", iterator))
        if self.patience is not None:
            self.patience -= 1
            if self.patience < 0:
                self.patience = None
                raise ServiceUnavailable("busy")
        shard_id, place, serial = iterator.split(":")
        if int(serial) < self.valid_from:
            raise ExpiredIterator("expired")
        if shard_id not in self.shard:
            raise ShardGone("gone")
        shard = self.shard[shard_id]
        ahead = shard.records[int(place) : int(place) + limit]
        some = ahead[: self.portion(len(ahead))]
        following = int(place) + len(some)
        left = len(shard.records) - following
        if shard.closed and not left and not (some and self.late_end):
            return Batch(some, None, 0)
        return Batch(some, self._iterator(shard_id, following), left * 10)

    def _iterator(self, shard_id: str, place: int) -> str:
        self.serial += 1
        return f"{shard_id}:{place}:{self.serial}"


async def read(kinesis: Kinesis, cursor: str | None = None) -> list[EventPage]:
    return [page async for page in source(kinesis).read(cursor)]


def source(kinesis: Kinesis) -> KinesisSource:
    return KinesisSource(kinesis, now=lambda: NOW, calls_per_second=FAST)


def ids(*pages: EventPage) -> list[str]:
    return [event.event_id for page in pages for event in page.events]


def positions(page: EventPage) -> dict[str, str]:
    assert page.cursor
    found: dict[str, str] = json.loads(page.cursor)["shards"]
    return found


async def test_the_first_run_reads_everything_and_the_second_only_what_is_new() -> None:
    kinesis = Kinesis(2)
    for number in range(10):
        kinesis.put(event(number), shard=number % 2)
    pages = await read(kinesis)
    assert sorted(ids(*pages)) == sorted(f"EZ{number}" for number in range(10))
    assert len(pages) > 1
    assert all(page.cursor for page in pages)
    assert sum(call[0] == "iterator" for call in kinesis.calls) == 2
    assert set(positions(pages[-1])) == set(kinesis.shard)
    last = kinesis.put(event(10), shard=1)
    [page] = await read(kinesis, pages[-1].cursor)
    assert ids(page) == ["EZ10"]
    assert positions(page)["shardId-000000000001"] == last
    [nothing] = await read(kinesis, page.cursor)
    assert (ids(nothing), nothing.cursor) == ([], page.cursor)


async def test_a_stream_without_a_record_has_a_cursor_all_the_same() -> None:
    [page] = await read(Kinesis(2))
    assert (page.events, positions(page)) == ([], {})


async def test_in_a_long_backlog_cursors_are_sparing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVENTS_PER_CURSOR", 3 * PER_PAGE)
    kinesis = Kinesis()
    for number in range(10 * PER_PAGE):
        kinesis.put(event(number))
    pages = await read(kinesis)
    marked = [place for place, page in enumerate(pages) if page.cursor]
    assert marked == [1, 3, 5, 6]  # a page is six records here, and every second one is far enough
    for place in marked:
        rest = await read(kinesis, pages[place].cursor)
        assert sorted(ids(*pages[: place + 1], *rest)) == sorted(f"EZ{n}" for n in range(10 * PER_PAGE))


async def test_a_run_that_stops_at_any_page_is_taken_up_there() -> None:
    kinesis = Kinesis(2)
    for number in range(20):
        kinesis.put(event(number), shard=number % 2)
    pages = await read(kinesis)
    for stop in range(len(pages)):
        rest = await read(kinesis, pages[stop].cursor)
        assert len(ids(*pages[: stop + 1], *rest)) == 20


@pytest.mark.parametrize(
    "data",
    [
        event(1),
        [event(1)],
        base64.b64encode(json.dumps(event(1)).encode()),
        base64.encodebytes(json.dumps([event(1)], indent=1).encode()),
    ],
)
async def test_a_record_is_an_event_or_an_array_and_perhaps_in_base64(data: Any) -> None:
    kinesis = Kinesis()
    kinesis.put(data)
    [page] = await read(kinesis)
    assert (ids(page), page.rejected) == (["EZ1"], [])


async def test_a_malformed_record_is_named_and_keeps_nothing_back() -> None:
    kinesis = Kinesis()
    kinesis.put(event(1))
    broken = kinesis.put({**event(2), "data": {"payload": "]"}})
    nonsense = [kinesis.put(data) for data in (b"", b"\xff\x00", b"1234", b"bm9uc2Vuc2U=")]
    mixed = kinesis.put([event(3), "no event"])
    kinesis.put({"type": "com.twilio.eventstreams.test-event", "data": {"test_id": "1"}})
    last = kinesis.put(event(4))
    pages = await read(kinesis)
    assert ids(*pages) == ["EZ1", "EZ3", "EZ4"]
    assert sum(sum(page.ignored.values()) for page in pages) == 1
    assert positions(pages[-1]) == {"shardId-000000000000": last}
    rejected = [sentence for page in pages for sentence in page.rejected]
    of = "shardId-000000000000, sequence number"
    assert [sentence.partition(": ")[0] for sentence in rejected] == [
        f"{of} {broken}, event 1 (EZ2)",
        *(f"{of} {number}" for number in nonsense),
        f"{of} {mixed}, event 2",
    ]
    assert {sentence.partition(": ")[2] for sentence in rejected[1:5]} == {
        "body: is not JSON; expected what Event Streams posts.",
        "body: is neither an array nor an object; expected what Event Streams posts.",
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
async def test_no_record_blocks_the_checkpoint_whatever_it_holds(data: bytes) -> None:
    kinesis = Kinesis()
    kinesis.put(data)
    kinesis.put(base64.b64encode(data))
    last = kinesis.put(event(1))
    [page] = await read(kinesis)
    assert ids(page) == ["EZ1"]
    assert positions(page) == {"shardId-000000000000": last}


async def test_empty_answers_in_the_middle_are_not_the_end() -> None:
    turns = iter([0, 0, 2, 0, 0, 0])
    kinesis = Kinesis(portion=lambda most: min(next(turns, most), most))
    for number in range(4):
        kinesis.put(event(number))
    assert len(ids(*await read(kinesis))) == 4


async def test_a_closed_shard_is_remembered_until_it_is_no_longer_listed() -> None:
    kinesis = Kinesis()
    kinesis.put(event(1))
    parent = "shardId-000000000000"
    [page] = await read(kinesis)
    kinesis.put(event(2))  # before the split, and not yet read
    kinesis.close(parent)
    children = [kinesis.open(), kinesis.open()]
    kinesis.put(event(3), shard=1)
    kinesis.put(event(4), shard=2)
    [page] = await read(kinesis, page.cursor)
    assert sorted(ids(page)) == ["EZ2", "EZ3", "EZ4"]
    assert (positions(page)[parent], set(positions(page))) == (END, {parent, *children})
    kinesis.calls.clear()
    [page] = await read(kinesis, page.cursor)
    assert page.events == []
    assert parent not in repr(kinesis.calls)
    del kinesis.shard[parent]
    [page] = await read(kinesis, page.cursor)
    assert set(positions(page)) == set(children)


async def test_an_expired_iterator_is_replaced_behind_the_last_record() -> None:
    kinesis = Kinesis()
    for number in range(9):
        kinesis.put(event(number))
    pages = source(kinesis).read(None)
    found = [await anext(pages)]
    kinesis.expire()  # storing the page took longer than five minutes
    found += [page async for page in pages]
    assert ids(*found) == [f"EZ{number}" for number in range(9)]
    assert kinesis.calls.count(("iterator", "shardId-000000000000", "None")) == 1
    # One that expires at once is no matter of time.
    kinesis.valid_from = 1000
    with pytest.raises(RetryableError, match="expired"):
        await read(kinesis)


@pytest.mark.parametrize("cut", [2, 5])
async def test_behind_a_checkpoint_that_was_trimmed_it_goes_on_with_what_is_left(cut: int) -> None:
    kinesis = Kinesis()
    for number in range(3):
        kinesis.put(event(number))
    [page] = await read(kinesis)
    for number in range(3, 7):
        kinesis.put(event(number))
    kinesis.shard["shardId-000000000000"].trimmed = cut
    pages = await read(kinesis, page.cursor)
    assert ids(*pages) == [f"EZ{number}" for number in range(max(cut, 3), 7)]


async def test_a_checkpoint_that_is_unknown_means_from_the_oldest_record(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kinesis = Kinesis()
    kinesis.put(event(1))
    [page] = await read(kinesis)
    kinesis.shard["shardId-000000000000"] = Shard()
    [nothing] = await read(kinesis, page.cursor)
    assert (nothing.events, positions(nothing)) == ([], {})
    kinesis.put(event(2))
    [page] = await read(kinesis, page.cursor)
    assert ids(page) == ["EZ2"]
    assert "reading it from its oldest one" in caplog.text


async def test_a_stream_that_was_made_anew_is_read_from_its_beginning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = Kinesis()
    first.put(event(1))
    first.put(event(2))
    first.close("shardId-000000000000")
    [page] = await read(first)
    second = Kinesis()
    second.born = "2026-11-20T00:00:00+00:00"
    second.put(event(3))  # same shard, same sequence number
    [page] = await read(second, page.cursor)
    assert ids(page) == ["EZ3"]
    assert "made anew" in caplog.text


@pytest.mark.parametrize("moment", ["iterator", "records"])
async def test_a_shard_that_expires_meanwhile_does_not_hold_up_the_others(moment: str) -> None:
    kinesis = Kinesis(2)
    kinesis.put(event(0))
    [page] = await read(kinesis)
    for number in range(1, 9):
        kinesis.put(event(number), shard=number % 2)
    pages = source(kinesis).read(page.cursor)
    found = []
    if moment == "records":
        found.append(await anext(pages))
        del kinesis.shard["shardId-000000000000"]
    else:
        kinesis.shards = lambda: asyncio.sleep(0, ["shardId-000000000007", *kinesis.shard])  # type: ignore[method-assign]
    found += [one async for one in pages]
    assert {"EZ1", "EZ3", "EZ5", "EZ7"} <= set(ids(*found))
    assert "shardId-000000000001" in positions(found[-1])
    assert set(positions(found[-1])) <= set(kinesis.shard)


async def test_what_arrives_after_it_began_is_not_chased_for_ever() -> None:
    kinesis = Kinesis()

    def portion(most: int) -> int:
        # Always more than was read: the end is never reached.
        for _ in range(4):
            arrived = NOW + timedelta(seconds=kinesis.number)
            kinesis.put(event(kinesis.number), arrived=arrived)
        return most

    kinesis.portion = portion
    kinesis.put(event(0))
    pages = await read(kinesis)
    read_to = max(int(name.removeprefix("EZ")) for name in ids(*pages))
    assert MOST_SKEW.total_seconds() < read_to < MOST_SKEW.total_seconds() + 2 * PER_CALL


async def test_a_few_shards_at_a_time_and_a_page_does_not_grow() -> None:
    kinesis = Kinesis(11)
    for number in range(220):
        kinesis.put(event(number), shard=number % 11)
    pages = await read(kinesis)
    assert len(ids(*pages)) == 220
    assert kinesis.most_in_flight == module.SHARDS_AT_ONCE
    assert max(len(page.events) for page in pages) < PER_PAGE + module.SHARDS_AT_ONCE * PER_CALL


async def test_a_shard_is_asked_so_often_per_second_and_no_more() -> None:
    kinesis = Kinesis(2)
    for number in range(12):
        kinesis.put(event(number), shard=number % 2)
    began = time.monotonic()
    _ = [page async for page in KinesisSource(kinesis, now=lambda: NOW, calls_per_second=20).read(None)]
    calls = sum(call[0] == "records" for call in kinesis.calls)
    assert calls == 2 * 3
    assert time.monotonic() - began >= 2 / 20


async def test_an_error_of_one_shard_ends_the_run_as_it_is() -> None:
    kinesis = Kinesis(3)

    async def records(iterator: str, limit: int) -> Batch:
        raise ServiceUnavailable("busy")

    kinesis.records = records  # type: ignore[method-assign]
    with pytest.raises(ServiceUnavailable, match="busy"):
        await read(kinesis)


async def test_what_was_read_before_an_error_is_kept_and_not_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "EVENTS_PER_CURSOR", 1000)
    kinesis = Kinesis(2)
    for number in range(24):
        kinesis.put(event(number), shard=number % 2)
    found, cursor = [], None
    for _ in range(2):
        kinesis.patience = 3  # three of four calls get through
        reading = source(kinesis).read(cursor)
        pages = [await anext(reading), await anext(reading)]
        with pytest.raises(ServiceUnavailable):
            await anext(reading)
        assert pages[0].cursor is None
        cursor = pages[1].cursor
        found += ids(*pages)
    assert len(found) == 18
    found += ids(*await read(kinesis, cursor))
    assert sorted(found) == sorted(f"EZ{number}" for number in range(24))


async def test_a_shard_that_fails_at_once_every_time_does_not_keep_the_others_from_moving() -> None:
    kinesis = Kinesis(2)
    for number in range(12):
        kinesis.put(event(number), shard=number % 2)
    real = kinesis.records

    async def records(iterator: str, limit: int) -> Batch:
        if iterator.startswith("shardId-000000000000"):
            raise ServiceUnavailable("busy")
        return await real(iterator, limit)

    kinesis.records = records  # type: ignore[method-assign]
    found, cursor = [], None
    for _ in range(2):
        reading = source(kinesis).read(cursor)
        page = await anext(reading)
        with pytest.raises(ServiceUnavailable):
            await anext(reading)
        found += ids(page)
        cursor = page.cursor
    assert found == ["EZ1", "EZ3", "EZ5", "EZ7", "EZ9", "EZ11"]
    with pytest.raises(ServiceUnavailable):  # and no page: nothing new
        await anext(source(kinesis).read(cursor))


async def test_a_refusal_to_begin_at_all_is_an_error() -> None:
    kinesis = Kinesis()

    async def iterator(shard_id: str, after: str | None) -> str:
        raise UnknownPosition("refused")

    kinesis.iterator = iterator  # type: ignore[method-assign]
    with pytest.raises(PermanentError, match="refused"):
        await read(kinesis)


@pytest.mark.parametrize("cursor", ["2026-11-20T10:00:00+00:00", "{}", "[]", "7", '{"created":"x"}', ""])
async def test_a_cursor_of_something_else_is_named(cursor: str) -> None:
    kinesis = Kinesis()
    kinesis.born = "x"
    with pytest.raises(InvalidInput, match="cursor: is not one of a Kinesis stream; clear it"):
        await read(kinesis, cursor)


PUT = st.tuples(st.just("put"), st.lists(st.integers(0, 9), min_size=1, max_size=20))
RESHARD = st.tuples(st.sampled_from(["split", "merge"]), st.integers(0, 9))
# What happens behind each page of a run, again and again: it is stored, or killed before, or the iterators expire, or
# the next request but one fails.
RUN = st.tuples(
    st.just("run"), st.lists(st.sampled_from(["stored", "killed", "expired", "busy"]), max_size=4)
)


@settings(max_examples=150, deadline=None)
@given(
    shards=st.integers(1, 3),
    late_end=st.booleans(),
    portions=st.lists(st.integers(0, PER_CALL), max_size=8),
    script=st.lists(PUT | RESHARD | RUN, max_size=12),
)
async def test_no_event_is_skipped_whatever_happens_to_the_stream(
    shards: int, late_end: bool, portions: list[int], script: list[tuple[str, Any]]
) -> None:
    """Events come in, shards split and merge, runs end in the middle, iterators expire, answers are short or empty."""
    some = itertools.cycle([*portions, PER_CALL])
    kinesis = Kinesis(shards, lambda most: min(most, next(some)), late_end=late_end)
    cursor: str | None = None
    seen, put = set[str](), 0

    async def run(behind_pages: list[str]) -> None:
        nonlocal cursor
        kinesis.patience = None
        reading = source(kinesis).read(cursor)
        behind = itertools.cycle([*behind_pages, "stored"])
        with suppress(ServiceUnavailable):
            async with aclosing(reading) as pages:
                async for page in pages:
                    what = next(behind)
                    if what == "killed":
                        return
                    seen.update(ids(page))
                    cursor = page.cursor
                    if what == "expired":
                        kinesis.expire()
                    if what == "busy":
                        kinesis.patience = 1

    for action, detail in script:
        opened = kinesis.opened()
        if action == "put":
            for place in detail:
                kinesis.put(event(put), shard=[*kinesis.shard].index(opened[place % len(opened)]))
                put += 1
        elif action == "split" and len(kinesis.shard) < 8:
            kinesis.close(opened[detail % len(opened)])
            kinesis.open()
            kinesis.open()
        elif action == "merge" and len(opened) > 1:
            kinesis.close(*opened[:2])
            kinesis.open()
        elif action == "run":
            await run(detail)
    await run([])
    assert seen == {f"EZ{number}" for number in range(put)}
    # From then on there is nothing to find, and soon no shard that is over is asked.
    [page] = await read(kinesis, cursor)
    kinesis.calls.clear()
    [again] = await read(kinesis, page.cursor)
    assert (page.events, again.events, again.cursor) == ([], [], page.cursor)
    assert {call[1] for call in kinesis.calls if call[0] == "iterator"} == set(kinesis.opened())
