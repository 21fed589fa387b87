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
from typing import Any, TypeVar

from flexsms.core.channel_state import ChannelState
from flexsms.core.exceptions import (
    MIGRATE,
    FlexSmsError,
    LeaseExpired,
    MissingSetting,
    NotFound,
    ProductGone,
    TryReplaced,
)
from flexsms.core.task_events import StackName
from flexsms.twilio.cleanup.attempt import Attempt
from flexsms.twilio.cleanup.bookkeeping import CleanupBooks
from flexsms.twilio.cleanup.context import CleanupContext
from flexsms.twilio.cleanup.live_channels import Look, Looks
from flexsms.twilio.cleanup.outcomes import DONE, Action, BatchReport, Outcome
from flexsms.twilio.cleanup.scan import DueChannel
from flexsms.twilio.cleanup.unanswered import Unanswered
from flexsms.twilio.client.concurrency import for_each
from flexsms.twilio.client.precondition import checked_before_sending
from flexsms.twilio.client.unexpected_errors import contained
from flexsms.twilio.stacks.protocol import ChannelSnapshot, Healed, RetiringStack
from flexsms.twilio.stacks.short_lived import bears_our_mark

logger = logging.getLogger(__name__)

T = TypeVar("T")

# A step that outlived its lease, mostly because the machine stood still, goes on with a new one; a few times.
LEASES_PER_STEP = 5


class CleanupSteps:
    """One group of channels in work."""

    def __init__(
        self, context: CleanupContext, group: Sequence[DueChannel], scanned_at: datetime, attempt: Attempt
    ) -> None:
        self._context = context
        self._group = group
        self._attempt = attempt
        self._resumed = attempt.resumed
        self._books = CleanupBooks(
            context.store, context.ledger, context.action, context.run_id, scanned_at, context.now
        )
        ended_ms = {channel.channel_sid: channel.ended_ms for channel in group}
        self._looks = Looks(context.source, context.tasks, scanned_at, ended_ms)
        self._report = BatchReport()
        self._down: dict[str, DueChannel] = {}
        # Channels that this try has found.
        self._met: set[str] = set()
        # Channels that nobody had retired before us, so that they may be put back, whatever became of them.
        self._ours: set[str] = set()
        # Channels that were in use until this try suspended them.
        self._were_active: set[str] = set()
        # Channels that no try has taken down: who made them inactive is not us.
        self._untouched: set[str] = set()
        # Channels on which an earlier try has closed the books.
        self._settled: set[str] = set()
        # Channels whose customers go on in another one.
        self._moved: set[str] = set()
        # Stacks that the account has lost, and how that showed.
        self._lost: dict[StackName, FlexSmsError] = {}

    async def run(self) -> BatchReport:
        """Go through the steps."""
        group = self._group
        name = group[0].channel_sid
        # An earlier try of the batch may not have come to this group.
        was_announced = self._resumed and await self._attempt.recall(f"announced.{name}")
        untouched = await self._attempt.recall(f"untouched.{name}") if self._resumed else None
        self._resumed = untouched is not None
        self._untouched = set(untouched or ())
        if self._resumed:
            await self._find_what_is_settled(group)
        group = [channel for channel in group if channel.channel_sid not in self._report.errors]
        quiet = await self._leave_alone_what_is_in_use(group)
        if was_announced:
            await self._with_lease(lambda: self._correct_the_books(group))
        todo = [channel for channel in quiet if channel.channel_sid not in self._settled]
        announced: list[str] = []
        if not self._context.dry_run:
            await self._attempt.remember(f"announced.{name}", True)
            announced = await self._with_lease(lambda: self._books.announce(todo))
            await self._attempt.remember(f"untouched.{name}", sorted(self._untouched))
        await self._each(todo, self._suspend)
        if self._context.dry_run:
            return self._report
        if self._down:
            await self._put_back_what_became_live()
        await self._with_lease(
            lambda: self._books.enter((c, self._report.outcomes[c.channel_sid]) for c in self._still_down())
        )
        await self._each(self._still_down(), self._settle)
        unfinished = [channel for channel in quiet if channel.channel_sid in self._settled]
        finished = [*self._still_down(), *unfinished]
        await self._each(finished, self._close)
        await self._let_late_customers_go_on(finished)
        await self._each(finished, self._delete)
        await self._with_lease(lambda: self._finish_the_books(todo, announced))
        return self._report

    async def _finish_the_books(self, todo: Sequence[DueChannel], announced: Sequence[str]) -> None:
        """Say what became of the channels that were not retired; what failed stays unfinished for the next run."""
        await self._correct_the_books(todo)
        if not self._report.errors:
            await self._books.finish(announced)

    async def _correct_the_books(self, group: Sequence[DueChannel]) -> None:
        """Say of the channels that are in use that they are not suspended."""
        skipped = (Outcome.SKIPPED_OPEN_TASK, Outcome.SKIPPED_CHANGED)
        told = self._settled | self._moved
        kept = [c for c in group if self._report.outcomes.get(c.channel_sid) in skipped]
        await self._books.correct([c for c in kept if c.channel_sid not in told], Healed.PUT_BACK)

    async def _find_what_is_settled(self, group: Sequence[DueChannel]) -> None:
        """The channels that an earlier try has settled, though it may have died before it finished them."""

        async def look(channel: DueChannel) -> None:
            stored = await self._context.store.load(channel.channel_sid)
            if stored is not None and stored.state.retired is not None and stored.state.is_retired:
                gone = stored.state.retired[1] == Outcome.ALREADY_GONE
                done = DONE[self._context.action]
                self._report.outcomes[channel.channel_sid] = Outcome.ALREADY_GONE if gone else done
                self._settled.add(channel.channel_sid)

        await self._each(group, look)

    async def _leave_alone_what_is_in_use(self, todo: Sequence[DueChannel]) -> list[DueChannel]:
        if not todo:
            return []
        verdicts = (await self._looks.look()).verdicts
        in_use = [channel for channel in todo if channel.channel_sid in verdicts]
        for channel in in_use:
            self._report.outcomes[channel.channel_sid] = verdicts[channel.channel_sid]
        if not self._context.dry_run:
            # An earlier try, or another cleanup, may have suspended them without coming to its second look, or closed
            # them before its third. What the earlier try did is known; of others only what is live is put back.
            live = [c for c in in_use if verdicts[c.channel_sid] is Outcome.SKIPPED_OPEN_TASK]
            left = {channel.channel_sid for channel in in_use}
            self._untouched = left & self._untouched if self._resumed else left
            await self._each([c for c in in_use if c.channel_sid not in self._untouched], self._put_back_once)
            await self._each([c for c in live if c.channel_sid in self._untouched], self._heal)
        return [channel for channel in todo if channel.channel_sid not in verdicts]

    async def _heal(self, channel: DueChannel) -> None:
        await self._stack(channel).heal(channel.channel_sid, channel.links)

    async def _suspend(self, channel: DueChannel) -> None:
        sid = channel.channel_sid
        look = await self._looks.recent(self._attempt.lease / 2)
        if sid in look.verdicts:
            self._report.outcomes[sid] = look.verdicts[sid]
            return
        try:
            await self._take_down(channel, look)
        except (NotFound, ProductGone, MissingSetting) as missing:
            # A 404 behind an answer is a contradiction, on which no books are closed.
            never_met = isinstance(missing, NotFound) and sid not in self._met
            if await self._has_moved(channel):
                self._report.outcomes[sid] = Outcome.SKIPPED_CHANGED
            elif never_met:
                self._report.outcomes[sid] = Outcome.ALREADY_GONE
                self._down[sid] = channel
            else:
                raise

    async def _take_down(self, channel: DueChannel, look: Look) -> None:
        sid, stack = channel.channel_sid, self._stack(channel)
        if channel.stack in self._lost:
            raise self._lost[channel.stack]
        snapshot = await stack.fetch(sid)
        self._met.add(sid)
        if not await self._is_of_our_types(channel, snapshot):
            self._report.outcomes[sid] = Outcome.SKIPPED_TYPE
            return
        found_retired = (
            snapshot.is_retired
            and not self._resumed
            and sid not in self._ours
            and self._context.action is Action.DEACTIVATE
        )
        if not snapshot.is_retired and await self._is_kept_for_a_text(channel, snapshot):
            return
        self._report.outcomes[sid] = Outcome.ALREADY_GONE if found_retired else DONE[self._context.action]
        if self._context.dry_run:
            return
        self._down[sid] = channel
        if not found_retired:
            self._ours.add(sid)
        if not snapshot.is_retired:
            self._were_active.add(sid)

        def check() -> None:
            self._attempt.refuse_if_older(look.began)
            self._attempt.check()

        try:
            with checked_before_sending(check):
                await stack.suspend(snapshot, channel.links)
        except TryReplaced:
            raise  # whoever replaced this try decides what becomes of the channel
        except FlexSmsError:
            await self._put_back(channel)
            raise

    async def _is_of_our_types(self, channel: DueChannel, snapshot: ChannelSnapshot) -> bool:
        """Whether the channel is of a kind that is retired; one whose kind nobody tells is."""
        if "type" in channel.links:
            return True
        sid, stack = channel.channel_sid, self._stack(channel)
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
        if sid not in self._report.unanswered:
            self._report.unanswered.append(sid)
        if self._context.unanswered is Unanswered.REPORT:
            logger.warning("A customer wrote in channel %s after its last task, and nobody was told.", sid)
            return False
        await self._leave_alone(channel, snapshot, Outcome.SKIPPED_OPEN_TASK)
        if not self._context.dry_run:
            await self._stack(channel).look_after(sid)
        return True

    async def _leave_alone(self, channel: DueChannel, snapshot: ChannelSnapshot, verdict: Outcome) -> None:
        """Let a channel stay, and put it back if an earlier try has suspended it."""
        self._report.outcomes[channel.channel_sid] = verdict
        if bears_our_mark(snapshot.attributes) and not self._context.dry_run:
            await self._put_back(channel)

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

    async def _put_back_what_became_live(self) -> None:
        try:
            look = await self._looks.look()
        except FlexSmsError:
            # Nobody can say what is live, and maybe no other try comes to ask.
            await self._each(self._still_down(), self._put_back)
            raise
        live = [channel for sid, channel in self._down.items() if sid in look.verdicts]
        for channel in live:
            self._report.outcomes[channel.channel_sid] = look.verdicts[channel.channel_sid]
            logger.info("Channel %s came alive while it was retired; putting it back.", channel.channel_sid)
        await self._each(live, self._put_back)

    async def _put_back(self, channel: DueChannel) -> bool:
        """Give a live channel its two attributes and its customer again; False when that came too late."""
        await self._attempt.keep()
        sid = channel.channel_sid
        self._down.pop(sid, None)
        # Whoever retired it before, be it a try that nobody remembers: with a task, an agent is at work there now.
        is_live = self._report.outcomes.get(sid) is Outcome.SKIPPED_OPEN_TASK
        if not (self._resumed or sid in self._ours or is_live):
            return True
        try:
            stack, was_active = self._stack(channel), sid in self._were_active
            is_back = await stack.resume(sid, channel.links, was_active=was_active)
        except NotFound:
            return True  # somebody deleted it, which is their affair
        if not is_back:
            self._moved.add(sid)
            await self._books.correct([channel], Healed.MOVED_ON)
        return is_back

    async def _close(self, channel: DueChannel) -> None:
        """What cannot be undone, and so comes after the last guard: nobody changed the state since the scan."""
        if self._was_done(channel):
            is_whole = await self._or_reopen_the_books(
                channel, lambda: self._stack(channel).close(channel.channel_sid, channel.links)
            )
            if not is_whole:
                self._report.interactions_left.append(channel.channel_sid)

    async def _let_late_customers_go_on(self, finished: Sequence[DueChannel]) -> None:
        """A text between the second look and a final close is in a closed channel: an agent has to learn of it."""
        closed = [c for c in finished if self._was_done(c) and self._stack(c).closing_is_final]
        if closed:
            look = await self._looks.look()
            late = [channel for channel in closed if channel.channel_sid in look.verdicts]
            await self._each(late, self._let_go_on)

    async def _let_go_on(self, channel: DueChannel) -> None:
        """A channel that is closed stays so, and is not deleted either: the text is in there.

        Where that fails the state stays settled: by that and by what was heard since, the next run knows of the text.
        """
        if not await self._put_back(channel):
            self._report.outcomes[channel.channel_sid] = Outcome.DEACTIVATED
            await self._attempt.remember(_late(channel), True)

    async def _put_back_once(self, channel: DueChannel) -> None:
        if await self._attempt.recall(_late(channel)):
            self._report.outcomes[channel.channel_sid] = Outcome.DEACTIVATED
        elif channel.channel_sid in self._settled and self._stack(channel).closing_is_final:
            await self._let_go_on(channel)
        else:
            await self._put_back(channel)

    async def _delete(self, channel: DueChannel) -> None:
        if self._was_done(channel) and self._context.action is Action.DELETE:
            await self._or_reopen_the_books(
                channel, lambda: self._stack(channel).delete(channel.channel_sid, channel.links)
            )

    def _was_done(self, channel: DueChannel) -> bool:
        """Whether the channel is retired by us, so far without an error."""
        return self._report.outcomes[channel.channel_sid] is DONE[self._context.action]

    async def _or_reopen_the_books(self, channel: DueChannel, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return await work()
        except (LeaseExpired, TryReplaced):
            raise  # this step is repeated, or another try goes on
        except FlexSmsError:
            await self._books.reopen(channel)
            raise

    async def _settle(self, channel: DueChannel) -> None:
        sid = channel.channel_sid
        gone = self._report.outcomes[sid] is Outcome.ALREADY_GONE
        if not await self._books.settle(channel, gone=gone):
            self._report.outcomes[sid] = Outcome.SKIPPED_CHANGED
            await self._put_back(channel)

    async def _each(
        self, channels: Sequence[DueChannel], work: Callable[[DueChannel], Awaitable[Any]]
    ) -> None:
        """Do the work for every channel; what goes wrong with one is noted and stays with it.

        :raises TryReplaced: when a newer try has begun, so that nothing more may be done for any of them
        """

        async def guarded(channel: DueChannel) -> None:
            try:
                with contained():
                    await self._with_lease(lambda: work(channel))
            except TryReplaced:
                raise
            except FlexSmsError as error:
                if error is not self._lost.get(channel.stack):
                    logger.warning("Channel %s failed: %s", channel.channel_sid, error)
                if isinstance(error, ProductGone | MissingSetting):
                    self._lost.setdefault(channel.stack, error)
                self._report.outcomes[channel.channel_sid] = Outcome.FAILED
                self._report.errors[channel.channel_sid] = error
                self._down.pop(channel.channel_sid, None)

        await for_each(list(channels), guarded, at_once=self._context.at_once)

    async def _with_lease(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do something that may write, as long as this try is the newest; with a new lease when one was too short."""
        for _ in range(LEASES_PER_STEP - 1):
            await self._attempt.keep()
            try:
                with checked_before_sending(self._attempt.check):
                    return await work()
            except LeaseExpired as error:
                logger.info("%s", error)
        await self._attempt.keep()
        with checked_before_sending(self._attempt.check):
            return await work()

    def _still_down(self) -> list[DueChannel]:
        return list(self._down.values())

    def _stack(self, channel: DueChannel) -> RetiringStack:
        stack = self._context.stacks.get(channel.stack)
        if stack is None:
            raise self._lost.get(channel.stack) or MissingSetting(
                "session_service_sid",
                f"this or chat_service_sid is empty, and there are channels of stack '{channel.stack}'",
                f"fill both in, or, {MIGRATE}",
            )
        return stack


def _late(channel: DueChannel) -> str:
    """The key of a channel whose customer has gone on elsewhere."""
    return f"late.{channel.channel_sid}"
