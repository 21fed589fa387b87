"""Finding a text again by the mark that it bears, the same on both stacks."""

from __future__ import annotations

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
    while page is not None:
        for message in page:
            # Twilio may show attributes only where a single message is fetched, and unmarked must not mean unsent.
            shown = message if message.attributes is not None else await twice(message.fetch_async)
            if parse_attributes(shown.attributes).get(KEY_ATTRIBUTE) == key:
                return str(message.sid)
            posted_at = utc(message.date_created)
            if posted_at and posted_at < since - CLOCK_SKEW:
                return None
        page = await page.next_page_async()
    return None
