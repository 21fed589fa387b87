"""How the texts of a broadcast fare, added up over all its workers, so that it stops when too many of them fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

# A share of fewer texts says little: three wrong numbers at the top of a list are no reason to stop.
FEWEST_TRIED = 50


@dataclass(frozen=True, slots=True)
class BroadcastTally:
    """Counts of texts that were tried.

    :param failed: how many failed for good, by Twilio's code as text; ``0`` where it gave none
    :param stopped: too many had failed, so nothing more is tried
    """

    sent: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    stopped: bool = False

    @property
    def tried(self) -> int:
        """How many there were."""
        return self.sent + sum(self.failed.values())

    def add(self, other: BroadcastTally) -> BroadcastTally:
        """What two counted together. Once stopped is stopped."""
        failed = Counter(self.failed)
        failed.update(other.failed)
        return BroadcastTally(self.sent + other.sent, dict(failed), self.stopped or other.stopped)

    def judge(self, stop_over: float) -> BroadcastTally:
        """The same, stopped if too many failed.

        :param stop_over: share of failures, 0 to 1
        """
        failed = sum(self.failed.values())
        is_over = self.tried >= FEWEST_TRIED and failed > stop_over * self.tried
        return BroadcastTally(self.sent, self.failed, self.stopped or is_over)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {"sent": self.sent, "failed": dict(self.failed), "stopped": self.stopped}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote, with whatever else is in it."""
        return cls(int(value["sent"]), dict(value["failed"]), bool(value["stopped"]))
