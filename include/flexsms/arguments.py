"""Reads the arguments of operators, which come from forms as JSON values and from templates as texts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from flexsms.core.exceptions import InvalidInput
from flexsms.core.phone_numbers import parse_number
from flexsms.core.validation import NotBool, sentence

T = TypeVar("T")
FEWEST_DIGITS = 5  # of a phone number
SHORTEST_MASKED = 5  # characters; the masker only warns about shorter ones


def number(field: str, value: object, *, low: float, high: float) -> float:
    """A number within a range, also when a template wrote it as a text.

    :raises InvalidInput: naming the field and the range
    """
    return _read(field, value, TypeAdapter(Annotated[float, Field(ge=low, le=high), NotBool]))


def whole_number(field: str, value: object, *, low: int, high: int) -> int:
    """A whole number within a range, also when a template wrote it as a text.

    :raises InvalidInput: naming the field and the range
    """
    return _read(field, value, TypeAdapter(Annotated[int, Field(ge=low, le=high), NotBool]))


def _read(field: str, value: object, kind: TypeAdapter[T]) -> T:
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        raise InvalidInput(field, *sentence(error, kind.json_schema())) from None


def flag(field: str, value: object) -> bool:
    """True or false. The text "False" that a template leaves must not count as true.

    :raises InvalidInput: for anything else
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise InvalidInput(field, f"is {value!r}", "give true or false")


def moment(field: str, value: object) -> datetime | None:
    """A moment in ISO 8601, UTC if it names no offset; None where nothing is given.

    :raises InvalidInput: for anything else
    """
    if value in (None, ""):
        return None
    try:
        parsed = datetime.fromisoformat(str(value))
    except ValueError:
        raise InvalidInput(
            field, f"is {value!r}", "give a moment in ISO 8601, like 2026-11-18T16:00:00Z"
        ) from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def mask(personal: Iterable[str]) -> None:
    """Have Airflow hide texts in logs and rendered fields; one of less than five characters it leaves alone."""
    from airflow.sdk.log import mask_secret

    for text in personal:
        if len(text) >= SHORTEST_MASKED:
            mask_secret(text)


def spellings(number: object) -> set[str]:
    """A phone number in every spelling that could turn up in a log or a URL, for masking.

    As it was given, and as it is sent.
    """
    if not number:
        return set()
    written = {str(number)}
    with suppress(InvalidInput):  # the task says so when it runs
        written.add(parse_number("number", str(number)))
    # Fewer digits name nobody, and masking them would tear other numbers apart.
    runs = {digits for one in written if len(digits := re.sub(r"\D", "", one)) >= FEWEST_DIGITS}
    return written | {f"{prefix}{digits}" for digits in runs for prefix in ("", "+", "%2B")}
