"""What an answer's status and code mean: the class of its error, and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from flexsms.core import exceptions
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


def test_advice_prefers_the_code() -> None:
    assert "opted out" in advice(400, 21610)
    assert "stack" in advice(410, 410)
    assert advice(418, 12345) == ""
