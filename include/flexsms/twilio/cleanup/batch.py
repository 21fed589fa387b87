"""The second half of cleaning up: retire a batch of due channels without ever cutting off a live one.

A batch goes through :mod:`flexsms.twilio.cleanup.retire` in groups, two at a time: while one group checks the open
tasks or writes the ledger, the other one works. They suspend and mark their channels in turn: side by side, each would
take twice as long between its two checks, and both would check at the same moments.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from flexsms.core.exceptions import FlexSmsError
from flexsms.twilio.cleanup.attempt import Attempt
from flexsms.twilio.cleanup.context import CleanupContext
from flexsms.twilio.cleanup.group import RetiringGroup
from flexsms.twilio.cleanup.live_channels import LiveChannels
from flexsms.twilio.cleanup.outcomes import BatchReport
from flexsms.twilio.cleanup.retire import CleanupSteps
from flexsms.twilio.cleanup.scan import DueChannel
from flexsms.twilio.client.concurrency import for_each
from flexsms.twilio.client.unexpected_errors import contained

T = TypeVar("T")

# Between the two checks of what is in use lie so many channels at most: a small group shortens the time in which a
# channel that comes alive is not put back yet.
GROUP_SIZE = 500
GROUPS_AT_ONCE = 2
# Of so few channels a second group would cost more calls than it saves time.
SMALL_BATCH = 125


@dataclass(frozen=True, slots=True)
class Cleaner:
    """Retires batches."""

    context: CleanupContext

    async def retire(
        self, batch: Sequence[DueChannel], *, scanned_at: datetime, attempt: Attempt
    ) -> BatchReport:
        """Retire a batch.

        :param scanned_at: when the scan began, an aware datetime
        :param attempt: which try of the batch this is
        :return: one outcome per channel; one that failed is in ``errors`` too, and the others are through
        :raises TryReplaced: when a newer try has begun, or the task was stopped
        :raises FlexSmsError: when TaskRouter could not be asked what is live; another try goes on from there
        """
        if not self.context.dry_run:
            await attempt.begin()
        ended_ms = {channel.channel_sid: channel.ended_ms for channel in batch}
        live_channels = LiveChannels(self.context.source, self.context.tasks, scanned_at, ended_ms)
        places = asyncio.Semaphore(self.context.at_once)
        report = BatchReport()
        failures: list[FlexSmsError] = []

        async def work(channels: Sequence[DueChannel]) -> None:
            if failures:
                return
            try:
                with contained():
                    group = RetiringGroup(self.context, channels, attempt, places)
                    steps = CleanupSteps(self.context, group, scanned_at, attempt, live_channels)
                    report.add(await steps.run())
            except FlexSmsError as error:
                # Not raised here, where it would stop the other group in the middle of its steps.
                failures.append(error)

        await for_each(groups_of(batch), work, at_once=GROUPS_AT_ONCE)
        if not self.context.dry_run:
            await attempt.end()
        if failures:
            raise failures[0]
        return report


def groups_of(batch: Sequence[T]) -> list[Sequence[T]]:
    """The groups in which a batch is retired."""
    # An even number of equal ones: while one checks, another one always has work.
    count = 2 * math.ceil(len(batch) / (2 * GROUP_SIZE)) if len(batch) > SMALL_BATCH else 1
    size = max(1, math.ceil(len(batch) / count))
    return [batch[start : start + size] for start in range(0, len(batch), size)]
