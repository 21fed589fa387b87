"""Lists of numbers that have opted out, as another system has written them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from flexsms.core.exceptions import InvalidInput
from flexsms.core.phone_numbers import parse_number
from flexsms.core.task_events import believable, from_ms, to_ms
from flexsms.recipients.files import file_rows, kind_of, open_list
from flexsms.recipients.rows import NOT_UTF8, TOO_LONG, Row, read_line

FILE, NUMBER, AT = "FILE", "number", "at"
TEXT = ".txt"


@dataclass(frozen=True, slots=True)
class OptedOutRow:
    """A row of the list.

    :param row: the first one is 1, without the header
    :param number: E.164; empty where it cannot be read
    :param at: when the customer opted out; None where the list does not say, or nobody can read it
    :param problem: what cannot be read, a sentence
    """

    row: int
    number: str = field(default="", repr=False)
    at: datetime | None = None
    problem: str = ""


def opted_out_rows(url: str, now: datetime) -> Iterator[OptedOutRow]:
    """The rows of a ``.txt`` with a number per line, or of a CSV or JSON Lines file with a column ``number``.

    :param url: for ``ObjectStoragePath``
    :param now: the present, an aware datetime; nobody has opted out later than that
    :raises InvalidInput: when there is no such file, or it cannot be read on
    """
    try:
        for row in _rows(url):
            yield _opted_out(row, now)
    except InvalidInput as error:
        # Those who read lists of recipients know no other field.
        raise InvalidInput(FILE, error.problem, error.remedy) from None


def _rows(url: str) -> Iterator[Row]:
    if url.lower().endswith(TEXT):
        return _lines(url)
    try:
        kind_of(url)
    except InvalidInput:
        problem = "is neither a text, a CSV nor a JSON Lines file by its name"
        raise InvalidInput(FILE, problem, f"let it end with {TEXT}, .csv or .jsonl") from None
    return file_rows(url, _check)


def _opted_out(row: Row, now: datetime) -> OptedOutRow:
    number = ""
    try:
        if row.problem:
            raise InvalidInput(NUMBER, row.problem, "it is left out")
        number = parse_number(NUMBER, row.values.get(NUMBER))
        return OptedOutRow(row.number, number, _moment(row, now))
    except InvalidInput as error:
        return OptedOutRow(row.number, number, problem=f"Row {row.number}: {error}")


def _moment(row: Row, now: datetime) -> datetime | None:
    value = row.values.get(AT)
    if not value:
        return None
    try:
        moment = from_ms(believable(to_ms(AT, value), "the row"))
    except (InvalidInput, OverflowError):
        raise InvalidInput(AT, "is no time", "write ISO 8601, like 2026-11-18T16:42:07Z") from None
    if moment > now:
        raise InvalidInput(AT, "is in the future", "say when the customer opted out")
    return moment


def _check(columns: Collection[str]) -> None:
    if NUMBER not in columns:
        raise InvalidInput(
            FILE,
            f"has no column {NUMBER!r}",
            f"write {NUMBER} into the first line, or let a file with a number per line end with {TEXT}",
        )


def _lines(url: str) -> Iterator[Row]:
    with open_list(url) as file:
        number, is_rest = 0, False
        while True:
            line, is_cut = read_line(file)
            if not line:
                return
            number += not is_rest
            if is_cut or is_rest:
                if not is_rest:
                    yield Row(number, {}, TOO_LONG)
                is_rest = is_cut
                continue
            try:
                text = line.decode("utf-8-sig").strip()
            except UnicodeDecodeError:
                yield Row(number, {}, NOT_UTF8)
                continue
            if text:
                yield Row(number, {NUMBER: text})
