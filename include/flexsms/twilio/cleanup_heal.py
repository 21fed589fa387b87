"""Puts back live channels that an earlier cleanup took down and did not put back.

A try that was replaced and went on, or one that ended between its steps, may leave a live channel inactive. Nothing but
Twilio and the channel states is needed to find it: TaskRouter says that it has an open task, its state that it was due
before that, and the channel itself bears our two attributes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from flexsms.core.errors import FlexSmsError, NotFound
from flexsms.core.events import StackName
from flexsms.twilio.cleanup_ledger import CleanupLedger
from flexsms.twilio.cleanup_scan import DueChannel
from flexsms.twilio.parallel import for_each
from flexsms.twilio.sources.protocol import OpenTasks
from flexsms.twilio.stacks.protocol import RetiringStack

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Healer:
    """What putting back needs.

    :param stacks: by name
    :param tasks: which channels have an open task
    :param at_once: channels in work at a time
    :param run_id: names the run in the ledger
    :param now: the present, an aware datetime
    """

    stacks: Mapping[StackName, RetiringStack]
    tasks: OpenTasks
    ledger: CleanupLedger
    at_once: int
    run_id: str
    now: Callable[[], datetime]

    async def heal(self, channels: Sequence[DueChannel]) -> tuple[list[DueChannel], dict[str, FlexSmsError]]:
        """Put back those of the channels that have an open task and bear our mark.

        One call per 1000 open tasks and one or two per channel; none when there are no channels.

        :return: what was put back, and by channel what went wrong
        """
        if not channels:
            return [], {}
        open_channels = await self.tasks.open_channels()
        healed: list[DueChannel] = []
        errors: dict[str, FlexSmsError] = {}

        async def heal(channel: DueChannel) -> None:
            stack = self.stacks.get(channel.stack)
            if stack is None:
                return  # nobody can reach a channel of a stack that the account has lost
            try:
                if await stack.heal(channel.channel_sid, channel.links):
                    logger.warning(
                        "Channel %s is live and was out of use; it is put back.", channel.channel_sid
                    )
                    healed.append(channel)
            except NotFound:
                return
            except FlexSmsError as error:
                logger.error("Channel %s is live and could not be put back: %s", channel.channel_sid, error)
                errors[channel.channel_sid] = error

        live = [channel for channel in channels if channel.channel_sid in open_channels]
        await for_each(live, heal, at_once=self.at_once)
        lines = [(channel.channel_sid, channel.ended_ms, "put back") for channel in healed]
        if lines:
            await self.ledger.append(lines, run_id=self.run_id, at=self.now())
        return healed, errors
