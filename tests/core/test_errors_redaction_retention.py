"""The error tree, the masking of numbers, and the retention window."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexsms.core import exceptions
from flexsms.core.exceptions import InvalidInput
from flexsms.core.redaction import mask_number, redact
from flexsms.core.retention import MS_PER_DAY, channel_types, window_ms
from flexsms.core.twilio_codes import advice, advice_on_login, error_class, twilio_code


@pytest.mark.parametrize(
    ("status", "code", "repeatable", "expected"),
    [
        (429, 20429, False, exceptions.RateLimited),
        (400, 54009, False, exceptions.RateLimited),
        (412, 54103, True, exceptions.RevisionMismatch),
        (404, 20404, True, exceptions.NotFound),
        (400, 80308, True, exceptions.NotFound),
        (409, 54301, True, exceptions.AlreadyExists),
        (400, 80603, True, exceptions.AlreadyExists),
        (401, 20003, True, exceptions.NotAuthorized),
        (403, 20003, True, exceptions.NotAuthorized),
        (403, 50400, True, exceptions.TwilioRefused),
        (400, 21211, True, exceptions.TwilioRefused),
        (410, 410, True, exceptions.ProductGone),
        (410, 20404, False, exceptions.ProductGone),
        (503, 20500, True, exceptions.ServiceUnavailable),
        (503, 20500, False, exceptions.OutcomeUnknown),
        (0, 0, True, exceptions.ServiceUnavailable),
        (0, 0, False, exceptions.OutcomeUnknown),
        (423, 423, False, exceptions.OutcomeUnknown),
        (423, 12345, True, exceptions.ServiceUnavailable),
        (404, 12345, True, exceptions.ServiceUnavailable),
        (409, 12345, False, exceptions.OutcomeUnknown),
        (400, 45360, True, exceptions.ServiceUnavailable),
        (400, 45352, False, exceptions.OutcomeUnknown),
        (407, 0, False, exceptions.NotAuthorized),
    ],
)
def test_every_answer_has_its_class(status: int, code: int, repeatable: bool, expected: type) -> None:
    assert error_class(status, code, repeatable=repeatable) is expected


@pytest.mark.parametrize("status", [400, 404, 409, 423])
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        *(
            (code, exceptions.ServiceUnavailable)
            for code in (20162, 20409, 50391, 50514, 59102, 80623, 80802)
        ),
        *((code, exceptions.AlreadyExists) for code in (50353, 50416, 50437, 54301, 80603)),
        *((code, exceptions.NotFound) for code in (20404, 50300, 54100, 80308)),
        *((code, exceptions.NotAuthorized) for code in (10001, 20003, 20005, 20403, 70051)),
        *((code, exceptions.TwilioRefused) for code in (21211, 21610, 50407, 80402, 80604, 80607)),
    ],
)
def test_a_known_code_means_the_same_with_any_status(status: int, code: int, expected: type) -> None:
    """Twilio's pages do not tell the status of most."""
    assert error_class(status, twilio_code(code), repeatable=False) is expected


def test_a_login_that_works_elsewhere_is_not_doubted() -> None:
    login: dict[str, Any] = {"product": "Sync", "is_key": True, "works": True}
    assert "lacks the permission for Sync" in advice_on_login(401, 20003, **login)
    assert "the account itself may not use Sync" in advice_on_login(403, 20003, **{**login, "is_key": False})
    told = advice_on_login(401, 20003, **{**login, "works": False})
    assert told.startswith("check login and password")
    assert told.endswith("or the key lacks the permission for Sync")
    # Neither is a matter of the key.
    assert "HTTP proxy" in advice_on_login(407, 0, **login)
    assert "status and balance" in advice_on_login(403, 20005, **login)


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


@pytest.mark.parametrize(
    ("given", "kinds"),
    [("sms", {"sms"}), (" SMS, whatsapp,", {"sms", "whatsapp"}), (["web", "custom"], {"web", "custom"})],
)
def test_kinds_of_channels_are_named_by_commas_or_in_a_list(given: object, kinds: set[str]) -> None:
    assert channel_types(given) == kinds


@pytest.mark.parametrize(
    ("given", "says"),
    [("", "is empty"), ([], "is empty"), (" , ", "is empty"), ("sms; web", "names 'sms; web'"), (7, "is 7")],
)
def test_what_names_no_kind_of_channel_is_refused(given: object, says: str) -> None:
    with pytest.raises(InvalidInput, match=f"channel_types: {says}"):
        channel_types(given)
