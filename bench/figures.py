"""What a measurement is, and what may be concluded from several. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Measurement:
    """One contender, once through its work.

    :param things: channels retired, or channels changed
    :param seconds: wall clock, the listing included
    :param listing_s: the seconds until the first call that does more than list
    :param calls: requests that reached the sandbox, by endpoint
    :param refused: of these, how many were answered 429
    :param client_cpu_s: CPU seconds of the process that made the calls
    :param sandbox_cpu_s: CPU seconds of the sandbox meanwhile
    """

    contender: str
    things: int
    seconds: float
    listing_s: float = 0.0
    calls: Mapping[str, int] = field(default_factory=dict)
    refused: int = 0
    client_cpu_s: float = 0.0
    sandbox_cpu_s: float = 0.0

    @property
    def per_second(self) -> float:
        """Things per second."""
        return self.things / self.seconds

    @property
    def total_calls(self) -> int:
        """All requests."""
        return sum(self.calls.values())

    @property
    def calls_on_channels(self) -> int:
        """Requests that name one channel, session or document; the others are lists and the ledger."""
        return sum(
            count
            for name, count in self.calls.items()
            if name.endswith(("/Channels/{id}", "/Sessions/{id}", "/Documents/{id}"))
        )

    @property
    def calls_beside_lists(self) -> int:
        """Requests that are neither a page of a list nor the ledger's."""
        return sum(
            count
            for name, count in self.calls.items()
            if "/Maps" not in name and (not name.startswith("GET ") or name.endswith("{id}"))
        )

    def to_json(self) -> dict[str, Any]:
        """All figures, the derived ones too."""
        return {
            **asdict(self),
            "calls": dict(self.calls),
            "per_second": self.per_second,
            "total_calls": self.total_calls,
        }


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of some repetitions, and how far they lie apart."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Of at least one value."""
        ordered = sorted(values)
        return cls(median(ordered), ordered[0], ordered[-1])

    def show(self, form: str = ",.1f") -> str:
        """Like ``371.2 (365.0–380.1)``; of a single value only that."""
        if self.low == self.high:
            return f"{self.middle:{form}}"
        return f"{self.middle:{form}} ({self.low:{form}}–{self.high:{form}})"


@dataclass(frozen=True, slots=True)
class Target:
    """What was to be reached, and what was.

    :param bound: the smallest value that will do if ``at_least``, else the largest
    """

    name: str
    reached: Spread
    bound: float
    at_least: bool
    unit: str = ""
    form: str = ".2f"

    @property
    def ok(self) -> bool:
        """Whether the middle value will do."""
        return self.reached.middle >= self.bound if self.at_least else self.reached.middle <= self.bound

    @property
    def wanted(self) -> str:
        """The bound in words."""
        return f"{'≥' if self.at_least else '≤'} {self.bound:{self.form}}{self.unit}"

    def to_json(self) -> dict[str, Any]:
        """For the JSON file."""
        return {**asdict(self), "ok": self.ok}


def ratios(ours: Sequence[Measurement], theirs: Sequence[Measurement]) -> Spread:
    """How many times as fast we are, round by round: what slows a round down slows both."""
    pairs = zip(ours, theirs, strict=True)
    return Spread.of(mine.per_second / other.per_second for mine, other in pairs)


def over(rounds: Iterable[Measurement], figure: Callable[[Measurement], float]) -> Spread:
    """A figure over the rounds."""
    return Spread.of(figure(one) for one in rounds)
