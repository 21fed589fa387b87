"""The error tree, the masking of numbers, and the retention window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexsms.core import errors
from flexsms.core.codes import advice, error_class
from flexsms.core.redaction import mask_number, redact
from flexsms.core.retention import MS_PER_DAY, window_ms


@pytest.mark.parametrize(
    ("status", "code", "repeatable", "expected"),
    [
        (429, 20429, False, errors.RateLimited),
        (400, 54009, False, errors.RateLimited),
        (412, 54103, True, errors.RevisionMismatch),
        (404, 20404, True, errors.NotFound),
        (400, 80308, True, errors.NotFound),
        (409, 54301, True, errors.AlreadyExists),
        (400, 80603, True, errors.AlreadyExists),
        (401, 20003, True, errors.NotAuthorized),
        (403, 20003, True, errors.NotAuthorized),
        (403, 50400, True, errors.TwilioRefused),
        (400, 21211, True, errors.TwilioRefused),
        (410, 410, True, errors.ProductGone),
        (410, 20404, False, errors.ProductGone),
        (503, 20500, True, errors.ServiceUnavailable),
        (503, 20500, False, errors.OutcomeUnknown),
        (0, 0, True, errors.ServiceUnavailable),
        (0, 0, False, errors.OutcomeUnknown),
    ],
)
def test_every_answer_has_its_class(status: int, code: int, repeatable: bool, expected: type) -> None:
    assert error_class(status, code, repeatable=repeatable) is expected


def test_every_error_is_permanent_or_retryable_and_not_both() -> None:
    concrete = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.FlexSmsError)
    ]
    bases = {errors.FlexSmsError, errors.TwilioError, errors.PermanentError, errors.RetryableError}
    assert len(concrete) > 12
    for kind in set(concrete) - bases:
        assert issubclass(kind, errors.PermanentError) != issubclass(kind, errors.RetryableError), kind
        assert kind.__name__ in (errors.__doc__ or "")


def test_advice_prefers_the_code() -> None:
    assert "opted out" in advice(400, 21610)
    assert "stack" in advice(410, 410)
    assert advice(418, 12345) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The 'To' number +14155550101 is not valid", "The 'To' number …0101 is not valid"),
        ("x?Address=%2B14155550101&y=1", "x?Address=…0101&y=1"),
        ("+1 (415) 555-0101", "…0101"),
        ("at 1795020127105 in WT00000000000000000000000000000010", None),
    ],
)
def test_numbers_are_masked_and_nothing_else(text: str, expected: str | None) -> None:
    assert redact(text) == (expected or text)


def test_a_short_number_is_hidden_altogether() -> None:
    assert mask_number("1234") == "…"


@given(st.from_regex(r"\+[1-9][0-9]{7,14}", fullmatch=True), st.text(alphabet="abc xyz", max_size=10))
def test_no_number_survives(number: str, around: str) -> None:
    assert number not in redact(f"{around}{number}{around}")


def test_the_window_may_be_a_fraction_of_a_day() -> None:
    assert window_ms(2) == 2 * MS_PER_DAY
    assert window_ms(0.5) == MS_PER_DAY // 2
