"""Which try of a batch may write to Twilio.

A try that Airflow has replaced is not always dead: a worker that was frozen, or that lost its heartbeat, works on when
it wakes up, by what it saw minutes ago. Twilio has no conditional update for channels, so nothing but time keeps two
tries apart. A try holds a short lease and renews it only while no newer try has begun. Nothing leaves without a valid
lease, repeated requests included. A newer try waits until the last lease of the one before must be over.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import sleep
from datetime import timedelta
from typing import Any, Protocol

from flexsms.core.exceptions import LeaseExpired, TryReplaced
from flexsms.twilio.client.clock import Instant

logger = logging.getLogger(__name__)

KEY = "try"


class Checkpoint(Protocol):
    """What a task has to remember over its own death; Airflow's ``task_state_store`` in production."""

    async def get(self, key: str) -> Any:
        """What was set under a key, None when nothing was."""
        ...

    async def set(self, key: str, value: Any) -> None:
        """Keep a small value, durably, before returning."""
        ...


class Attempt:
    """One try of a batch.

    :param checkpoint: shared by all tries of the task
    :param batch: names the batch; a task that is given another one remembers nothing of the one before
    :param number: which try of the task it is; a newer one has a higher number
    :param lease: how long a try may write after it has made sure that it is the newest
    :param grace: how long a request may still take effect after it left
    """

    def __init__(
        self, checkpoint: Checkpoint, *, batch: str, number: int, lease: timedelta, grace: timedelta
    ) -> None:
        self.resumed = False
        self._checkpoint = checkpoint
        self._batch = batch
        self.lease = lease
        self._number = number
        self._grace = grace
        self._stopped = False
        self._renewed = Instant.now()
        self._renewing = asyncio.Lock()

    async def begin(self) -> None:
        """Replace the try before, and wait until it can no longer be at work.

        :raises TryReplaced: when a newer try has begun already
        """
        before = await self._checkpoint.get(KEY)
        self._refuse_if_replaced(before)
        await self._write(ended=False)
        self.resumed = before is not None and before["batch"] == self._batch
        if before and not before["ended"]:
            wait = self.lease + self._grace
            logger.info(
                "An earlier try may still be at work; waiting %.0f s for its end.", wait.total_seconds()
            )
            await sleep(wait.total_seconds())
        await self.renew()

    async def keep(self) -> None:
        """Renew the lease when half of it is over.

        :raises TryReplaced: when a newer try has begun
        """
        if self._renewed.age <= self.lease / 2:
            return
        async with self._renewing:
            if self._renewed.age > self.lease / 2:
                await self.renew()

    async def renew(self) -> None:
        """Make sure that no newer try has begun.

        :raises TryReplaced: when one has
        """
        asked = Instant.now()
        newest = await self._checkpoint.get(KEY)
        self._refuse_if_replaced(newest)
        if newest and newest["number"] < self._number:
            await self._write(ended=False)  # an older try began after this one
        self._renewed = asked

    async def end(self) -> None:
        """Say that this try has nothing under way any more, so that the next one need not wait."""
        await self.renew()
        await self._write(ended=True)

    def stop(self) -> None:
        """Send nothing from now on; safe in a signal handler."""
        self._stopped = True

    def check(self) -> None:
        """Let a request leave, or stop it.

        :raises TryReplaced: when the task was stopped
        :raises LeaseExpired: when the lease is over
        """
        self._refuse_if_stopped()
        self.refuse_if_older(self._renewed)

    def refuse_if_older(self, instant: Instant) -> None:
        """Refuse to act on knowledge that is older than a lease.

        :raises LeaseExpired: when it is
        """
        if instant.age > self.lease:
            seconds = self.lease.total_seconds()
            raise LeaseExpired(
                f"The last check of what is in use is over {seconds:.0f} s old, so nothing was sent; checking again."
            )

    async def recall(self, key: str) -> Any:
        """What a try of this batch remembered under a key, None when none did."""
        return await self._checkpoint.get(f"{self._batch}.{key}")

    async def remember(self, key: str, value: Any) -> None:
        """Keep a small value for the tries to come."""
        await self._checkpoint.set(f"{self._batch}.{key}", value)

    async def _write(self, *, ended: bool) -> None:
        await self._checkpoint.set(KEY, {"number": self._number, "batch": self._batch, "ended": ended})

    def _refuse_if_replaced(self, newest: Any) -> None:
        self._refuse_if_stopped()
        if newest and newest["number"] > self._number:
            raise TryReplaced("A newer try of this task works on the batch; this one writes nothing more.")

    def _refuse_if_stopped(self) -> None:
        if self._stopped:
            raise TryReplaced("This task was stopped; the next run goes on with what it left.")
