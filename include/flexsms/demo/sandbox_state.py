"""Every channel of the sandbox at one moment, read from its own tables (``GET /_sandbox/state``).

Nothing here uses flexsms's rules or states: a mistake in them must not look right because it is made twice. What the
two stacks store differently ends in this module; to everything else a channel is a channel.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

SECONDS_PER_DAY = 86_400.0
OPEN_TASK = frozenset({"pending", "reserved", "assigned", "wrapping"})
OPEN_SESSION = frozenset({"open", "in-progress"})
TASK_ENDS = frozenset({"task.completed", "task.canceled", "task.deleted", "task.system-deleted"})
CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of either stack at one moment.

    :param attributes: as stored, those of others included
    :param parts: what a text could still get through, by name, and its state: ``{"session": "open"}`` of a chat
        channel, ``{"conversation": "active", "interaction": "active"}`` of a conversation
    :param open_tasks: the states of its tasks that are not finished
    :param last_ended: when its last task ended, seconds since 1970
    """

    sid: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    open_tasks: tuple[str, ...] = ()
    last_ended: float | None = None

    @property
    def retired(self) -> bool:
        """Whether the next contact starts a fresh channel and nothing can be swallowed meanwhile."""
        return (
            self.attributes.get("status") == "INACTIVE"
            and self.attributes.get("long_lived") is False
            and set(self.parts.values()) == {CLOSED}
        )

    @property
    def words(self) -> list[str]:
        """Its parts and their states."""
        return [f"{name} {state}" for name, state in self.parts.items()]

    def due(self, now: float, retention_days: float) -> bool:
        """No open task, and the last one ended at least a retention window ago."""
        if self.open_tasks or self.last_ended is None:
            return False
        return now - self.last_ended >= retention_days * SECONDS_PER_DAY

    def same(self, other: Channel) -> bool:
        """Whether nobody touched it between the two moments; its tasks do not count."""
        return dict(self.attributes) == dict(other.attributes) and dict(self.parts) == dict(other.parts)


def channels(state: Json) -> dict[str, Channel]:
    """Every channel of a snapshot, of both stacks, by SID."""
    tables = state["tables"]
    tasks: dict[str, list[str]] = defaultdict(list)
    for row in tables["tasks"]:
        if row["status"] in OPEN_TASK:
            tasks[_place(row["attributes"])].append(row["status"])
    ended: dict[str, float] = defaultdict(float)
    for row in tables["events"]:
        if row["type"] in TASK_ENDS:
            sid = _place(row["data"]["task_attributes"])
            ended[sid] = max(ended[sid], row["ms"] / 1000)
    return {
        row["sid"]: Channel(
            sid=row["sid"],
            attributes=json.loads(row["attributes"]),
            parts=parts,
            open_tasks=tuple(tasks.get(row["sid"], ())),
            last_ended=ended.get(row["sid"]),
        )
        for row, parts in (*_chat(tables), *_conversations(tables))
    }


def state_in_sync(state: Json, channel_sid: str) -> Json:
    """What Sync holds of a channel, as anybody may read it; empty while there is nothing."""
    for row in state["tables"]["documents"]:
        if row["name"] == f"flexsms.{channel_sid}":
            found: Json = row["data"]
            return found
    return {}


def _chat(tables: Json) -> Iterator[tuple[Json, dict[str, str]]]:
    """Programmable Chat: a text gets through as long as the channel is in an open Proxy session."""
    sessions = {row["sid"] for row in tables["sessions"] if row["status"] in OPEN_SESSION}
    connected = {
        row["identifier"]
        for row in tables["participants"]
        if row["parent"] in sessions and row["deleted"] is None
    }
    for row in tables["channels"]:
        yield row, {"session": "open" if row["sid"] in connected else CLOSED}


def _conversations(tables: Json) -> Iterator[tuple[Json, dict[str, str]]]:
    """Flex Conversations: the state `closed` frees the pair of numbers, as Ada's next text shows.

    A conversation that no agent was asked into has no interaction channel.
    """
    interactions: dict[str, str] = {}
    for row in tables["flex_channels"]:
        # Of several one may be open, and that one counts.
        if interactions.get(row["conversation_sid"], CLOSED) == CLOSED:
            interactions[row["conversation_sid"]] = row["status"]
    for row in tables["conversations"]:
        interaction = interactions.get(row["sid"])
        yield row, {"conversation": row["state"], **({"interaction": interaction} if interaction else {})}


def _place(task_attributes: str) -> str:
    """The channel that a task is about; empty for a task that is about none."""
    found = json.loads(task_attributes)
    return str(found.get("conversationSid") or found.get("channelSid") or "")
