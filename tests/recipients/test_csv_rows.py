"""CSV files as people save them: what is in a cell is text, or the row is named."""

from __future__ import annotations

import csv
import io
import tracemalloc
from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexsms.core.exceptions import InvalidInput
from flexsms.recipients.csv_rows import csv_rows
from flexsms.recipients.rows import LONGEST_LINE, Row


def anything(_: Collection[str]) -> None:
    """Any columns will do."""


def read(content: bytes | str) -> list[Row]:
    raw = content if isinstance(content, bytes) else content.encode()
    return list(csv_rows(io.BytesIO(raw), anything))


def values(content: bytes | str) -> list[dict[str, str]]:
    rows = read(content)
    assert not [row.problem for row in rows if row.problem]
    return [dict(row.values) for row in rows]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_marks_and_ends_of_lines(mark: str, end: str) -> None:
    content = f'{mark}to_number,name{end}+1,"a, b"{end}+2,"two{end}lines"{end}'
    assert values(content) == [
        {"to_number": "+1", "name": "a, b"},
        {"to_number": "+2", "name": f"two{end}lines"},
    ]


@pytest.mark.parametrize(
    "cell",
    [
        '=HYPERLINK("http://x","y")',
        "+1-2",
        "@SUM(A1)",
        'say ""hi""'.replace('""', '"'),
        "{{ conn.twilio_default.password }}",
        "{to_number}",
        "\u200fright to left\u202e",
        "👩\u200d🔬 and \x00",
        "  blanks  ",
    ],
)
def test_a_cell_is_text_whatever_it_looks_like(cell: str) -> None:
    quoted = '"' + cell.replace('"', '""') + '"'
    assert values(f"to_number,name\n+1,{quoted}\n") == [{"to_number": "+1", "name": cell}]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_what_is_written_is_read(cells: list[str]) -> None:
    lines = "".join('x,"' + cell.replace('"', '""') + '"\n' for cell in cells)
    assert [row["name"] for row in values(f"key,name\n{lines}")] == cells


def test_what_cannot_be_read_is_named_by_row_and_the_others_are_read() -> None:
    long_line = "x" * (3 * LONGEST_LINE)
    content = b"".join(
        [
            b"to_number,name\n",
            b"+1,one\n",
            b"+2,J\xfcrgen\n",
            b"+3,three,more\n",
            b"+4\n",
            b'+5,"five"x\n',
            f"+6,{'y' * 200_000}\n".encode(),
            f"+7,{long_line}\n".encode(),
            f'+8,"{long_line}"\n'.encode(),
            b"+9,nine",
        ]
    )
    found = read(content)
    assert {row.number: row.problem for row in found} == {
        1: "",
        2: "is not UTF-8; save the file as UTF-8",
        3: "has 3 cells, and the header 2; put a cell with a comma in it into quotes",
        4: "has 1 cell, and the header 2; put a cell with a comma in it into quotes",
        5: "is no row of a CSV file; write a quote inside of quotes twice, and nothing behind the closing one",
        6: "has a cell of more than 131,072 characters; shorten it",
        7: "is longer than 1 MiB; shorten it",
        8: "is longer than 1 MiB; shorten it",
        9: "",
    }
    assert found[-1].values == {"to_number": "+9", "name": "nine"}


def test_a_long_field_is_never_in_memory() -> None:
    class Endless(io.RawIOBase):
        """A list of which a cell of the second row has 10 MB."""

        def __init__(self) -> None:
            self.parts = iter([b"to_number,name\n+1,a\n+2,", *[b"x" * 2**16] * 160, b"\n+3,c\n"])

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            part = next(self.parts, b"")
            buffer[: len(part)] = part
            return len(part)

    tracemalloc.start()
    try:
        found = list(csv_rows(io.BufferedReader(Endless(), 2**16), anything))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [row.problem for row in found] == ["", "is longer than 1 MiB; shorten it", ""]
    assert peak < 6 * LONGEST_LINE


def test_empty_rows_are_left_out_and_count() -> None:
    found = read("to_number,name\n+1,a\n\n,\n+4,b\n")
    assert [(row.number, row.values["to_number"]) for row in found] == [(1, "+1"), (4, "+4")]


@pytest.mark.parametrize(
    "content",
    [
        'to_number,name\n+1,a\n+2,"never closed\n+3,c\n',
        'to_number,name\n+1,a\n+2,"never closed\n' + "+3,c\n" * 50_000,
        'to_number,name\n+1,a\n+2,"never closed ' + "x" * (2 * LONGEST_LINE) + "\n+3,c\n",
    ],
)
def test_a_quote_that_is_not_closed_ends_the_check(content: str) -> None:
    """Nobody can tell where the next row begins."""
    with pytest.raises(InvalidInput, match="recipients: row 2 opens a quote that is not closed"):
        read(content)


def test_it_ends_soon_whatever_others_have_told_the_reader(request: pytest.FixtureRequest) -> None:
    limit = csv.field_size_limit(2**40)
    request.addfinalizer(lambda: csv.field_size_limit(limit))
    file = io.BytesIO(b'to_number,name\n+1,"never closed\n' + b"+3,c\n" * 500_000)
    with pytest.raises(InvalidInput, match="row 1 opens a quote"):
        list(csv_rows(file, anything))
    assert file.tell() < 2 * LONGEST_LINE


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "recipients: is empty; write the names of the columns into the first line."),
        (b"\n+1,a\n", "recipients: is empty"),
        ("to_number;name\n".encode("utf-16"), "recipients: is UTF-16; save the file as UTF-8."),
        (b"to_number,n\xe4me\n", "recipients: is not UTF-8 in its header"),
        (b"to_number;name\n+1;a\n", "recipients: has its columns divided by ';'; save the file with commas."),
        (b"to_number\tname\n", "divided by '\\t'"),
        (b"to_number,name,name\n", "recipients: has the column 'name' twice; rename one of them."),
        (b'to_number,"name\n', "recipients: has no header that can be read"),
        (b"x" * (LONGEST_LINE + 1), "recipients: has no header that can be read"),
    ],
)
def test_a_header_that_will_not_do(content: bytes, sentence: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        read(content)
    assert sentence in str(raised.value)


def test_the_columns_are_looked_at_before_any_row() -> None:
    def refuse(columns: Collection[str]) -> None:
        raise InvalidInput("recipients", f"has {list(columns)}", "no")

    rows = csv_rows(io.BytesIO(b"a,b\n1,2\n"), refuse)
    with pytest.raises(InvalidInput, match="'a', 'b'"):
        next(rows)
