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
