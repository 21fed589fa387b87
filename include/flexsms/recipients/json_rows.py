"""The rows of a JSON Lines file: an object per line."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO

from flexsms.recipients.rows import NOT_UTF8, TOO_LONG, CheckColumns, Row, read_line, told_kind


def json_rows(file: BinaryIO, check: CheckColumns) -> Iterator[Row]:
    """The rows; empty lines are left out, and count.

    :param check: is told the names in the first object; another one may have others
    """
    number = 0
    is_checked = False
    while True:
        line, is_too_long = read_line(file)
        if not line:
            return
        number += 1
        if is_too_long:
            while is_too_long:
                _, is_too_long = read_line(file)
            yield Row(number, {}, TOO_LONG)
            continue
        row = _row(number, line.removeprefix(BOM_UTF8) if number == 1 else line)
        if row is None:
            continue
        if not is_checked and not row.problem:
            is_checked = True
            check(list(row.values))
        yield row


class _Repeated(Exception):
    """An object has a name twice, and nobody can tell which of its values is meant."""


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise _Repeated(next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1))
    return values


def _row(number: int, line: bytes) -> Row | None:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return Row(number, {}, NOT_UTF8)
    if not text.strip():
        return None
    try:
        values = json.loads(text, object_pairs_hook=_without_repeats)
    except _Repeated as error:
        return Row(number, {}, f"has {str(error)!r} twice; remove one of them")
    except (ValueError, RecursionError):
        return Row(number, {}, "is not JSON; write an object into each line")
    if not isinstance(values, dict):
        return Row(number, {}, f"is {told_kind(values)}, not an object; write an object into each line")
    return Row(number, values)
