"""What every Twilio product has in common on the wire: requests, answers, errors, authentication, ETags.

Sources: facts sheet G.1 (conventions), C (Sync's codes). Parameters are in params.py, paging in paging.py.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import orjson

Form = dict[str, list[str]]


class Problem(Exception):
    """An error answer.

    Parameters
    ----------
    status: the HTTP status.
    code: Twilio's error code, https://www.twilio.com/docs/api/errors.
    message: one sentence.
    """

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def response(self) -> Response:
        more = f"https://www.twilio.com/docs/errors/{self.code}"
        body = {"code": self.code, "message": self.message, "more_info": more, "status": self.status}
        return Response(self.status, orjson.dumps(body), code=self.code)


class Invalid(Problem):
    """400 20001, Twilio's code for a parameter it does not accept."""

    def __init__(self, message: str, code: int = 20001) -> None:
        super().__init__(400, code, message)


class NotFound(Problem):
    """404 20404 with the sentence of the real service."""

    def __init__(self, path: str, code: int = 20404) -> None:
        super().__init__(404, code, f"The requested resource {path} was not found")


@dataclass(slots=True)
class Request:
    """One API request, the original host already taken off the path.

    `path` is percent-decoded only by segment (`segments`), so that an encoded slash stays part of a unique
    name.
    """

    method: str
    host: str
    path: str
    segments: list[str]
    query: Form
    form: Form
    headers: dict[bytes, bytes]

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


@dataclass(slots=True)
class Response:
    """An answer, its body already bytes: JSON, unless a fault rule says otherwise."""

    status: int
    body: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    code: int | None = None
    content_type: bytes = b"application/json"


def ok(body: dict[str, Any], status: int = 200, *, etag: str | None = None) -> Response:
    """An object. Whether Twilio quotes the ETag is unverified; HTTP wants it quoted, so it is here."""
    return Response(status, orjson.dumps(body), [(b"etag", f'"{etag}"'.encode())] if etag is not None else [])


def created(body: dict[str, Any], *, etag: str | None = None) -> Response:
    return ok(body, 201, etag=etag)


def gone() -> Response:
    return Response(204)


def decode_form(raw: str) -> Form:
    """`a=1&a=2` as {"a": ["1", "2"]}: repeated fields are how Twilio takes lists (AssignmentStatus, Participants)."""
    fields: Form = {}
    if raw:
        for name, value in parse_qsl(raw, keep_blank_values=True):
            fields.setdefault(name, []).append(value)
    return fields


def basic(username: str, password: str) -> bytes:
    """The credentials part of an Authorization header, for comparing whole headers."""
    return b64encode(f"{username}:{password}".encode())


def presented(headers: dict[bytes, bytes]) -> bytes:
    """The Basic credentials of a request, or nothing."""
    scheme, _, credentials = headers.get(b"authorization", b"").partition(b" ")
    return credentials.strip() if scheme.lower() == b"basic" else b""


def check_webhook_header(request: Request) -> None:
    value = request.header(b"x-twilio-webhook-enabled")
    if value not in (None, "true", "false"):
        raise Invalid(f"Invalid X-Twilio-Webhook-Enabled: {value!r} is neither true nor false")


def check_if_match(request: Request, current: str, *, code: int, what: str, quoted: bool = False) -> None:
    """412 when the request wants another version than the current one.

    The token is the `revision` of the body or the ETag of the answer, quoted or not, weak or not: Twilio's
    documents name both, and which one the service compares is unverified.

    Parameters
    ----------
    quoted: refuse a token without quotes (54003).
    """
    wanted = request.header(b"if-match")
    if wanted is None or wanted.strip() == "":
        # An empty header is what twilio-python 9.13 makes of If-Match on DELETE (facts L): no condition.
        return
    token = wanted.strip().removeprefix("W/")
    if len(token) >= 2 and token[0] == token[-1] == '"':
        token = token[1:-1]
    elif quoted:
        token = ""
    if not token or '"' in token or len(token) > 64:
        raise Problem(400, 54003, "Invalid If-Match header")
    if token not in (current, "*"):
        raise Problem(412, code, f"The revision of the {what} does not match the expected revision")
