"""Arguments of operators, as forms and templates deliver them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flexsms.arguments import flag, moment, number, spellings, whole_number
from flexsms.core.exceptions import InvalidInput


@pytest.mark.parametrize(("value", "expected"), [(2, 2), (0.5, 0.5), ("2", 2), (" 0.5 ", 0.5), ("1e2", 100)])
def test_numbers_may_be_texts(value: object, expected: float) -> None:
    assert number("days", value, low=0, high=100) == expected


@pytest.mark.parametrize("value", [None, "", "two", True, "nan", "inf", -1, 101, [2], "None"])
def test_what_is_no_number_within_the_range_is_named(value: object) -> None:
    with pytest.raises(InvalidInput, match=r"^days: is .*; give a number between 0 and 100\.$"):
        number("days", value, low=0, high=100)


@pytest.mark.parametrize(("value", "expected"), [(3, 3), ("3", 3), (3.0, 3), ("3.0", 3)])
def test_whole_numbers_may_be_texts(value: object, expected: int) -> None:
    assert whole_number("limit", value, low=1, high=10) == expected


def test_half_a_channel_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"^limit: is 2\.5; give a whole number between 1 and 10\.$"):
        whole_number("limit", 2.5, low=1, high=10)


@pytest.mark.parametrize("value", [False, "False", "false", " FALSE "])
def test_the_text_false_is_false(value: object) -> None:
    assert flag("dry_run", value) is False


@pytest.mark.parametrize("value", [True, "True", "true"])
def test_true_is_true(value: object) -> None:
    assert flag("dry_run", value) is True


@pytest.mark.parametrize("value", ["", "no", 0, 1, None, "None"])
def test_what_is_neither_is_named(value: object) -> None:
    with pytest.raises(InvalidInput, match=r"^dry_run: is .*; give true or false\.$"):
        flag("dry_run", value)


@pytest.mark.parametrize("value", ["2026-11-18T16:00:00Z", "2026-11-18T17:00+01:00", "2026-11-18 16:00"])
def test_moments_are_utc_unless_they_say_otherwise(value: str) -> None:
    assert moment("since", value) == datetime(2026, 11, 18, 16, tzinfo=UTC)


@pytest.mark.parametrize("value", [None, ""])
def test_no_moment_is_none(value: object) -> None:
    assert moment("since", value) is None


@pytest.mark.parametrize("value", ["yesterday", 5, "None", "2026-13-01"])
def test_what_is_no_moment_is_named(value: object) -> None:
    with pytest.raises(InvalidInput, match=r"^since: is .*; give a moment in ISO 8601, like "):
        moment("since", value)


def test_of_a_number_in_the_wrong_field_only_four_digits_are_told() -> None:
    with pytest.raises(InvalidInput, match=r"^limit: is '…0171'; give"):
        whole_number("limit", "+14155550171", low=1, high=10)
    with pytest.raises(InvalidInput, match=r"^wanted: is 'call …0171'; give"):
        flag("wanted", "call (415) 555-0171")


def test_a_few_digits_are_masked_nowhere_else() -> None:
    assert spellings("+12") == {"+12"}
    assert spellings("+1 415-555-0100") == {
        "+1 415-555-0100",
        "14155550100",
        "+14155550100",
        "%2B14155550100",
    }
