"""What the routes take and answer, in OpenAPI's words. Nobody is served it; the tests hold the routes to it."""

from __future__ import annotations

from typing import Any

from fastapi import Response, status
from fastapi.security import APIKeyHeader
from pydantic import BaseModel
from twilio.request_validator import SIGNATURE_HEADER, SIGNATURE_SETTINGS_HEADER


class Refusal(BaseModel):
    """Why it was not done."""

    detail: str


class Page(BaseModel):
    """Events as they were posted, and where to go on."""

    events: list[Any]
    next: str | None


class Channel(BaseModel):
    """What flexsms knows of a channel.

    ``open_tasks`` are SIDs, ``last_ended_at`` is a moment in ISO 8601. ``retired`` is when, in milliseconds since 1970
    UTC, and how.
    """

    channel_sid: str
    stack: str
    status: str
    type: str | None
    open_tasks: list[str]
    last_ended_at: str | None
    retired: tuple[int, str] | None


class Progress(BaseModel):
    """How far a broadcast is: numbers of texts, and moments in ISO 8601.

    ``done`` is of how many something is known. ``waits_until`` is there while all of its batches wait for their hours.
    ``last_at`` is when the last text leaves, as far as its check could tell.
    """

    texts: int
    done: int
    sent: int
    failed: int
    suppressed: int
    waits_until: str | None
    last_at: str | None


# Says that it is asked for. What is asked of it, `signature.py` knows.
signed = APIKeyHeader(
    name=SIGNATURE_HEADER,
    scheme_name="Twilio",
    description="Of the URL, bodySHA256 included, with the account's Auth Token.",
    auto_error=False,
)

RECEIVE: dict[str, Any] = {
    "status_code": status.HTTP_204_NO_CONTENT,
    "response_class": Response,
    "responses": {
        204: {"description": "It is durable."},
        400: {"model": Refusal, "description": "Not JSON, or not of events. Twilio gives it up."},
        403: {"model": Refusal, "description": "Not a post of Twilio's."},
        413: {"model": Refusal, "description": "Over 1 MiB."},
        503: {"model": Refusal, "description": "Not now: Twilio posts it again, for four hours."},
    },
    "openapi_extra": {
        "parameters": [
            {
                "name": "bodySHA256",
                "in": "query",
                "required": True,
                "description": "Of the body's bytes.",
                "schema": {"type": "string", "pattern": "^[0-9A-Fa-f]{64}$"},
            },
            {
                "name": SIGNATURE_SETTINGS_HEADER,
                "in": "header",
                "required": False,
                "description": "With which algorithm it is signed, where that is not HMAC_SHA1.",
                "schema": {"type": "string", "examples": ["key=one,algorithm=HMAC_SHA256"]},
            },
        ],
        "requestBody": {
            "required": True,
            "description": "CloudEvents, or one.",
            "content": {"application/json": {"schema": {"type": ["array", "object"]}}},
        },
    },
}

PULL: dict[str, Any] = {
    "responses": {
        200: {"model": Page},
        401: {"model": Refusal, "description": "Nobody is logged in."},
        403: {"model": Refusal, "description": "Not allowed to start flexsms_track."},
        503: {"model": Refusal, "description": "There is no inbox, or it cannot be read."},
    },
}

_LOGIN: dict[int | str, dict[str, Any]] = {
    401: {"model": Refusal, "description": "Nobody is logged in."},
    403: {"model": Refusal, "description": "Not allowed to see the runs of flexsms_cleanup."},
}

PAGE: dict[str, Any] = {
    "response_class": Response,
    "responses": {**_LOGIN, 200: {"content": {"text/html": {}}}},
}

FILE: dict[str, Any] = {
    "response_class": Response,
    "responses": {
        **_LOGIN,
        200: {"content": {"text/css": {}, "text/javascript": {}, "image/svg+xml": {}}},
        404: {"model": Refusal, "description": "There is no such file."},
    },
}

PROGRESS: dict[str, Any] = {
    "response_model": dict[str, Progress],
    "responses": {
        401: _LOGIN[401],
        403: {"model": Refusal, "description": "Not allowed to see the XComs of flexsms_broadcast."},
    },
}

LOOK_UP: dict[str, Any] = {
    "response_model": Channel,
    "responses": {
        401: _LOGIN[401],
        403: {"model": Refusal, "description": "Not allowed to start flexsms_track."},
        404: {"model": Refusal, "description": "No document for it."},
        502: {"model": Refusal, "description": "What is wrong at Twilio, or with the document."},
        503: {"model": Refusal, "description": "What is wrong with the Airflow connection."},
    },
}
