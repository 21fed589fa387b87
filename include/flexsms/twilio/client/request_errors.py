"""What a request came to that failed, as one of :mod:`flexsms.core.exceptions`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from twilio.http.response import Response
from yarl import URL

from flexsms.core.exceptions import NotAuthorized, RateLimited, TwilioError, TwilioRefused
from flexsms.core.redaction import redact, without_quotes, without_values
from flexsms.core.twilio_codes import advice, advice_on_login, error_class, twilio_code
from flexsms.twilio.client import clock
from flexsms.twilio.client.endpoints import host_of, is_repeatable

PRODUCTS = {
    "api": "Programmable Messaging",
    "chat": "Programmable Chat",
    "conversations": "Conversations",
    "events": "Event Streams",
    "flex-api": "Flex",
    "proxy": "Proxy",
    "studio": "Studio",
    "sync": "Sync",
    "taskrouter": "TaskRouter",
}


@dataclass(slots=True)
class Request:
    """A request of the SDK, however often it is sent.

    :param asked: the URL as the SDK gives it
    :param name: the endpoint
    :param where: method, host and path, for errors
    :param form: the fields of the body
    :param may_be_applied: a try before got no useful answer, so nobody knows whether it did its work
    """

    method: str
    asked: str
    target: URL
    name: str
    where: str
    form: Mapping[str, object] = field(repr=False)
    sent: Mapping[str, Any] = field(repr=False)
    may_be_applied: bool = False

    @property
    def is_repeatable(self) -> bool:
        """Whether a second one is harmless."""
        return is_repeatable(self.method, self.name)

    @property
    def product(self) -> str:
        """What it is for, by Twilio's name."""
        name = host_of(self.name).partition(".")[0]
        return PRODUCTS.get(name, name)


def lost(wanted: Request, what: str) -> TwilioError:
    """The error for a request that nobody knows the outcome of."""
    wanted.may_be_applied = True
    kind = error_class(0, 0, repeatable=wanted.is_repeatable)
    where = redact(wanted.where)
    return kind(f"{where}: {what}; {_remedy(wanted)}.", where=where, endpoint=wanted.name)


def _remedy(wanted: Request) -> str:
    if wanted.is_repeatable:
        return "it may be repeated"
    return "it may have been applied, so it is looked up before anything else"


def refused(response: Response, wanted: Request, *, is_key: bool, works: bool) -> TwilioError:
    """The error for an answer that is no success.

    :param is_key: whether the login is an API key
    :param works: whether the login has been good for another call
    """
    try:
        body = json.loads(response.text)
    except (ValueError, RecursionError):
        body = {}
    if not isinstance(body, dict):
        body = {}
    status, code = response.status_code, twilio_code(body.get("code"))
    kind = error_class(status, code, repeatable=wanted.is_repeatable)
    if status != 429 and not (code and 400 <= status < 500 and status != 408):
        wanted.may_be_applied = True
    # RFC 9457 bodies say "detail" or "title" where the older ones say "message".
    text = str(body.get("message") or body.get("detail") or body.get("title") or f"HTTP {status}").rstrip(
        ". "
    )
    detail = redact(without_quotes(without_values(text, _texts(wanted.form)), wanted.form))
    if issubclass(kind, NotAuthorized):
        remedy = advice_on_login(status, code, product=wanted.product, is_key=is_key, works=works)
    elif issubclass(kind, TwilioRefused | RateLimited):
        remedy = advice(status, code)
    else:
        remedy = "" if code else _remedy(wanted)
    where = redact(wanted.where)
    return kind(
        f"{where}: {detail} ({code or status})" + (f"; {remedy}." if remedy else "."),
        where=where,
        status=status,
        code=code or status,
        endpoint=wanted.name,
        detail=detail,
        retry_after=_seconds(response.headers),
    )


# Fields whose values are words of Twilio's own.
_WORDS = ("Status", "State", "Mode", "AssignmentStatus", "Target", "Type")


def _texts(form: Mapping[str, object]) -> Iterator[str]:
    """The texts in a form, those inside of JSON as well."""
    for name, value in form.items():
        if name not in _WORDS:
            yield from _leaves(value)


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, str):
        try:
            parsed = json.loads(value) if value[:1] in "{[" else None
        except (ValueError, RecursionError):
            parsed = None
        if parsed is None:
            yield value
        else:
            yield from _leaves(parsed)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)


def _seconds(headers: Mapping[str, str] | None) -> float | None:
    """How long Twilio asks to wait, in seconds; it may also name the moment (RFC 9110, 10.2.3)."""
    value = (headers or {}).get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - clock.utc_now()).total_seconds())
