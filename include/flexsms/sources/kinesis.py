"""Task events from the Kinesis stream that a sink of Event Streams writes to.

A record is a CloudEvent, an array of them, or either in base64; Twilio documents the first and no partition key, so
events of one task may be in any shard. That is of no concern here, nor is whether a shard is read before its parent.

Sources: https://www.twilio.com/docs/events/eventstreams-quickstart,
https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html
"""

from __future__ import annotations

import logging
from base64 import b64decode
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import orjson
from aiolimiter import AsyncLimiter

from flexsms.core.cloud_events import Home, envelopes
from flexsms.core.event_reader import joined, named, read_envelopes
from flexsms.core.event_source import EVENTS_PER_CURSOR, EventPage
from flexsms.core.exceptions import ExpiredIterator, FlexSmsError, InvalidInput, ShardGone, UnknownPosition
from flexsms.sources.kinesis_stream import Batch, Record
from flexsms.twilio.client.clock import Now
from flexsms.twilio.client.concurrency import for_each

logger = logging.getLogger(__name__)

# Some 3 MB of task events. Kinesis gives a shard's readers 2 MiB and five GetRecords per second.
RECORDS_PER_CALL = 1000
CALLS_PER_SECOND = 5.0
SHARDS_AT_ONCE = 4
RECORDS_PER_PAGE = 1000
# A record that arrived so long after the reading began is behind its end, even if one of the clocks is wrong.
MOST_SKEW = timedelta(minutes=1)
# The position in a shard that is closed and read to its end.
END = "end"


class Stream(Protocol):
    """A Kinesis stream. Where Kinesis asks to slow down, it waits and asks again by itself."""

    @property
    def scope(self) -> str:
        """Which stream it is; see :attr:`flexsms.core.event_source.EventSource.scope`."""
        ...

    async def created(self) -> str:
        """When it was made: tells it from an earlier one of the same name, whose shards had the same names too."""
        ...

    async def shards(self) -> list[str]:
        """The IDs of all shards that may hold records, closed ones included."""
        ...

    async def iterator(self, shard_id: str, after: str | None) -> str:
        """Where to begin in a shard.

        :param after: a sequence number; None: begin with the oldest record (``TRIM_HORIZON``)
        :raises UnknownPosition: when ``after`` is not one of this shard
        :raises ShardGone: when there is no such shard
        """
        ...

    async def records(self, iterator: str, limit: int) -> Batch:
        """The next records.

        :raises ExpiredIterator: when the iterator was not used for too long
        :raises ShardGone: when the shard is no longer there
        """
        ...


class KinesisSource:
    """Pulls the events of a stream, of every shard up to where it ended when the reading began.

    The cursor is a JSON object: when the stream was ``created``, and in ``shards``, by shard, the sequence number of
    the last record that was read, or ``end``. A shard that it does not name is read from its oldest record, so none
    that a split or merge has made is missed; one that Kinesis no longer lists leaves it.

    :param now: the present, an aware datetime
    :param calls_per_second: ``GetRecords`` per shard; other consumers of the stream share Kinesis' limit
    :param home: whose events count; None: everybody's
    """

    name = "kinesis"

    def __init__(
        self,
        stream: Stream,
        *,
        now: Now,
        calls_per_second: float = CALLS_PER_SECOND,
        home: Home | None = None,
    ) -> None:
        self.scope = stream.scope
        self._stream = stream
        self._now = now
        self._calls_per_second = calls_per_second
        self._home = home

    async def read(self, cursor: str | None) -> AsyncGenerator[EventPage, None]:
        """Everything since the cursor, or all that the stream still has.

        :raises InvalidInput: when the cursor is none of this source's
        """
        until = self._now() + MOST_SKEW
        created = await self._stream.created()
        known = _positions(cursor, created)
        listed = await self._stream.shards()
        positions = {shard_id: known[shard_id] for shard_id in listed if shard_id in known}
        waiting = [
            _Shard(self._stream, shard_id, positions.get(shard_id), until, self._calls_per_second)
            for shard_id in listed
            if positions.get(shard_id) != END
        ]
        saved = dict(positions)
        collected, since = _Collected(self._now, self._home), 0
        failures: list[FlexSmsError] = []

        async def advance(shard: _Shard) -> None:
            try:
                await shard.advance()
            except FlexSmsError as error:
                failures.append(error)

        while waiting:
            reading = waiting[:SHARDS_AT_ONCE]
            await for_each(reading, advance, at_once=SHARDS_AT_ONCE)
            for shard in reading:
                collected.add(shard)
                if shard.position is None:
                    positions.pop(shard.shard_id, None)
                else:
                    positions[shard.shard_id] = shard.position
            if failures:
                # What the others had, and what came before, need not be read again, however often it ends here.
                if positions != saved:
                    yield collected.page(_cursor(created, positions))
                raise failures[0]
            waiting = [shard for shard in waiting if not shard.is_read]
            if collected.size >= RECORDS_PER_PAGE and waiting:
                since += collected.size
                due = since >= EVENTS_PER_CURSOR
                yield collected.page(_cursor(created, positions) if due else None)
                collected = _Collected(self._now, self._home)
                if due:
                    saved, since = dict(positions), 0
        yield collected.page(_cursor(created, positions))


class _Shard:
    """A shard while it is read.

    :param position: a sequence number, :data:`END`, or None: nothing was read of it
    :param until: a record that arrived later is behind the end
    """

    def __init__(
        self,
        stream: Stream,
        shard_id: str,
        position: str | None,
        until: datetime,
        calls_per_second: float,
    ) -> None:
        self.shard_id = shard_id
        self.position = position
        self.records: Sequence[Record] = ()
        self.is_read = False
        self._stream = stream
        self._until = until
        self._iterator: str | None = None
        self._pace = AsyncLimiter(1, 1 / calls_per_second)

    async def advance(self) -> None:
        """Replace :attr:`records` by the next ones, perhaps none, and move :attr:`position` behind them."""
        self.records = ()
        try:
            batch = await self._next()
        except ShardGone:
            logger.warning(
                "Shard %s is no longer in the stream; nothing is left of it to read.", self.shard_id
            )
            self.position, self.is_read = None, True
            return
        self.records, self._iterator = batch.records, batch.following
        if batch.records:
            self.position = batch.records[-1].sequence_number
        if batch.following is None:
            self.position, self.is_read = END, True
        elif batch.behind_ms == 0 and len(batch.records) < RECORDS_PER_CALL:
            # Only MillisBehindLatest tells the end. Of an emulator it may be 0 after a full answer too.
            self.is_read = True
        elif batch.records and batch.records[-1].arrived > self._until:
            self.is_read = True

    async def _next(self) -> Batch:
        iterator = self._iterator or await self._begin()
        try:
            return await self._records(iterator)
        except ExpiredIterator:
            # Storing what came before took longer than an iterator lives. A fresh one that has expired is an error.
            return await self._records(await self._begin())

    async def _begin(self) -> str:
        try:
            return await self._stream.iterator(self.shard_id, self.position)
        except UnknownPosition:
            if self.position is None:
                raise
            logger.warning(
                "Shard %s knows no record %s; reading it from its oldest one.", self.shard_id, self.position
            )
            self.position = None
            return await self._stream.iterator(self.shard_id, None)

    async def _records(self, iterator: str) -> Batch:
        async with self._pace:
            return await self._stream.records(iterator, RECORDS_PER_CALL)


class _Collected:
    """What can be read of some records. One that is malformed is named and does not take the others with it.

    :ivar size: how many records
    """

    def __init__(self, now: Now, home: Home | None) -> None:
        self.size = 0
        self._now = now
        self._home = home
        self._pages: list[EventPage] = []

    def add(self, shard: _Shard) -> None:
        """Read the records that a shard has handed out last."""
        self.size += len(shard.records)
        now = self._now()
        for record in shard.records:
            where = f"{shard.shard_id}, sequence number {record.sequence_number}"
            try:
                page = read_envelopes(_envelopes(record.data), now=now, home=self._home)
            except InvalidInput as error:
                self._pages.append(EventPage(rejected=[f"{where}: {error}"]))
                continue
            self._pages.append(named(page, f"{where}, "))

    def page(self, cursor: str | None) -> EventPage:
        return joined(self._pages, cursor)


def _cursor(created: str, positions: Mapping[str, str]) -> str:
    return orjson.dumps({"created": created, "shards": positions}, option=orjson.OPT_SORT_KEYS).decode()


def _positions(cursor: str | None, created: str) -> Mapping[str, str]:
    """The positions in a cursor, none when they are those of an earlier stream."""
    if cursor is None:
        return {}
    try:
        value: Any = orjson.loads(cursor)
        if value["created"] == created:
            return {str(shard_id): str(position) for shard_id, position in value["shards"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InvalidInput(
            "cursor", "is not one of a Kinesis stream", "clear it, and all that the stream has is read again"
        ) from None
    logger.warning("The stream was made anew on %s; reading it from its beginning.", created)
    return {}


def _envelopes(data: bytes) -> list[Any]:
    try:
        return envelopes(data)
    except InvalidInput as error:
        try:
            return envelopes(b64decode(b"".join(data.split()), validate=True))
        except (ValueError, InvalidInput):
            raise error from None
