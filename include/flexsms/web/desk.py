"""What the web app knows of its Airflow connection, looked up anew every so often."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

from flexsms.core.errors import PermanentError
from flexsms.hooks.inbox import ObjectStorageInbox
from flexsms.hooks.twilio import TwilioHook, default_conn_id
from flexsms.twilio.config import TwilioSettings

logger = logging.getLogger(__name__)

# Seconds. A changed connection counts after so long at the latest; one whose key no longer fits, at once.
MAX_AGE_S = 30
MIN_AGE_S = 1
# While there is no inbox to be had, it may come back any time: Airflow's database was away, or somebody is at it.
MISSING_AGE_S = 5


@dataclass(frozen=True, slots=True)
class Reception:
    """Where posts are taken in.

    :param settings: of the Airflow connection
    :param key: what Twilio signs with
    """

    settings: TwilioSettings
    key: str
    inbox: ObjectStorageInbox


class Desk:
    """Looks the connection up when its knowledge of it is old. No other state, so any number of them may run."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._reception: Reception | None = None
        self._looked_at = float("-inf")

    async def reception(self, *, max_age_s: float = MAX_AGE_S) -> Reception | None:
        """Where posts are taken in; None while the connection has no inbox or no signing key.

        :param max_age_s: seconds that may have passed since the connection was looked up
        """
        async with self._lock:
            if self._reception is None:
                max_age_s = min(max_age_s, MISSING_AGE_S)
            if time.monotonic() - self._looked_at >= max_age_s:
                # In a thread and synchronously: what Airflow's API server hands out has no asynchronous methods.
                self._reception = await asyncio.to_thread(self._look)
                self._looked_at = time.monotonic()
            return self._reception

    def _look(self) -> Reception | None:
        try:
            settings = TwilioHook(default_conn_id()).settings
            key, url = settings.signing_key, settings.need("inbox_path")
        except PermanentError as error:
            logger.warning("Nothing is taken in under /flexsms/events: %s", error)
            return None
        except Exception:
            logger.exception(
                "The Airflow connection cannot be looked up; nothing is taken in under /flexsms/events"
            )
            return None
        if self._reception and self._reception.settings == settings:
            return self._reception
        return Reception(settings, key, ObjectStorageInbox(url, keep_days=settings.inbox_keep_days))
