"""What the tasks of a broadcast hand on to each other in XCom: numbers of texts, never a number or a text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Self

from flexsms.core.broadcast import Outcome
from flexsms.core.broadcast_totals import BroadcastTotals, many, outcomes_in_words
from flexsms.core.exceptions import PermanentError

PLAN_KEY = "plan"
PROGRESS_KEY = "progress"


@dataclass(frozen=True, slots=True)
class BroadcastPlan:
    """What the check of a list has found.

    :param folder: URL of the broadcast's folder; see :class:`flexsms.recipients.folder.BroadcastFolder`
    :param rows: of the list
    :param texts: that are to leave
    :param left_out: how many rows are not texted, by :class:`flexsms.core.broadcast.Outcome`
    :param segments: billed parts of all texts
    :param encodings: how many texts there are by encoding, ``GSM-7`` and ``UCS-2``
    :param cost: ``{"amount", "currency"}``, a decimal number as text, at least; None where a price is not known
    :param first_at: when the first text may leave, ISO 8601, UTC; None where there is none
    :param last_at: when the last one leaves at the pace that is set, as far as one can tell
    :param opted_out: how many numbers have opted out in the account
    :param checked_at: ISO 8601, UTC; a check that is cleared has another moment
    :param problems: at most five sentences with row and remedy
    :param first_local: the first moment by its recipient's clock, like ``08:00 local time``
    :param last_local: the last one
    :param hours: what was set, like ``08:00-21:00, mon-sun``
    :param senders: how many texts leave from each number, by its last four digits
    :param route: where replies go, :class:`flexsms.core.outbound_message.Route`
    :param samples: texts that a person should see, each like a batch of one, :class:`.broadcast.BroadcastBatch`
    """

    campaign: str
    folder: str
    rows: int
    texts: int
    left_out: Mapping[str, int]
    segments: int
    encodings: Mapping[str, int]
    cost: Mapping[str, str] | None
    first_at: str | None
    last_at: str | None
    opted_out: int
    checked_at: str
    problems: list[str] = field(default_factory=list)
    first_local: str = ""
    last_local: str = ""
    hours: str = ""
    senders: Mapping[str, int] = field(default_factory=dict)
    route: str = ""
    samples: list[Mapping[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The XCom value."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote."""
        return cls(**value)

    def sentence(self, *, dry_run: bool = False) -> str:
        """What the check has found, for a person."""
        left_out = outcomes_in_words(self.left_out)
        rest = f"; left out: {left_out}" if left_out else ""
        if not self.texts:
            return f"Nobody of {many(self.rows)} rows {'would be' if dry_run else 'is'} texted{rest}."
        cost = f", for at least {self.cost['amount']} {self.cost['currency']}" if self.cost else ""
        until = f" to {self.last_at}" if self.last_at else ""
        are = "would be" if dry_run else "are"
        return (
            f"{many(self.texts)} of {many(self.rows)} rows {are} texted, in {many(self.segments)} segments{cost}, "
            f"from {self.first_at}{until}{rest}."
        )


def pull_plan(ti: Any, task_id: str) -> BroadcastPlan:
    """What a check has found.

    :param ti: the task instance that asks
    :param task_id: of the check
    :raises PermanentError: when it has left nothing
    """
    found = ti.xcom_pull(task_ids=task_id, key=PLAN_KEY)
    if not found:
        raise PermanentError(
            f"The task '{task_id}' has left no plan; clear it, and the run checks the list anew."
        )
    return BroadcastPlan.from_json(found)


@dataclass(frozen=True, slots=True)
class BroadcastProgress:
    """How far a batch has come, for the dashboard.

    :param texts: of the batch
    :param done: of which something is known
    :param until: when it waits for its hours, ISO 8601, UTC; empty while it sends
    """

    texts: int
    done: int = 0
    sent: int = 0
    failed: int = 0
    suppressed: int = 0
    until: str = ""

    @classmethod
    def of(cls, texts: int, totals: BroadcastTotals, until: datetime | None) -> Self:
        """How far a batch has come, by what is known of its texts."""
        sent, failed, suppressed = (
            totals.counts[one] for one in (Outcome.SENT, Outcome.FAILED, Outcome.SUPPRESSED)
        )
        return cls(texts, totals.rows, sent, failed, suppressed, until.isoformat() if until else "")

    def to_json(self) -> dict[str, Any]:
        """The XCom value."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote."""
        return cls(**value)
