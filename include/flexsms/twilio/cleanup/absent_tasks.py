"""Tasks that ended without an event: TaskRouter's complete list of open tasks no longer has them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from flexsms.core.channel_state import ChannelState
from flexsms.core.exceptions import UnreadableState
from flexsms.twilio.cleanup.scan import DueChannel
from flexsms.twilio.client.concurrency import for_each
from flexsms.twilio.sync.channel_states import SyncStore
from flexsms.twilio.taskrouter.events import TaskRouterSource

logger = logging.getLogger(__name__)


async def end_absent(
    unheard_of: Sequence[tuple[DueChannel, frozenset[str]]],
    tasks: TaskRouterSource,
    store: SyncStore,
    *,
    now_ms: int,
    at_once: int,
) -> int:
    """End the tasks that TaskRouter no longer lists as open, although no event said that they ended.

    They count as ended now: the real end is unknown, and the retention window must not become too short. One call per
    1000 open tasks and two per channel with such a task; none where no task is in doubt.

    :param unheard_of: channels, each with its open tasks that were not heard of for longer than the list needs
    :param now_ms: the present by Twilio's clock, milliseconds since 1970 UTC
    :param at_once: channels written at a time
    :return: how many tasks
    :raises FlexSmsError: when the list is not complete, so that nobody can tell
    """
    if not unheard_of:
        return 0
    listed = {task.sid for task in await tasks.open_tasks()}
    absent = [(channel, sids - listed) for channel, sids in unheard_of if sids - listed]

    async def end(one: tuple[DueChannel, frozenset[str]]) -> None:
        channel, sids = one
        try:
            await store.merge(
                ChannelState(channel.channel_sid, channel.stack, ended=dict.fromkeys(sids, now_ms))
            )
        except UnreadableState as error:
            logger.error("Channel %s: %s", channel.channel_sid, error)

    await for_each(absent, end, at_once=at_once)
    return sum(len(sids) for _, sids in absent)
