"""``check.csv``: what a check says of each row of a list, for people and their spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from flexsms.recipients.folder import CHECK, BroadcastFolder
from flexsms.recipients.report import cell

Cells = Sequence[object]


class WriteLines(Protocol):
    """Writes lines of cells."""

    def __call__(self, lines: Iterable[Cells], /) -> object:
        """Some lines."""


@contextmanager
def write_check(folder: BroadcastFolder, columns: Sequence[str]) -> Iterator[WriteLines]:
    """A CSV file in the place of an earlier one; it is UTF-8 with a mark, which spreadsheets want.

    :param columns: the first line
    """
    with folder.write(CHECK) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(columns)

        def write(lines: Iterable[Cells], /) -> None:
            writer.writerows(map(cell, line) for line in lines)

        yield write
