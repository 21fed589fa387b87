"""Dates as the SDK gives them."""

from __future__ import annotations

from datetime import UTC, datetime


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
