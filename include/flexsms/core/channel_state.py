"""What flexsms knows about one channel, and how two pieces of knowledge become one.

Events arrive more than once, out of order and in any batches. So a state is not "the last event" but a
join-semilattice: every field only ever grows, and :meth:`ChannelState.merge` is commutative, associative and
idempotent. Any way of folding the same events gives the same state.

It also has to stay below 16 KiB however many tasks a channel has seen. A plain "keep the newest" would break the
algebra, so ``seen`` and ``ended`` are each a *top-K by time of the newest moment per task*, which is again a
semilattice: an entry that falls out has K newer ones above it, and so falls out of every merge that contains them.
``forgotten_ms`` is the time of the newest entry that ever fell out of ``ended``, or of the newest one when flexsms
retired the channel. What happened up to then is over, and is listed no more: an old event that is read again changes
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from flexsms.core.attributes import channel_type_of, parse_attributes
from flexsms.core.exceptions import InvalidInput, UnreadableState
from flexsms.core.stack_name import StackName
from flexsms.core.task_events import TaskEvent, believable, to_ms

VERSION = 1
KEPT_TASKS = 50

# The newest value wins; equal times are decided by the value, so that the order of merging cannot matter.
Stamped = tuple[int, str]


@dataclass(frozen=True, slots=True)
class ChannelState:
    """All that is known about one channel. Times are milliseconds since 1970 UTC.

    :param seen: per task, the newest event that did not end it
    :param ended: per task, the newest event that ended it
    :param forgotten_ms: tasks that ended up to this moment are no longer listed
    :param links: what retiring needs, by name, each with the moment it was learnt: SIDs, and the channel's ``type``
    :param retired: when flexsms retired the channel and how (``deactivate``, ``delete``, ``gone``)
    """

    channel_sid: str
    stack: StackName
    seen: Mapping[str, int] = field(default_factory=dict)
    ended: Mapping[str, int] = field(default_factory=dict)
    forgotten_ms: int = 0
    links: Mapping[str, Stamped] = field(default_factory=dict)
    retired: Stamped | None = None

    @classmethod
    def of(cls, event: TaskEvent) -> ChannelState:
        """What one event tells."""
        moment = {event.task_sid: event.at_ms}
        return cls(
            channel_sid=event.channel_sid,
            stack=event.stack,
            seen={} if event.ends_task else moment,
            ended=moment if event.ends_task else {},
            links={name: (event.at_ms, sid) for name, sid in event.links.items()},
        )

    def merge(self, other: ChannelState) -> ChannelState:
        """Both pieces of knowledge as one.

        :raises ValueError: when they are about different channels
        """
        if other.channel_sid != self.channel_sid:
            raise ValueError(f"cannot merge {self.channel_sid} with {other.channel_sid}")
        seen, _ = _newest(_join(self.seen, other.seen))
        ended, fallen_ms = _newest(_join(self.ended, other.ended))
        forgotten_ms = max(self.forgotten_ms, other.forgotten_ms, fallen_ms)
        return ChannelState(
            channel_sid=self.channel_sid,
            stack=max(self.stack, other.stack),
            seen=_after(forgotten_ms, seen),
            ended=_after(forgotten_ms, ended),
            forgotten_ms=forgotten_ms,
            links=_join(self.links, other.links),
            retired=max(filter(None, (self.retired, other.retired)), default=None),
        )

    def end(self, ends: Mapping[str, int]) -> ChannelState:
        """The state with the ends of its tasks that came without their channel.

        :param ends: when tasks ended, by task; tasks of other channels may be among them
        """
        own = {task_sid: ends[task_sid] for task_sid in self.seen if task_sid in ends}
        return self.merge(ChannelState(self.channel_sid, self.stack, ended=own)) if own else self

    @property
    def open_tasks(self) -> frozenset[str]:
        """Tasks that began and, as far as is known, did not end."""
        return frozenset(
            task_sid
            for task_sid, at_ms in self.seen.items()
            if task_sid not in self.ended and at_ms > self.forgotten_ms
        )

    @property
    def last_ended_ms(self) -> int | None:
        """When the last task ended; None when none ever did."""
        return max((*self.ended.values(), self.forgotten_ms)) or None

    @property
    def is_retired(self) -> bool:
        """Whether flexsms retired the channel and nothing happened on it since."""
        if self.retired is None:
            return False
        newest = max((*self.seen.values(), *self.ended.values()), default=0)
        return newest <= self.retired[0]

    def link(self, name: str) -> str | None:
        """What was last learnt under a name."""
        stamped = self.links.get(name)
        return stamped[1] if stamped else None

    def mark_retired(self, at_ms: int, action: str) -> ChannelState:
        """The short state of a retired channel: every task known so far is over."""
        newest = max((*self.seen.values(), *self.ended.values(), self.forgotten_ms))
        # Our clock may be behind Twilio's: the mark must never look older than what it is about.
        return replace(self, seen={}, ended={}, forgotten_ms=newest, retired=(max(at_ms, newest), action))

    def to_json(self) -> dict[str, Any]:
        """The content of the channel's Sync document.

        ``status``, ``open_tasks`` and ``last_ended_at`` are for other readers of the document; they are derived, and
        ignored by :meth:`from_json`.
        """
        open_tasks = sorted(self.open_tasks)
        ended_ms = self.last_ended_ms
        return {
            "v": VERSION,
            "channel_sid": self.channel_sid,
            "stack": str(self.stack),
            "status": "retired"
            if self.is_retired
            else "open"
            if open_tasks
            else "ended"
            if ended_ms
            else "new",
            "open_tasks": open_tasks,
            "last_ended_at": _iso(ended_ms) if ended_ms else None,
            "seen": dict(self.seen),
            "ended": dict(self.ended),
            "forgotten_ms": self.forgotten_ms,
            "links": {name: list(stamped) for name, stamped in self.links.items()},
            "retired": list(self.retired) if self.retired else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ChannelState:
        """Read what :meth:`to_json` wrote.

        :raises UnreadableState: when the document is not one of ours
        """
        try:
            if int(data["v"]) > VERSION:
                raise UnreadableState(
                    "v", f"is {data['v']}", "this document was written by a newer flexsms; upgrade"
                )
            retired = data.get("retired")
            state = cls(
                channel_sid=str(data["channel_sid"]),
                stack=StackName(data["stack"]),
                seen={str(task): int(at_ms) for task, at_ms in data["seen"].items()},
                ended={str(task): int(at_ms) for task, at_ms in data["ended"].items()},
                forgotten_ms=int(data.get("forgotten_ms", 0)),
                links={str(name): (int(at), str(sid)) for name, (at, sid) in data.get("links", {}).items()},
                retired=(int(retired[0]), str(retired[1])) if retired else None,
            )
            # A moment that is no date would only show when the state is written again.
            _iso(state.last_ended_ms or 0)
            return state
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError) as error:
            raise UnreadableState(
                "data", f"is no channel state ({error})", "delete the document or repair it"
            ) from error


def fold(events: Iterable[TaskEvent]) -> dict[str, ChannelState]:
    """The states that the events alone tell, by channel SID."""
    states: dict[str, ChannelState] = {}
    for event in events:
        learnt = ChannelState.of(event)
        known = states.get(event.channel_sid)
        states[event.channel_sid] = learnt if known is None else known.merge(learnt)
    return states


def from_recipe(data: Mapping[str, Any]) -> ChannelState:
    """Read a document of the original recipe (``ChannelSIDIS<channel sid>``).

    It keeps only the last event and not always its task, so an unfinished task in it proves nothing: the task may
    have ended unseen. Such a document yields a state without tasks, which is never due.

    :param data: ``eventtype``, ``timestamp``, ``taskattributes``, ``channelsid``
    :raises InvalidInput: when it names no channel, or an end without a time
    """
    attributes = parse_attributes(data.get("taskattributes"))
    channel_sid = data.get("channelsid") or attributes.get("channelSid")
    if not isinstance(channel_sid, str) or not channel_sid.startswith("CH"):
        raise InvalidInput("channelsid", "is missing", "the document of the original recipe names no channel")
    ended: dict[str, int] = {}
    if str(data.get("eventtype", "")).removeprefix("com.twilio.taskrouter.") == "task.completed":
        task_sid = data.get("tasksid") or attributes.get("taskSid") or "unnamed"
        at_ms = to_ms("timestamp", data.get("timestamp"))
        ended = {str(task_sid): believable(at_ms, "the document")}
    links = {"session": attributes.get("proxySession"), "type": channel_type_of(attributes)}
    return ChannelState(
        channel_sid=channel_sid,
        stack=StackName.CHAT,
        ended=ended,
        links={name: (0, value) for name, value in links.items() if isinstance(value, str)},
    )


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


V = TypeVar("V", int, Stamped)


def _join(left: Mapping[str, V], right: Mapping[str, V]) -> dict[str, V]:
    joined = dict(left)
    for key, value in right.items():
        if key not in joined or value > joined[key]:
            joined[key] = value
    return joined


def _after(forgotten_ms: int, moments: Mapping[str, int]) -> dict[str, int]:
    return {task: at_ms for task, at_ms in moments.items() if at_ms > forgotten_ms}


def _newest(moments: Mapping[str, int]) -> tuple[dict[str, int], int]:
    """The newest entries, and the time of the newest one left out (0 when none was)."""
    if len(moments) <= KEPT_TASKS:
        return dict(moments), 0
    ranked = sorted(moments.items(), key=lambda item: (item[1], item[0]), reverse=True)
    return dict(ranked[:KEPT_TASKS]), ranked[KEPT_TASKS][1]
