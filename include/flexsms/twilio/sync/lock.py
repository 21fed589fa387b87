"""A lock per channel, kept in Sync, so that only one task or Studio webhook is added.

Twilio opens a second task, or attaches a second webhook, without a question. So a send takes the channel's lock first:
an item of a Sync map, which only one send can create, and which expires by itself.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from flexsms.core.exceptions import (
    AlreadyExists,
    FlexSmsError,
    NotFound,
    OutcomeUnknown,
    RevisionMismatch,
    SendInProgress,
)
from flexsms.twilio.client.clock import Instant
from flexsms.twilio.client.precondition import checked_before_sending
from flexsms.twilio.sync.map import SyncMap

if TYPE_CHECKING:
    from twilio.rest import Client

T = TypeVar("T")

# The name is in customers' accounts, and so it stays.
MAP_PREFIX = "flexsms.turns."
POLL_INTERVAL_S = 1.0
NOBODY = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to add something, for a while.

    :param taken: when, or a little before
    :param is_first: nobody had it for as long as a lease lasts, so no other send can have added anything lately
    :param inherited: an earlier try of the same send had it, and may have sent its request
    """

    key: str
    revision: str
    taken: Instant
    is_first: bool
    inherited: bool


class SyncLock:
    """Hands out leases, one per channel at a time.

    :param duration: after this time without a release the lock is anybody's
    :param grace: how long a request whose answer was lost may still take effect
    """

    def __init__(
        self,
        client: Client,
        service_sid: str,
        *,
        now: Callable[[], datetime],
        duration: timedelta,
        grace: timedelta,
    ) -> None:
        self._client = client
        self._service_sid = service_sid
        self._now = now
        self._duration = duration
        self._grace = grace

    async def once(
        self,
        channel_sid: str,
        owner: str,
        find: Callable[[], Awaitable[T | None]],
        make: Callable[[], Awaitable[T]],
        *,
        tidy: Callable[[T, Lease], Awaitable[T]] | None = None,
        just_searched: bool = False,
        doubtful: bool = False,
    ) -> T:
        """What ``find`` finds on the channel, or, if nobody else makes it meanwhile, what ``make`` makes.

        :param owner: the same for all tries of one send, another for every other send
        :param make: a request that must not be repeated blindly
        :param tidy: what else has to be so before the next one has the lock; returns what is there then
        :param just_searched: ``find`` has just found nothing, so a lock that nobody had lately needs no second search
        :param doubtful: an earlier try may have sent the request without having the lock
        :raises SendInProgress: when somebody else keeps the lock and makes nothing, or nobody knows what was made
        """
        until = self._now() + self._grace
        while (lease := await self._take(channel_sid, owner)) is None:
            found = await find()
            if found is not None:
                return found
            if self._now() >= until:
                raise SendInProgress(
                    f"Another send is busy on {channel_sid}; trying again once it is through."
                )
            await asyncio.sleep(POLL_INTERVAL_S)
        known_missing = just_searched and lease.is_first and not doubtful
        how_long = self._grace if lease.inherited or doubtful else timedelta()
        found = None
        try:
            async with asyncio.timeout((self._duration - self._grace).total_seconds()):
                with checked_before_sending(lambda: self._refuse_if_late(lease)):
                    found = None if known_missing else await self._poll(find, how_long)
                    if found is None:
                        found = await self.make(find, make)
                    if tidy is not None:
                        found = await tidy(found, lease)
        except TimeoutError as error:
            if found is not None:
                await self._release(lease)
            raise SendInProgress(f"{channel_sid} took too long; trying again later.") from error
        except SendInProgress:
            raise  # The lock is kept: the next try looks first.
        except FlexSmsError:
            # It was refused. A cancelled wait keeps the lock, for the request may be on its way.
            await self._release(lease)
            raise
        await self._release(lease)
        return found

    async def make(self, find: Callable[[], Awaitable[T | None]], make: Callable[[], Awaitable[T]]) -> T:
        """What ``make`` makes, or what ``find`` finds where its answer was lost.

        :raises SendInProgress: when nobody knows what was made
        """
        try:
            # Once the lease is over another send may take the lock, so nothing may leave after that.
            async with asyncio.timeout((self._duration - 2 * self._grace).total_seconds()):
                return await make()
        except (OutcomeUnknown, TimeoutError) as error:
            found = await self._poll(find, self._grace)
            if found is None:
                told = str(error) or "No answer in time."
                raise SendInProgress(f"{told} It was not found; trying again later.") from error
            return found

    def _refuse_if_late(self, lease: Lease) -> None:
        """Once the lease is over another send may take the lock, also if this machine stood still meanwhile."""
        if lease.taken.age > self._duration - self._grace:
            raise SendInProgress(f"{lease.key} took too long; trying again later.")

    async def _poll(self, find: Callable[[], Awaitable[T | None]], how_long: timedelta) -> T | None:
        until = self._now() + how_long
        while True:
            found = await find()
            if found is not None or self._now() >= until:
                return found
            await asyncio.sleep(POLL_INTERVAL_S)

    async def _take(self, channel_sid: str, owner: str) -> Lease | None:
        items, nonce, now = self._map(channel_sid), secrets.token_hex(8), Instant.now()
        data = {"by": owner, "nonce": nonce}
        try:
            created = await items.create(channel_sid, data)
            return Lease(channel_sid, created.revision, now, is_first=True, inherited=False)
        except AlreadyExists:
            pass
        try:
            held = await items.fetch(channel_sid)
            if held.data["by"] not in (owner, NOBODY):
                return None
            if held.data["nonce"] == nonce:  # our own, whose answer was lost
                return Lease(channel_sid, held.revision, now, is_first=True, inherited=False)
            taken = await items.update(channel_sid, data, revision=held.revision)
        except (NotFound, RevisionMismatch):
            return None
        return Lease(channel_sid, taken.revision, now, is_first=False, inherited=held.data["by"] == owner)

    async def _release(self, lease: Lease) -> None:
        """Let the next one have the lock at once; where that fails, or the lease has run out, its end decides."""
        with suppress(FlexSmsError):
            await self._map(lease.key).update(lease.key, {"by": NOBODY, "nonce": ""}, revision=lease.revision)

    def _map(self, channel_sid: str) -> SyncMap:
        # Sync takes 20 writes/s per map, so the channels are spread over 16 of them.
        return SyncMap(
            self._client, self._service_sid, MAP_PREFIX + channel_sid[-1].lower(), ttl=self._duration
        )
