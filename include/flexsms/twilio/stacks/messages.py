"""Finding a text again by the mark that it bears, the same on both stacks. Tasks bear it, too."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any

from flexsms.core.events import parse_attributes
from flexsms.twilio.dates import utc
from flexsms.twilio.stacks.lookup import twice

KEY_ATTRIBUTE = "flexsms_key"
PAGE_SIZE = 100
# `since` is Sync's time, and a message's date is another product's.
CLOCK_SKEW = timedelta(minutes=1)


async def find_marked(page: Any, key: str, since: datetime) -> str | None:
    """The SID of the message marked with a key.

    :param page: the first page of a channel's messages, newest first
    :param since: look no further back than a minute before
    :raises NotFound: when one that may be it was deleted meanwhile
    """
    async with aclosing(_posted(page, since)) as posted:
        async for sid, mark in posted:
            if mark == key:
                return sid
    return None


async def has_unmarked(page: Any, since: datetime) -> bool:
    """Whether anybody else has written than flexsms; takes and raises the same as :func:`find_marked`."""
    async with aclosing(_posted(page, since)) as posted:
        async for _, mark in posted:
            if mark is None:
                return True
    return False


async def _posted(page: Any, since: datetime) -> AsyncGenerator[tuple[str, str | None]]:
    """The messages of a channel, newest first, each with the key that it is marked with."""
    while page is not None:
        for message in page:
            posted_at = utc(message.date_created)
            if posted_at and posted_at < since - CLOCK_SKEW:
                return
            # Twilio may show attributes only where a single message is fetched, and unmarked must not mean unsent.
            shown = message if message.attributes is not None else await twice(message.fetch_async)
            yield str(message.sid), parse_attributes(shown.attributes).get(KEY_ATTRIBUTE)
        page = await page.next_page_async()
