"""The time. Code that talks to Twilio reads it here and nowhere else, so that one place can be replaced in tests."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol, Self


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


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment of this process, whose age can be told even if the machine stood still in between."""

    wall: datetime
    monotonic_s: float

    @classmethod
    def now(cls) -> Self:
        """The present."""
        return cls(utc_now(), monotonic_s())

    @property
    def age(self) -> timedelta:
        """How long ago it was.

        The monotonic clock of a paused machine may stand still, and the wall clock may be set back: the longer of both
        counts.
        """
        return max(utc_now() - self.wall, timedelta(seconds=monotonic_s() - self.monotonic_s))
