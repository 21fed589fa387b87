"""Where a broadcast keeps its files: a folder or a bucket, by its ``ObjectStoragePath``.

``texts.jsonl`` is the work list: the texts to be sent, those of one batch side by side. ``left_out.jsonl`` has a result
per row that the check left out. ``results/<number>.jsonl`` has a result per text of a batch. ``delivery.jsonl`` has a
result per text whose fate was looked up. ``report.csv`` is for people: a line per row of the list. Texts and whole
numbers are in the work list only, and that is removed once the broadcast is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from airflow.sdk import ObjectStoragePath

from flexsms.core.broadcast import BroadcastBatch, BroadcastResult, BroadcastText
from flexsms.core.exceptions import PermanentError

WORK_LIST = "texts.jsonl"
LEFT_OUT = "left_out.jsonl"
RESULTS = "results"
DELIVERY = "delivery.jsonl"
REPORT = "report.csv"


class BroadcastFolder:
    """The files of one run of one campaign. Its methods wait for the store: call them outside of an event loop.

    :param url: like ``file:///var/lib/flexsms/broadcasts/spring/manual-1`` or ``s3://aws_default@bucket/…``
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._root = ObjectStoragePath(url)

    def path(self, name: str) -> ObjectStoragePath:
        """Where a file of the broadcast is; its folder is made where stores have folders."""
        path: ObjectStoragePath = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def texts(self, batch: BroadcastBatch) -> Iterator[BroadcastText]:
        """The texts of a batch, in the order in which they leave.

        :raises PermanentError: when the work list is gone or has changed
        """
        remedy = f"clear the check of this run, which writes {WORK_LIST} anew"
        try:
            with (self._root / WORK_LIST).open("rb") as lines:  # type: ignore[no-untyped-call]
                lines.seek(batch.start)
                found = 0
                while found < batch.texts and (line := lines.readline()):
                    yield BroadcastText.from_line(line)
                    found += 1
                whole = found == batch.texts and lines.tell() == batch.end
        except FileNotFoundError:
            raise PermanentError(f"The work list of the broadcast is gone; {remedy}.") from None
        if not whole:
            raise PermanentError(f"The work list of the broadcast is not the one of this batch; {remedy}.")

    def write_results(self, name: str, results: Iterable[BroadcastResult]) -> None:
        """Write a file of results whole, in the place of what an earlier try wrote."""
        with self.path(name).open("wb") as lines:  # type: ignore[no-untyped-call]
            for result in results:
                lines.write(result.to_line())

    def results(self, name: str) -> Iterator[BroadcastResult]:
        """A file of results; nothing where there is none."""
        try:
            with (self._root / name).open("rb") as lines:  # type: ignore[no-untyped-call]
                yield from map(BroadcastResult.from_line, lines)
        except FileNotFoundError:
            return

    def forget_texts(self) -> None:
        """Remove the work list, if it is there: it is what is personal."""
        (self._root / WORK_LIST).unlink(missing_ok=True)


def results_of(batch: BroadcastBatch) -> str:
    """The name of a batch's file of results."""
    return f"{RESULTS}/{batch.number:05d}.jsonl"
