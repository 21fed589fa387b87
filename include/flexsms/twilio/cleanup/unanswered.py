"""Customers' texts that nobody was told of: they came after the last task had ended, and no task was opened for them.

Whether a text opens a task is up to the number's flow and to how agents park, and a task that nobody took is canceled
by itself. Retiring such a channel would take the text out of everybody's sight.

A look at the newest message is a call, so it is taken only where the channel's ``date_updated``, which is fetched
anyway, does not say that nothing happened since. Whether a message moves that date nobody documents. So some channels
are looked at all the same: where one has a message that is newer than its date, the date tells nothing, and from then
on every channel is looked at.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

from flexsms.core.task_events import to_ms
from flexsms.core.validation import parse_choice
from flexsms.twilio.stacks.protocol import ChannelSnapshot, NewestText, RetiringStack

logger = logging.getLogger(__name__)

# So many channels of a stack are looked at whatever their dates say, and some more where there is no message.
SAMPLE = 3
MOST_SAMPLED = 10
# A message and what it changes need not bear the same second.
SAME_MOMENT = timedelta(seconds=5)
# Twilio itself acts on these, and nobody has to answer. Not YES, CANCEL and END, which may be about an appointment.
# https://www.twilio.com/docs/messaging/guides/how-to-use-opt-out-keywords
KEYWORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "QUIT", "START", "UNSTOP", "HELP", "INFO"})


class Unanswered(StrEnum):
    """What cleaning up does about a text that nobody was told of."""

    TASK = "task"
    REPORT = "report"


parse_unanswered = partial(parse_choice, Unanswered, "unanswered", "is nothing to do about a text")


class UnansweredTexts:
    """Looks for such texts in the channels of one stack."""

    def __init__(self, stack: RetiringStack) -> None:
        self._stack = stack
        self._sampled = self._with_message = self._under_way = 0
        self._dates_tell = True
        self._sample = asyncio.Condition()

    async def is_waiting(self, channel: ChannelSnapshot, ended_ms: int) -> bool:
        """Whether the newest message of a channel is a customer's, and was written after the last task's end.

        No call as a rule.

        :param ended_ms: when the channel's last task ended, milliseconds since 1970 UTC
        """
        newest = await self._newest(channel, ended_ms)
        return (
            newest is not None
            and newest.is_customers
            and newest.body.strip().upper() not in KEYWORDS
            and to_ms("date", newest.created_at) >= ended_ms
        )

    async def _newest(self, channel: ChannelSnapshot, ended_ms: int) -> NewestText | None:
        """The newest message, None where nothing was written since."""
        updated_at = channel.updated_at
        if updated_at is None or _may_be_after(updated_at, ended_ms):
            return await self._stack.newest_text(channel.channel_sid)
        if await self._is_for_the_sample():
            return await self._sampled_text(channel.channel_sid, updated_at)
        return None if self._dates_tell else await self._stack.newest_text(channel.channel_sid)

    async def _is_for_the_sample(self) -> bool:
        """Whether one more channel is looked at whatever its date says; False once the sample is whole."""
        async with self._sample:
            await self._sample.wait_for(lambda: self._under_way < self._missing or not self._missing)
            self._under_way += bool(self._missing)
            return bool(self._missing)

    async def _sampled_text(self, channel_sid: str, updated_at: datetime) -> NewestText | None:
        """The newest message, and what it tells about dates."""
        try:
            newest = await self._stack.newest_text(channel_sid)
            self._sampled += 1
            self._with_message += newest is not None
            if newest is not None and newest.created_at - updated_at > SAME_MOMENT and self._dates_tell:
                self._dates_tell = False
                logger.info(
                    "Messages do not move date_updated of %s channels: looking at the newest message of each.",
                    self._stack.name,
                )
            return newest
        finally:
            async with self._sample:
                self._under_way -= 1
                self._sample.notify_all()

    @property
    def _missing(self) -> int:
        """How many channels the sample still lacks, those included that are being looked at."""
        if not self._dates_tell:
            return 0
        return max(0, min(SAMPLE - self._with_message, MOST_SAMPLED - self._sampled))


def _may_be_after(moment: datetime, ended_ms: int) -> bool:
    """Whether it may be later than the end; Twilio's dates are cut to whole seconds."""
    return to_ms("date", moment) + 999 >= ended_ms
