"""What the benchmark concludes from what it measured."""

from __future__ import annotations

import pytest

from bench.figures import Measurement, Spread, Target, ratios


def measurement(seconds: float, calls: dict[str, int] | None = None) -> Measurement:
    return Measurement("flexsms", things=100, seconds=seconds, calls=calls or {})


def test_a_spread_is_the_middle_and_the_extremes() -> None:
    assert Spread.of([3, 1, 2]) == Spread(2, 1, 3)
    assert Spread.of([1, 2]).middle == 1.5


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        pytest.param([1234.5], "1,234.5", id="one round has no spread"),
        pytest.param([2, 2, 2], "2.0", id="nor have equal ones"),
        pytest.param([1, 2, 4], "2.0 (1.0–4.0)", id="several"),
    ],
)
def test_a_spread_is_shown_with_its_range(values: list[float], shown: str) -> None:
    assert Spread.of(values).show() == shown


@pytest.mark.parametrize(
    ("reached", "bound", "at_least", "ok"),
    [
        pytest.param(0.9, 0.9, True, True, id="just enough"),
        pytest.param(0.89, 0.9, True, False, id="too little"),
        pytest.param(4.0, 4, False, True, id="just not too much"),
        pytest.param(4.01, 4, False, False, id="too much"),
    ],
)
def test_a_target_is_reached_or_missed(reached: float, bound: float, at_least: bool, ok: bool) -> None:
    target = Target("t", Spread.of([reached]), bound, at_least=at_least)
    assert target.ok is ok
    assert target.to_json()["ok"] is ok


def test_a_target_says_what_is_wanted() -> None:
    assert Target("t", Spread.of([1]), 50, at_least=False, unit=" MB", form=".0f").wanted == "≤ 50 MB"
    assert Target("t", Spread.of([1]), 0.9, at_least=True).wanted == "≥ 0.90"


def test_ratios_compare_within_a_round() -> None:
    ours, theirs = [measurement(1), measurement(10)], [measurement(2), measurement(20)]
    assert ratios(ours, theirs) == Spread(2, 2, 2)


def test_lists_and_the_ledger_are_not_calls_on_a_channel() -> None:
    one = measurement(
        4,
        {
            "GET chat.twilio.com/v2/Services/{id}/Channels/{id}": 100,
            "POST proxy.twilio.com/v1/Services/{id}/Sessions/{id}": 100,
            "POST sync.twilio.com/v1/Services/{id}/Documents/{id}": 100,
            "GET sync.twilio.com/v1/Services/{id}/Documents": 1,
            "POST sync.twilio.com/v1/Services/{id}/Maps/{id}/Items": 1,
        },
    )
    assert one.calls_on_channels == 300
    assert one.total_calls == 302
    assert one.per_second == 25
