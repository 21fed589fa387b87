"""Puts right what an earlier cleanup left half done, by Twilio and Sync alone.

A try that was replaced and went on, or a batch that ended between its steps, may leave a live channel out of use.
Nothing that Airflow remembers is needed to find it: TaskRouter says that it has an open task, its state that it was due
before, and the channel itself bears our two attributes. What such a batch had marked as retired and not closed is in
the ledger.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from flexsms.core.exceptions import FlexSmsError, NotFound
from flexsms.core.stack_name import StackName
from flexsms.twilio.cleanup.ledger import CleanupLedger, Unfinished
from flexsms.twilio.cleanup.outcomes import DONE, Outcome
from flexsms.twilio.cleanup.scan import DueChannel, Scan
from flexsms.twilio.cleanup.unanswered import Unanswered, UnansweredTexts
from flexsms.twilio.client.concurrency import for_each
from flexsms.twilio.stacks.protocol import Healed, RetiringStack
from flexsms.twilio.taskrouter.events import TaskRouterSource

logger = logging.getLogger(__name__)

# States of retired channels are kept for two days; a batch that died before that cannot be finished by them.
LOOKBACK = timedelta(days=3)
# A text that came in while channels were closed has opened its task since then.
CLOSING_TAKES = timedelta(minutes=5)


@dataclass(slots=True)
class HealReport:
    """What was put right.

    :param restored: by SID, live channels that were out of use, and what became of them
    :param finished: retired channels that were closed at last
    :param errors: by channel, what went wrong
    :param unanswered: retired channels in which a customer wrote, and nobody was told
    """

    restored: dict[str, tuple[DueChannel, Healed]] = field(default_factory=dict)
    finished: list[DueChannel] = field(default_factory=list)
    errors: dict[str, FlexSmsError] = field(default_factory=dict)
    unanswered: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Healer:
    """What putting right needs.

    :param stacks: by name
    :param tasks: which channels have an open task
    :param at_once: channels in work at a time
    :param run_id: names the run in the ledger
    :param now: the present, an aware datetime
    :param texts: looks for texts that nobody was told of, by stack
    :param unanswered: what becomes of them
    """

    stacks: Mapping[StackName, RetiringStack]
    tasks: TaskRouterSource
    ledger: CleanupLedger
    at_once: int
    run_id: str
    now: Callable[[], datetime]
    texts: Mapping[StackName, UnansweredTexts]
    unanswered: Unanswered = Unanswered.TASK

    async def unfinished(self) -> Unfinished:
        """What earlier batches have announced and not finished; one call as a rule."""
        return await self.ledger.unfinished(self.now() - LOOKBACK)

    async def heal(self, scan: Scan, unfinished: Unfinished) -> HealReport:
        """Put back live channels that are out of use, and finish what is marked as retired and not closed.

        One call per 1000 open tasks and one or two per channel that came back to life after a whole window; none where
        there is nothing to look at.
        """
        report = HealReport()
        if not scan.revived and not unfinished.keys:
            return report
        live = await self.tasks.open_channels()
        told = unfinished.outcomes
        # What was heard of a closed channel after it was retired is a late text, also if its task is over; and what was
        # suspended and is not due any more was in use since.
        late = [c for c in scan.late if told[c.channel_sid] in DONE.values() and self._is_closed(c)]
        used = [c for c in (*scan.revived, *scan.retired) if c.channel_sid in live]
        wanted = {channel.channel_sid: channel for channel in (*used, *late, *scan.suspended)}
        await self._restore(list(wanted.values()), report, unfinished.moved)
        await self._finish([c for c in scan.retired if c.channel_sid not in live], unfinished, report)
        lines = [(sid, channel.ended_ms, str(healed)) for sid, (channel, healed) in report.restored.items()]
        await self.ledger.append(lines, run_id=self.run_id)
        if not report.errors:
            await self.ledger.finish(unfinished.keys, run_id=self.run_id)
        return report

    async def _restore(
        self, channels: Sequence[DueChannel], report: HealReport, moved: Collection[str] = ()
    ) -> None:
        async def restore(channel: DueChannel, stack: RetiringStack) -> None:
            sid = channel.channel_sid
            healed = await stack.heal(sid, channel.links, has_moved=sid in moved)
            if healed is not Healed.NOTHING:
                logger.warning("Channel %s was left out of use: %s.", channel.channel_sid, healed)
                report.restored[channel.channel_sid] = (channel, healed)

        await self._each(channels, restore, report)

    async def _finish(
        self, channels: Sequence[DueChannel], unfinished: Unfinished, report: HealReport
    ) -> None:
        """Close what is retired, look who wrote in between, and only then delete."""

        async def close(channel: DueChannel, stack: RetiringStack) -> None:
            if await self._is_kept_for_a_text(channel, stack, report):
                return
            await stack.close(channel.channel_sid, channel.links)
            report.finished.append(channel)

        async def delete(channel: DueChannel, stack: RetiringStack) -> None:
            await stack.delete(channel.channel_sid, channel.links)

        if not channels:
            return
        began = self.now()
        await self._each(channels, close, report)
        late = {
            *await self.tasks.open_channels(),
            *await self.tasks.recent_channels(began - CLOSING_TAKES),
        }
        await self._restore([c for c in report.finished if c.channel_sid in late], report)
        to_delete = {sid for sid, what in unfinished.outcomes.items() if what == Outcome.DELETED} - late
        await self._each([c for c in report.finished if c.channel_sid in to_delete], delete, report)

    async def _is_kept_for_a_text(
        self, channel: DueChannel, stack: RetiringStack, report: HealReport
    ) -> bool:
        """Whether somebody wrote since the channel was suspended, and nobody was told; one or two calls."""
        sid = channel.channel_sid
        snapshot = await stack.fetch(sid)
        texts = self.texts[channel.stack]
        if snapshot.is_retired or not await texts.is_waiting(snapshot, channel.ended_ms):
            return False
        report.unanswered.append(sid)
        if self.unanswered is Unanswered.REPORT:
            return False
        await stack.heal(sid, channel.links)
        await stack.assign_to_agent(sid)
        report.restored[sid] = (channel, Healed.PUT_BACK)
        return True

    def _is_closed(self, channel: DueChannel) -> bool:
        stack = self.stacks.get(channel.stack)
        return stack is not None and stack.closing_is_final

    async def _each(
        self,
        channels: Sequence[DueChannel],
        work: Callable[[DueChannel, RetiringStack], Awaitable[None]],
        report: HealReport,
    ) -> None:
        async def guarded(channel: DueChannel) -> None:
            stack = self.stacks.get(channel.stack)
            if stack is None:
                return  # nobody can reach a channel of a stack that the account has lost
            try:
                await work(channel, stack)
            except NotFound:
                return
            except FlexSmsError as error:
                logger.error("Channel %s could not be put right: %s", channel.channel_sid, error)
                report.errors[channel.channel_sid] = error

        await for_each(channels, guarded, at_once=self.at_once)
