"""Puts channels back that are live, or became so while they were retired."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from flexsms.core.exceptions import FlexSmsError, NotFound
from flexsms.twilio.cleanup.attempt import Attempt
from flexsms.twilio.cleanup.bookkeeping import Bookkeeping
from flexsms.twilio.cleanup.group import RetiringGroup
from flexsms.twilio.cleanup.live_channels import Looks
from flexsms.twilio.cleanup.outcomes import Outcome
from flexsms.twilio.cleanup.scan import DueChannel
from flexsms.twilio.stacks.protocol import Healed

logger = logging.getLogger(__name__)


class Restorer:
    """Puts channels of one group back."""

    def __init__(
        self, group: RetiringGroup, looks: Looks, bookkeeping: Bookkeeping, attempt: Attempt
    ) -> None:
        self._group = group
        self._looks = looks
        self._bookkeeping = bookkeeping
        self._attempt = attempt

    async def put_back_what_became_live(self) -> None:
        """Look once more, and put back every suspended channel that is live by now."""
        try:
            look = await self._looks.look()
        except FlexSmsError:
            # Nobody can say what is live, and maybe no other try comes to ask.
            await self._group.each(self._group.still_down(), self.put_back)
            raise
        live = [channel for sid, channel in self._group.down.items() if sid in look.verdicts]
        for channel in live:
            self._group.report.outcomes[channel.channel_sid] = look.verdicts[channel.channel_sid]
            logger.info("Channel %s came alive while it was retired; putting it back.", channel.channel_sid)
        await self._group.each(live, self.put_back)

    async def put_back(self, channel: DueChannel) -> bool:
        """Give a live channel its two attributes and its customer again; False when that came too late."""
        await self._attempt.keep()
        sid = channel.channel_sid
        self._group.down.pop(sid, None)
        # Whoever retired it before, be it a try that nobody remembers: with a task, an agent is at work there now.
        is_live = self._group.report.outcomes.get(sid) is Outcome.SKIPPED_OPEN_TASK
        if not (self._group.resumed or sid in self._group.ours or is_live):
            return True
        try:
            stack, was_active = self._group.stack(channel), sid in self._group.were_active
            is_back = await stack.resume(sid, channel.links, was_active=was_active)
        except NotFound:
            return True  # somebody deleted it, which is their affair
        if not is_back:
            self._group.moved.add(sid)
            await self._bookkeeping.record_correction([channel], Healed.MOVED_ON)
        return is_back

    async def let_late_customers_go_on(self, finished: Sequence[DueChannel]) -> None:
        """A text between the second look and a final close is in a closed channel: an agent has to learn of it."""
        closed = [c for c in finished if self._group.was_done(c) and self._group.stack(c).closing_is_final]
        if closed:
            look = await self._looks.look()
            late = [channel for channel in closed if channel.channel_sid in look.verdicts]
            await self._group.each(late, self._let_go_on)

    async def _let_go_on(self, channel: DueChannel) -> None:
        """A channel that is closed stays so, and is not deleted either: the text is in there.

        Where that fails the state stays settled: by that and by what was heard since, the next run knows of the text.
        """
        if not await self.put_back(channel):
            self._group.report.outcomes[channel.channel_sid] = Outcome.DEACTIVATED
            await self._attempt.remember(_late(channel), True)

    async def put_back_once(self, channel: DueChannel) -> None:
        """Put a channel back that an earlier try may have taken down, unless its customer has gone on elsewhere."""
        if await self._attempt.recall(_late(channel)):
            self._group.report.outcomes[channel.channel_sid] = Outcome.DEACTIVATED
        elif channel.channel_sid in self._group.settled and self._group.stack(channel).closing_is_final:
            await self._let_go_on(channel)
        else:
            await self.put_back(channel)

    async def heal(self, channel: DueChannel) -> None:
        """Put a live channel back that bears our mark, whoever left it so."""
        await self._group.stack(channel).heal(channel.channel_sid, channel.links)


def _late(channel: DueChannel) -> str:
    """The key of a channel whose customer has gone on elsewhere."""
    return f"late.{channel.channel_sid}"
