"""Reads the bodies of posts: how long one may be, how long it may take, and how much of all of them is held."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import HTTPException, Request, status
from starlette.requests import ClientDisconnect

logger = logging.getLogger(__name__)

MAX_BODY = 1024 * 1024
# Bytes of all bodies that are being read, or wait for a thread that stores them. What a store that hangs holds beyond
# that are the posts in the threads of the inbox, one each.
MAX_HELD = 32 * MAX_BODY
# Twilio waits for 5 seconds in all. What comes more slowly than this is not Twilio's, however busy the server is.
READ_WITHIN_S = 10


class Refused(HTTPException):
    """A post that is not taken in.

    :param reason: one word, by which the metric counts it
    """

    def __init__(
        self, reason: str, status_code: int, detail: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(status_code, detail, headers)
        self.reason = reason


class Room:
    """What bodies take of the API server's memory.

    :param most: bytes
    """

    def __init__(self, most: int = MAX_HELD) -> None:
        self._left = most

    @contextmanager
    def taken_for(self, request: Request) -> Iterator[None]:
        """Room for the body of a request, before anything of it is read.

        :raises Refused: 413 when it is announced to be too long, 503 when there is no room now
        """
        size = _announced(request)
        if size > MAX_BODY:
            raise _too_large()
        if size > self._left:
            logger.warning(
                "A post is refused: too many wait for the store of the inbox; Twilio will send it again"
            )
            raise Refused("busy", status.HTTP_503_SERVICE_UNAVAILABLE, "Too many posts at a time.")
        self._left -= size
        try:
            yield
        finally:
            self._left += size


async def read(request: Request) -> bytes:
    """The body, as far as it is allowed to go: what is announced need not be what comes.

    :raises Refused: 413 when it is too long, 400 when it ends too early, 503 when it does not come
    """
    body = bytearray()
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    raise _too_large()
    except ClientDisconnect:
        raise Refused("incomplete", status.HTTP_400_BAD_REQUEST, "The body has no end.") from None
    except TimeoutError:
        # The server must not wait for the rest of it.
        raise Refused(
            "incomplete",
            status.HTTP_503_SERVICE_UNAVAILABLE,
            "The body did not come.",
            {"Connection": "close"},
        ) from None
    return bytes(body)


def _announced(request: Request) -> int:
    """The length of a body; without one that is a number, as much as it may have."""
    length = request.headers.get("content-length", "")
    # The server has refused what is no number, and int() refuses what has thousands of digits.
    return int(length[:20]) if length.isascii() and length.isdecimal() else MAX_BODY


def _too_large() -> Refused:
    logger.warning("A post of over %d bytes is lost to the stream; TaskRouter still has its events", MAX_BODY)
    return Refused("too_large", status.HTTP_413_CONTENT_TOO_LARGE, "A post may have 1 MiB.")
