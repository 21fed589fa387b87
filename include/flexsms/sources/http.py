"""Task events from any collector of CloudEvents that answers ``GET <endpoint>?after=<cursor>&limit=<n>``.

The answer is ``{"events": […], "next": "<cursor>"|null}``; ``next`` is null when nothing has come since. The inbox of
another Airflow offers just this, under ``/flexsms/events``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol

from flexsms.core.cloud_events import Home
from flexsms.core.event_reader import read_envelopes
from flexsms.core.event_source import EVENTS_PER_CURSOR, EventPage
from flexsms.core.exceptions import FlexSmsError, InvalidInput
from flexsms.twilio.client import clock
from flexsms.twilio.client.clock import Now

EVENTS_PER_PAGE = 1000
MOST_CURSOR = 1000


class Collector(Protocol):
    """Who keeps the events."""

    @property
    def scope(self) -> str:
        """Which collector it is; see :attr:`EventSource.scope`."""
        ...

    async def fetch(self, after: str | None, limit: int) -> Any:
        """The answer to one request, parsed.

        :param after: ``next`` of the page before, None at the beginning
        """
        ...


class HttpSource:
    """Pulls the events of a collector, page after page, until it has no more.

    :param now: the present, an aware datetime
    :param home: whose events count; None: everybody's
    """

    name = "http"

    def __init__(self, collector: Collector, *, now: Now = clock.utc_now, home: Home | None = None) -> None:
        self.scope = collector.scope
        self._collector = collector
        self._now = now
        self._home = home

    async def read(self, cursor: str | None) -> AsyncGenerator[EventPage, None]:
        """Everything since the cursor, or all that the collector keeps.

        :raises InvalidInput: when an answer is not of the expected shape
        """
        reached, since = cursor, 0
        while True:
            try:
                events, following = await self._ask(reached)
            except FlexSmsError:
                # One that always fails on the way, at its limit perhaps, gets further every time.
                if reached != cursor:
                    yield EventPage(cursor=reached)
                raise
            since += len(events)
            if following is None:
                # What a last page has without saying how to go on behind it is stored, and will be read once more.
                yield self._page(events, None if reached == cursor else reached)
                return
            reached = following
            if since < EVENTS_PER_CURSOR:
                yield self._page(events)
            else:
                yield self._page(events, reached)
                cursor, since = reached, 0

    async def _ask(self, after: str | None) -> tuple[list[Any], str | None]:
        answer = await self._collector.fetch(after, EVENTS_PER_PAGE)
        events = answer.get("events") if isinstance(answer, Mapping) else None
        if not isinstance(events, list):
            raise InvalidInput(
                "source",
                "the collector's answer has no list of events",
                'expected {"events": […], "next": …}',
            )
        following = answer.get("next")
        if following is not None and not _leads_on(following, after):
            raise InvalidInput(
                "source",
                "the collector's answer leads nowhere",
                f"next has to be a new cursor of at most {MOST_CURSOR} printable characters, or null",
            )
        return events, following

    def _page(self, events: list[Any], cursor: str | None = None) -> EventPage:
        return read_envelopes(events, now=self._now(), home=self._home, cursor=cursor)


def _leads_on(following: object, after: str | None) -> bool:
    # It goes into URLs, XCom and the asset's state.
    return (
        isinstance(following, str)
        and following != after
        and following.isprintable()
        and 0 < len(following) <= MOST_CURSOR
    )
