"""Dates as the SDK gives them."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime

from twilio.base import deserialize

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_of_the_sdk = deserialize.iso8601_datetime


def iso8601_datetime(s: str) -> datetime | str:
    """What the SDK makes of a date, at a tenth of the cost.

    The SDK reads every date of every answer by ``strptime``, needed or not: a sixth of a cleanup's CPU time.
    """
    if isinstance(s, str) and _DATE.fullmatch(s):
        with suppress(ValueError):
            return datetime.fromisoformat(s)
    return _of_the_sdk(s)


def read_dates_quickly() -> None:
    """Let the SDK read its dates by :func:`iso8601_datetime`, in the whole process; the results stay the same."""
    deserialize.iso8601_datetime = iso8601_datetime


def utc(moment: object) -> datetime | None:
    """An aware datetime of what the SDK made of a date.

    The SDK knows seconds only: a date with milliseconds stays a text.

    :return: None for anything that is no date
    """
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return None
    if not isinstance(moment, datetime):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
