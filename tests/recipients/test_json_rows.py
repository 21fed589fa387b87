from __future__ import annotations

import io
from collections.abc import Collection

from flexsms.recipients.json_rows import json_rows
from flexsms.recipients.rows import LONGEST_LINE, Row, given_rows


def read(content: bytes, seen: list[list[str]] | None = None) -> list[Row]:
    def check(columns: Collection[str]) -> None:
        if seen is not None:
            seen.append(list(columns))

    return list(json_rows(io.BytesIO(content), check))


def test_an_object_per_line() -> None:
    seen: list[list[str]] = []
    content = '\ufeff{"to_number": "+1", "n": 7}\r\n\r\n{"to_number": "+3", "n": "{{ x }} ö"}'.encode()
    assert read(content, seen) == [
        Row(1, {"to_number": "+1", "n": 7}),
        Row(3, {"to_number": "+3", "n": "{{ x }} ö"}),
    ]
    assert seen == [["to_number", "n"]]


def test_what_cannot_be_read_is_named_by_row_and_the_others_are_read() -> None:
    found = read(
        b"\n".join(
            [
                b"not json",
                b"[1]",
                b'"text"',
                b'{"n": "J\xfcrgen"}',
                b'{"n": "' + b"x" * (2 * LONGEST_LINE) + b'"}',
                b"[" * 100_000,
                b'{"n": 1, "to_number": "+1", "to_number": "+2"}',
                b'{"n": "\\ud83d"}',
            ]
        )
    )
    assert [row.problem for row in found] == [
        "is not JSON; write an object into each line",
        "is a list, not an object; write an object into each line",
        "is a text, not an object; write an object into each line",
        "is not UTF-8; save the file as UTF-8",
        "is longer than 1 MiB; shorten it",
        "is not JSON; write an object into each line",
        "has 'to_number' twice; remove one of them",
        "",
    ]
    # Half an emoji is no text, and whoever takes it for one says so.
    assert found[-1].values == {"n": "\ud83d"}


def test_what_a_task_has_returned() -> None:
    seen: list[Collection[str]] = []
    values = ["x", {"to_number": "+2"}, None, True, 7, ["+1"], b"x"]
    assert list(given_rows(values, seen.append)) == [
        Row(1, {}, "is a text, not an object; give a value for each column"),
        Row(2, {"to_number": "+2"}),
        Row(3, {}, "is null, not an object; give a value for each column"),
        Row(4, {}, "is true or false, not an object; give a value for each column"),
        Row(5, {}, "is a number, not an object; give a value for each column"),
        Row(6, {}, "is a list, not an object; give a value for each column"),
        Row(7, {}, "is of type bytes, not an object; give a value for each column"),
    ]
    # Also where the first one is no object.
    assert seen == [["to_number"]]
    assert seen == [["to_number"]]
