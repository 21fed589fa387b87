"""What a Kinesis stream has to offer.

Source: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from flexsms.core.exceptions import PermanentError, RetryableError


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a stream.

    :param arrived: ``ApproximateArrivalTimestamp``, aware
    """

    sequence_number: str
    data: bytes
    arrived: datetime


@dataclass(frozen=True, slots=True)
class Batch:
    """The answer to one ``GetRecords``, often without records in the middle of a shard.

    :param following: ``NextShardIterator``; None: the shard is closed, and this was its end
    :param behind_ms: ``MillisBehindLatest``; 0: nothing more has come so far
    """

    records: Sequence[Record]
    following: str | None
    behind_ms: int


class ExpiredIterator(RetryableError):
    """The iterator is over five minutes old."""


class UnknownPosition(PermanentError):
    """The shard has never had, or no longer has, a record with this sequence number."""


class ShardGone(PermanentError):
    """The shard is no longer there: all its records are older than the stream's retention."""


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
