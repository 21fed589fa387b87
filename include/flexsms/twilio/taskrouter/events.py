"""Task events from TaskRouter's own list, which reaches back 30 days.

Source: https://www.twilio.com/docs/taskrouter/api/event
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from flexsms.core.attributes import channel_of
from flexsms.core.event_reader import read_events
from flexsms.core.event_source import EventPage
from flexsms.core.exceptions import InvalidInput
from flexsms.core.task_events import TaskEventType, from_taskrouter, printable
from flexsms.twilio.client.concurrency import merged, pages_ahead
from flexsms.twilio.taskrouter.task_list import ListedTask, TaskList

if TYPE_CHECKING:
    from twilio.rest import Client

RETENTION = timedelta(days=30)
PAGE_SIZE = 1000
DEFAULT_LOOKBACK = timedelta(minutes=15)
# Twilio dates its answers to the second, and they are on their way for a while.
SAME_MOMENT = timedelta(minutes=1)


class TaskRouterSource:
    """Pulls the events of one workspace, one list per event type.

    The cursor is the moment up to which events were read, ISO 8601 UTC. Every read starts ``lookback`` before it,
    because events may come late; the reducer does not mind seeing them twice. It is never later than Twilio's own
    time: with a clock that was ahead for a while, all that happens until it was right again would be passed over.

    :param now: the present, an aware datetime
    :param skew: how far that is ahead of Twilio's clock, by Twilio's newest answer
    """

    name = "taskrouter"

    def __init__(
        self,
        client: Client,
        workspace_sid: str,
        *,
        now: Callable[[], datetime],
        skew: Callable[[], timedelta],
        lookback: timedelta = DEFAULT_LOOKBACK,
    ) -> None:
        self.scope = workspace_sid
        self._workspace = client.taskrouter.v1.workspaces(workspace_sid)
        self._now = now
        self._skew = skew
        self._lookback = lookback
        self._tasks = TaskList(self._workspace, now=lambda: min(now(), now() - skew()))

    async def read(self, cursor: str | None) -> AsyncGenerator[EventPage, None]:
        """All events since the cursor, or of the last 30 days."""
        began = self._now().astimezone(UTC)
        reached = parse_cursor(cursor) if cursor else None
        since = self._since(reached, max(began, reached or began))
        # Without an EndDate, because an event that comes in while the lists are read is welcome.
        firsts = await self._firsts(since)
        # Only these answers tell Twilio's time. Where ours has led astray, that makes it too late to have begun.
        theirs = began - self._skew()
        earlier = self._since(reached, theirs)
        if since - earlier > SAME_MOMENT:
            since, firsts = earlier, await self._firsts(earlier)
        async with aclosing(self._pages(firsts, since, began)) as pages:
            async for page in pages:
                yield page
        cursor_at = min(began, theirs)
        if reached is not None and reached - cursor_at <= SAME_MOMENT:
            cursor_at = max(cursor_at, reached)  # Twilio tells its time in whole seconds
        yield EventPage(cursor=cursor_at.isoformat())

    async def between(
        self, since: datetime, until: datetime | None = None
    ) -> AsyncGenerator[EventPage, None]:
        """All events of a stretch of time, without a cursor.

        :raises InvalidInput: when it is empty, or begins before what TaskRouter keeps
        """
        # The SDK writes the hour of whatever zone as UTC's.
        now, since = self._now().astimezone(UTC), since.astimezone(UTC)
        until = until.astimezone(UTC) if until else now
        if since >= until:
            raise InvalidInput("since", f"is not before {until:%Y-%m-%d %H:%M} UTC", "give an earlier moment")
        if now - since > RETENTION:
            raise InvalidInput("since", "is over 30 days ago", "TaskRouter keeps events for 30 days")
        firsts = await self._firsts(since, until)
        async with aclosing(self._pages(firsts, since, until)) as pages:
            async for page in pages:
                yield page

    def _since(self, reached: datetime | None, now: datetime) -> datetime:
        """Where to begin: before what was reached, but as far back as can be if that has not come yet."""
        oldest = now - RETENTION
        if reached is None or reached - now > SAME_MOMENT:
            return oldest
        return max(reached - self._lookback, oldest)

    async def _firsts(self, since: datetime, end: datetime | None = None) -> list[Any]:
        """The first page of every type of event. Most have only one: asking at once makes that one round trip."""
        return await asyncio.gather(*(self._list(event_type, since, end) for event_type in TaskEventType))

    def _pages(self, firsts: list[Any], since: datetime, until: datetime) -> AsyncGenerator[EventPage, None]:
        """All pages of all types, the types side by side."""
        slices = [
            self._slice(event_type, since, until, first)
            for event_type, first in zip(TaskEventType, firsts, strict=True)
        ]
        return merged(slices)

    async def _list(self, event_type: TaskEventType, since: datetime, until: datetime | None = None) -> Any:
        end = {"end_date": until} if until else {}
        return await self._workspace.events.page_async(
            event_type=str(event_type), start_date=since, page_size=PAGE_SIZE, **end
        )

    async def _slice(
        self, event_type: TaskEventType, since: datetime, until: datetime, page: Any
    ) -> AsyncGenerator[EventPage, None]:
        paged = False
        async with aclosing(pages_ahead(page)) as pages:
            async for listed in pages:
                records = list(listed)
                yield self._read(records)
                # Where one page led to another, a full one without a successor is just the last.
                if listed.next_page_url is None and len(records) >= PAGE_SIZE and not paged:
                    async with aclosing(self._halves(event_type, since, until)) as halves:
                        async for half in halves:
                            yield half
                paged = True

    async def _halves(
        self, event_type: TaskEventType, since: datetime, until: datetime
    ) -> AsyncGenerator[EventPage, None]:
        """Read a range in two parts.

        Twilio once says that this list has no further pages. A full page without a successor would then hide the
        rest, and nobody documents in which order the events come.
        """
        if until - since <= timedelta(seconds=1):
            raise InvalidInput(
                "source",
                f"TaskRouter lists over {PAGE_SIZE} {event_type} events of {since:%Y-%m-%d %H:%M:%S} on one page",
                "read this moment from another source",
            )
        middle = since + (until - since) / 2
        for start, end in ((since, middle), (middle, until)):
            first = await self._list(event_type, start, end)
            async with aclosing(self._slice(event_type, start, end, first)) as pages:
                async for page in pages:
                    yield page

    def _read(self, records: list[Any]) -> EventPage:
        # Events bear Twilio's time, which its answers tell.
        now = max(self._now(), self._now() - self._skew())
        return read_events(
            records,
            lambda record: from_taskrouter(vars(record)),
            lambda _, record: printable(record.sid),
            now=now,
        )

    async def open_tasks(self) -> list[ListedTask]:
        """The tasks that are not over, all of them, by TaskRouter itself; see :meth:`TaskList.open_tasks`."""
        return await self._tasks.open_tasks()

    async def open_channels(self) -> frozenset[str]:
        """The channels that have a task which is not over; see :meth:`open_tasks`."""
        return _channels(await self.open_tasks())

    async def recent_channels(self, since: datetime) -> frozenset[str]:
        """The channels for which a task was created since, whatever became of it; one call as a rule.

        TaskRouter keeps a task that is over for five minutes (https://www.twilio.com/docs/taskrouter/lifecycle-task-state).

        :param since: an aware datetime
        """
        return _channels(await self._tasks.recent(since))


def _channels(tasks: Iterable[ListedTask]) -> frozenset[str]:
    found = (channel_of(task.attributes) for task in tasks)
    return frozenset(channel[0] for channel in found if channel)


class TaskRouterRange:
    """Pulls the events of one stretch of time, to fill a gap. It has no cursor and moves none.

    :param since: an aware datetime
    :param until: an aware datetime, None for now
    """

    name = TaskRouterSource.name

    def __init__(self, source: TaskRouterSource, since: datetime, until: datetime | None = None) -> None:
        self.scope = source.scope
        self._source, self._since, self._until = source, since, until

    def read(self, cursor: str | None) -> AsyncGenerator[EventPage, None]:  # noqa: ARG002  # a range is a range
        """All events of the range; see :meth:`TaskRouterSource.between`."""
        return self._source.between(self._since, self._until)


def parse_cursor(cursor: str) -> datetime:
    """Up to when events were read, by a cursor.

    :raises InvalidInput: when it is none of this source's
    """
    try:
        moment = datetime.fromisoformat(cursor)
    except ValueError:
        raise InvalidInput(
            "cursor", f"{cursor!r} is not a date", "clear it, and 30 days are read again"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
