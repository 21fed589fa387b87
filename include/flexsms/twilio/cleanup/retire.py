"""The steps that retire a group of channels.

Twilio has no conditional update for channels, so safety comes from their order:

1. look at the open tasks and at the events since the scan; leave alone what is in use or has changed, and put back what
   an earlier cleanup took down all the same;
2. suspend each channel: cut it off and mark it inactive, so that the customer's next text starts a fresh one. All of
   that can be undone;
3. look once more, and put back what became live in between;
4. write the ledger, settle the states, each only if nobody changed it since the scan, and close what cannot be opened
   again; where closing is final, look a third time for who wrote in between, and let them go on afresh.

A group that is killed and tried again goes through the same steps; what is settled is counted and only finished. Every
request of a step needs a valid lease (:mod:`flexsms.twilio.cleanup.attempt`), and one that suspends a channel a look
that is not older than a lease.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar

from flexsms.core.channel_state import ChannelState
from flexsms.core.exceptions import (
    FlexSmsError,
    LeaseExpired,
    MissingSetting,
    NotFound,
    ProductGone,
    TryReplaced,
)
from flexsms.core.stack_name import StackName
from flexsms.twilio.cleanup.attempt import Attempt
from flexsms.twilio.cleanup.bookkeeping import Bookkeeping
from flexsms.twilio.cleanup.context import CleanupContext
from flexsms.twilio.cleanup.group import RetiringGroup
from flexsms.twilio.cleanup.live_channels import Look, Looks
from flexsms.twilio.cleanup.outcomes import DONE, Action, BatchReport, Outcome
from flexsms.twilio.cleanup.restore import Restorer
from flexsms.twilio.cleanup.scan import DueChannel
from flexsms.twilio.cleanup.unanswered import Unanswered
from flexsms.twilio.client.precondition import checked_before_sending
from flexsms.twilio.stacks.protocol import ChannelSnapshot, Healed
from flexsms.twilio.stacks.short_lived import bears_our_mark

logger = logging.getLogger(__name__)

T = TypeVar("T")


class CleanupSteps:
    """Takes one group of channels through the steps."""

    def __init__(
        self, context: CleanupContext, channels: Sequence[DueChannel], scanned_at: datetime, attempt: Attempt
    ) -> None:
        self._context = context
        self._channels = channels
        self._attempt = attempt
        self._bookkeeping = Bookkeeping(
            context.store, context.ledger, context.action, context.run_id, scanned_at, context.now
        )
        ended_ms = {channel.channel_sid: channel.ended_ms for channel in channels}
        self._looks = Looks(context.source, context.tasks, scanned_at, ended_ms)
        self._group = RetiringGroup(context, attempt)
        self._restorer = Restorer(self._group, self._looks, self._bookkeeping, attempt)

    async def run(self) -> BatchReport:
        """Go through the steps."""
        group = self._channels
        name = group[0].channel_sid
        # An earlier try of the batch may not have come to this group.
        was_announced = self._group.resumed and await self._attempt.recall(f"announced.{name}")
        untouched = await self._attempt.recall(f"untouched.{name}") if self._group.resumed else None
        self._group.resumed = untouched is not None
        self._group.untouched = set(untouched or ())
        if self._group.resumed:
            await self._group.find_settled(group)
        group = [channel for channel in group if channel.channel_sid not in self._group.report.errors]
        quiet = await self._leave_alone_what_is_in_use(group)
        if was_announced:
            await self._group.with_lease(lambda: self._record_what_is_in_use(group))
        todo = [channel for channel in quiet if channel.channel_sid not in self._group.settled]
        announced: list[str] = []
        if not self._context.dry_run:
            await self._attempt.remember(f"announced.{name}", True)
            announced = await self._group.with_lease(lambda: self._bookkeeping.announce(todo))
            await self._attempt.remember(f"untouched.{name}", sorted(self._group.untouched))
        await self._group.each(todo, self._suspend)
        if self._context.dry_run:
            return self._group.report
        if self._group.down:
            await self._restorer.put_back_what_became_live()
        await self._group.with_lease(
            lambda: self._bookkeeping.record(
                (c, self._group.report.outcomes[c.channel_sid]) for c in self._group.still_down()
            )
        )
        await self._group.each(self._group.still_down(), self._mark_retired)
        unfinished = [channel for channel in quiet if channel.channel_sid in self._group.settled]
        finished = [*self._group.still_down(), *unfinished]
        await self._group.each(finished, self._close)
        await self._restorer.let_late_customers_go_on(finished)
        await self._group.each(finished, self._delete)
        await self._group.with_lease(lambda: self._record_the_end(todo, announced))
        return self._group.report

    async def _record_the_end(self, todo: Sequence[DueChannel], announced: Sequence[str]) -> None:
        """Say what became of the channels that were not retired; what failed stays unfinished for the next run."""
        await self._record_what_is_in_use(todo)
        if not self._group.report.errors:
            await self._bookkeeping.finish(announced)

    async def _record_what_is_in_use(self, group: Sequence[DueChannel]) -> None:
        """Say of the channels that are in use that they are not suspended."""
        skipped = (Outcome.SKIPPED_OPEN_TASK, Outcome.SKIPPED_CHANGED)
        told = self._group.settled | self._group.moved
        kept = [c for c in group if self._group.report.outcomes.get(c.channel_sid) in skipped]
        await self._bookkeeping.record_correction(
            [c for c in kept if c.channel_sid not in told], Healed.PUT_BACK
        )

    async def _leave_alone_what_is_in_use(self, todo: Sequence[DueChannel]) -> list[DueChannel]:
        if not todo:
            return []
        verdicts = (await self._looks.look()).verdicts
        in_use = [channel for channel in todo if channel.channel_sid in verdicts]
        for channel in in_use:
            self._group.report.outcomes[channel.channel_sid] = verdicts[channel.channel_sid]
        if not self._context.dry_run:
            # An earlier try, or another cleanup, may have suspended them without coming to its second look, or closed
            # them before its third. What the earlier try did is known; of others only what is live is put back.
            live = [c for c in in_use if verdicts[c.channel_sid] is Outcome.SKIPPED_OPEN_TASK]
            left = {channel.channel_sid for channel in in_use}
            self._group.untouched = left & self._group.untouched if self._group.resumed else left
            await self._group.each(
                [c for c in in_use if c.channel_sid not in self._group.untouched],
                self._restorer.put_back_once,
            )
            await self._group.each(
                [c for c in live if c.channel_sid in self._group.untouched], self._restorer.heal
            )
        return [channel for channel in todo if channel.channel_sid not in verdicts]

    async def _suspend(self, channel: DueChannel) -> None:
        sid = channel.channel_sid
        look = await self._looks.recent(self._attempt.lease / 2)
        if sid in look.verdicts:
            self._group.report.outcomes[sid] = look.verdicts[sid]
            return
        try:
            await self._take_down(channel, look)
        except (NotFound, ProductGone, MissingSetting) as missing:
            # A 404 behind an answer is a contradiction, by which no channel is marked as retired.
            never_met = isinstance(missing, NotFound) and sid not in self._group.met
            if await self._has_moved(channel):
                self._group.report.outcomes[sid] = Outcome.SKIPPED_CHANGED
            elif never_met:
                self._group.report.outcomes[sid] = Outcome.ALREADY_GONE
                self._group.down[sid] = channel
            else:
                raise

    async def _take_down(self, channel: DueChannel, look: Look) -> None:
        sid, stack = channel.channel_sid, self._group.stack(channel)
        if channel.stack in self._group.lost:
            raise self._group.lost[channel.stack]
        snapshot = await stack.fetch(sid)
        self._group.met.add(sid)
        if not await self._is_of_our_types(channel, snapshot):
            self._group.report.outcomes[sid] = Outcome.SKIPPED_TYPE
            return
        found_retired = (
            snapshot.is_retired
            and not self._group.resumed
            and sid not in self._group.ours
            and self._context.action is Action.DEACTIVATE
        )
        if not snapshot.is_retired and await self._is_kept_for_a_text(channel, snapshot):
            return
        self._group.report.outcomes[sid] = (
            Outcome.ALREADY_GONE if found_retired else DONE[self._context.action]
        )
        if self._context.dry_run:
            return
        self._group.down[sid] = channel
        if not found_retired:
            self._group.ours.add(sid)
        if not snapshot.is_retired:
            self._group.were_active.add(sid)

        def check() -> None:
            self._attempt.refuse_if_older(look.began)
            self._attempt.check()

        try:
            with checked_before_sending(check):
                await stack.suspend(snapshot, channel.links)
        except TryReplaced:
            raise  # whoever replaced this try decides what becomes of the channel
        except FlexSmsError:
            await self._restorer.put_back(channel)
            raise

    async def _is_of_our_types(self, channel: DueChannel, snapshot: ChannelSnapshot) -> bool:
        """Whether the channel is of a kind that is retired; one whose kind nobody tells is."""
        if "type" in channel.links:
            return True
        sid, stack = channel.channel_sid, self._group.stack(channel)
        kind = await stack.channel_type(snapshot)
        if kind is None or kind in self._context.channel_types:
            return True
        if not self._context.dry_run:
            # From now on the scan leaves it alone by itself.
            learnt = {"type": (channel.ended_ms, kind)}
            await self._context.store.merge(ChannelState(sid, channel.stack, links=learnt))
        return False

    async def _is_kept_for_a_text(self, channel: DueChannel, snapshot: ChannelSnapshot) -> bool:
        """Whether a customer's text is in the channel that nobody was told of, so that an agent gets a task there."""
        sid = channel.channel_sid
        if not await self._context.texts[channel.stack].is_waiting(snapshot, channel.ended_ms):
            return False
        # It may have had a task that came, and maybe went, while nobody looked.
        verdict = (await self._looks.fresh()).verdicts.get(sid)
        if verdict is not None:
            await self._leave_alone(channel, snapshot, verdict)
            return True
        if sid not in self._group.report.unanswered:
            self._group.report.unanswered.append(sid)
        if self._context.unanswered is Unanswered.REPORT:
            logger.warning("A customer wrote in channel %s after its last task, and nobody was told.", sid)
            return False
        await self._leave_alone(channel, snapshot, Outcome.SKIPPED_OPEN_TASK)
        if not self._context.dry_run:
            await self._group.stack(channel).look_after(sid)
        return True

    async def _leave_alone(self, channel: DueChannel, snapshot: ChannelSnapshot, verdict: Outcome) -> None:
        """Let a channel stay, and put it back if an earlier try has suspended it."""
        self._group.report.outcomes[channel.channel_sid] = verdict
        if bears_our_mark(snapshot.attributes) and not self._context.dry_run:
            await self._restorer.put_back(channel)

    async def _has_moved(self, channel: DueChannel) -> bool:
        """Whether a chat channel goes on as a conversation; if so, the next run retires it as one.

        Migrating keeps the SID, and Twilio says that it has migrated private channels by itself:
        https://www.twilio.com/docs/conversations/api/chat-channel-migration-resource
        """
        conversations = self._context.stacks.get(StackName.CONVERSATIONS)
        if channel.stack is StackName.CONVERSATIONS or conversations is None:
            return False
        try:
            await conversations.fetch(channel.channel_sid)
        except NotFound:
            return False
        if not self._context.dry_run:
            await self._context.store.merge(ChannelState(channel.channel_sid, StackName.CONVERSATIONS))
        return True

    async def _close(self, channel: DueChannel) -> None:
        """What cannot be undone, and so comes after the last guard: nobody changed the state since the scan."""
        if self._group.was_done(channel):
            is_whole = await self._or_mark_due_again(
                channel, lambda: self._group.stack(channel).close(channel.channel_sid, channel.links)
            )
            if not is_whole:
                self._group.report.interactions_left.append(channel.channel_sid)

    async def _delete(self, channel: DueChannel) -> None:
        if self._group.was_done(channel) and self._context.action is Action.DELETE:
            await self._or_mark_due_again(
                channel, lambda: self._group.stack(channel).delete(channel.channel_sid, channel.links)
            )

    async def _or_mark_due_again(self, channel: DueChannel, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return await work()
        except (LeaseExpired, TryReplaced):
            raise  # this step is repeated, or another try goes on
        except FlexSmsError:
            await self._bookkeeping.mark_due_again(channel)
            raise

    async def _mark_retired(self, channel: DueChannel) -> None:
        sid = channel.channel_sid
        gone = self._group.report.outcomes[sid] is Outcome.ALREADY_GONE
        if not await self._bookkeeping.mark_retired(channel, gone=gone):
            self._group.report.outcomes[sid] = Outcome.SKIPPED_CHANGED
            await self._restorer.put_back(channel)
