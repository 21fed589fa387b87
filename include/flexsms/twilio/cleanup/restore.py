"""Puts channels back that are live, or became so while they were retired."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from flexsms.core.exceptions import FlexSmsError, NotFound
from flexsms.twilio.cleanup.attempt import Attempt
from flexsms.twilio.cleanup.bookkeeping import Bookkeeping
from flexsms.twilio.cleanup.group import RetiringGroup
from flexsms.twilio.cleanup.live_channels import LiveChannels
from flexsms.twilio.cleanup.outcomes import Outcome
from flexsms.twilio.cleanup.progress import ChannelProgress
from flexsms.twilio.stacks.protocol import Healed

logger = logging.getLogger(__name__)


class Restorer:
    """Puts channels of one group back."""

    def __init__(
        self, group: RetiringGroup, live_channels: LiveChannels, bookkeeping: Bookkeeping, attempt: Attempt
    ) -> None:
        self._group = group
        self._live_channels = live_channels
        self._bookkeeping = bookkeeping
        self._attempt = attempt

    async def restore_what_became_live(self) -> None:
        """Check once more, and put back every suspended channel that is live by now."""
        try:
            liveness = await self._live_channels.fresh()
        except FlexSmsError:
            # Nobody can say what is live, and maybe no other try comes to ask.
            await self._group.each(self._group.being_retired(), self.restore)
            raise
        live = [progress for progress in self._group.being_retired() if progress.sid in liveness.verdicts]
        for progress in live:
            progress.outcome = liveness.verdicts[progress.sid]
            logger.info("Channel %s came alive while it was retired; putting it back.", progress.sid)
        await self._group.each(live, self.restore)

    async def restore(self, progress: ChannelProgress) -> bool:
        """Give a live channel its two attributes and its customer again; False when that came too late."""
        await self._attempt.keep()
        progress.is_being_retired = False
        # Whoever retired it before, be it a try that nobody remembers: with a task, an agent is at work there now.
        is_live = progress.outcome is Outcome.SKIPPED_OPEN_TASK
        if not (self._group.resumed or progress.retired_by_us or is_live):
            return True
        channel = progress.channel
        try:
            is_back = await self._group.stack(channel).resume(
                progress.sid, channel.links, was_active=progress.was_active
            )
        except NotFound:
            return True  # somebody deleted it, which is their affair
        if not is_back:
            progress.moved_on = True
            await self._bookkeeping.record([(channel, Healed.MOVED_ON)])
        return is_back

    async def let_late_customers_go_on(self, finished: Sequence[ChannelProgress]) -> None:
        """Give an agent the texts that came between the second check and a close that is final."""
        closed = [
            progress
            for progress in finished
            if self._group.was_done(progress) and self._group.stack(progress.channel).closing_is_final
        ]
        if closed:
            liveness = await self._live_channels.fresh()
            late = [progress for progress in closed if progress.sid in liveness.verdicts]
            await self._group.each(late, self._let_go_on)

    async def _let_go_on(self, progress: ChannelProgress) -> None:
        """A channel that is closed stays so, and is not deleted either: the text is in there.

        Where that fails the state stays marked as retired: by that and by what was heard since, the next run knows of
        the text.
        """
        if not await self.restore(progress):
            progress.outcome = Outcome.DEACTIVATED
            await self._attempt.remember(_late(progress), True)

    async def restore_once(self, progress: ChannelProgress) -> None:
        """Put a channel back that an earlier try may have suspended, unless its customer has gone on elsewhere."""
        if await self._attempt.recall(_late(progress)):
            progress.outcome = Outcome.DEACTIVATED
        elif progress.was_marked and self._group.stack(progress.channel).closing_is_final:
            await self._let_go_on(progress)
        else:
            await self.restore(progress)

    async def heal(self, progress: ChannelProgress) -> None:
        """Put a live channel back that has our mark, whoever left it so."""
        await self._group.stack(progress.channel).heal(progress.sid, progress.channel.links)


def _late(progress: ChannelProgress) -> str:
    """The key of a channel whose customer has gone on elsewhere."""
    return f"late.{progress.sid}"
