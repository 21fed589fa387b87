"""Requests to webhook sinks, signed as Twilio signs requests with a JSON body.

Source: https://www.twilio.com/docs/usage/webhooks/webhooks-security.

The URL is requested exactly as it was signed. Credentials in it are sent as Basic authentication with every request
(https://www.twilio.com/docs/events/webhook-quickstart) and are not signed; how Twilio signs such a URL is unverified
as is what a sink with method GET gets (here: the same body).
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

import aiohttp
import orjson
from yarl import URL

from ...http import basic
from ...state.delivery_queue import Delivery
from ...state.rows.event_streams import Sink
from .cloud_events import cloud_event
from .publisher import Answer

if TYPE_CHECKING:
    from ...state.account import EmulatedAccount

THROTTLED, REFUSED, BROKEN, UNREACHABLE, SILENT, OTHER = 91302, 91305, 91306, 91307, 91308, 91300


def signature(auth_token: str, url: str) -> str:
    """Keyed by the auth token, never by an API key. The body is in it through the URL's `bodySHA256`."""
    return b64encode(hmac.new(auth_token.encode(), url.encode(), hashlib.sha1).digest()).decode()


def signed_request(auth_token: str, destination: str, body: bytes) -> tuple[str, dict[str, str]]:
    """The URL to call and the headers to send."""
    scheme, netloc, path, query, _ = urlsplit(destination)
    credentials, _, host = netloc.rpartition("@")
    query = "&".join(filter(None, (query, f"bodySHA256={hashlib.sha256(body).hexdigest()}")))
    url = urlunsplit((scheme, host, path or "/", query, ""))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "TwilioProxy/1.1",
        "X-Twilio-Signature": signature(auth_token, url),
    }
    if credentials:
        username, _, password = credentials.partition(":")
        headers["Authorization"] = f"Basic {basic(unquote(username), unquote(password)).decode()}"
    return url, headers


def body_of(account: EmulatedAccount, sink: Sink, events: list[dict[str, Any]]) -> bytes:
    """An array; what one unbatched event is, Twilio's page and what people saw disagree about (https://www.twilio.com/docs/events/event-delivery-and-duplication)."""
    single = not sink.batches and account.settings.stream_single == "object"
    return orjson.dumps(events[0] if single else events)


async def send(
    http: aiohttp.ClientSession, account: EmulatedAccount, sink: Sink, delivery: Delivery
) -> Answer:
    """POST a delivery."""
    body = body_of(account, sink, [cloud_event(account, event) for event in delivery.events])
    url, headers = signed_request(account.auth_token, sink.target, body)
    method = str(sink.configuration["method"]).upper()
    try:
        async with http.request(
            method,
            URL(url, encoded=True),
            data=body,
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=account.settings.stream_timeout_s),
        ) as response:
            return judge(response.status, delivery)
    except TimeoutError:
        return Answer(None, SILENT, retry=delivery.events)
    except (aiohttp.ClientError, OSError):
        return Answer(None, UNREACHABLE, retry=delivery.events)


def judge(status: int, delivery: Delivery) -> Answer:
    """What an HTTP status means for the events."""
    if 200 <= status < 300:
        return Answer(status)
    if 400 <= status < 500 and status != 429:
        return Answer(status, REFUSED, discard=delivery.events)
    code = THROTTLED if status == 429 else BROKEN if status >= 500 else OTHER
    return Answer(status, code, retry=delivery.events)
