"""Percentiles."""

from __future__ import annotations

import pytest

from flexsms.core.latency import percentiles


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([], {"p50": None, "p95": None, "n": 0}),
        ([2.5], {"p50": 2.5, "p95": 2.5, "n": 1}),
        ([3, 1, 2], {"p50": 2, "p95": 3, "n": 3}),
        ([float(n) for n in range(100, 0, -1)], {"p50": 50.0, "p95": 95.0, "n": 100}),
    ],
)
def test_a_percentile_is_one_of_the_values(seconds: list[float], expected: dict[str, float | None]) -> None:
    assert percentiles(seconds) == expected
