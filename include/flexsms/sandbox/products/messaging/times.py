"""Moments as the API 2010-04-01 writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache


def rfc_2822(moment: float | None) -> str | None:
    """Whole seconds, UTC."""
    return None if moment is None else _of_second(int(moment))


@lru_cache(maxsize=65536)
def _of_second(second: int) -> str:
    return format_datetime(datetime.fromtimestamp(second, UTC))
