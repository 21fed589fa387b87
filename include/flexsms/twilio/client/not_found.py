"""When a refusal like "not found" is believed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from flexsms.core.exceptions import NotFound, PermanentError

T = TypeVar("T")

ASK_AGAIN_AFTER_S = 1.0


async def twice(fetch: Callable[[], Awaitable[T]], refusal: type[PermanentError] = NotFound) -> T:
    """What a request gives, sent again before its "not found" is believed: a replica of Twilio's may be behind.

    :param refusal: what is not believed at once
    :raises NotFound: when it says so twice; or ``refusal``
    """
    try:
        return await fetch()
    except refusal:
        await asyncio.sleep(ASK_AGAIN_AFTER_S)
        return await fetch()
