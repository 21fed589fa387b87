"""What cleaning up must not touch: channels with an open task, and those that something was heard of lately."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from flexsms.core.events import to_ms
from flexsms.twilio.cleanup_report import Outcome
from flexsms.twilio.sources.protocol import EventSource, OpenTasks

# Events carry Twilio's time, the scan ours. No due channel has news of the last minute: the window is longer than that.
CLOCK_SKEW = timedelta(minutes=1)


async def channels_in_use(source: EventSource, tasks: OpenTasks, scanned_at: datetime) -> dict[str, Outcome]:
    """Why to leave a channel alone, by channel.

    :param scanned_at: when the scan began, an aware datetime
    """
    changed, busy = await asyncio.gather(_changed(source, scanned_at - CLOCK_SKEW), tasks.open_channels())
    return {
        **dict.fromkeys(changed, Outcome.SKIPPED_CHANGED),
        **dict.fromkeys(busy, Outcome.SKIPPED_OPEN_TASK),
    }


async def _changed(source: EventSource, since: datetime) -> set[str]:
    since_ms = to_ms("since", since)
    return {
        event.channel_sid
        async for page in source.read(since.isoformat())
        for event in page.events
        if event.at_ms >= since_ms
    }
