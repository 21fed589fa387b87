"""Requests for one participant at the same moment: Proxy refuses the later one while the earlier is under way.

Source: https://www.twilio.com/docs/api/errors/80623, /80802. A request is under way from the moment it is applied until
its answer leaves, so it takes some latency (`latency_ms`) to meet this.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from ...http import Problem, Request
from ...state.account import EmulatedAccount

HOST = "proxy.twilio.com"


def people_of(given: list[Any]) -> list[Any]:
    """Participants as objects, as a list of them, or both: the outbound recipes send the list as one field."""
    return [one for value in given for one in (value if isinstance(value, list) else [value])]


@contextmanager
def under_way(account: EmulatedAccount, request: Request) -> Iterator[None]:
    """Until the end of the block the participants that `request` made are still being worked on."""
    held = _identifiers(request)
    account.under_way.update(held)
    try:
        yield
    finally:
        account.under_way.subtract(held)


def check(account: EmulatedAccount, identifiers: list[str]) -> None:
    if any(account.under_way[one] > 0 for one in identifiers):
        raise Problem(
            409, account.settings.same_moment_code, "Another request for this Participant is in progress"
        )


def _identifiers(request: Request) -> list[str]:
    if request.host != HOST or request.method != "POST":
        return []
    found = list(request.form.get("Identifier", []))
    try:
        people = people_of([orjson.loads(raw) for raw in request.form.get("Participants", [])])
    except orjson.JSONDecodeError:
        return found
    return found + [str(one.get("Identifier")) for one in people if isinstance(one, dict)]
