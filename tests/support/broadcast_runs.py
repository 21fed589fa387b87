"""Runs of flexsms_broadcast as its tasks leave them in Airflow's database: each that a person can come across."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from flexsms.core.broadcast import Outcome
from flexsms.core.broadcast_totals import BroadcastTotals
from flexsms.demo.made_up_runs import Run
from flexsms.operators.broadcast_xcom import BroadcastPlan, BroadcastProgress

DAG_ID = "flexsms_broadcast"


def plan(campaign: str, texts: int, at: datetime, last_at: datetime | None = None) -> dict[str, Any]:
    """What a check has left."""
    return BroadcastPlan(
        campaign=campaign,
        folder="file:///x",
        rows=texts,
        texts=texts,
        left_out={},
        segments=texts,
        encodings={},
        cost=None,
        first_at=at.isoformat(),
        last_at=last_at.isoformat() if last_at else None,
        opted_out=0,
        checked_at=at.isoformat(),
    ).to_json()


def live(
    campaign: str,
    at: datetime,
    texts: int = 0,
    batches: Sequence[BroadcastProgress] = (),
    *,
    last_at: datetime | None = None,
    waiting: bool = False,
) -> Run:
    """One that runs: what its batches have said so far; none of them: it waits for approval, or is being checked.

    :param texts: of all batches; 0: the check is at work
    """
    states = {"check": "success" if texts else "running"}
    if waiting:
        states["approve"] = "awaiting_input"
    if batches:
        states["send"] = "running"
    xcoms: dict[tuple[str, str, int], Any] = {
        ("send", "progress", index): batch.to_json() for index, batch in enumerate(batches)
    }
    if texts:
        xcoms["check", "plan", -1] = plan(campaign, texts, at, last_at)
    return Run(DAG_ID, "report", DAG_ID, at, None, states=states, xcoms=xcoms, conf={"campaign": campaign})


def over(
    campaign: str,
    at: datetime,
    outcomes: Mapping[Outcome, int],
    codes: Mapping[Outcome, Mapping[int, int]] | None = None,
    *,
    approval: str = "not needed",
    canceled: bool = False,
) -> Run:
    """One that has a report."""
    totals = BroadcastTotals()
    totals.counts.update(outcomes)
    for outcome, found in (codes or {}).items():
        totals.codes[outcome].update(found)
    extra = {"kind": "broadcast", "campaign": campaign, **totals.to_json(), "approval": approval}
    states = {"check": "success", "send": "failed" if canceled else "success", "report": "success"}
    return Run(DAG_ID, "report", DAG_ID, at, extra, states=states, conf={"campaign": campaign})


def dry(campaign: str, at: datetime) -> Run:
    """A dry run, which leaves no asset event."""
    states = {"check": "success", "send": "success", "report": "success"}
    return Run(
        DAG_ID, "report", DAG_ID, at, None, states=states, conf={"campaign": campaign, "dry_run": True}
    )


def failed(campaign: str, at: datetime, sentence: str) -> Run:
    """One whose check has failed."""
    failure = {"error": "InvalidInput", "sentence": sentence}
    return Run(
        DAG_ID,
        "report",
        DAG_ID,
        at,
        None,
        states={"check": "failed", "report": "failed"},
        xcoms={("check", "failure", -1): failure},
        conf={"campaign": campaign},
    )


def each(now: datetime) -> list[Run]:
    """One of each kind, the newest first."""

    def ago(minutes: float) -> datetime:
        return now - timedelta(minutes=minutes)

    sends = BroadcastProgress(1000, done=700, sent=690, failed=4, suppressed=6)
    begins = BroadcastProgress(1000, done=12, sent=12)
    until = (now + timedelta(hours=9)).isoformat()
    waits = [BroadcastProgress(1000, done, done, until=until) for done in (310, 0)]
    return [
        live("being-checked", ago(1)),
        live("visits-of-tomorrow", ago(20), 2500, [sends, begins], last_at=now + timedelta(minutes=30)),
        live("west-coast", ago(40), 2000, waits, last_at=now + timedelta(hours=10)),
        live("new-prices", ago(60), 12_000, waiting=True),
        over(
            "vouchers",
            ago(90),
            {Outcome.DELIVERED: 40, Outcome.FAILED: 15, Outcome.STOPPED: 1945},
            {Outcome.FAILED: {21408: 15}},
        ),
        over(
            "we-open-late",
            ago(120),
            {Outcome.SENT: 3, Outcome.DELIVERED: 117, Outcome.UNKNOWN: 80},
            canceled=True,
        ),
        failed(
            "typo",
            ago(150),
            "body: has {firstname}, and the list has no such column; did you mean {first_name}?",
        ),
        dry("rehearsal", ago(180)),
        over("open-on-sunday", ago(600), {Outcome.STOPPED: 820}, approval="rejected"),
        over(
            "we-have-moved",
            ago(1500),
            {Outcome.DELIVERED: 3108, Outcome.NOT_DELIVERED: 52, Outcome.SUPPRESSED: 24, Outcome.INVALID: 16},
            {Outcome.NOT_DELIVERED: {30003: 38, 30007: 14}},
            approval="approved",
        ),
    ]
