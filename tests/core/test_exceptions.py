"""The error tree."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flexsms.core import exceptions


def test_every_error_is_permanent_or_retryable_and_not_both() -> None:
    concrete = [
        kind
        for kind in vars(exceptions).values()
        if isinstance(kind, type) and issubclass(kind, exceptions.FlexSmsError)
    ]
    bases = {
        exceptions.FlexSmsError,
        exceptions.TwilioError,
        exceptions.PermanentError,
        exceptions.RetryableError,
    }
    assert len(concrete) > 12
    for kind in set(concrete) - bases:
        assert issubclass(kind, exceptions.PermanentError) != issubclass(kind, exceptions.RetryableError), (
            kind
        )
        assert kind.__name__ in (exceptions.__doc__ or "")


def test_a_person_reads_the_cause_first_and_the_call_last() -> None:
    refused = exceptions.TwilioRefused(
        "GET chat.twilio.com/v2/X: Forbidden (20403); ask.", where="GET chat.twilio.com/v2/X"
    )
    assert refused.cause_first == "Forbidden (20403); ask (GET chat.twilio.com/v2/X)."
    for plain in (
        exceptions.TwilioRefused("Nobody answers."),
        exceptions.InvalidInput("body", "is empty", "write a text"),
    ):
        assert plain.cause_first == str(plain)


@pytest.mark.parametrize("kind", [exceptions.InvalidInput, exceptions.MissingSetting])
def test_of_a_number_in_the_wrong_place_only_four_digits_are_told(
    kind: Callable[[str, str, str], Exception],
) -> None:
    told = str(kind("to", "has no '+14155550171'", "give a number in E.164, like +14155550100"))
    assert "to: has no '…0171'; give a number in E.164, like +14155550100." in told
