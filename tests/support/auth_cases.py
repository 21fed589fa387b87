"""Who might call, with which credential, and what GET and POST of `/flexsms/events` answer."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx
import jwt
import orjson
from twilio.request_validator import RequestValidator

from tests.web.conftest import ACCOUNT, KEY, PUBLIC, event, token_of

BODY = orjson.dumps([event()])


class Call(NamedTuple):
    """What somebody sends, whatever the method and path."""

    headers: tuple[tuple[bytes, bytes], ...] = ()
    query: str = ""
    body: bytes = BODY


ANONYMOUS = Call()


def header(name: str, value: str) -> Call:
    return Call(((name.encode(), value.encode("latin-1")),))


def bearer(token: str) -> Call:
    return header("authorization", f"Bearer {token}")


def changed(
    key: str = os.environ["AIRFLOW__API_AUTH__JWT_SECRET"], algorithm: str = "HS512", **claims: Any
) -> Call:
    """With an administrator's token, but for something."""
    claims = jwt.decode(token_of("admin"), options={"verify_signature": False}) | claims
    return bearer(jwt.encode(claims, key, algorithm))


def digest(body: bytes = BODY) -> str:
    return f"bodySHA256={hashlib.sha256(body).hexdigest()}"


def twilio(
    signed: str | None = digest(),
    *,
    called: str | None = None,
    body: bytes = BODY,
    url: str = PUBLIC,
    key: str = KEY,
    sent: Callable[[str], list[str]] = lambda signature: [signature],
    more: Call = ANONYMOUS,
) -> Call:
    """A post of Twilio's, but for something.

    :param signed: the query that the signature is for, and ``called`` the one that comes with it
    :param sent: makes the headers of the signature
    """
    signature = RequestValidator(key).compute_signature(url if signed is None else f"{url}?{signed}", {})
    headers = tuple((b"x-twilio-signature", value.encode("latin-1")) for value in sent(signature))
    return Call(headers + more.headers, (signed or "") if called is None else called, body)


def form(body: bytes = BODY) -> Call:
    """The signature of another webhook, in which a customer has texted what a digest looks like.

    Of a form Twilio signs the URL with names and values of its fields behind it, sorted.
    """
    fields = {"AccountSid": ACCOUNT, "Body": f"&{digest(body)}&y=", "From": "+14155550191"}
    signature = RequestValidator(KEY).compute_signature(f"{PUBLIC}?x=", fields)
    signed = "x=" + "".join(name + fields[name] for name in sorted(fields))
    assert RequestValidator(KEY).compute_signature(f"{PUBLIC}?{signed}", {}) == signature
    return Call(((b"x-twilio-signature", signature.encode()),), signed, body)


OTHER = digest(b"[]")
MADE_UP = "A" * 27 + "="
SETTINGS = "x-twilio-webhooks-signature-settings"

# GET is for those who may start flexsms_track, and this is what it answers. POST is not for them, and answers 403.
LOGINS: dict[str, tuple[int, Callable[[], Call]]] = {
    "anonymous": (401, lambda: ANONYMOUS),
    "viewer": (403, lambda: bearer(token_of("viewer"))),
    "user": (200, lambda: bearer(token_of("user"))),
    "op": (200, lambda: bearer(token_of("op"))),
    "admin": (200, lambda: bearer(token_of("admin"))),
    "viewer in a browser": (403, lambda: header("cookie", f"_token={token_of('viewer')}")),
    "user in a browser": (200, lambda: header("cookie", f"_token={token_of('user')}")),
    "viewer with a signature for another body": (403, lambda: twilio(OTHER, more=bearer(token_of("viewer")))),
    "admin with a signature for another body": (200, lambda: twilio(OTHER, more=bearer(token_of("admin")))),
    "no role": (403, lambda: changed(role=None)),
    "no token": (401, lambda: header("authorization", "Bearer")),
    "nonsense as token": (403, lambda: bearer("nonsense")),
    "nonsense in a browser": (403, lambda: header("cookie", "_token=nonsense")),
    "expired token": (401, lambda: bearer(token_of("admin", expires_in_s=-3600))),
    "expired token in a browser": (401, lambda: header("cookie", f"_token={token_of('admin', -3600)}")),
    "token signed by somebody else": (403, lambda: changed(key="x" * 64)),
    "token that nobody signed": (403, lambda: changed(key="", algorithm="none")),
    "token of a task": (403, lambda: changed(aud="urn:airflow.apache.org:task")),
    "token in the URL": (401, lambda: ANONYMOUS._replace(query=f"token={token_of('admin')}")),
    "Basic": (401, lambda: header("authorization", httpx.BasicAuth(ACCOUNT, KEY)._auth_header)),
}
# POST answers 204, and GET 401: who signs has no login.
TWILIO = {
    "Twilio": twilio(),
    "Twilio, the digest in capitals": twilio("bodySHA256=" + digest().partition("=")[2].upper()),
    "Twilio, the digest twice": twilio(f"{digest()}&{digest()}"),
    "Twilio, the signature twice": twilio(sent=lambda signature: [signature, signature]),
}
# POST answers 403, and GET 401.
FORGERIES = {
    "no signature": twilio(sent=lambda _: []),
    "an empty signature": twilio(sent=lambda _: [""]),
    "a made-up signature": twilio(sent=lambda _: [MADE_UP]),
    "a made-up signature before the right one": twilio(sent=lambda signature: [MADE_UP, signature]),
    "an empty signature before the right one": twilio(sent=lambda signature: ["", signature]),
    "two signatures in one": twilio(sent=lambda signature: [f"{MADE_UP}, {signature}"]),
    "a signature that is not ASCII": twilio(sent=lambda _: ["é" * 28]),
    "another account's key": twilio(key=KEY[::-1]),
    "no key": twilio(key=""),
    "an algorithm that it was not signed with": twilio(more=header(SETTINGS, "algorithm=HMAC_SHA256")),
    "an algorithm that there is not": twilio(more=header(SETTINGS, "algorithm=NONE")),
    "another host": twilio(url="https://elsewhere.example.com/flexsms/events"),
    "the host behind the proxy": twilio(url="http://127.0.0.1/flexsms/events"),
    "another scheme": twilio(url=PUBLIC.replace("https", "http")),
    "another path": twilio(url=f"{PUBLIC}/"),
    "a byte of the body changed": twilio(body=BODY.replace(b"Ada", b"Eve")),
    "a byte more": twilio(body=BODY + b" "),
    "a byte less": twilio(body=BODY[:-1]),
    "no body": twilio(body=b""),
    "a body that is not text": twilio(body=b"\xff\xfe"),
    "no bodySHA256": twilio(called=""),
    "no query, signed like that": twilio(None),
    "another parameter only, signed like that": twilio("a=b"),
    "an empty bodySHA256": twilio(called="bodySHA256="),
    "an empty bodySHA256, signed like that": twilio("bodySHA256="),
    "a bodySHA256 that is not ASCII, signed like that": twilio("bodySHA256=%C3%A9"),
    "the bodySHA256 of another body": twilio(OTHER, called=digest()),
    "the bodySHA256 of another body, signed like that": twilio(OTHER),
    "one more bodySHA256": twilio(called=f"{digest()}&{digest()}"),
    "one more bodySHA256, of another body, signed like that": twilio(f"{digest()}&{OTHER}"),
    "a parameter more": twilio(called=f"{digest()}&a=b"),
    "a parameter more, signed like that": twilio(f"{digest()}&a=b"),
    "a parameter before, signed like that": twilio(f"a=b&{digest()}"),
    "an ampersand more, signed like that": twilio(f"{digest()}&"),
    "a digit more, signed like that": twilio(f"{digest()}0"),
    "an encoded digest, signed like that": twilio(digest().replace("=", "=%30").replace("%300", "%30")),
    "the signature of a form, its fields as the query": form(),
    "the signature for the host that the request names": twilio(
        url="http://evil.example/flexsms/events", more=header("host", "evil.example")
    ),
    "a parameter less": twilio(f"{digest()}&a=b", called=digest()),
    "the same query, encoded otherwise": twilio(called=digest().replace("bodySHA", "%62odySHA")),
}
# What GET and POST answer.
CALLERS: dict[str, tuple[int, int, Call | Callable[[], Call]]] = {
    **{who: (get, 403, call) for who, (get, call) in LOGINS.items()},
    **{who: (401, 204, call) for who, call in TWILIO.items()},
    **{who: (401, 403, call) for who, call in FORGERIES.items()},
}
