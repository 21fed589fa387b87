"""What a check of a list has to remember, beside its memory: who is in the list, and the texts by their zones."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from enum import IntEnum
from typing import Self

CACHE_KIB = 48 * 1024
LINES_AT_ONCE = 500
# Rows of one set of zones are side by side, in the order of the list.
_ROW_BITS = 40


class Known(IntEnum):
    """Why somebody is not texted whoever names them; a number above zero is the row that named them first."""

    SUPPRESSED = 0
    TEXTED_BEFORE = -1


class Spool:
    """A database of SQLite that has no name and that nobody else can open: it is gone with the process.

    Source: https://www.sqlite.org/inmemorydb.html#temporary_databases
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        for setting in (
            f"cache_size = -{CACHE_KIB}",
            "journal_mode = OFF",
            "synchronous = OFF",
            "locking_mode = EXCLUSIVE",
        ):
            self._database.execute(f"PRAGMA {setting}")
        self._database.execute("CREATE TABLE people (digest BLOB PRIMARY KEY, known INTEGER) WITHOUT ROWID")
        self._database.execute("CREATE TABLE texts (place INTEGER PRIMARY KEY, line BLOB)")
        self._database.execute("BEGIN")
        self._lines: list[tuple[int, bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, digest: str, known: int) -> int | None:
        """Remember somebody, unless they are known already.

        :param digest: hexadecimal
        :param known: a :class:`Known`, or the row that names them
        :return: what was known of them; None where nothing was
        """
        key = bytes.fromhex(digest)
        added = self._database.execute("INSERT OR IGNORE INTO people VALUES (?, ?)", (key, known))
        if added.rowcount:
            return None
        (found,) = self._database.execute("SELECT known FROM people WHERE digest = ?", (key,)).fetchone()
        return int(found)

    def keep(self, group: int, row: int, line: bytes) -> None:
        """Keep a text.

        :param group: the number of its set of zones
        """
        self._lines.append((group << _ROW_BITS | row, line))
        if len(self._lines) >= LINES_AT_ONCE:
            self._store()

    def lines(self, group: int) -> Iterator[bytes]:
        """The texts of a set of zones, in the order of the list."""
        self._store()
        span = (group << _ROW_BITS, (group + 1) << _ROW_BITS)
        query = "SELECT line FROM texts WHERE place >= ? AND place < ? ORDER BY place"
        with closing(self._database.execute(query, span)) as found:
            for (line,) in found:
                yield line

    def _store(self) -> None:
        self._database.executemany("INSERT INTO texts VALUES (?, ?)", self._lines)
        self._lines.clear()
