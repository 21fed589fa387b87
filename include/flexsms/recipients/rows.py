"""A row of a list of recipients, and what the kinds of lists have in common."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

# What may be in a line of a file. Whoever is texted gets 1600 characters.
LONGEST_LINE = 2**20
TOO_LONG = "is longer than 1 MiB; shorten it"
NOT_UTF8 = "is not UTF-8; save the file as UTF-8"

# Is told the columns of a list before its first row, and raises where they will not do.
CheckColumns = Callable[[Collection[str]], None]


class Row(NamedTuple):
    """A row as it was given.

    :param number: the first one is 1, without the header
    :param values: by the name of the column
    :param problem: why it cannot be read, behind "row 3"; empty where it can
    """

    number: int
    values: Mapping[str, Any]
    problem: str = ""


def given_rows(values: Iterable[object], check: CheckColumns) -> Iterator[Row]:
    """The rows that an upstream task has returned: objects with a value for each column."""
    is_checked = False
    for number, value in enumerate(values, 1):
        if not isinstance(value, Mapping):
            yield Row(number, {}, f"is {told_kind(value)}, not an object; give a value for each column")
            continue
        if not is_checked:
            is_checked = True
            check([str(name) for name in value])
        yield Row(number, value)


def told_kind(value: object) -> str:
    """What somebody has written in the place of an object, as people call it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a text"
        case int() | float():
            return "a number"
        case list() | tuple():
            return "a list"
        case Mapping():
            return "an object"
    return f"of type {type(value).__name__}"


def read_line(file: BinaryIO) -> tuple[bytes, bool]:
    """The next line, and whether it is longer than it may be. The rest of one that is, is read past.

    :return: nothing at the end
    """
    line = file.readline(LONGEST_LINE)
    return line, len(line) == LONGEST_LINE and not line.endswith(b"\n")
