"""``/flexsms/events``: Twilio's Event Streams posts here, and another Airflow may pull from here."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response, status

from flexsms.core.cloud_events import envelopes
from flexsms.core.event_source import reason_of
from flexsms.core.exceptions import InvalidInput
from flexsms.core.inbound_messages import is_message, keepable
from flexsms.sources.object_storage import ObjectStorageInbox, name_at
from flexsms.telemetry import Metric, count
from flexsms.twilio.client import clock
from flexsms.web.access import may_track
from flexsms.web.connection_cache import MIN_AGE_S, Desk, Reception
from flexsms.web.openapi import PULL, RECEIVE, signed
from flexsms.web.request_body import MAX_BODY, Refused, Room, read
from flexsms.web.signature import is_genuine_body, is_genuine_url, is_signed

logger = logging.getLogger(__name__)

# Twilio waits for 5 seconds, and then posts the same again.
STORE_WITHIN_S = 4
# Pulling passes over what is younger. By then every replica's write is either done or was answered with 503, so that
# nothing turns up later before a cursor that was handed out. It also covers some seconds between their clocks.
PULL_DELAY = timedelta(seconds=10)
# A page ends with the post that brings it to so many events, or bytes.
PAGE = 1000
PAGE_BYTES = 4 * MAX_BODY
# With so many posts read at a time, a page takes up to 20 MiB of memory while it is made.
READ_AT_ONCE = 16
PULL_WITHIN_S = 30

router = APIRouter()
desk = Desk()
room = Room()


@router.post("/events", dependencies=[Depends(signed)], **RECEIVE)
async def receive(request: Request) -> Response:
    """Take in one post of Event Streams. What customers write is dropped, but for who opts out or in, without a number.

    Source: https://www.twilio.com/docs/events/event-delivery
    """
    try:
        await _take_in(request)
    except Refused as refused:
        count(Metric.INBOX_REFUSED, reason=refused.reason)
        raise
    return Response(status_code=status.HTTP_204_NO_CONTENT)


async def _take_in(request: Request) -> None:
    query = request.scope["query_string"].decode("latin-1")
    if not is_signed(request.headers, query):
        raise _forged("This is not a post of Twilio's.")
    reception = await _reception(request, query)
    if reception.inbox.takes_no_more:
        raise _not_stored(
            "the store has not answered for too long; look after it, or start the API server anew"
        )
    with room.taken_for(request):
        body = await read(request)
        if not is_genuine_body(body, query):
            raise _forged("This is not the body that Twilio signed.")
        try:
            events = envelopes(body)
        except InvalidInput as error:
            logger.warning(
                "A post that Twilio has signed cannot be read and is lost to the stream: %s", error
            )
            raise Refused("unreadable", status.HTTP_400_BAD_REQUEST, str(error)) from None
        kept, problems = keepable(events)
        for problem in problems:
            logger.warning("A customer's message cannot be read and is dropped: %s", problem)
        if len(kept) == len(events) and not any(map(is_message, kept)):
            await _store(reception.inbox, body if events else None)
        elif kept:
            await _store(reception.inbox, orjson.dumps(kept))


@router.get("/events", dependencies=[Depends(may_track)], **PULL)
async def pull(
    after: Annotated[str, Query(max_length=100)] = "", limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE
) -> Response:
    """What has arrived after a cursor, read or not: ``{"events": […], "next": "<cursor>"|null}``.

    Posts are handed out whole, so the last of them may bring a page over its limit. ``next`` is null when there was
    nothing; the cursor then stays as it is.

    :param after: ``next`` of the page before; empty for everything that is kept
    :param limit: events per page
    """
    reception = await desk.reception()
    if reception is None:
        raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, "There is no inbox.")
    try:
        async with asyncio.timeout(PULL_WITHIN_S), reception.pulling:
            page, cursor = await _page(reception.inbox, after, limit)
    except Exception as error:
        logger.warning("The inbox cannot be read: %s", reason_of(error))
        raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, "The inbox cannot be read.") from None
    body = b'{"events":[%b],"next":%b}' % (b",".join(page), orjson.dumps(cursor))
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})


async def _reception(request: Request, query: str) -> Reception:
    """Where to take in a post whose URL is genuine."""
    reception = await desk.reception()
    if reception and not _is_genuine(reception, request, query):
        # The key may just have been changed. Asked for at most once a second, whoever knocks.
        reception = await desk.reception(max_age_s=MIN_AGE_S)
        if reception and not _is_genuine(reception, request, query):
            raise _forged("The signature is not Twilio's.")
    if reception is None:
        raise Refused("no_inbox", status.HTTP_503_SERVICE_UNAVAILABLE, "There is no inbox.")
    return reception


def _is_genuine(reception: Reception, request: Request, query: str) -> bool:
    # Never by what the request says of its host: whoever sends it says that. The query is as it came: taken apart and
    # put together again, it would no longer be what was signed.
    return is_genuine_url(reception.key, f"{reception.events_url}?{query}", request.headers)


async def _store(inbox: ObjectStorageInbox, body: bytes | None) -> None:
    """Keep a body; without one, as from `flexsms doctor`, see only whether it could be kept."""
    try:
        async with asyncio.timeout(STORE_WITHIN_S):
            await (inbox.probe() if body is None else inbox.put(body))
    except Exception as error:  # whatever the store raises: Twilio has to keep the post
        raise _not_stored(reason_of(error)) from None


def _forged(detail: str) -> Refused:
    return Refused("signature", status.HTTP_403_FORBIDDEN, detail)


def _not_stored(reason: str) -> Refused:
    logger.warning("A post could not be stored in the inbox, and Twilio will send it again: %s", reason)
    return Refused("not_stored", status.HTTP_503_SERVICE_UNAVAILABLE, "It could not be stored.")


async def _page(inbox: ObjectStorageInbox, after: str, limit: int) -> tuple[list[bytes], str | None]:
    """Events as they were written, and the name of the last post."""
    newest_name = name_at(clock.utc_now() - PULL_DELAY)
    keys = [key for key in await inbox.kept(after, limit) if key.rpartition("/")[2] < newest_name]
    page: list[bytes] = []
    cursor, found, size = None, 0, 0
    for start in range(0, len(keys), READ_AT_ONCE):
        some = keys[start : start + READ_AT_ONCE]
        bodies = await asyncio.gather(*(inbox.read_kept(key) for key in some))
        for key, body in zip(some, bodies, strict=True):
            if found >= limit or size >= PAGE_BYTES:
                return page, cursor
            cursor = key.rpartition("/")[2]
            text = (body or b"[]").strip()
            try:
                count = len(envelopes(text))
            except InvalidInput:
                continue  # not one that came in here; flexsms_track puts it aside and says so
            if count:
                page.append(text[1:-1] if text.startswith(b"[") else text)
            found, size = found + count, size + len(text)
    return page, cursor
