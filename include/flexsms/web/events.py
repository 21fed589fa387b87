"""``/flexsms/events``: Twilio's Event Streams posts here, and another Airflow may pull from here."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Annotated

import orjson
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response, status
from starlette.requests import ClientDisconnect

from flexsms.core.errors import InvalidInput
from flexsms.core.events import envelopes
from flexsms.hooks.inbox import AT_ONCE, ObjectStorageInbox, name_at
from flexsms.web.desk import MIN_AGE_S, Desk, Reception
from flexsms.web.openapi import PULL, RECEIVE, signed
from flexsms.web.signature import is_genuine_body, is_genuine_url, is_signed

logger = logging.getLogger(__name__)

MAX_BODY = 1024 * 1024
# Twilio waits for 5 seconds, and then posts the same again.
STORE_WITHIN_S = 4
# Pulling passes over what is younger. By then every replica's write is either done or was answered with 503, so that
# nothing turns up later before a cursor that was handed out. It also covers some seconds between their clocks.
SETTLED_AFTER = timedelta(seconds=10)
# A page ends with the post that brings it to so many events, or bytes.
PAGE = 1000
PAGE_BYTES = 4 * MAX_BODY

router = APIRouter()
desk = Desk()

# The events name customers and their numbers, so seeing flexsms_track is not enough. Who may start it may read them:
# a right that can be given for this one DAG, to an account that has no other.
may_pull = requires_access_dag("POST", DagAccessEntity.RUN, "flexsms_track")


@router.post("/events", dependencies=[Depends(signed)], **RECEIVE)
async def receive(request: Request) -> Response:
    """Take in one post of Event Streams.

    Source: https://www.twilio.com/docs/events/event-delivery
    """
    query = request.scope["query_string"].decode("latin-1")
    if not is_signed(request.headers, query):
        raise HTTPException(status.HTTP_403_FORBIDDEN, "This is not a post of Twilio's.")
    reception = await _reception(request, query)
    body = await _read(request)
    if not is_genuine_body(body, query):
        raise HTTPException(status.HTTP_403_FORBIDDEN, "This is not the body that Twilio signed.")
    try:
        events = envelopes(body)
    except InvalidInput as error:
        logger.warning("A post that Twilio has signed cannot be read and is lost to the stream: %s", error)
        raise HTTPException(status.HTTP_400_BAD_REQUEST, str(error)) from None
    await _store(reception.inbox, body if events else None)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@router.get("/events", dependencies=[Depends(may_pull)], **PULL)
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
        page, cursor = await _page(reception.inbox, after, limit)
    except Exception:
        logger.exception("The inbox %s cannot be read", reception.settings.inbox_path)
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
            raise HTTPException(status.HTTP_403_FORBIDDEN, "The signature is not Twilio's.")
    if reception is None:
        raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, "There is no inbox.")
    return reception


def _is_genuine(reception: Reception, request: Request, query: str) -> bool:
    # Host and path are the request's own only where nothing stands between Twilio and this server. The query is
    # always as it came: taken apart and put together again, it would no longer be what was signed.
    path = request.scope.get("raw_path", b"").decode("latin-1")
    own_url = f"{request.scope['scheme']}://{request.headers.get('host', '')}{path}"
    url = f"{reception.settings.events_url or own_url}?{query}"
    return is_genuine_url(reception.key, url, request.headers)


async def _read(request: Request) -> bytes:
    """The body, as far as it is allowed to go: what is announced need not be what comes."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and len(announced) < 20 and int(announced) > MAX_BODY:
        raise _too_large()
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                raise _too_large()
    except ClientDisconnect:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, "The body has no end.") from None
    return bytes(body)


def _too_large() -> HTTPException:
    logger.warning("A post of over %d bytes is lost to the stream; TaskRouter still has its events", MAX_BODY)
    return HTTPException(status.HTTP_413_CONTENT_TOO_LARGE, "A post may have 1 MiB.")


async def _store(inbox: ObjectStorageInbox, body: bytes | None) -> None:
    """Keep a body; without one, as from `flexsms doctor`, see only whether it could be kept."""
    try:
        async with asyncio.timeout(STORE_WITHIN_S):
            await (inbox.probe() if body is None else inbox.put(body))
    except Exception:  # whatever the store raises: Twilio has to keep the post
        logger.exception("A post could not be stored in %s; Twilio will send it again", inbox.url)
        raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, "It could not be stored.") from None


async def _page(inbox: ObjectStorageInbox, after: str, limit: int) -> tuple[list[bytes], str | None]:
    """Events as they were written, and the name of the last post."""
    settled = name_at(datetime.now(UTC) - SETTLED_AFTER)
    keys = [key for key in await inbox.kept(after, limit) if key.rpartition("/")[2] < settled]
    page: list[bytes] = []
    cursor, found, size = None, 0, 0
    for start in range(0, len(keys), AT_ONCE):
        some = keys[start : start + AT_ONCE]
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
