"""Updates of Sync objects that fail when somebody else wrote first.

Twilio's document of the API compares ``If-Match`` with an object's ``revision``, its page on the refusal with the ETag,
which HTTP puts into quotes. Sources: https://www.twilio.com/docs/sync/api/document-resource,
https://www.twilio.com/docs/api/errors/54103, /54003
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from flexsms.core.exceptions import TwilioRefused

MALFORMED = 54003


async def guarded(update: Callable[..., Awaitable[Any]], revision: str, **fields: Any) -> Any:
    """Update an object if it still has that revision; one call more where Twilio wants it in quotes.

    :param update: the SDK's update of the object
    :raises RevisionMismatch: when somebody else wrote first
    """
    try:
        return await update(if_match=revision, **fields)
    except TwilioRefused as error:
        if error.code != MALFORMED:
            raise
        return await update(if_match=f'"{revision}"', **fields)
