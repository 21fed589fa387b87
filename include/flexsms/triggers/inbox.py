"""Tells Airflow that something has arrived in the inbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from flexsms.core.event_source import reason_of
from flexsms.core.exceptions import PermanentError
from flexsms.hooks.twilio import TwilioHook
from flexsms.options import conn_id_option
from flexsms.sources.object_storage import ObjectStorageInbox
from flexsms.twilio.client import clock

# Seconds. From an event to its state it takes at most a pause, a look and however long Airflow needs to start a task.
PAUSE_S = 60
# Seconds after which what is still there is told again: the run that it started has failed, or was never made.
REMIND_S = 600


class InboxTrigger(BaseEventTrigger):
    """Fires when a post has arrived, at most once a minute, and every ten minutes while one is left over.

    It never ends and never fails. Without an inbox it asks for the connection once a minute, and is silent.

    :param twilio_conn_id: the Airflow connection; by default the one of the web app
    :param poll_interval_s: seconds between two polls
    """

    def __init__(self, *, twilio_conn_id: str | None = None, poll_interval_s: float = 10) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's own
        self.twilio_conn_id = twilio_conn_id or conn_id_option()
        self.poll_interval_s = poll_interval_s
        self._inbox: ObjectStorageInbox | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and the arguments that Airflow makes the trigger from again."""
        kind = type(self)
        arguments = {"twilio_conn_id": self.twilio_conn_id, "poll_interval_s": self.poll_interval_s}
        return f"{kind.__module__}.{kind.__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire whenever there is something to read."""
        told, told_at = frozenset[str](), float("-inf")
        while True:
            waiting = await self._waiting()
            # Not only the newest name: a slower api-server's post shows up late, under an older one.
            is_news = not told.issuperset(waiting or ())
            if waiting and (is_news or clock.monotonic_s() - told_at >= REMIND_S):
                told, told_at = frozenset(waiting), clock.monotonic_s()
                yield TriggerEvent({"waiting": len(waiting)})  # type: ignore[no-untyped-call]  # Airflow's own
                await asyncio.sleep(PAUSE_S)
            else:
                await asyncio.sleep(PAUSE_S if waiting is None else self.poll_interval_s)

    async def _waiting(self) -> list[str] | None:
        """The posts that are not read yet; None when that cannot be told now."""
        try:
            url = await self._url()
            if not url:
                return None
            if self._inbox is None or self._inbox.url != url:
                self._inbox = ObjectStorageInbox(url)
            return await self._inbox.names()
        except Exception as error:  # whatever the store raises
            self.log.warning(
                "The inbox cannot be read (%s); looking again in %d s", reason_of(error), PAUSE_S
            )
        return None

    async def _url(self) -> str:
        """Of the inbox; empty while the connection has none."""
        try:
            return (await TwilioHook(self.twilio_conn_id).asettings()).inbox_path
        except PermanentError as error:  # flexsms_track says so too, by the clock
            self.log.debug("There is no inbox to look into: %s", error)
            return ""
