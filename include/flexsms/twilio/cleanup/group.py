"""A group of channels that are retired together, and how a step goes through them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from flexsms.core.exceptions import (
    MIGRATE,
    FlexSmsError,
    LeaseExpired,
    MissingSetting,
    ProductGone,
    TryReplaced,
)
from flexsms.core.stack_name import StackName
from flexsms.twilio.cleanup.attempt import Attempt
from flexsms.twilio.cleanup.context import CleanupContext
from flexsms.twilio.cleanup.outcomes import DONE, BatchReport, Outcome
from flexsms.twilio.cleanup.progress import ChannelProgress
from flexsms.twilio.cleanup.scan import DueChannel
from flexsms.twilio.client.concurrency import for_each
from flexsms.twilio.client.precondition import checked_before_sending
from flexsms.twilio.client.unexpected_errors import contained
from flexsms.twilio.stacks.protocol import RetiringStack

logger = logging.getLogger(__name__)

T = TypeVar("T")

# A step that outlived its lease, mostly because the machine stood still, goes on with a new one; a few times.
LEASES_PER_STEP = 5


class RetiringGroup:
    """The channels of a group and their progress.

    :param attempt: which try of the batch this is
    :param places: as many as channels are in work at a time, for all groups of the batch
    """

    def __init__(
        self,
        context: CleanupContext,
        channels: Sequence[DueChannel],
        attempt: Attempt,
        places: asyncio.Semaphore,
    ) -> None:
        self._context = context
        self._attempt = attempt
        self._places = places
        # Whether an earlier try of the batch has come to this group.
        self.resumed = False
        self.progress = {channel.channel_sid: ChannelProgress(channel) for channel in channels}
        # Stacks that the account has lost, and how that showed.
        self.lost_stacks: dict[StackName, FlexSmsError] = {}

    async def resume(self, never_suspended: Sequence[str]) -> None:
        """Continue where an earlier try ended. What that try marked as retired may not be finished.

        :param never_suspended: the channels that it left alone
        """
        self.resumed = True

        for progress in self.progress.values():
            progress.never_suspended = progress.sid in never_suspended

        async def find_mark(progress: ChannelProgress) -> None:
            stored = await self._context.store.load(progress.sid)
            if stored is not None and stored.state.retired is not None and stored.state.is_retired:
                gone = stored.state.retired[1] == Outcome.ALREADY_GONE
                progress.outcome = Outcome.ALREADY_GONE if gone else DONE[self._context.action]
                progress.was_marked = True

        await self.each(self.progress.values(), find_mark)

    async def each(
        self,
        channels: Iterable[ChannelProgress],
        work: Callable[[ChannelProgress], Awaitable[Any]],
        *,
        in_turn: bool = False,
    ) -> None:
        """Do the work for every channel; what goes wrong with one is noted and stays with it.

        :param in_turn: begin where no other group has any such work left to begin that it came with earlier
        :raises TryReplaced: when a newer try has begun, so that nothing more may be done for any of them
        """

        async def guarded(progress: ChannelProgress) -> None:
            stack = progress.channel.stack
            try:
                with contained():
                    await self.with_lease(lambda: work(progress))
            except TryReplaced:
                raise
            except FlexSmsError as error:
                if error is not self.lost_stacks.get(stack):
                    # The batch tells each cause once.
                    logger.debug("Channel %s failed: %s", progress.sid, error)
                if isinstance(error, ProductGone | MissingSetting):
                    self.lost_stacks.setdefault(stack, error)
                progress.outcome, progress.error = Outcome.FAILED, error
                progress.is_being_retired = False

        todo = list(channels)
        at_once = min(len(todo), self._context.at_once)
        await for_each(todo, guarded, at_once=at_once, places=self._places if in_turn else None)

    async def with_lease(self, work: Callable[[], Awaitable[T]]) -> T:
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

    def being_retired(self) -> list[ChannelProgress]:
        """The channels that go on to the next step."""
        return [progress for progress in self.progress.values() if progress.is_being_retired]

    def without_error(self) -> list[ChannelProgress]:
        """The channels with which nothing went wrong."""
        return [progress for progress in self.progress.values() if progress.error is None]

    def stack(self, channel: DueChannel) -> RetiringStack:
        """What retires a channel.

        :raises MissingSetting: when the connection lacks its stack
        """
        stack = self._context.stacks.get(channel.stack)
        if stack is None:
            raise self.lost_stacks.get(channel.stack) or MissingSetting(
                "session_service_sid",
                f"this or chat_service_sid is empty, and there are channels of stack '{channel.stack}'",
                f"fill both in, or, {MIGRATE}",
            )
        return stack

    def was_done(self, progress: ChannelProgress) -> bool:
        """Whether the channel is retired by us, so far without an error."""
        return progress.outcome is DONE[self._context.action]

    def report(self) -> BatchReport:
        """What has become of the channels."""
        channels = self.progress.values()
        return BatchReport(
            {progress.sid: progress.outcome for progress in channels if progress.outcome is not None},
            {progress.sid: progress.error for progress in channels if progress.error is not None},
            [progress.sid for progress in channels if progress.interaction_left],
            [progress.sid for progress in channels if progress.is_unanswered],
        )
