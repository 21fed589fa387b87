"""Ninety days that never were: what a contact centre's runs would have counted, for the dashboard.

``python -m flexsms.demo.history [--track-days DAYS]`` writes them into the database of the Airflow whose environment it
has, as asset events with the runs that they lead to. It is for a database that is thrown away.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from flexsms.core.delivery_status import Delivery, DeliveryStatus
from flexsms.demo.broadcast_history import broadcasts
from flexsms.demo.made_up_runs import Json, Run, write

DAYS = 90
RETENTION_DAYS = 2
AGE_BOUNDS = (1, 2, 3, 5, 7, 14, 30, 60, 90, 180, 365, None)
# Days ago on which there was no run, on which many failed, and on which a run left no report.
MISSED, ROUGH, SILENT = {23, 24, 61}, {9, 40}, 52
FORBIDDEN = (
    "403 POST conversations.twilio.com/v1/Conversations: the key lacks the permission; add it to the key"
)
REASONS = (30003, 30003, 30005, 30007)
CONSOLE = "https://console.twilio.com/us1/develop/conversations/manage/services"
SERVICE = "IS" + "0" * 32
DELIVERED: Json = {"kind": "send", "of": "delivery", "outcome": "delivered", "code": None}


def history(now: datetime, *, track_days: int = 1, seed: int = 7) -> Iterator[Run]:
    """All runs, the oldest first of each DAG.

    :param now: the present, aware
    :param track_days: for how many days there are runs of tracking, one every ten minutes
    """
    rng = random.Random(seed)  # noqa: S311 (figures, no secret)
    night = now.replace(hour=3, minute=0, second=0, microsecond=0)
    night -= timedelta(days=night > now)
    for ago in reversed(range(DAYS)):
        at = night - timedelta(days=ago) + timedelta(minutes=4, seconds=rng.randrange(60))
        if ago not in MISSED:
            extra = None if ago == SILENT else _cleanup(rng, at, ago)
            yield Run("flexsms_cleanup", "report", "flexsms_channel_state", at, extra)
    for step in reversed(range(track_days * 144)):
        at = now - timedelta(minutes=10 * step + 2)
        yield Run(
            "flexsms_track", "track", "flexsms_channel_state", at, _track(rng, at, by_stream=step % 3 > 0)
        )
    for step in reversed(range(160)):
        at = now - timedelta(minutes=60 * step + rng.randrange(50))
        yield _text(rng, at)
    yield from broadcasts(now)


def _cleanup(rng: random.Random, at: datetime, ago: int) -> Json:
    grown = 900 + 4 * (DAYS - ago) + int(90 * math.sin(ago))
    weekend = at.weekday() >= 5
    due = int(rng.gauss(120 if weekend else 310, 25))
    failed = 41 if ago in ROUGH else rng.choice([0, 0, 0, 0, 1, 2])
    live, changed, gone = rng.randrange(6), rng.randrange(3), rng.randrange(4)
    quiet = int(due * 1.1)
    ages = [int(due * 1.4), quiet, due, *(0 for _ in AGE_BOUNDS[3:])]
    failures = [
        {"channel_sid": f"CH{rng.randrange(16**32):032x}", "code": 20403, "message": FORBIDDEN}
        for _ in range(failed)
    ]
    return {
        "kind": "cleanup",
        "action": "deactivate",
        "retention_days": RETENTION_DAYS,
        "scanned": grown + sum(ages),
        "due": due,
        "deactivated": due - failed - live - changed - gone,
        "deleted": 0,
        "skipped_open_task": live,
        "skipped_changed": changed,
        "already_gone": gone,
        "skipped_type": 0,
        "other_types": {},
        "failed": failed,
        "failures": failures,
        "failed_by_code": {"20403": failed} if failed else {},
        "oldest_ended_at": (at - timedelta(days=RETENTION_DAYS + rng.random())).isoformat(),
        "channels": {"open": grown, "waiting": ages[0] + ages[1], "due": due},
        "by_stack": {"conversations": grown, "chat": due},
        "by_type": {"sms": grown + due},
        "ages": [[bound, count] for bound, count in zip(AGE_BOUNDS, ages, strict=True)],
        "duration_s": round(due * 0.11, 2),
        "api_calls": due * 4 + 30,
        "calls": {
            "sync.twilio.com": due * 2 + 20,
            "conversations.twilio.com": due * 2,
            "taskrouter.twilio.com": 10,
        },
        "throttled": rng.choice([0, 0, 0, 3]),
    }


def _track(rng: random.Random, at: datetime, *, by_stream: bool) -> Json:
    busy = 1 + max(0.0, math.sin((at.hour - 6) / 24 * 2 * math.pi))
    behind = round(abs(rng.gauss(3, 2)) * busy + 0.5, 1) if by_stream else round(rng.uniform(2, 9) * busy, 1)
    events = int(rng.expovariate(1 / (40 * busy)))
    latency = {"p50": round(behind * 0.8, 1), "p95": round(behind * 2.1, 1), "n": events}
    inbox = {"waiting": rng.choice([0, 0, 0, 1]), "latency_s": latency}
    return {
        "kind": "track",
        "source": "inbox" if by_stream else "taskrouter",
        "events": events,
        "ignored": events // 9,
        "channels": events // 3,
        "created": events // 20,
        "updated": events // 4,
        "unchanged": events // 10,
        "rejected": 0,
        "cursor": at.isoformat(),
        "read_up_to": (at - timedelta(seconds=behind)).isoformat(),
        "behind_s": behind,
        "api_calls": 2 + events // 2,
        "calls": {"sync.twilio.com": events // 2, "taskrouter.twilio.com": 2},
        "duration_s": round(0.8 + events * 0.02, 2),
        **(inbox if by_stream else {}),
    }


def _text(rng: random.Random, at: datetime) -> Run:
    kind = rng.choices(["delivered", "undelivered", "skipped", "duplicate", "no_text"], [80, 6, 4, 4, 6])[0]
    text = None if kind == "no_text" else f"{rng.randrange(16**16):016x}"
    extra = {
        "kind": "send",
        "text": text,
        "outcome": kind if kind in ("duplicate", "no_text") else "sent",
        "code": None,
        "to": f"…{rng.randrange(10_000):04d}",
        "console_url": f"{CONSOLE}/{SERVICE}/conversations/CH{rng.randrange(16**32):032x}",
        "route": rng.choice(["agent", "studio"]),
        "stack": "conversations",
        "segments": 0 if kind in ("duplicate", "no_text") else rng.choice([1, 1, 1, 2]),
        "new_channel": rng.random() < 0.3,
        "calls": {"conversations.twilio.com": 6, "sync.twilio.com": 3},
    }
    lost = Delivery(DeliveryStatus.UNDELIVERED, rng.choice(REASONS), f"SM{rng.randrange(16**32):032x}")
    failure = {"error": "NotDelivered", "sentence": lost.sentence()}
    return Run(
        "flexsms_send",
        "send",
        "flexsms_text",
        at,
        extra,
        delivery={**DELIVERED, "text": text} if kind == "delivered" else None,
        states={
            "send": "success",
            "delivery": {"undelivered": "failed", "skipped": "skipped"}.get(kind, "success"),
        },
        xcoms={("delivery", "failure", -1): failure} if kind == "undelivered" else {},
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--track-days", type=int, default=1)
    write(history(datetime.now(UTC), track_days=parser.parse_args().track_days))
