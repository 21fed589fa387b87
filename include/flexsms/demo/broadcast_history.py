"""Broadcasts that never were: lists that a contact centre could have texted in ninety days, and what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from flexsms.core.broadcast import Outcome
from flexsms.core.broadcast_totals import BroadcastTotals
from flexsms.demo.made_up_runs import Run

DAG_ID, ASSET = "flexsms_broadcast", "flexsms_broadcast"
UNREACHABLE, UNKNOWN_HANDSET, FILTERED, NO_PERMISSION = 30003, 30005, 30007, 21408


@dataclass(frozen=True, slots=True)
class _Broadcast:
    """What became of a list.

    :param codes: Twilio's, of what failed and of what did not arrive
    :param approval: as the report says it
    """

    ago: timedelta
    campaign: str
    outcomes: Mapping[Outcome, int]
    codes: Mapping[Outcome, Mapping[int, int]] = field(default_factory=dict)
    approval: str = "approved"
    segments: int = 1

    def run(self, now: datetime) -> Run:
        """The run that ended with it."""
        totals = BroadcastTotals()
        totals.counts.update(self.outcomes)
        for outcome, codes in self.codes.items():
            totals.codes[outcome] = Counter(codes)
        totals.segments = totals.texted * self.segments
        extra = {
            "kind": "broadcast",
            "campaign": self.campaign,
            **totals.to_json(),
            "approval": self.approval,
            "duration_s": 60.0 + totals.texted,
        }
        states = {"check": "success", "send": "success", "report": "success"}
        return Run(
            DAG_ID, "report", ASSET, now - self.ago, extra, states=states, conf={"campaign": self.campaign}
        )


def broadcasts(now: datetime) -> Iterator[Run]:
    """All of them, the oldest first: one that was stopped and run again, and one that nobody has approved in time."""
    yield from (one.run(now) for one in _HISTORY)


_HISTORY = (
    _Broadcast(
        timedelta(days=61, hours=3),
        "new-address",
        {Outcome.DELIVERED: 4712, Outcome.NOT_DELIVERED: 96, Outcome.INVALID: 31, Outcome.REPEATED: 12},
        {Outcome.NOT_DELIVERED: {UNREACHABLE: 61, UNKNOWN_HANDSET: 35}},
    ),
    _Broadcast(
        timedelta(days=26, hours=5),
        "check-ups-autumn",
        {Outcome.DELIVERED: 1904, Outcome.NOT_DELIVERED: 41, Outcome.SUPPRESSED: 17, Outcome.INVALID: 6},
        {Outcome.NOT_DELIVERED: {UNREACHABLE: 29, FILTERED: 12}},
        segments=2,
    ),
    _Broadcast(
        timedelta(days=12, hours=4),
        "vouchers",
        {Outcome.DELIVERED: 40, Outcome.FAILED: 15, Outcome.STOPPED: 1945},
        {Outcome.FAILED: {NO_PERMISSION: 15}},
    ),
    _Broadcast(
        timedelta(days=11, hours=22),
        "vouchers",
        {Outcome.DELIVERED: 1931, Outcome.NOT_DELIVERED: 29, Outcome.TEXTED_BEFORE: 40},
        {Outcome.NOT_DELIVERED: {UNREACHABLE: 20, UNKNOWN_HANDSET: 9}},
    ),
    _Broadcast(timedelta(days=8, hours=2), "open-on-sunday", {Outcome.STOPPED: 820}, approval="no answer"),
    _Broadcast(
        timedelta(days=1, hours=6),
        "we-have-moved",
        {Outcome.DELIVERED: 3108, Outcome.NOT_DELIVERED: 52, Outcome.SUPPRESSED: 24, Outcome.INVALID: 16},
        {Outcome.NOT_DELIVERED: {UNREACHABLE: 38, FILTERED: 14}},
    ),
)
