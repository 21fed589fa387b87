"""What a batch reads and writes: its texts a few at a time, and its results, which are on disk until they are whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import Self

from flexsms.core.broadcast import BroadcastBatch, BroadcastResult, BroadcastText
from flexsms.core.broadcast_totals import BroadcastTotals
from flexsms.recipients.folder import BroadcastFolder

IN_MEMORY_BYTES = 1 << 20
READ_AT_ONCE = 500


async def read_texts(
    folder: BroadcastFolder, batch: BroadcastBatch, without: Collection[int]
) -> AsyncIterator[BroadcastText]:
    """The texts of a batch; the store is waited for in a thread.

    :param without: rows to leave out
    """
    texts = folder.texts(batch)
    while some := await asyncio.to_thread(lambda: list(islice(texts, READ_AT_ONCE))):
        for text in some:
            if text.row not in without:
                yield text


class ResultSpool:
    """Results in the order in which they came, and their counts; gone with the end of its block."""

    def __init__(self) -> None:
        self.totals = BroadcastTotals()
        self._lines = SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115  # lives as long as we do

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()

    def add(self, result: BroadcastResult) -> None:
        """One more."""
        self.totals.add(result)
        self._lines.write(result.to_line())

    def __iter__(self) -> Iterator[BroadcastResult]:
        self._lines.seek(0)
        yield from map(BroadcastResult.from_line, self._lines)
