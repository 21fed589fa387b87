"""What is concluded from loads of the dashboard and of Airflow's page. The loads themselves: `make bench`."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from bench.dashboard import OURS, THEIRS, Loads, show_loads


@pytest.mark.parametrize(
    ("ours", "theirs", "reached"),
    [
        ([0.5, 0.6], [1.0, 1.5], [True, True]),
        ([2.0, 2.0], [3.0, 3.0], [False, True]),
        ([0.5], [0.4], [True, False]),
    ],
)
def test_the_targets(ours: list[float], theirs: list[float], reached: list[bool]) -> None:
    loads = Loads({OURS: ours, THEIRS: theirs})
    assert [target.ok for target in loads.targets] == reached
    assert loads.to_json()["seconds"] == {OURS: ours, THEIRS: theirs}


def test_they_are_shown() -> None:
    console = Console(record=True, width=120, file=io.StringIO())
    show_loads(console, Loads({OURS: [0.5], THEIRS: [1.0]}))
    shown = console.export_text()
    assert "0.50 s" in shown
    assert "dashboard beside Airflow's page" in shown
