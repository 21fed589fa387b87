"""``check.csv``: what a check says of each row of a list, for people and their spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, cast

from airflow.sdk import ObjectStoragePath

from flexsms.recipients.report import cell

CHUNK = 2**20


class WriteLine(Protocol):
    """Writes a line of cells."""

    def __call__(self, values: Iterable[object], /) -> object:
        """One line."""


@contextmanager
def write_check(path: ObjectStoragePath, columns: Sequence[str]) -> Iterator[WriteLine]:
    """A CSV file in the place of an earlier one; it is UTF-8 with a mark, which spreadsheets want.

    :param columns: the first line
    """
    with (
        write_chunks(path) as file,
        io.TextIOWrapper(file, "utf-8-sig", newline="") as text,
    ):
        writer = csv.writer(text)
        writer.writerow(columns)

        def write(values: Iterable[object], /) -> object:
            return writer.writerow(map(cell, values))

        yield write


@contextmanager
def write_chunks(path: ObjectStoragePath) -> Iterator[io.BufferedWriter]:
    """A file in the place of an earlier one, to which a store is handed much at a time."""
    with (
        path.open("wb") as file,  # type: ignore[no-untyped-call]
        io.BufferedWriter(cast("Any", file), CHUNK) as buffered,
    ):
        yield buffered
