"""The benchmark of a list's check, very small: it does the work, and tells about it in all ways."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from bench import check

# The measured processes import Airflow, beside a busy neighbour too.
pytestmark = pytest.mark.timeout(900)


def test_both_lists_are_checked_and_told_of() -> None:
    said: list[str] = []
    found = check.run(check.Lists(short=120, long=1_300), said.append)
    assert [one.rows for one in (*found.short, *found.long)] == [120, 1_300]
    # One of a hundred has no number, and one of a hundred the number of another.
    assert 1_300 * 0.97 < found.long[0].texts < 1_300
    assert found.long[0].batches == len({"US", "two zones", "New York", "DE", "GB", "FR"})
    assert said == ["checking a list of 120 rows", "checking a list of 1,300 rows"]
    assert len(found.to_json()["targets"]) == len(found.targets)
    json.dumps(found.to_json())
    text = io.StringIO()
    check.show_checking(Console(file=text, width=160), found)
    assert "memory for 1,300 rows, above that for few" in text.getvalue()
