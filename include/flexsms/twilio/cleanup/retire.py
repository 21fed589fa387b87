"""The steps that retire a group of channels.

Twilio has no conditional update for channels, so safety comes from their order:

1. check the open tasks and the events since the scan; leave alone what is in use or has changed, and put back what
   an earlier cleanup suspended all the same;
2. suspend each channel: cut it off and mark it inactive, so that the customer's next text starts a fresh one. All of
   that can be undone;
3. check once more, and put back what became live in between;
4. write the ledger, mark the states as retired, each only if nobody changed it since the scan, and close what cannot be
   opened again; where closing is final, check a third time who wrote in between, and let them go on afresh.

A group that is killed and tried again goes through the same steps; what is marked is counted and only finished. Every
request of a step needs a valid lease (:mod:`flexsms.twilio.cleanup.attempt`), and one that suspends a channel a check
that is not older than a lease.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
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
from flexsms.twilio.cleanup.live_channels import LiveChannels, LivenessCheck
from flexsms.twilio.cleanup.outcomes import DONE, Action, BatchReport, Outcome
from flexsms.twilio.cleanup.progress import ChannelProgress
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
        self,
        context: CleanupContext,
        group: RetiringGroup,
        scanned_at: datetime,
        attempt: Attempt,
        live_channels: LiveChannels,
    ) -> None:
        self._context = context
        self._name = next(iter(group.progress))
        self._attempt = attempt
        self._bookkeeping = Bookkeeping(
            context.store, context.ledger, context.action, context.run_id, scanned_at, context.now
        )
        self._live_channels = live_channels
        self._group = group
        self._restorer = Restorer(group, live_channels, self._bookkeeping, attempt)

    async def run(self) -> BatchReport:
        """Go through the steps."""
        was_announced = await self._resume()
        channels = self._group.without_error()
        quiet = await self._leave_alone_what_is_in_use(channels)
        if was_announced:
            await self._group.with_lease(lambda: self._record_what_is_in_use(channels))
        todo = [progress for progress in quiet if not progress.was_marked]
        announced = [] if self._context.dry_run else await self._announce(todo)
        await self._group.each(todo, self._suspend, in_turn=True)
        if self._context.dry_run:
            return self._group.report()
        if self._group.being_retired():
            await self._restorer.restore_what_became_live()
        await self._group.with_lease(
            lambda: self._bookkeeping.record(
                (progress.channel, str(progress.outcome)) for progress in self._group.being_retired()
            )
        )
        await self._group.each(self._group.being_retired(), self._mark_retired, in_turn=True)
        finished = [*self._group.being_retired(), *(progress for progress in quiet if progress.was_marked)]
        await self._group.each(finished, self._close)
        await self._restorer.let_late_customers_go_on(finished)
        await self._group.each(finished, self._delete)
        await self._group.with_lease(lambda: self._record_the_end(todo, announced))
        return self._group.report()

    async def _resume(self) -> bool:
        """Go on where an earlier try of the batch ended, if one came to this group; whether it announced it."""
        if not self._attempt.resumed:
            return False
        was_announced = bool(await self._attempt.recall(f"announced.{self._name}"))
        never_suspended = await self._attempt.recall(f"untouched.{self._name}")
        if never_suspended is not None:
            await self._group.resume(never_suspended)
        return was_announced

    async def _announce(self, todo: Sequence[ChannelProgress]) -> list[str]:
        """Write down what is about to be suspended, for the next run and for the next try."""
        await self._attempt.remember(f"announced.{self._name}", True)
        channels = [progress.channel for progress in todo]
        announced = await self._group.with_lease(lambda: self._bookkeeping.announce(channels))
        never_suspended = [
            progress.sid for progress in self._group.progress.values() if progress.never_suspended
        ]
        await self._attempt.remember(f"untouched.{self._name}", sorted(never_suspended))
        return announced

    async def _record_the_end(self, todo: Iterable[ChannelProgress], announced: Sequence[str]) -> None:
        """Say what became of the channels that were not retired; what failed stays unfinished for the next run."""
        await self._record_what_is_in_use(todo)
        if not any(progress.error for progress in self._group.progress.values()):
            await self._bookkeeping.finish(announced)

    async def _record_what_is_in_use(self, channels: Iterable[ChannelProgress]) -> None:
        """Say of the channels that are in use that they are not suspended."""
        skipped = (Outcome.SKIPPED_OPEN_TASK, Outcome.SKIPPED_CHANGED)
        await self._bookkeeping.record(
            (progress.channel, Healed.PUT_BACK)
            for progress in channels
            if progress.outcome in skipped and not progress.was_marked and not progress.moved_on
        )

    async def _leave_alone_what_is_in_use(self, channels: Sequence[ChannelProgress]) -> list[ChannelProgress]:
        if not channels:
            return []
        verdicts = (await self._live_channels.fresh()).verdicts
        in_use = [progress for progress in channels if progress.sid in verdicts]
        for progress in in_use:
            progress.outcome = verdicts[progress.sid]
        if not self._context.dry_run:
            # An earlier try, or another cleanup, may have suspended them without coming to its second check, or closed
            # them before its third. What the earlier try did is known; of others only what is live is put back.
            live = [p for p in in_use if p.outcome is Outcome.SKIPPED_OPEN_TASK]
            for progress in self._group.progress.values():
                is_new = progress.never_suspended or not self._group.resumed
                progress.never_suspended = is_new and progress.error is None and progress.sid in verdicts
            await self._group.each(
                [progress for progress in in_use if not progress.never_suspended], self._restorer.restore_once
            )
            await self._group.each(
                [progress for progress in live if progress.never_suspended], self._restorer.heal
            )
        return [progress for progress in channels if progress.sid not in verdicts]

    async def _suspend(self, progress: ChannelProgress) -> None:
        liveness = await self._live_channels.recent(self._attempt.lease / 2)
        if progress.sid in liveness.verdicts:
            progress.outcome = liveness.verdicts[progress.sid]
            return
        try:
            await self._fetch_and_suspend(progress, liveness)
        except (NotFound, ProductGone, MissingSetting) as missing:
            # A 404 behind an answer is a contradiction, by which no channel is marked as retired.
            never_found = isinstance(missing, NotFound) and not progress.was_found
            if await self._has_moved(progress.channel):
                progress.outcome = Outcome.SKIPPED_CHANGED
            elif never_found:
                progress.outcome = Outcome.ALREADY_GONE
                progress.is_being_retired = True
            else:
                raise

    async def _fetch_and_suspend(self, progress: ChannelProgress, liveness: LivenessCheck) -> None:
        channel, stack = progress.channel, self._group.stack(progress.channel)
        if channel.stack in self._group.lost_stacks:
            raise self._group.lost_stacks[channel.stack]
        snapshot = await stack.fetch(progress.sid)
        progress.was_found = True
        if not await self._is_of_our_types(channel, snapshot):
            progress.outcome = Outcome.SKIPPED_TYPE
            return
        found_retired = (
            snapshot.is_retired
            and not self._group.resumed
            and not progress.retired_by_us
            and self._context.action is Action.DEACTIVATE
        )
        if not snapshot.is_retired and await self._is_kept_for_a_text(progress, snapshot):
            return
        progress.outcome = Outcome.ALREADY_GONE if found_retired else DONE[self._context.action]
        if self._context.dry_run:
            return
        progress.is_being_retired = True
        progress.retired_by_us |= not found_retired
        progress.was_active |= not snapshot.is_retired

        def check() -> None:
            self._attempt.refuse_if_older(liveness.began)
            self._attempt.check()

        try:
            with checked_before_sending(check):
                await stack.suspend(snapshot, channel.links)
        except TryReplaced:
            raise  # whoever replaced this try decides what becomes of the channel
        except FlexSmsError:
            await self._restorer.restore(progress)
            raise

    async def _is_of_our_types(self, channel: DueChannel, snapshot: ChannelSnapshot) -> bool:
        """Whether the channel is of a kind that is retired; one whose kind nobody tells is."""
        if "type" in channel.links:
            return True
        kind = await self._group.stack(channel).channel_type(snapshot)
        if kind is None or kind in self._context.channel_types:
            return True
        if not self._context.dry_run:
            # From now on the scan leaves it alone by itself.
            learnt = {"type": (channel.ended_ms, kind)}
            await self._context.store.merge(ChannelState(channel.channel_sid, channel.stack, links=learnt))
        return False

    async def _is_kept_for_a_text(self, progress: ChannelProgress, snapshot: ChannelSnapshot) -> bool:
        """Whether a customer's text is in the channel that nobody was told of, so that an agent gets a task there."""
        channel, sid = progress.channel, progress.sid
        if not await self._context.texts[channel.stack].is_waiting(snapshot, channel.ended_ms):
            return False
        # It may have had a task that came, and maybe went, while nobody looked.
        verdict = (await self._live_channels.fresh()).verdicts.get(sid)
        if verdict is not None:
            await self._leave_alone(progress, snapshot, verdict)
            return True
        progress.is_unanswered = True
        if self._context.unanswered is Unanswered.REPORT:
            logger.warning("A customer wrote in channel %s after its last task, and nobody was told.", sid)
            return False
        await self._leave_alone(progress, snapshot, Outcome.SKIPPED_OPEN_TASK)
        if not self._context.dry_run:
            await self._group.stack(channel).assign_to_agent(sid)
        return True

    async def _leave_alone(
        self, progress: ChannelProgress, snapshot: ChannelSnapshot, verdict: Outcome
    ) -> None:
        """Let a channel stay, and put it back if an earlier try has suspended it."""
        progress.outcome = verdict
        if bears_our_mark(snapshot.attributes) and not self._context.dry_run:
            await self._restorer.restore(progress)

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

    async def _close(self, progress: ChannelProgress) -> None:
        """What cannot be undone, and so comes after the last guard: nobody changed the state since the scan."""
        if self._group.was_done(progress):
            channel = progress.channel
            progress.interaction_left = not await self._or_mark_due_again(
                channel, lambda: self._group.stack(channel).close(channel.channel_sid, channel.links)
            )

    async def _delete(self, progress: ChannelProgress) -> None:
        if self._group.was_done(progress) and self._context.action is Action.DELETE:
            channel = progress.channel
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

    async def _mark_retired(self, progress: ChannelProgress) -> None:
        gone = progress.outcome is Outcome.ALREADY_GONE
        if not await self._bookkeeping.mark_retired(progress.channel, gone=gone):
            progress.outcome = Outcome.SKIPPED_CHANGED
            await self._restorer.restore(progress)
