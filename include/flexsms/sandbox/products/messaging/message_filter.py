"""Which messages a list has: To, From and DateSent (https://www.twilio.com/docs/messaging/api/message-resource).

`DateSent` is a day in GMT: Twilio's examples give it a midnight. `DateSent>` and `DateSent<` include what they name.
Unverified: that they heed a time of day, that `DateSent<` without one includes the whole day, and that a text which is
still queued fits none of the three, as it has no `date_sent` yet.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import takewhile
from math import inf
from typing import Any

from ...http import Invalid
from ...routing.paging import Walk, walk_sorted
from ...state.account import EmulatedAccount
from ...state.clock import parse_iso
from ...state.ordered import Ordered
from ...state.rows.messaging import Sms

DAY_S = 86_400
DAY = re.compile(r"\d{4}-\d\d-\d\d")
Position = tuple[float, float]


def walk(account: EmulatedAccount, p: dict[str, Any]) -> Walk[Sms]:
    """The way through the messages that the parameters name, from the newest on, without looking at the others."""
    to, frm = p.get("To"), p.get("From")
    first, last = span(p)
    dated = (first, last) != (-inf, inf)

    def fits(text: Sms) -> bool:
        return to in (None, text.to) and frm in (None, text.from_) and not (dated and text.sent is None)

    if (order := _order(account, to, frm)) is not None:
        return _walk_order(order, (first, 0), (last, 0), fits)
    threads = [account.texts.of_customer(one) for one in (to, frm) if one is not None]
    found = [text for thread in threads for text in thread if fits(text) and first <= text.position[0] < last]
    return walk_sorted(found, lambda text: text.position, descending=True)


def _order(account: EmulatedAccount, to: str | None, frm: str | None) -> Ordered[Sms] | None:
    """What is in order already; None where a customer is named, who has few."""
    if to is None and frm is None:
        return account.texts.all
    if to is None or frm is None:
        return account.texts.of_number(to or frm or "", inbound=frm is None)
    return None


def _walk_order(
    order: Ordered[Sms], first: Position, last: Position, fits: Callable[[Sms], bool]
) -> Walk[Sms]:
    def go(start: Any, back: bool) -> Iterator[tuple[Any, Sms]]:
        if back:
            within = takewhile(lambda one: one[0] < last, order.forward(start))
        else:
            within = takewhile(lambda one: one[0] >= first, order.backward(start or last))
        return (one for one in within if fits(one[1]))

    return go


def span(p: dict[str, Any]) -> tuple[float, float]:
    """From and until when (excluded), in seconds since the epoch; `date_sent` has no fraction of one."""
    first, last = -inf, inf
    if on := p.get("DateSent"):
        first = _moment("DateSent", on) // DAY_S * DAY_S
        last = first + DAY_S
    if since := p.get("DateSent>"):
        first = max(first, _moment("DateSent>", since))
    if until := p.get("DateSent<"):
        last = min(last, _moment("DateSent<", until) + (DAY_S if DAY.fullmatch(until) else 1))
    return first, last


def _moment(name: str, raw: str) -> float:
    try:
        return float(int(parse_iso(raw)))
    except ValueError:
        raise Invalid(f"Invalid {name}: {raw!r} is not an ISO 8601 date") from None
