"""Ends of tasks whose events name no channel: each waits until it meets the channel on which the task was seen.

A transfer takes the channel off the first task's attributes before it completes that, so that Twilio does not end the
channel with it (https://github.com/twilio-professional-services/flex-project-template, chat-transfer), and a collector
may redact them. It is the same task all the same. An end meets its task in three places: here, among the newest tasks
that were seen on channels; in the channel's document, whenever that is written; and when cleaning up reads all
documents. What falls out of here before that is found by its absence from TaskRouter's list of open tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flexsms.core.channel_state import ChannelState
from flexsms.core.stack_name import StackName
from flexsms.core.task_events import TaskEvent
from flexsms.twilio.tracking.parked_states import Memory

# Airflow warns of a value in its state stores beyond 64 KiB: these are 45 and 16 KB.
KEPT_TASKS = 400
KEPT_ENDS = 300
# So many of each are held while a run reads; a first run reads 30 days.
MOST_HELD = 20_000

# When a task was last heard of, on which channel, and on which stack.
Sighting = tuple[int, str, str]


class TaskEnds:
    """The newest tasks that were seen on channels, and the newest ends that no channel is known for.

    :param memory: keeps both from one run to the next; None: nowhere. What it holds speeds things up, and no more: one
        that cannot be read is begun anew
    """

    def __init__(self, memory: Memory | None) -> None:
        self._memory = memory
        self._seen, self._ended = self._read()
        self._over: set[str] = set()
        self._is_changed = False

    @property
    def waiting(self) -> Mapping[str, int]:
        """When tasks ended whose channel was not known, by task."""
        return self._ended

    def note(self, event: TaskEvent) -> None:
        """An event has named the channel of a task."""
        task_sid = event.task_sid
        known = self._seen.get(task_sid)
        if event.ends_task:
            self._over.add(task_sid)
            self._is_changed |= self._seen.pop(task_sid, None) is not None
        elif task_sid not in self._over and (known is None or known[0] < event.at_ms):
            self._seen[task_sid] = (event.at_ms, event.channel_sid, str(event.stack))
            self._is_changed = True
            _bound(self._seen)

    def end(self, task_sid: str, ended_ms: int) -> ChannelState | None:
        """An event has told that a task ended, and named no channel.

        :return: what that tells of the channel on which the task was seen; None when it has to wait
        """
        if ended_ms > self._ended.get(task_sid, 0):
            self._ended[task_sid] = ended_ms
            self._is_changed = True
            _bound(self._ended)
        sighting = self._seen.pop(task_sid, None)
        if sighting is None:
            return None
        self._over.add(task_sid)
        _, channel_sid, stack = sighting
        return ChannelState(channel_sid, StackName(stack), ended={task_sid: ended_ms})

    def save(self) -> None:
        """Keep the newest for the next run, and those that another run has added meanwhile."""
        if self._memory is None or not self._is_changed:
            return
        before = self._read()
        seen, ended = before
        seen = {task: told for task, told in (seen | self._seen).items() if task not in self._over}
        ended = {task: max(ended.get(task, 0), self._ended.get(task, 0)) for task in ended | self._ended}
        kept = _newest(seen, KEPT_TASKS), _newest(ended, KEPT_ENDS)
        if kept != before:
            # Airflow takes JSON's own types only.
            self._memory.set({"seen": {task: list(told) for task, told in kept[0].items()}, "ended": kept[1]})
        self._is_changed = False

    def _read(self) -> tuple[dict[str, Sighting], dict[str, int]]:
        value = (self._memory.get() if self._memory else None) or {}
        try:
            seen = {
                str(task): (int(at_ms), str(channel), str(StackName(stack)))
                for task, (at_ms, channel, stack) in value["seen"].items()
            }
            return seen, {str(task): int(at_ms) for task, at_ms in value["ended"].items()}
        except (KeyError, TypeError, ValueError, AttributeError):
            return {}, {}


def _newest(told: Mapping[str, Any], most: int) -> dict[str, Any]:
    """The entries of the newest moments, each of which is a moment or begins with one."""
    if len(told) <= most:
        return dict(told)
    return dict(sorted(told.items(), key=lambda item: (item[1], item[0]))[-most:])


def _bound(told: dict[str, Any]) -> None:
    if len(told) > MOST_HELD:
        newest = _newest(told, MOST_HELD // 2)
        told.clear()
        told.update(newest)
