"""Reads the arguments of operators, which come from forms as JSON values and from templates as texts."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime

from airflow.sdk import Param

from flexsms.core.errors import InvalidInput
from flexsms.core.numbers import parse_number
from flexsms.hooks.twilio import default_conn_id
from flexsms.twilio.fields import CONN_ID

# What a form takes for a phone number, in characters. What is wrong with one the task says in a sentence, as no pattern
# of a form could.
LONGEST_NUMBER = 64


def twilio_conn_id(
    description: str = "The Airflow connection of type twilio.", section: str | None = None
) -> Param:
    """The param of a DAG that names its Airflow connection.

    :param section: of the trigger form; None: not in one
    """
    placed = {"section": section} if section else {}
    return Param(
        default_conn_id(),
        description,
        type="string",
        title="Connection",
        pattern=f"^{CONN_ID}$",
        maxLength=200,
        **placed,  # type: ignore[arg-type]  # the schema's keywords are as free as JSON
    )


def number(field: str, value: object, *, low: float, high: float) -> float:
    """A number within a range, also when a template wrote it as a text.

    :raises InvalidInput: naming the field and the range
    """
    try:
        parsed = float(str(value))
    except ValueError:
        parsed = float("nan")
    if isinstance(value, bool) or not low <= parsed <= high:
        raise InvalidInput(field, f"is {value!r}", f"give a number between {low:g} and {high:g}")
    return parsed


def whole_number(field: str, value: object, *, low: int, high: int) -> int:
    """A whole number within a range, also when a template wrote it as a text.

    :raises InvalidInput: naming the field and the range
    """
    parsed = number(field, value, low=low, high=high)
    if not parsed.is_integer():
        raise InvalidInput(field, f"is {value!r}", "give a whole number")
    return int(parsed)


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


def spellings(number: object) -> set[str]:
    """A phone number in every spelling that could turn up in a log or a URL, for masking.

    As it was given, and as it is sent.
    """
    if not number:
        return set()
    written = {str(number)}
    with suppress(InvalidInput):  # the task says so when it runs
        written.add(parse_number("number", str(number)))
    runs = {re.sub(r"\D", "", one) for one in written}
    return written | {f"{prefix}{digits}" for digits in runs for prefix in ("", "+", "%2B")}
