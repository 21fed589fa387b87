"""``check.csv``: what a check says of each row of a list, for people and their spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, cast

from airflow.sdk import ObjectStoragePath

from flexsms.recipients.folder import is_on_disk
from flexsms.recipients.report import cell

CHUNK = 2**20

Cells = Sequence[object]


class WriteLines(Protocol):
    """Writes lines of cells."""

    def __call__(self, lines: Iterable[Cells], /) -> object:
        """Some lines."""


@contextmanager
def write_check(path: ObjectStoragePath, columns: Sequence[str]) -> Iterator[WriteLines]:
    """A CSV file in the place of an earlier one; it is UTF-8 with a mark, which spreadsheets want.

    :param columns: the first line
    """
    with (
        write_chunks(path) as file,
        io.TextIOWrapper(file, "utf-8-sig", newline="") as text,
    ):
        writer = csv.writer(text)
        writer.writerow(columns)

        def write(lines: Iterable[Cells], /) -> None:
            writer.writerows(map(cell, line) for line in lines)

        yield write


@contextmanager
def write_chunks(path: ObjectStoragePath) -> Iterator[io.BufferedWriter]:
    """A file in the place of an earlier one, to which a store is handed much at a time.

    On a disk, nobody but the user of the workers may read it: it may be the work list.
    """
    if is_on_disk(path):
        Path(path.path).touch(mode=0o600)
    with (
        path.open("wb") as file,  # type: ignore[no-untyped-call]
        io.BufferedWriter(cast("Any", file), CHUNK) as buffered,
    ):
        yield buffered
