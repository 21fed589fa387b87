"""What the tasks of a cleanup hand on to each other in XCom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flexsms.core.exceptions import PermanentError
from flexsms.twilio.cleanup.outcomes import NAMED_FAILURES, Action, Outcome, by_code, failure
from flexsms.twilio.cleanup.scan import DueChannel, pack, unpack

if TYPE_CHECKING:
    from flexsms.twilio.account import Account
    from flexsms.twilio.cleanup.plan import Plan

PLAN_KEY = "plan"
REPORT_KEY = "report"
# Channels per XCom: some 250 KB. Before many an API server is an nginx that refuses 1 MB unless it is told otherwise.
PART_SIZE = 2_000


def push_channels(ti: Any, due: Sequence[DueChannel]) -> None:
    """Leave the channels that are due in XCom, in parts.

    :param ti: the task instance of the plan
    """
    for start in range(0, len(due), PART_SIZE):
        ti.xcom_push(part_key(start // PART_SIZE), pack(due[start : start + PART_SIZE]))


def batches_of(
    due: int, size: int, scanned_at: datetime, task_id: str, action: Action
) -> list[dict[str, Any]]:
    """The batches that a plan returns: from where to where among the channels that are due.

    Where nothing is due, that is one empty batch: Airflow would skip a task that is mapped over none, and so would
    what follows it.

    :param due: how many channels there are
    :param task_id: the task that has left them
    :param action: how they are to be retired
    """
    return [
        {
            "label": f"channels {start + 1} to {min(start + size, due)} of {due}"
            if due
            else "nothing is due",
            "scanned_at": scanned_at.isoformat(),
            "task_id": task_id,
            "action": str(action),
            "start": start,
            "end": min(start + size, due),
        }
        for start in range(0, max(due, 1), size)
    ]


def part_key(number: int) -> str:
    """Under which key of XCom a plan leaves a part of the channels that are due."""
    return f"channels.{number}"


def planned_channels(ti: Any, batch: Mapping[str, Any]) -> list[DueChannel]:
    """The channels of a batch, of which it only says where the plan has left them.

    :param ti: the task instance that asks
    :raises PermanentError: when they are no longer there
    """
    start, end = int(batch["start"]), int(batch["end"])
    first, last = start // PART_SIZE, -(-end // PART_SIZE)
    channels: list[DueChannel] = []
    for key in map(part_key, range(first, last)):
        packed = ti.xcom_pull(task_ids=batch["task_id"], key=key)
        if packed is None:
            raise PermanentError(
                f"The task '{batch['task_id']}' has left no channels under the XCom key '{key}'; clear it, "
                "and the run plans anew."
            )
        channels += unpack(packed)
    return channels[start - first * PART_SIZE : end - first * PART_SIZE]


def calls_of(account: Account) -> dict[str, Any]:
    """The requests of a task: how many, by host, and how many Twilio put off with 429."""
    transport = account.transport
    return {
        "api_calls": transport.total_calls,
        "calls": transport.calls_by_host(),
        "throttled": transport.throttled,
    }


def summary_of(plan: Plan, size: int, began: datetime) -> dict[str, Any]:
    """What a plan says of its scan, and of what could not be put right.

    :param size: channels per batch
    :param began: when the plan was begun
    """
    scan, healed = plan.scan, plan.healed
    failures = [
        {"channel_sid": document.channel_sid, "code": 0, "message": document.problem}
        for document in scan.unreadable
    ] + [failure(channel_sid, error) for channel_sid, error in healed.errors.items()]
    codes = Counter(by_code(healed.errors.values()))
    codes["0"] += len(scan.unreadable)
    oldest = datetime.fromtimestamp(scan.due[0].ended_ms / 1000, UTC).isoformat() if scan.due else None
    return {
        "scanned": scan.scanned,
        "due": scan.due_in_all,
        "oldest_ended_at": oldest,
        "failed": len(failures),
        "failures": failures[:NAMED_FAILURES],
        "failed_by_code": dict(+codes),
        "restored": len(healed.restored),
        "finished": len(healed.finished),
        "tasks_over": plan.tasks_over,
        "elsewhere": scan.elsewhere,
        "leftovers": scan.leftovers[:NAMED_FAILURES],
        "other_types": dict(scan.other_types),
        Outcome.SKIPPED_TYPE: scan.other_types.total(),
        "unanswered": len(healed.unanswered),
        "unanswered_channels": healed.unanswered[:NAMED_FAILURES],
        "started_at": began.isoformat(),
        "scanned_at": plan.scanned_at.isoformat(),
        "census": scan.census.to_json(),
        "batches": [min(size, len(scan.due) - start) for start in range(0, len(scan.due), size)],
    }
