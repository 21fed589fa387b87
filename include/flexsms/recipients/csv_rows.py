"""The rows of a CSV file. What is in a cell is text, whatever a spreadsheet would make of it."""

from __future__ import annotations

import csv
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

from flexsms.core.exceptions import InvalidInput
from flexsms.recipients.rows import LONGEST_LINE, NOT_UTF8, TOO_LONG, CheckColumns, Row, read_line


class _LineTooLong(Exception):
    """The reader is handed no line of this length."""


class _Lines:
    """The lines that make a row, decoded.

    :param file: at its beginning
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._is_first = True
        self.begin_row()

    def begin_row(self) -> None:
        """What follows is another row."""
        self.is_utf8 = True
        self._quotes = self._bytes = 0

    @property
    def is_in_quotes(self) -> bool:
        """Whether what was read of the row ends between quotes, so that nobody can tell where the row does."""
        return self._quotes % 2 == 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line, is_too_long = read_line(self._file)
        if not line:
            raise StopIteration
        if self._is_first:
            line = self._without_mark(line)
        self._quotes += line.count(b'"')
        self._bytes += len(line)
        if is_too_long or self._bytes > LONGEST_LINE:
            while is_too_long:
                rest, is_too_long = read_line(self._file)
                self._quotes += rest.count(b'"')
            raise _LineTooLong
        try:
            return line.decode()
        except UnicodeDecodeError:
            self.is_utf8 = False
            return line.decode(errors="replace")

    def _without_mark(self, line: bytes) -> bytes:
        self._is_first = False
        if line.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            raise InvalidInput("recipients", "is UTF-16", "save the file as UTF-8")
        return line.removeprefix(BOM_UTF8)


def csv_rows(file: BinaryIO, check: CheckColumns) -> Iterator[Row]:
    """The rows below the header; those without any value are left out, and count.

    :raises InvalidInput: when the header will not do, or a quote is not closed
    """
    lines = _Lines(file)
    # Quotes, and where lines end, are those of https://www.rfc-editor.org/rfc/rfc4180
    reader = csv.reader(lines, strict=True)
    header = _header(reader, lines)
    check(header)
    number = 0
    while True:
        number += 1
        lines.begin_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, _LineTooLong) as error:
            if lines.is_in_quotes:
                problem = f"row {number} opens a quote that is not closed within a text's length"
                raise InvalidInput(
                    "recipients", problem, "close it; a quote inside of quotes is written twice"
                ) from None
            yield Row(number, {}, _problem(error))
            continue
        if not lines.is_utf8:
            yield Row(number, {}, NOT_UTF8)
        elif any(cells):
            problem = "" if len(cells) == len(header) else _other_width(len(cells), len(header))
            yield Row(number, dict(zip(header, cells, strict=False)), problem)


def _header(reader: Iterator[list[str]], lines: _Lines) -> list[str]:
    try:
        header = next(reader, [])
    except (csv.Error, _LineTooLong):
        raise InvalidInput(
            "recipients",
            "has no header that can be read",
            "write the names of the columns into the first line",
        ) from None
    if not lines.is_utf8:
        raise InvalidInput("recipients", "is not UTF-8 in its header", "save the file as UTF-8")
    if not any(header):
        raise InvalidInput("recipients", "is empty", "write the names of the columns into the first line")
    if len(header) == 1 and (sign := next((sign for sign in ";\t|" if sign in header[0]), "")):
        raise InvalidInput("recipients", f"has its columns divided by {sign!r}", "save the file with commas")
    twice = [name for name, count in Counter(header).items() if name and count > 1]
    if twice:
        raise InvalidInput("recipients", f"has the column {twice[0]!r} twice", "rename one of them")
    return header


def _problem(error: Exception) -> str:
    if isinstance(error, _LineTooLong):
        return TOO_LONG
    if "field limit" in str(error):
        return f"has a cell of more than {csv.field_size_limit():,} characters; shorten it"
    return "is no row of a CSV file; write a quote inside of quotes twice, and nothing behind the closing one"


def _other_width(cells: int, columns: int) -> str:
    many = "1 cell" if cells == 1 else f"{cells} cells"
    return f"has {many}, and the header {columns}; put a cell with a comma in it into quotes"
