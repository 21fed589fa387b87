from __future__ import annotations

from flexsms.core.list_problems import MOST_KINDS, TOLD, ListProblems


def test_equal_problems_are_told_once() -> None:
    problems = ListProblems()
    for row in range(3, 42):
        problems.add(row, f", to_number: …{row:04} is not a phone number; write it in E.164.")
    problems.add(50, " is not UTF-8; save the file as UTF-8.")
    assert problems.sentences() == [
        "row 3 (and 38 more), to_number: …0003 is not a phone number; write it in E.164.",
        "row 50 is not UTF-8; save the file as UTF-8.",
    ]
    assert problems.sentences(below_header=True) == [
        "row 3 (and 38 more), to_number: …0003 is not a phone number; write it in E.164. "
        "(Rows are counted below the header.)",
        "row 50 is not UTF-8; save the file as UTF-8.",
    ]


def test_few_are_told_however_many_there_are() -> None:
    problems = ListProblems()
    for row in range(1, 3 * MOST_KINDS):
        problems.add(row, f", {'x' * row}.")
    told = problems.sentences()
    assert len(told) == TOLD
    assert told[0] == "row 1, x."
    assert told[-1] == f"{3 * MOST_KINDS - 1 - (TOLD - 1):,} more rows have other problems."


def test_nothing_is_said_of_nothing() -> None:
    assert ListProblems().sentences(below_header=True) == []
