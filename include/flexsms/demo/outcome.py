"""What has to come out of the story, worked out from the sandbox's own tasks and events, and what did come out.

Nothing here uses flexsms's rules or states: a mistake in them must not look right because it is made twice. Pure: it
reads snapshots of the sandbox (``GET /_sandbox/state``), its journal and its outbox.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

SECONDS_PER_DAY = 86_400.0
OPEN_TASK = frozenset({"pending", "reserved", "assigned", "wrapping"})
OPEN_SESSION = frozenset({"open", "in-progress"})
TASK_ENDS = frozenset({"task.completed", "task.canceled", "task.deleted", "task.system-deleted"})


@dataclass(frozen=True, slots=True)
class Channel:
    """A chat channel at one moment.

    :param attributes: as stored, those of others included
    :param session_open: whether a text from the customer would reach it
    :param open_tasks: the states of its tasks that are not finished
    :param last_ended: when its last task ended, seconds since 1970
    """

    sid: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    session_open: bool = False
    open_tasks: tuple[str, ...] = ()
    last_ended: float | None = None

    @property
    def retired(self) -> bool:
        """Whether the next contact starts a fresh channel and nothing can be swallowed meanwhile."""
        return (
            self.attributes.get("status") == "INACTIVE"
            and self.attributes.get("long_lived") is False
            and not self.session_open
        )

    def due(self, now: float, retention_days: float) -> bool:
        """No open task, and the last one ended at least a retention window ago."""
        if self.open_tasks or self.last_ended is None:
            return False
        return now - self.last_ended >= retention_days * SECONDS_PER_DAY

    def same(self, other: Channel) -> bool:
        """Whether nobody touched it between the two moments; its tasks do not count."""
        return dict(self.attributes) == dict(other.attributes) and self.session_open == other.session_open


def channels(state: Json) -> dict[str, Channel]:
    """Every chat channel of a snapshot, by SID."""
    tables = state["tables"]
    sessions = {row["sid"] for row in tables["sessions"] if row["status"] in OPEN_SESSION}
    connected = {
        row["identifier"]
        for row in tables["participants"]
        if row["parent"] in sessions and row["deleted"] is None
    }
    tasks: dict[str, list[str]] = {}
    for row in tables["tasks"]:
        if row["status"] in OPEN_TASK:
            tasks.setdefault(row["channel_sid"], []).append(row["status"])
    ended: dict[str, float] = {}
    for row in tables["events"]:
        if row["type"] in TASK_ENDS:
            sid = json.loads(row["data"]["task_attributes"]).get("channelSid")
            ended[sid] = max(ended.get(sid, 0.0), row["ms"] / 1000)
    return {
        row["sid"]: Channel(
            sid=row["sid"],
            attributes=json.loads(row["attributes"]),
            session_open=row["sid"] in connected,
            open_tasks=tuple(tasks.get(row["sid"], ())),
            last_ended=ended.get(row["sid"]),
        )
        for row in tables["channels"]
    }


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A run of cleanup as the sandbox saw it.

    :param started: seconds since 1970 by the sandbox's clock, and ``ended`` likewise
    :param before: every channel when it started, and ``after`` when it had ended
    :param summary: what the run itself reported
    :param calls: the journal of the run
    """

    started: float
    ended: float
    before: Mapping[str, Channel]
    after: Mapping[str, Channel]
    summary: Mapping[str, Any]
    calls: tuple[Json, ...]

    @property
    def writes(self) -> list[str]:
        """The calls that changed something, or tried to."""
        return [f"{call['method']} {call['path']}" for call in self.calls if call["method"] != "GET"]

    @property
    def newly_retired(self) -> set[str]:
        """The channels that were live before and are not any more."""
        return {
            sid
            for sid, channel in self.after.items()
            if channel.retired and sid in self.before and not self.before[sid].retired
        }

    def problems(self, retention_days: float) -> Iterator[str]:
        """Every difference from what the tasks demand, one sentence each; none is success."""
        surely = {sid for sid, one in self.before.items() if one.due(self.started, retention_days)}
        perhaps = {sid for sid, one in self.before.items() if one.due(self.ended, retention_days)}
        for sid, before in self.before.items():
            after = self.after.get(sid)
            if after is None:
                yield f"{sid} is gone, though nothing was to be deleted."
            elif sid in surely and not after.retired:
                yield f"{sid} was due and is not retired: {dict(after.attributes)}."
            elif sid in surely and _foreign(before) != _foreign(after):
                yield f"{sid} lost attributes that are not ours: {_foreign(before)} became {_foreign(after)}."
            elif sid not in perhaps and not after.same(before):
                yield f"{sid} was not due and was touched: {dict(before.attributes)} became {dict(after.attributes)}."
        done, failed = self.summary.get("deactivated"), self.summary.get("failed")
        if failed:
            yield f"Cleanup reports {failed} failed channels: {self.summary.get('failures')}."
        if done != len(self.newly_retired):
            yield f"Cleanup reports {done} deactivated channels; {len(self.newly_retired)} went from live to retired."

    def problems_of_repetition(self) -> Iterator[str]:
        """What a run that follows at once must not have done."""
        if self.summary.get("deactivated") or self.summary.get("deleted"):
            yield f"The second cleanup retired channels again: {dict(self.summary)}."
        if self.writes:
            yield f"The second cleanup made {len(self.writes)} write calls, the first of them {self.writes[0]}."
        for sid, before in self.before.items():
            if sid not in self.after or not self.after[sid].same(before):
                yield f"The second cleanup touched {sid}."


def _foreign(channel: Channel) -> dict[str, Any]:
    return {name: value for name, value in channel.attributes.items() if name not in ("status", "long_lived")}


def problems_of_sending(texts: Iterable[tuple[str, str]], outbox: Iterable[Json]) -> Iterator[str]:
    """Texts that did not leave exactly once.

    :param texts: number and body of each that was to be sent
    :param outbox: everything that left for a handset
    """
    left = [(sms["to"], sms["body"]) for sms in outbox]
    for number, body in texts:
        if (count := left.count((number, body))) != 1:
            yield f"The text to …{number[-4:]} left {count} times instead of once."
