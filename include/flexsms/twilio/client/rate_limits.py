"""When a request may leave: rate limits and the number in flight, both shared by all that work for one account.

They are kept per process, whatever number of hooks, triggers and tasks there are, for Twilio counts by account: what
two connections to it state alike is kept together. What they state differently each keeps for itself, because whoever
gives one connection of its own limits means that connection, be it ``off`` for a tool beside the DAGs.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from flexsms.twilio.client.endpoints import documented, host_of

if TYPE_CHECKING:
    from flexsms.twilio.client.settings import TwilioSettings

# How much may leave at once after a pause. Twilio documents no more than a number per second, and how it counts is
# unknown, so a burst of a whole second's worth could be twice as much as it takes.
BURST_S = 0.2


class Bucket:
    """So many requests per second, first come, first served.

    A request reserves its place here before it waits for anything else, and is counted when it leaves. What has waited
    elsewhere does not make up for lost time: no more than a burst is ever reserved.
    """

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._capacity = max(1, per_second * BURST_S)
        self._level = 0.0  # what has left, less what has run out since
        self._reserved = 0
        self._looked_at = 0.0
        self._queue = asyncio.Lock()
        self._changed = asyncio.Event()

    async def reserve(self) -> None:
        """Wait for a place; follow it by :meth:`leave` or :meth:`give_back`."""
        async with self._queue:
            while (surplus := self._run_out() + self._reserved + 1 - self._capacity) > 1e-6:
                if surplus > self._level:  # it takes others to leave or give up first
                    self._changed.clear()
                    await self._changed.wait()
                else:
                    await asyncio.sleep(surplus / self._per_second)
            self._reserved += 1

    def leave(self) -> None:
        """The request leaves now."""
        self.give_back()
        self._level = self._run_out() + 1

    def give_back(self) -> None:
        """The request does not leave."""
        self._reserved -= 1
        self._changed.set()

    def _run_out(self) -> float:
        # The loop's time, as whatever sleeps by it has to be woken by it.
        now = asyncio.get_running_loop().time()
        self._level = max(0.0, self._level - (now - self._looked_at) * self._per_second)
        self._looked_at = now
        return self._level


class Pace:
    """What all connections of one event loop to one account have in common."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, float], Bucket] = {}
        self._slots: dict[int, asyncio.Semaphore] = {}

    def bucket(self, name: str, per_second: float) -> Bucket:
        """The bucket of an endpoint or a host at a rate."""
        return self._buckets.setdefault((name, per_second), Bucket(per_second))

    def slots(self, at_once: int) -> asyncio.Semaphore:
        """As many slots as requests may be in flight."""
        return self._slots.setdefault(at_once, asyncio.Semaphore(at_once))


# By event loop, because nothing that waits can be shared between two. A loop that is through is forgotten.
_paces: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str], Pace]] = WeakKeyDictionary()


def pace_of(account_sid: str, base_url: str) -> Pace:
    """The pace of an account in the running event loop."""
    for loop in list(_paces):
        if loop.is_closed():
            _paces.pop(loop, None)
    paces = _paces.setdefault(asyncio.get_running_loop(), {})
    return paces.setdefault((account_sid, base_url), Pace())


class Throttle:
    """Lets the requests of one connection leave as its settings say.

    An override by endpoint replaces what Twilio documents for that endpoint. One by host binds all endpoints of the
    host together, and what is documented for each of them goes on to hold.

    :param settings: ``rate_limits`` and ``max_in_flight`` are kept
    """

    def __init__(self, settings: TwilioSettings) -> None:
        self._pace = pace_of(settings.account_sid, settings.base_url)
        self._slots = self._pace.slots(settings.max_in_flight)
        self._settings = settings
        self._buckets: dict[str, tuple[Bucket, ...]] = {}

    @asynccontextmanager
    async def slot(self, endpoint_name: str) -> AsyncIterator[float]:
        """Wait until a request may leave, and hold its slot until the block ends.

        :param endpoint_name: as :func:`flexsms.twilio.client.endpoints.limited_as` gives it
        :return: the seconds that it waited for the rate limits, not for a slot

        A slot is asked for last: whoever held one while waiting for a slow endpoint would keep all others waiting.
        """
        if endpoint_name not in self._buckets:
            self._buckets[endpoint_name] = self._buckets_of(endpoint_name)
        reserved: list[Bucket] = []
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            for bucket in self._buckets[endpoint_name]:
                await bucket.reserve()
                reserved.append(bucket)
            waited_s = loop.time() - began
            await self._slots.acquire()
        except BaseException:
            for bucket in reserved:
                bucket.give_back()
            raise
        for bucket in reserved:
            bucket.leave()
        try:
            yield waited_s
        finally:
            self._slots.release()

    def _buckets_of(self, endpoint_name: str) -> tuple[Bucket, ...]:
        limits = limits_of(self._settings, endpoint_name)
        return tuple(self._pace.bucket(name, per_second) for name, per_second in limits.items())


def limits_of(settings: TwilioSettings, endpoint_name: str) -> dict[str, float]:
    """What binds an endpoint, with its requests per second: the endpoint itself, and its host.

    :param settings: of which ``rate_limits`` counts
    :param endpoint_name: as :func:`flexsms.twilio.client.endpoints.limited_as` gives it
    """
    if settings.rate_limits == "off":
        return {}
    configured = settings.rate_limits
    overrides: Mapping[str, float] = {} if isinstance(configured, str) else configured
    host, whole = host_of(endpoint_name), endpoint_name.partition("?")[0]
    wanted = {
        host: overrides.get(host),
        whole: overrides.get(whole),
        endpoint_name: overrides.get(endpoint_name) or documented(endpoint_name),
    }
    # The endpoint first: a host has more room.
    return {name: per_second for name, per_second in reversed(wanted.items()) if per_second}


def per_second(settings: TwilioSettings, calls: Mapping[str, int]) -> float | None:
    """How often a second something that takes several calls may be done; None without a limit.

    :param calls: how many of them go to which endpoint
    """
    limits: dict[str, float] = {}
    load: Counter[str] = Counter()
    for endpoint_name, number in calls.items():
        for name, limit in limits_of(settings, endpoint_name).items():
            limits[name] = limit
            load[name] += number
    return min((limit / load[name] for name, limit in limits.items()), default=None)
