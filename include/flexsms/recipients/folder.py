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
from contextlib import closing, contextmanager, suppress
from errno import EINVAL
from functools import cached_property
from pathlib import Path

from airflow.sdk import ObjectStoragePath

from flexsms.core.broadcast import BroadcastBatch, BroadcastResult, BroadcastText, digest_of
from flexsms.core.exceptions import PermanentError
from flexsms.recipients import store

WORK_LIST = "texts.jsonl"
LEFT_OUT = "left_out.jsonl"
RESULTS = "results"
DELIVERY = "delivery.jsonl"
REPORT = "report.csv"
CHECK = "check.csv"
FOLDER = "The folder of the broadcast"
NO_WORK_LIST = (
    "The work list of the broadcast is gone; run the campaign again: whoever was texted is not texted twice."
)


class BroadcastFolder:
    """The files of one run of one campaign. Its methods wait for the store: call them outside of an event loop.

    :param url: like ``file:///var/lib/flexsms/broadcasts/spring/manual-1`` or ``s3://aws_default@bucket/…``
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @cached_property
    def _root(self) -> ObjectStoragePath:
        return store.attached(FOLDER, self.url)

    def clear(self) -> None:
        """Remove what an earlier try of the run has left, so that no file of it is taken for one of this try."""
        with store.told(FOLDER, self._root, writes=True):
            with suppress(FileNotFoundError):
                self._root.fs.rm((self._root / RESULTS).path, recursive=True)
            for name in (WORK_LIST, LEFT_OUT, CHECK, DELIVERY, REPORT):
                self._remove(name)

    def path(self, name: str) -> ObjectStoragePath:
        """Where a file of the broadcast is. On a disk its folder is made, for nobody but the user of the workers."""
        path: ObjectStoragePath = self._root / name
        if store.is_on_disk(path):
            with store.told(FOLDER, path, writes=True):
                for folder in (self._root, path.parent):
                    Path(folder.path).mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    @contextmanager
    def write(self, name: str) -> Iterator[io.BufferedWriter]:
        """A file of the broadcast, in the place of an earlier one."""
        path = self.path(name)
        with store.told(FOLDER, path, writes=True), store.write(path) as file:
            yield file

    def has_texts(self) -> bool:
        """Whether the work list is there."""
        path = self._root / WORK_LIST
        with store.told(FOLDER, path):
            return bool(path.fs.exists(path.path))

    def texts(self, batch: BroadcastBatch) -> Iterator[BroadcastText]:
        """The texts of a batch, in the order in which they leave; none before all are known to be those of the check.

        :raises PermanentError: when the work list is gone or has changed
        """
        if not batch.texts:
            return
        path = self._root / WORK_LIST
        with store.told(FOLDER, path):
            try:
                # This range alone: a file that is opened reads a block of the store's.
                lines = path.fs.cat_file(path.path, start=batch.start, end=batch.end)
            except FileNotFoundError:
                raise PermanentError(NO_WORK_LIST) from None
            except OSError as error:
                if error.errno != EINVAL:
                    raise
                lines = b""  # S3 refuses a range beyond the end, of which others give nothing
        if digest_of(lines) != batch.digest:
            raise PermanentError(
                "The work list of the broadcast is not the one that was checked; run the campaign again: whoever was "
                "texted is not texted twice."
            )
        yield from map(BroadcastText.from_line, io.BytesIO(lines))

    def write_results(self, name: str, results: Iterable[BroadcastResult]) -> None:
        """Write a file of results whole, in the place of what an earlier try wrote."""
        with self.write(name) as lines:
            for result in results:
                lines.write(result.to_line())

    def results(self, name: str) -> Iterator[BroadcastResult]:
        """A file of results; nothing where there is none.

        Whoever was killed while writing it may have left half a line, of which nothing is known.
        """
        path = self._root / name
        with store.told(FOLDER, path), suppress(FileNotFoundError), closing(store.read(path)) as lines:
            yield from (BroadcastResult.from_line(line) for line in lines if line.endswith(b"\n"))

    def forget_texts(self) -> None:
        """Remove the work list, if it is there: it is what is personal."""
        with store.told(FOLDER, self._root, writes=True):
            self._remove(WORK_LIST)

    def _remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._root.fs.rm_file((self._root / name).path)


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
