"""Task events that Event Streams has posted, from the inbox in which they wait.

Source: https://www.twilio.com/docs/events/event-delivery
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from flexsms.core.cloud_events import Home, envelopes
from flexsms.core.event_reader import joined, named, read_envelopes
from flexsms.core.event_source import NAMED_REJECTS, EventPage, reason_of, scope_of
from flexsms.core.exceptions import InvalidInput, ServiceUnavailable
from flexsms.twilio.client import clock
from flexsms.twilio.client.clock import Now
from flexsms.twilio.client.concurrency import for_each

logger = logging.getLogger(__name__)

# A page ends behind the posts, read at once, that bring it to so many of them, or of events: 20 to 40 MB.
POSTS_PER_PAGE = 1000
EVENTS_PER_PAGE = 20_000
AT_ONCE = 32


class Inbox(Protocol):
    """Where posts wait. Two readers at a time are harmless: what another one has put away is simply not there."""

    @property
    def url(self) -> str:
        """Which inbox it is. It may hold a secret."""
        ...

    async def names(self) -> list[str]:
        """What has arrived and is not read, oldest first."""
        ...

    async def read(self, name: str) -> bytes | None:
        """A post, None when somebody else was quicker."""
        ...

    async def done(self, name: str) -> None:
        """A post is read, and all that was in it is stored."""
        ...

    async def reject(self, name: str, reason: str) -> None:
        """A post holds something that cannot be read."""
        ...

    async def tidy(self) -> None:
        """Remove what was read long ago."""
        ...


@dataclass(frozen=True, slots=True)
class _Post:
    name: str
    page: EventPage

    def size(self) -> int:
        """What of it has to be held in memory."""
        page = self.page
        return len(page.events) + len(page.rejected) + len(page.ends) + len(page.opt_outs)


class InboxSource:
    """Reads what has arrived in an inbox and puts it away once it is stored.

    What is left to read shows in the inbox itself. So the cursor, the name of the newest post, is for people only.

    :param now: the present, an aware datetime
    :param home: whose events count; None: everybody's
    """

    name = "inbox"

    def __init__(self, inbox: Inbox, *, now: Now = clock.utc_now, home: Home | None = None) -> None:
        self.scope = scope_of(inbox.url)
        self._inbox = inbox
        self._now = now
        self._home = home

    async def read(self, cursor: str | None) -> AsyncGenerator[EventPage, None]:  # noqa: ARG002  # other sources need it
        """All posts that are there now, wherever the cursor is; no page when there are none.

        :raises ServiceUnavailable: at the end, when there is no getting at some of the posts; the others are stored
        """
        waiting = await self._inbox.names()
        posts: list[_Post] = []
        stuck = _Stuck()

        async def read(name: str) -> None:
            body = None
            with stuck.unless_read_and_moved(name):
                body = await self._inbox.read(name)
            if body is not None:
                posts.append(_Post(name, self._parse(body)))

        async def put_away(post: _Post) -> None:
            with stuck.unless_read_and_moved(post.name):
                if post.page.rejected:
                    await self._inbox.reject(post.name, _reasons(post.page.rejected))
                else:
                    await self._inbox.done(post.name)

        for start in range(0, len(waiting), AT_ONCE):
            names = waiting[start : start + AT_ONCE]
            await for_each(names, read, at_once=AT_ONCE)
            is_full = len(posts) >= POSTS_PER_PAGE or sum(map(_Post.size, posts)) >= EVENTS_PER_PAGE
            if not is_full and names[-1] != waiting[-1]:
                continue
            yield joined((named(post.page, f"{post.name}: ") for post in posts), names[-1])
            # Asked for more, so this page is stored: see EventSource.
            await for_each(posts, put_away, at_once=AT_ONCE)
            posts.clear()
        try:
            await self._inbox.tidy()
        except Exception as error:
            # Whatever the store raises: the events are stored, and the next run tidies too.
            logger.warning("What was read long ago could not be removed from the inbox: %s", reason_of(error))
        stuck.raise_if_any()

    def _parse(self, body: bytes) -> EventPage:
        """What can be read of a post. One malformed event does not take the others with it."""
        try:
            return read_envelopes(envelopes(body), now=self._now(), home=self._home)
        except InvalidInput as error:
            return EventPage(rejected=[str(error)])


class _Stuck:
    """Posts that the store neither gives nor moves. One of them does not hold up the others."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    @contextmanager
    def unless_read_and_moved(self, name: str) -> Iterator[None]:
        """Remember the post if that fails."""
        try:
            yield
        except Exception as error:  # whatever the store raises
            self._reasons[name] = reason_of(error)
            logger.warning("Post %s cannot be read and moved: %s", name, self._reasons[name])

    def raise_if_any(self) -> None:
        """Name the first of them."""
        if self._reasons:
            name = min(self._reasons)
            more = f", like {len(self._reasons) - 1} more" if len(self._reasons) > 1 else ""
            raise ServiceUnavailable(
                f"Post {name} in the inbox cannot be read and moved ({self._reasons[name]}){more}; all else is stored; "
                "let Airflow read and move what is in the inbox, or take it away."
            )


def _reasons(sentences: Sequence[str]) -> str:
    """The first of them, a line each: a post of one mebibyte may hold 150 000 events that are none."""
    more = len(sentences) - NAMED_REJECTS
    return "\n".join([*sentences[:NAMED_REJECTS], *([f"… and {more} more."] if more > 0 else [])])
