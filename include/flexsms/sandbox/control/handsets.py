"""The customers' handsets, for a page in a browser: who was texted or wrote, what it says, and what is new.

The page is in page/. It asks once a second and gets nothing unless something has changed.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from ..http import Response
from ..products.messaging.outbox import is_out
from ..state.account import NUMBERS, EmulatedAccount
from ..state.clock import iso
from ..state.rows.messaging import Sms

PATH = "/handsets"
MOST_HANDSETS = 200
MOST_TEXTS = 200
TYPES = {".html": b"text/html; charset=utf-8", ".css": b"text/css", ".js": b"text/javascript"}
# Nothing but the sandbox's own files and answers, and in nobody's frame: the control plane has no login.
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = [(b"content-security-policy", POLICY), (b"cache-control", b"no-store")]


def pages() -> dict[str, Response]:
    """The page and its files, by their paths below the control plane."""
    files = sorted(Path(__file__).with_name("page").iterdir())
    found = {
        f"{PATH}/{one.name}": Response(200, one.read_bytes(), list(HEADERS), content_type=TYPES[one.suffix])
        for one in files
        if one.suffix in TYPES
    }
    found[PATH] = found.pop(f"{PATH}/index.html")
    return found


def news(account: EmulatedAccount, body: dict[str, Any]) -> dict[str, Any]:
    """The handsets, the newest text first, and the texts of one of them; only `version` if that is `after` still.

    Parameters
    ----------
    body: `after`, the version that the page has; `handset`, the number whose texts it shows; `find`, the last digits of
        the numbers that it lists.
    """
    texts = account.texts
    if body.get("after") == texts.version:
        return {"version": texts.version}
    find = str(body.get("find") or "")
    found = [(number, text) for number, text in texts.newest() if number.endswith(find)] if find else None
    listed = found if found is not None else islice(texts.newest(), MOST_HANDSETS)
    handset = body.get("handset")
    thread = sorted(texts.of_customer(handset), key=lambda text: (text.created, text.seq)) if handset else []
    return {
        "version": texts.version,
        "numbers": list(NUMBERS.values()),
        "handsets": [_handset_json(account, *one) for one in islice(listed, MOST_HANDSETS)],
        "count": texts.customers if found is None else len(found),
        "thread": [_text_json(text) for text in thread[-MOST_TEXTS:]],
    }


def _handset_json(account: EmulatedAccount, number: str, newest: Sms) -> dict[str, Any]:
    return {
        "number": number,
        "body": newest.body[:80],
        "inbound": newest.inbound,
        "at": iso(newest.created),
        "out": is_out(account, number, newest.number),
    }


def _text_json(text: Sms) -> dict[str, Any]:
    return {
        "sid": text.sid,
        "inbound": text.inbound,
        "body": text.body,
        "at": iso(text.created),
        "number": text.number,
        "status": text.status,
        "code": text.error_code,
        "reply": text.direction == "outbound-reply",
    }
