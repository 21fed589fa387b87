"""What became of a broadcast, counted, and told in one sentence. It keeps counts alone, however many rows there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Self

from flexsms.core.broadcast import BroadcastResult, Outcome
from flexsms.core.delivery_status import reason

NAMED_CODES = 3

WORDS = {
    Outcome.DELIVERED: "delivered",
    Outcome.NOT_DELIVERED: "not delivered",
    Outcome.SENT: "not known yet",
    Outcome.INVALID: "invalid",
    Outcome.REPEATED: "twice in the list",
    Outcome.TEXTED_BEFORE: "texted before in this campaign",
    Outcome.SUPPRESSED: "opted out",
    Outcome.TOO_LATE: "too late",
    Outcome.STOPPED: "stopped",
    Outcome.FAILED: "failed",
    Outcome.UNKNOWN: "whose batch ended early",
}
# Who is without a text though they should have one, or may be: the next run of the campaign takes them up.
MISSING = (Outcome.TOO_LATE, Outcome.STOPPED, Outcome.FAILED, Outcome.UNKNOWN)


class BroadcastTotals:
    """Counts by outcome and by Twilio's code. Give it each row once, by the newest that is known of it.

    :ivar unfinished: how many texts a batch that is cleared could still send
    """

    def __init__(self) -> None:
        self.counts: Counter[Outcome] = Counter()
        self.codes: dict[Outcome, Counter[int]] = {
            Outcome.FAILED: Counter(),
            Outcome.NOT_DELIVERED: Counter(),
        }
        self.segments = 0
        self.unfinished = 0

    @classmethod
    def of(cls, results: Iterable[BroadcastResult]) -> Self:
        """Count some results."""
        totals = cls()
        for result in results:
            totals.add(result)
        return totals

    def add(self, result: BroadcastResult) -> None:
        """Count one row."""
        self.counts[result.outcome] += 1
        if result.outcome in self.codes:
            self.codes[result.outcome][result.code or 0] += 1
        if result.outcome.has_left:
            self.segments += result.segments
        if result.may_retry or result.outcome is Outcome.UNKNOWN:
            self.unfinished += 1

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.counts.total()

    @property
    def texted(self) -> int:
        """Who got a text on its way, whether or not it is known to have arrived."""
        return sum(count for outcome, count in self.counts.items() if outcome.has_left)

    @property
    def missing(self) -> int:
        """Who is without a text though they should have one, or may be."""
        return sum(self.counts[outcome] for outcome in MISSING)

    def to_json(self) -> dict[str, Any]:
        """The funnel: a count per outcome; of what failed and what did not arrive by code, 0 where Twilio gave none."""
        return {
            "rows": self.rows,
            "texted": self.texted,
            **{str(outcome): self.counts[outcome] for outcome in Outcome},
            **{f"{outcome}_by_code": _by_code(codes) for outcome, codes in self.codes.items()},
            "segments": self.segments,
        }

    def sentence(self) -> str:
        """What there is to say; the most frequent causes come last."""
        said = f"{many(self.rows)} rows: {many(self.texted)} texted{self._among(has_left=True)}"
        rest = self.rows - self.texted
        if rest:
            said += f", {many(rest)} not{self._among(has_left=False)}"
        return " ".join([f"{said}.", *self._causes()])

    def _among(self, *, has_left: bool) -> str:
        told = outcomes_in_words({one: n for one, n in self.counts.items() if one.has_left is has_left})
        return f" ({told})" if told else ""

    def _causes(self) -> list[str]:
        """A sentence for each of the most frequent codes."""
        codes = sum(self.codes.values(), Counter[int]())
        return [
            f"{many(count)} × {code}: {reason(code)}."
            for code, count in codes.most_common(NAMED_CODES)
            if code
        ]


def outcomes_in_words(counts: Mapping[str, int]) -> str:
    """Counts by outcome, told; those of nobody are left out."""
    return ", ".join(
        f"{many(counts[outcome])} {words}" for outcome, words in WORDS.items() if counts.get(outcome)
    )


def many(count: int) -> str:
    """A number with a blank between thousands."""
    return f"{count:,}".replace(",", " ")


def counted(count: int, what: str) -> str:
    """A number of things, like ``1 text`` and ``2 texts``."""
    return f"{many(count)} {what}{'' if count == 1 else 's'}"


def _by_code(codes: Counter[int]) -> dict[str, int]:
    return {str(code): count for code, count in sorted(codes.items())}
