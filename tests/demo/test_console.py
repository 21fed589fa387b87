"""The terminal: one line per step, moving on a terminal and plain elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from flexsms.demo.console import View


def view(*, terminal: bool) -> tuple[View, io.StringIO]:
    out = io.StringIO()
    return View(Console(file=out, force_terminal=terminal, width=100, highlight=False)), out


@pytest.mark.parametrize("terminal", [True, False])
def test_a_step_ends_with_its_result(terminal: bool) -> None:
    shown, out = view(terminal=terminal)
    with shown.step("Clean up") as step:
        step.tell("waiting for [plan]")
        step.result = "3 retired [all of them]"
    assert "3 retired [all of them]" in out.getvalue()
    assert "✓" in out.getvalue()


def test_what_is_waited_for_is_one_line_each_where_nothing_can_move() -> None:
    shown, out = view(terminal=False)
    with shown.step("Start Airflow") as step:
        step.tell("waiting for api")
        step.tell("waiting for scheduler")
    lines = out.getvalue().splitlines()
    assert lines[:3] == ["… Start Airflow", "    waiting for api", "    waiting for scheduler"]
    assert lines[3].startswith("✓ Start Airflow")


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_step_that_fails_is_crossed(error: type[BaseException], terminal: bool) -> None:
    shown, out = view(terminal=terminal)

    def fail() -> None:
        raise error

    with pytest.raises(error), shown.step("Send"):
        fail()
    assert "✗" in out.getvalue()
    assert "✓" not in out.getvalue()


def test_problems_are_counted_and_listed() -> None:
    shown, out = view(terminal=False)
    shown.problems(["CH1 was [not] due.", "CH2 is gone."])
    assert out.getvalue().split("\n") == [
        "",
        "✗ Not as expected:",
        "  • CH1 was [not] due.",
        "  • CH2 is gone.",
        "",
    ]


def test_a_table_has_its_title_and_its_rows() -> None:
    shown, out = view(terminal=False)
    shown.table("What left", ("to", "text"), [("…0161", "[bold]Hello[/]")])
    assert "What left" in out.getvalue()
    assert "│ …0161 │ Hello │" in out.getvalue()


def test_outside_a_terminal_lines_are_long_enough_for_the_tables() -> None:
    assert View().console.width >= 100
