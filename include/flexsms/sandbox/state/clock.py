"""The virtual clock: wall clock plus an offset, or standing still until it is moved, and Twilio's date formats."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache


class Clock:
    """Seconds since the epoch, as the emulated account sees them."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset
        self._pinned: float | None = None
        self._stopped_at: float | None = None

    def now(self) -> float:
        return self.present() if self._pinned is None else self._pinned

    def present(self) -> float:
        """The moment it is, also while something happens `at` another: a seeded history is delivered now."""
        return (time.time() if self._stopped_at is None else self._stopped_at) + self.offset

    def run(self, runs: bool) -> None:
        """Go on with the wall clock from here, or stand still: then only `advance` moves it."""
        present = self.present()
        self._stopped_at = None if runs else time.time()
        self.offset += present - self.present()

    def advance(self, seconds: float) -> float:
        """Move forward; a clock that ran backwards would un-happen what was already answered."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self.offset += seconds
        return self.now()

    @contextmanager
    def at(self, moment: float) -> Iterator[None]:
        """Let something happen at exactly `moment` (a timer that was due then, a seeded history)."""
        before, self._pinned = self._pinned, moment
        try:
            yield
        finally:
            self._pinned = before


@lru_cache(maxsize=65536)
def _iso(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso(moment: float | None) -> str | None:
    """ISO 8601 with second precision and a literal Z, as every Twilio product here answers (https://www.twilio.com/docs/usage/rest-api-best-practices)."""
    return None if moment is None else _iso(int(moment))


def iso_ms(moment: float) -> str:
    """With milliseconds, as in Event Streams (https://www.twilio.com/docs/usage/rest-api-best-practices)."""
    ms = round(moment * 1000)
    return f"{_iso(ms // 1000)[:-1]}.{ms % 1000:03d}Z"


@lru_cache(maxsize=16)
def http_date(second: int) -> bytes:
    """As in the header Date, which every answer has (RFC 9110)."""
    return formatdate(second, usegmt=True).encode()


def parse_iso(text: str) -> float:
    """Seconds since the epoch; a date without a zone is GMT. Raises ValueError."""
    parsed = datetime.fromisoformat(text)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
