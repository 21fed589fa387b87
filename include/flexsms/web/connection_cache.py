"""What the web app knows of its Airflow connection, looked up anew every so often."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace

from flexsms.core.exceptions import FlexSmsError
from flexsms.hooks.twilio import TwilioHook
from flexsms.options import conn_id_option
from flexsms.sources.object_storage import ObjectStorageInbox
from flexsms.sources.threads import Threads
from flexsms.twilio.client import clock
from flexsms.twilio.client.settings import TwilioSettings

logger = logging.getLogger(__name__)

# Seconds. A changed connection counts after so long at the latest; one whose key no longer fits, at once.
MAX_AGE_S = 30
MIN_AGE_S = 1
# While there is no inbox to be had, it may come back any time: Airflow's database was away, or somebody is at it.
MISSING_AGE_S = 5
# Seconds that the look-up may take: the first one of a process loads Airflow's hooks. While it hangs, nothing is taken
# in, and of who waits for it nothing is read.
LOOK_WITHIN_S = 30
# Pages of the inbox that are made at a time, as far as memory is concerned.
PULLS_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Reception:
    """Where posts are taken in.

    :param settings: of the Airflow connection
    :param key: what Twilio signs with
    :param events_url: what Twilio posts to
    :param pulling: who makes a page of the inbox
    """

    settings: TwilioSettings
    key: str
    events_url: str
    inbox: ObjectStorageInbox
    pulling: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PULLS_AT_ONCE))


class Desk:
    """Looks the connection up when its knowledge of it is old. No other state, so any number of them may run."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._threads = Threads(1, within_s=LOOK_WITHIN_S, what="Airflow's store of connections")
        self._reception: Reception | None = None
        self._looked_at = float("-inf")
        self._said = ""

    async def reception(self, *, max_age_s: float = MAX_AGE_S) -> Reception | None:
        """Where posts are taken in; None while the connection has no inbox, no events URL or no signing key.

        :param max_age_s: seconds that may have passed since the connection was looked up
        """
        async with self._lock:
            if self._reception is None:
                max_age_s = min(max_age_s, MISSING_AGE_S)
            if clock.monotonic_s() - self._looked_at >= max_age_s:
                # In a thread and synchronously: what Airflow's API server hands out has no asynchronous methods.
                try:
                    self._reception = await self._threads.run(self._look)
                    self._said = ""
                except FlexSmsError as error:
                    self._reception = None
                    self._say(str(error))
                except Exception as error:
                    self._reception = None
                    self._say(f"the Airflow connection cannot be looked up ({type(error).__name__}).")
                self._looked_at = clock.monotonic_s()
            return self._reception

    def _look(self) -> Reception:
        settings = TwilioHook(conn_id_option()).settings
        path, url = settings.need("inbox_path"), settings.need("events_url")
        key, known = settings.signing_key, self._reception
        if known and known.settings == settings:
            return known
        if known and (known.inbox.url, known.settings.inbox_keep_days) == (path, settings.inbox_keep_days):
            # With the threads that are at work in it.
            return replace(known, settings=settings, key=key, events_url=url)
        return Reception(settings, key, url, ObjectStorageInbox(path, keep_days=settings.inbox_keep_days))

    def _say(self, why: str) -> None:
        """Once, and not whenever a stranger knocks."""
        if why != self._said:
            logger.warning("Nothing is taken in under /flexsms/events: %s", why)
        self._said = why
