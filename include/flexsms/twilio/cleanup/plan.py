"""What a cleanup does before it retires: bring the states up to now, put right what is half done, find what is due."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from flexsms.core.event_source import EventSource
from flexsms.core.task_events import to_ms
from flexsms.twilio.cleanup.absent_tasks import end_absent
from flexsms.twilio.cleanup.recovery import HealReport
from flexsms.twilio.cleanup.scan import Rule, Scan, find_due
from flexsms.twilio.cleanup.tracked_scan import TrackedScan
from flexsms.twilio.cleanup.unanswered import Unanswered
from flexsms.twilio.tracking.parked_states import ParkedStates
from flexsms.twilio.tracking.task_ends import TaskEnds

if TYPE_CHECKING:
    from flexsms.twilio.account import Account

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
    :param run_id: names the run in the ledger
    :param unanswered: what becomes of a text that nobody was told of
    :param dry_run: write nothing, not even what the events tell
    """

    account: Account
    source: EventSource
    parked: ParkedStates
    ends: TaskEnds
    run_id: str
    unanswered: Unanswered = Unanswered.TASK
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
        account = self.account
        at_once = account.settings.max_in_flight
        # Before anything is read: what happens from here on is the batches' business.
        began = account.now()
        states = TrackedScan(
            self.source,
            account.store,
            parked=self.parked,
            ends=self.ends,
            at_once=at_once,
            write=not self.dry_run,
        )
        await states.read(cursor)
        # Tasks end by Twilio's clock, and only by now it has told its time.
        scanned_at = account.earlier(began)
        healer = account.healer(run_id=self.run_id, unanswered=self.unanswered)
        unfinished = await healer.unfinished()
        rule = Rule(to_ms("now", scanned_at), window_ms, limit, account.home.workspace_sid, channel_types)
        scan = await find_due(states.pages(), rule, watched=unfinished.outcomes)
        if self.dry_run:
            return Plan(scanned_at, scan, HealReport(), 0)
        if states.cursor is not None:
            await save_cursor(states.cursor)
        states.check()
        healed = await healer.heal(scan, unfinished)
        over = await end_absent(
            scan.unheard_of,
            account.taskrouter(),
            account.store,
            now_ms=to_ms("now", account.theirs()),
            at_once=at_once,
        )
        return Plan(scanned_at, scan, healed, over)
