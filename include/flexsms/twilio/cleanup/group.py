"""A group of channels that are retired together: how far each has come, and how a step goes through all of them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
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
    """What is known of the channels of a group.

    :param attempt: which try of the batch this is
    """

    def __init__(self, context: CleanupContext, attempt: Attempt) -> None:
        self._context = context
        self._attempt = attempt
        self.resumed = attempt.resumed
        self.report = BatchReport()
        self.down: dict[str, DueChannel] = {}
        # Channels that this try has found.
        self.met: set[str] = set()
        # Channels that nobody had retired before us, so that they may be put back, whatever became of them.
        self.ours: set[str] = set()
        # Channels that were in use until this try suspended them.
        self.were_active: set[str] = set()
        # Channels that no try has taken down: who made them inactive is not us.
        self.untouched: set[str] = set()
        # Channels that an earlier try has marked as retired.
        self.settled: set[str] = set()
        # Channels whose customers go on in another one.
        self.moved: set[str] = set()
        # Stacks that the account has lost, and how that showed.
        self.lost: dict[StackName, FlexSmsError] = {}

    async def find_settled(self, channels: Sequence[DueChannel]) -> None:
        """Find the channels that an earlier try has settled, though it may have died before it finished them."""

        async def look(channel: DueChannel) -> None:
            stored = await self._context.store.load(channel.channel_sid)
            if stored is not None and stored.state.retired is not None and stored.state.is_retired:
                gone = stored.state.retired[1] == Outcome.ALREADY_GONE
                done = DONE[self._context.action]
                self.report.outcomes[channel.channel_sid] = Outcome.ALREADY_GONE if gone else done
                self.settled.add(channel.channel_sid)

        await self.each(channels, look)

    async def each(
        self, channels: Sequence[DueChannel], work: Callable[[DueChannel], Awaitable[Any]]
    ) -> None:
        """Do the work for every channel; what goes wrong with one is noted and stays with it.

        :raises TryReplaced: when a newer try has begun, so that nothing more may be done for any of them
        """

        async def guarded(channel: DueChannel) -> None:
            try:
                with contained():
                    await self.with_lease(lambda: work(channel))
            except TryReplaced:
                raise
            except FlexSmsError as error:
                if error is not self.lost.get(channel.stack):
                    logger.warning("Channel %s failed: %s", channel.channel_sid, error)
                if isinstance(error, ProductGone | MissingSetting):
                    self.lost.setdefault(channel.stack, error)
                self.report.outcomes[channel.channel_sid] = Outcome.FAILED
                self.report.errors[channel.channel_sid] = error
                self.down.pop(channel.channel_sid, None)

        await for_each(list(channels), guarded, at_once=self._context.at_once)

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

    def still_down(self) -> list[DueChannel]:
        """The channels that are suspended and have not failed."""
        return list(self.down.values())

    def stack(self, channel: DueChannel) -> RetiringStack:
        """What retires a channel.

        :raises MissingSetting: when the connection lacks its stack
        """
        stack = self._context.stacks.get(channel.stack)
        if stack is None:
            raise self.lost.get(channel.stack) or MissingSetting(
                "session_service_sid",
                f"this or chat_service_sid is empty, and there are channels of stack '{channel.stack}'",
                f"fill both in, or, {MIGRATE}",
            )
        return stack

    def was_done(self, channel: DueChannel) -> bool:
        """Whether the channel is retired by us, so far without an error."""
        return self.report.outcomes[channel.channel_sid] is DONE[self._context.action]
