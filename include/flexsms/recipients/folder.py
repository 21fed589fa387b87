"""Where a broadcast keeps its files: a folder or a bucket, by its ``ObjectStoragePath``.

``texts.jsonl`` is the work list: the texts to be sent, those of one batch side by side. ``left_out.jsonl`` has a result
per row that the check left out. ``results/<number>.jsonl`` has a result per text of a batch. ``delivery.jsonl`` has a
result per text whose fate was looked up. For people there are ``check.csv``, what the check says of each row of the
list, and ``report.csv``, what became of it. Texts and whole numbers are in the work list only, and that is removed once
the broadcast is over.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from airflow.sdk import ObjectStoragePath

from flexsms.core.broadcast import BroadcastBatch, BroadcastResult, BroadcastText, digest_of
from flexsms.core.exceptions import PermanentError

WORK_LIST = "texts.jsonl"
LEFT_OUT = "left_out.jsonl"
RESULTS = "results"
DELIVERY = "delivery.jsonl"
REPORT = "report.csv"
CHECK = "check.csv"
NO_WORK_LIST = (
    "The work list of the broadcast is gone; run the campaign again: whoever was texted is not texted twice."
)


class BroadcastFolder:
    """The files of one run of one campaign. Its methods wait for the store: call them outside of an event loop.

    :param url: like ``file:///var/lib/flexsms/broadcasts/spring/manual-1`` or ``s3://aws_default@bucket/…``
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._root = ObjectStoragePath(url)

    def clear(self) -> None:
        """Remove what an earlier try of the run has left, so that no file of it is taken for one of this try."""
        results = self._root / RESULTS
        if results.exists():
            for file in results.iterdir():
                file.unlink()
        for name in (WORK_LIST, LEFT_OUT, CHECK, DELIVERY, REPORT):
            (self._root / name).unlink(missing_ok=True)

    def path(self, name: str) -> ObjectStoragePath:
        """Where a file of the broadcast is; its folder is made where stores have folders.

        On a disk, nobody but the user of the workers may look into it.
        """
        path: ObjectStoragePath = self._root / name
        for folder in (self._root, path.parent):
            if is_on_disk(folder):
                Path(folder.path).mkdir(mode=0o700, parents=True, exist_ok=True)
            else:
                folder.mkdir(parents=True, exist_ok=True)
        return path

    def has_texts(self) -> bool:
        """Whether the work list is there."""
        return bool((self._root / WORK_LIST).exists())

    def texts(self, batch: BroadcastBatch) -> Iterator[BroadcastText]:
        """The texts of a batch, in the order in which they leave; none before all are known to be those of the check.

        :raises PermanentError: when the work list is gone or has changed
        """
        if not batch.texts:
            return
        try:
            with (self._root / WORK_LIST).open("rb") as file:  # type: ignore[no-untyped-call]
                file.seek(batch.start)
                lines = file.read(batch.end - batch.start)
        except FileNotFoundError:
            raise PermanentError(NO_WORK_LIST) from None
        if digest_of(lines) != batch.digest:
            raise PermanentError(
                "The work list of the broadcast is not the one that was checked; run the campaign again: whoever was "
                "texted is not texted twice."
            )
        yield from map(BroadcastText.from_line, io.BytesIO(lines))

    def write_results(self, name: str, results: Iterable[BroadcastResult]) -> None:
        """Write a file of results whole, in the place of what an earlier try wrote."""
        with self.path(name).open("wb") as lines:  # type: ignore[no-untyped-call]
            for result in results:
                lines.write(result.to_line())

    def results(self, name: str) -> Iterator[BroadcastResult]:
        """A file of results; nothing where there is none.

        Whoever was killed while writing it may have left half a line, of which nothing is known.
        """
        try:
            with (self._root / name).open("rb") as lines:  # type: ignore[no-untyped-call]
                yield from (BroadcastResult.from_line(line) for line in lines if line.endswith(b"\n"))
        except FileNotFoundError:
            return

    def forget_texts(self) -> None:
        """Remove the work list, if it is there: it is what is personal."""
        (self._root / WORK_LIST).unlink(missing_ok=True)


def is_on_disk(path: ObjectStoragePath) -> bool:
    """Whether a path is one of this machine."""
    return path.protocol in ("", "file", "local")


def beside(file: str, campaign: str, check: Sequence[str]) -> str:
    """The URL of the folder of a check whose list is a file.

    :param file: the URL of the list, like ``s3://bucket/spring.csv``
    :param check: what tells it from others: its DAG, run, task and, if it is mapped, which one it is
    """
    return "/".join([f"{file}.{slug(campaign)}", *map(slug, check)])


def below(root: str, campaign: str, check: Sequence[str]) -> str:
    """The URL of the folder of a check whose list is no file.

    :param root: the URL below which all broadcasts have their folders
    :param check: see :func:`beside`
    """
    return "/".join([root.rstrip("/"), *map(slug, (campaign, *check))])


def slug(name: str) -> str:
    """A name as a part of a path; no two names have the same."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:80]
    if name and plain == name:
        return plain
    return f"{plain or 'run'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def results_of(batch: BroadcastBatch) -> str:
    """The name of a batch's file of results."""
    return f"{RESULTS}/{batch.number:05d}.jsonl"
