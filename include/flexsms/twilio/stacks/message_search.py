"""Finding a text by the digest in its attributes, the same on both stacks. Tasks have it, too."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any

from flexsms.core.attributes import parse_attributes
from flexsms.core.outbound_message import DIGEST_ATTRIBUTE
from flexsms.twilio.client.dates import utc
from flexsms.twilio.client.not_found import twice
from flexsms.twilio.stacks.protocol import NewestText

PAGE_SIZE = 100
# `since` is Sync's time, and a message's date is another product's.
CLOCK_SKEW = timedelta(minutes=1)


# Handsets write under their numbers, agents and systems under their names.
_HANDSET = re.compile(r"([a-z]+:)?\+\d+")


async def newest_text(messages: Any, *, author: str) -> NewestText | None:
    """The newest of a channel's messages; one call.

    :param messages: the SDK's list of them
    :param author: the attribute that says who wrote one
    """
    page = await messages.page_async(order="desc", page_size=1)
    for message in page:
        created_at = utc(message.date_created)
        if created_at is not None:
            written_by = str(getattr(message, author))
            return NewestText(created_at, bool(_HANDSET.fullmatch(written_by)), str(message.body or ""))
    return None


async def find_marked(page: Any, digest: str, since: datetime) -> str | None:
    """The SID of the message marked with a digest.

    :param page: the first page of a channel's messages, newest first
    :param since: look no further back than a minute before
    :raises NotFound: when one that may be it was deleted meanwhile
    """
    async with aclosing(_posted(page, since)) as posted:
        async for sid, mark in posted:
            if mark == digest:
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
    """The messages of a channel, newest first, each with its digest."""
    while page is not None:
        for message in page:
            posted_at = utc(message.date_created)
            if posted_at and posted_at < since - CLOCK_SKEW:
                return
            # Twilio may show attributes only where a single message is fetched, and unmarked must not mean unsent.
            shown = message if message.attributes is not None else await twice(message.fetch_async)
            yield str(message.sid), parse_attributes(shown.attributes).get(DIGEST_ATTRIBUTE)
        page = await page.next_page_async()
