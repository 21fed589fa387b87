"""What a batch reads and writes: its texts a few at a time, and its results, which are on disk until they are whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import Self

from flexsms.core.broadcast import BroadcastBatch, BroadcastResult, BroadcastText
from flexsms.core.broadcast_totals import BroadcastTotals
from flexsms.core.exceptions import PermanentError
from flexsms.recipients.folder import NO_WORK_LIST, BroadcastFolder, results_of

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
    """Results in the order in which they came, and their counts; gone with the end of its block.

    :ivar rows: of which there is one
    """

    def __init__(self) -> None:
        self.totals = BroadcastTotals()
        self.rows: set[int] = set()
        self._lines = SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115  # lives as long as we do

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()

    def add(self, result: BroadcastResult) -> None:
        """One more."""
        self.totals.add(result)
        self.rows.add(result.row)
        self._lines.write(result.to_line())

    def __iter__(self) -> Iterator[BroadcastResult]:
        self._lines.seek(0)
        yield from map(BroadcastResult.from_line, self._lines)


def take_up(folder: BroadcastFolder, batch: BroadcastBatch, spool: ResultSpool) -> None:
    """Take what is in a batch's file for told: behind a wait, that is what this try has told, and what is final."""
    for result in folder.results(results_of(batch)):
        spool.add(result)


def write_results(folder: BroadcastFolder, batch: BroadcastBatch, spool: ResultSpool, *, waits: bool) -> None:
    """Write what a try has told; of rows of which it told nothing, what was known before.

    :param spool: has all of that afterwards
    :param waits: the try goes on later, with the rows that are not in the file. So of earlier ones only what is final
        stays: a text that failed, or of which somebody said that nothing is known, has to be tried
    """
    if not spool.rows and not waits:
        return
    for result in folder.results(results_of(batch)):
        if result.row not in spool.rows and (result.outcome.is_final or not waits):
            spool.add(result)
    folder.write_results(results_of(batch), spool)


def is_over(folder: BroadcastFolder, batch: BroadcastBatch, spool: ResultSpool) -> bool:
    """Whether the broadcast has ended, which removes the work list, and nobody of the batch is without a text.

    :param spool: gets the results then
    :raises PermanentError: when the work list is gone and somebody may be without a text
    """
    if folder.has_texts():
        return False
    _refuse_if_missing(folder, batch)
    take_up(folder, batch, spool)
    return True


def all_over(folder: BroadcastFolder, batches: Iterable[BroadcastBatch]) -> bool:
    """Whether the broadcast has ended, and nobody is without a text; see :func:`is_over`."""
    if folder.has_texts():
        return False
    for batch in batches:
        _refuse_if_missing(folder, batch)
    return True


def _refuse_if_missing(folder: BroadcastFolder, batch: BroadcastBatch) -> None:
    found = BroadcastTotals.of(folder.results(results_of(batch)))
    if found.rows < batch.texts or found.missing:
        raise PermanentError(NO_WORK_LIST)
