"""What the sandbox holds before a contender begins: made in bulk by its control plane, without a single API call."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

from flexsms.core.channel_state import ChannelState
from flexsms.core.stack_name import StackName
from flexsms.core.task_events import ENDING, TaskEventType
from flexsms.sandbox.client import SandboxControl
from flexsms.sandbox.control.bulk_load import customer_number
from flexsms.twilio.sync.channel_states import DOCUMENT_PREFIX, RECIPE_PREFIX

T = TypeVar("T")

CHUNK = 2_000  # rows per control request
DUE_DAYS, FRESH_DAYS, RETENTION_DAYS = 5.0, 0.5, 2.0
LIVE_S = 3_600.0


def chunks(items: Sequence[T], size: int) -> Iterator[list[T]]:
    """The items, so many at a time."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def sid(prefix: str, *parts: object) -> str:
    """A SID that is always the same for the same parts."""
    digest = hashlib.md5(json.dumps(parts).encode(), usedforsecurity=False).hexdigest()
    return prefix + digest


def ms_ago(days: float) -> int:
    """Milliseconds since 1970 UTC, so many days ago."""
    return int((datetime.now(UTC) - timedelta(days=days)).timestamp() * 1000)


def channels_with_sessions(control: SandboxControl, count: int, first: int = 0) -> list[str]:
    """Active long-lived channels of customers with successive numbers, each with an open Proxy session.

    They last changed when an agent wrote, before the task ended.
    """
    history = {"session": True, "text": "You are welcome.", "age_s": (DUE_DAYS + 1) * 86_400}
    rows = [{"customer": customer_number(n), **history} for n in range(first, first + count)]
    return [made for part in chunks(rows, CHUNK) for made in control.load(channels=part)["channels"]]


def states(
    control: SandboxControl, channel_sids: Sequence[str], *, days_ago: float, ended: bool = True
) -> None:
    """One state per channel: a task that began so long ago, and ended unless it is still open."""
    at_ms = ms_ago(days_ago)
    for part in chunks(channel_sids, CHUNK):
        control.load(documents=[_state(channel, at_ms, ended=ended) for channel in part])


def _state(channel_sid: str, at_ms: int, *, ended: bool) -> dict[str, Any]:
    task = sid("WT", channel_sid)
    state = ChannelState(
        channel_sid, StackName.CHAT, seen={task: at_ms - 600_000}, ended={task: at_ms} if ended else {}
    )
    return {"unique_name": DOCUMENT_PREFIX + channel_sid, "data": state.to_json()}


def due_channels(control: SandboxControl, count: int, *, first: int = 0) -> None:
    """Channels that are due."""
    states(control, channels_with_sessions(control, count, first), days_ago=DUE_DAYS)


def live_channels(control: SandboxControl, count: int, *, first: int) -> None:
    """Channels with a task that is still open, and older than the scan."""
    busy = channels_with_sessions(control, count, first)
    control.tasks(busy, age_s=LIVE_S)
    states(control, busy, days_ago=DUE_DAYS, ended=False)


def crowd(control: SandboxControl, count: int) -> None:
    """States of channels that are not due. Their channels are never asked for, so there are none."""
    states(control, [sid("CH", "crowd", n) for n in range(count)], days_ago=FRESH_DAYS)


def recipe_documents(control: SandboxControl, count: int) -> None:
    """Channels as the original recipe knows them: one document each with the last task event."""
    documents = []
    for channel in channels_with_sessions(control, count):
        data = {
            "eventtype": "com.twilio.taskrouter.task.completed",
            "timestamp": (datetime.now(UTC) - timedelta(days=DUE_DAYS)).isoformat(),
            "taskattributes": {"channelSid": channel, "channelType": "sms"},
            "channelsid": channel,
        }
        documents.append({"unique_name": RECIPE_PREFIX + channel, "data": data})
    control.load(documents=documents)


def event_lives(channels: int, events: int) -> Iterator[dict[str, Any]]:
    """So many task events of the last day, in the order in which they happened, for the sandbox's ``events(raw=…)``.

    A task begins, is wrapped up, and ends in one of four ways; of many the end is still to come.
    """
    dice = random.Random(channels * events)
    begin_ms, step_ms = ms_ago(1.0), 86_000_000 / events
    under_way: dict[str, tuple[str, TaskEventType]] = {}
    for n in range(events):
        channel = sid("CH", "streamed", dice.randrange(channels))
        task, before = under_way.pop(channel, ("", None))
        if before is None:
            task, now = sid("WT", channel, n), TaskEventType.CREATED
        elif before is TaskEventType.CREATED and dice.random() < 0.6:
            now = TaskEventType.WRAPUP
        else:
            now = dice.choice(sorted(ENDING))
        if now not in ENDING:
            under_way[channel] = task, now
        attributes = json.dumps({"channelSid": channel, "channelType": "sms", "direction": "inbound"})
        yield {
            "type": str(now),
            "resource_sid": task,
            "at_ms": int(begin_ms + n * step_ms),
            "data": {"task_sid": task, "task_attributes": attributes},
        }


def task_events(control: SandboxControl, *, channels: int, events: int) -> None:
    """Tasks that began and ended within the last day, spread evenly: half the events are the one, half the other."""
    sids = [sid("CH", "tracked", n) for n in range(channels)]
    begin_ms, step_ms = ms_ago(1.0), 86_000_000 / events
    raw = []
    for n in range(events):
        life, ending = divmod(n // channels, 2)
        channel = sids[n % channels]
        task = sid("WT", channel, life)
        attributes = json.dumps({"channelSid": channel, "channelType": "sms", "direction": "inbound"})
        raw.append(
            {
                "type": "task.completed" if ending else "task.created",
                "resource_sid": task,
                "at_ms": int(begin_ms + n * step_ms),
                "data": {"task_sid": task, "task_attributes": attributes},
            }
        )
    for part in chunks(raw, CHUNK):
        control.events(raw=part)
