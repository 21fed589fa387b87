"""What a cleanup does before it retires: bring the states up to now, put right what is half done, find what is due."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from flexsms.core.event_source import EventSource
from flexsms.core.task_events import to_ms
from flexsms.twilio.cleanup.absent_tasks import end_absent
from flexsms.twilio.cleanup.recovery import Healer, HealReport
from flexsms.twilio.cleanup.scan import Rule, Scan, find_due
from flexsms.twilio.cleanup.tracked_scan import TrackedScan
from flexsms.twilio.client.clock import Now
from flexsms.twilio.sync.channel_states import SyncStore
from flexsms.twilio.taskrouter.events import TaskRouterSource
from flexsms.twilio.tracking.parked_states import ParkedStates
from flexsms.twilio.tracking.task_ends import TaskEnds

# Nobody says how late TaskRouter may list an event. Tracking overlaps by minutes; this, once a day, by a day.
PLAN_LOOKBACK = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, and what was done on the way.

    :param scanned_at: the moment by which channels were judged
    :param tasks_over: how many tasks are over by TaskRouter's list alone
    """

    scanned_at: datetime
    scan: Scan
    healed: HealReport
    tasks_over: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """What planning needs.

    :param source: where task events come from, with :data:`PLAN_LOOKBACK`
    :param parked: channels whose documents hold no state
    :param ends: what is known of tasks from earlier runs
    :param healer: puts right what an earlier run has left
    :param tasks: the tasks that TaskRouter lists
    :param workspace_sid: whose channels are retired
    :param at_once: requests at a time
    :param now: the present by our clock, an aware datetime
    :param earlier: puts a moment of our clock back by as much as that is ahead of Twilio's
    :param theirs: the present by Twilio's clock
    :param dry_run: write nothing, not even what the events tell
    """

    store: SyncStore
    source: EventSource
    parked: ParkedStates
    ends: TaskEnds
    healer: Healer
    tasks: TaskRouterSource
    workspace_sid: str
    at_once: int
    now: Now
    earlier: Callable[[datetime], datetime]
    theirs: Now
    dry_run: bool = False

    async def plan(
        self,
        *,
        window_ms: int,
        limit: int,
        channel_types: frozenset[str],
        cursor: str | None,
        save_cursor: Callable[[str], Awaitable[None]],
    ) -> Plan:
        """Find the channels that are due.

        The cursor moves only after everything before it is stored.

        :param window_ms: the retention window, milliseconds
        :param limit: how many channels at most
        :param channel_types: which kinds of channels are retired
        :param cursor: where the last run stopped in the source, None at the first
        """
        # Before anything is read: what happens from here on is the batches' business.
        began = self.now()
        states = TrackedScan(
            self.source,
            self.store,
            parked=self.parked,
            ends=self.ends,
            at_once=self.at_once,
            write=not self.dry_run,
        )
        await states.read(cursor)
        # Tasks end by Twilio's clock, and only by now it has told its time.
        scanned_at = self.earlier(began)
        unfinished = await self.healer.unfinished()
        rule = Rule(to_ms("now", scanned_at), window_ms, limit, self.workspace_sid, channel_types)
        scan = await find_due(states.pages(), rule, watched=unfinished.outcomes)
        if self.dry_run:
            return Plan(scanned_at, scan, HealReport(), 0)
        if states.cursor is not None:
            await save_cursor(states.cursor)
        states.check()
        healed = await self.healer.heal(scan, unfinished)
        over = await end_absent(
            scan.unheard_of,
            self.tasks,
            self.store,
            now_ms=to_ms("now", self.theirs()),
            at_once=self.at_once,
        )
        return Plan(scanned_at, scan, healed, over)
