"""The time. Code that talks to Twilio reads it here and nowhere else, so that one place can be replaced in tests."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Now(Protocol):
    """Tells the present."""

    def __call__(self) -> datetime:
        """The present, an aware datetime."""
        ...


def utc_now() -> datetime:
    """The present by this machine's clock, UTC."""
    return datetime.now(UTC)


def monotonic_s() -> float:
    """Seconds since some moment, by a clock that nobody sets."""
    return time.monotonic()
