"""Checks which channels a cleanup must not touch: those with an open task, and those with news since the scan."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta

from flexsms.core.event_source import EventSource
from flexsms.core.task_events import to_ms
from flexsms.twilio.cleanup.outcomes import Outcome
from flexsms.twilio.client.clock import Instant
from flexsms.twilio.taskrouter.events import TaskRouterSource

# Events carry Twilio's time, the scan ours. No due channel has news of the last minute: the window is longer than that.
CLOCK_SKEW = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class LivenessCheck:
    """What was in use at one moment.

    :param verdicts: why to leave a channel alone, by channel
    :param began: when the check began; what happened later may be missing
    """

    verdicts: Mapping[str, Outcome]
    began: Instant


class LiveChannels:
    """Checks what is in use, for all groups of a batch.

    :param source: reaches some minutes further back than it is asked, because events may be listed late
    :param scanned_at: when the scan began, an aware datetime
    :param ended_ms: by channel, when its last task ended as far as the scan knew, ms since 1970 UTC
    """

    def __init__(
        self, source: EventSource, tasks: TaskRouterSource, scanned_at: datetime, ended_ms: Mapping[str, int]
    ) -> None:
        self._source = source
        self._tasks = tasks
        self._since = scanned_at - CLOCK_SKEW
        self._ended_ms = ended_ms
        self._newest: LivenessCheck | None = None
        self._checking = asyncio.Lock()

    async def fresh(self) -> LivenessCheck:
        """A check that begins from now on; those who ask at the same moment, or while one waits, share it.

        One call per 1000 open tasks, one per 1000 events of each type since the scan, and one for new tasks: events may
        be listed late, so a task that came and went is looked for among the tasks, too.
        """
        asked = Instant.now()
        async with self._checking:
            if self._newest is None or self._newest.began.age > asked.age:
                return await self._check()
            return self._newest

    async def recent(self, max_age: timedelta) -> LivenessCheck:
        """The newest check, or a new one when that is older."""
        async with self._checking:
            if self._newest is None or self._newest.began.age > max_age:
                return await self._check()
            return self._newest

    async def _check(self) -> LivenessCheck:
        # Two groups that begin side by side ask one after the other: the second asks before this begins, and shares it.
        await asyncio.sleep(0)
        began = Instant.now()
        changed, recent, busy = await asyncio.gather(
            self._changed(), self._tasks.recent_channels(self._since), self._tasks.open_channels()
        )
        self._newest = LivenessCheck(
            {
                **dict.fromkeys([*changed, *recent], Outcome.SKIPPED_CHANGED),
                **dict.fromkeys(busy, Outcome.SKIPPED_OPEN_TASK),
            },
            began,
        )
        return self._newest

    async def _changed(self) -> set[str]:
        since_ms = to_ms("since", self._since)
        async with aclosing(self._source.read(self._since.isoformat())) as pages:
            return {
                event.channel_sid
                async for page in pages
                for event in page.events
                if event.at_ms > min(since_ms, self._ended_ms.get(event.channel_sid, since_ms))
            }
