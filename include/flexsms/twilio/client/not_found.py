"""When "not found" is believed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from flexsms.core.exceptions import NotFound

T = TypeVar("T")

ASK_AGAIN_AFTER_S = 1.0


async def twice(fetch: Callable[[], Awaitable[T]]) -> T:
    """What a request gives, sent again before its "not found" is believed: a replica of Twilio's may be behind.

    :raises NotFound: when it says so twice
    """
    try:
        return await fetch()
    except NotFound:
        await asyncio.sleep(ASK_AGAIN_AFTER_S)
        return await fetch()
