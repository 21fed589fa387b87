"""Lists: PageSize, Page, PageToken and the `meta` block (https://www.twilio.com/docs/usage/rest-api-best-practices).

A token is a position of the list, not an offset: the next page begins behind that position however many rows
were added or removed meanwhile, and costs the same wherever it begins.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

import orjson

from ..http import Form, Invalid, Response, ok
from ..state.ordered import Ordered
from .call import Call

R = TypeVar("R")
Walk = Callable[[Any, bool], Iterator[tuple[Any, R]]]
Shape = Callable[[R], dict[str, Any]]

PAGING = ("PageSize", "Page", "PageToken")


def walk(order: Ordered[R], *, descending: bool = False, keep: Callable[[R], bool] | None = None) -> Walk[R]:
    """A way through `order`: called with a position and whether to go back, it yields what lies there."""

    def go(start: Any, back: bool) -> Iterator[tuple[Any, R]]:
        rows = order.backward(start) if back != descending else order.forward(start)
        return ((position, row) for position, row in rows if keep(row)) if keep else rows

    return go


def walk_sorted(rows: Iterable[R], key: Callable[[R], Any], *, descending: bool = False) -> Walk[R]:
    """The same for a short list that has to be sorted anew each time. The key must be unique."""
    keyed = sorted(((key(row), row) for row in rows), key=lambda pair: pair[0], reverse=descending)

    def go(start: Any, back: bool) -> Iterator[tuple[Any, R]]:
        pairs = reversed(keyed) if back else iter(keyed)
        if start is None:
            return iter(pairs)
        return (pair for pair in pairs if (pair[0] < start if back != descending else pair[0] > start))

    return go


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """What a page has, and where it begins and ends."""

    query: Form
    number: int
    size: int
    found: list[tuple[Any, R]]
    has_previous: bool
    has_next: bool

    def rows(self, shape: Shape[R]) -> list[dict[str, Any]]:
        return [shape(row) for _, row in self.found]

    def links(self, base: str) -> tuple[str, str | None, str | None, str]:
        """The first page, the previous one, the next one and this one."""
        plain = [
            (name, value) for name, values in self.query.items() if name not in PAGING for value in values
        ]

        def link(number: int, token: str | None = None) -> str:
            extra = [("PageSize", str(self.size)), ("Page", str(number))]
            return f"{base}?{urlencode([*plain, *extra, *([('PageToken', token)] if token else [])])}"

        return (
            link(0),
            link(max(self.number - 1, 0), _encode(True, self.found[0][0])) if self.has_previous else None,
            link(self.number + 1, _encode(False, self.found[-1][0])) if self.has_next else None,
            link(self.number, self.query["PageToken"][-1] if "PageToken" in self.query else None),
        )


def page(
    call: Call,
    rows: Walk[R],
    shape: Shape[R],
    *,
    key: str,
    largest: int,
    given: int | None = None,
    only: bool = False,
) -> Response:
    """One page of a list.

    Parameters
    ----------
    rows: from `walk` or `walk_sorted`.
    shape: a row as JSON.
    key: the name of the list in the answer (`meta.key`).
    largest: the maximum PageSize.
    given: how many a page has at most all the same.
    only: whether the first page is the only one, however long the list is.
    """
    one = _page(call, rows, largest, given, only)
    first, previous, following, this = one.links(f"https://{call.request.host}{call.request.path}")
    meta = {
        "page": one.number,
        "page_size": one.size,
        "first_page_url": first,
        "previous_page_url": previous,
        "next_page_url": following,
        "url": this,
        "key": key,
    }
    return ok({key: one.rows(shape), "meta": meta})


def page_2010(call: Call, rows: Walk[R], shape: Shape[R], *, key: str, largest: int) -> Response:
    """One page as API 2010-04-01 has it: without `meta`, and with links that lack the host."""
    one = _page(call, rows, largest)
    first, previous, following, this = one.links(call.request.path)
    start = one.number * one.size
    body = {
        "page": one.number,
        "page_size": one.size,
        "start": start,
        "end": start + max(len(one.found) - 1, 0),
        "first_page_uri": first,
        "previous_page_uri": previous,
        "next_page_uri": following,
        "uri": this,
    }
    return ok({key: one.rows(shape), **body})


def _page(call: Call, rows: Walk[R], largest: int, given: int | None = None, only: bool = False) -> Page[R]:
    query, config = call.request.query, call.account.settings
    size = _number(query, "PageSize", min(50, largest))
    number = _number(query, "Page", 0)
    if not 1 <= size <= largest:
        if config.page_size_out_of_bounds == "refused":
            raise Invalid(f"Invalid PageSize: {size} is not between 1 and {largest}")
        size = min(max(size, 1), largest)
    if number and "PageToken" not in query and config.page_without_token == "refused":
        raise Invalid(f"Invalid Page: {number} needs a PageToken")
    size = min(size, given or size)
    back, start = _decode(query["PageToken"][-1]) if "PageToken" in query else (False, None)
    try:
        found = list(islice(rows(start, back), size + 1))
    except TypeError:  # a position of another list does not compare with these
        raise Invalid("Invalid PageToken") from None
    more = len(found) > size
    found = found[:size]
    if back:
        found.reverse()
    has_next = bool(found) and (more or back) and not only
    has_previous = bool(found) and (more if back else start is not None)
    return Page(query, number, size, found, has_previous, has_next)


def without_paging(query: Form) -> Form:
    return {name: values for name, values in query.items() if name not in PAGING}


def _number(query: Form, name: str, default: int) -> int:
    raw = query[name][-1] if name in query else None
    if raw is None:
        return default
    if not raw.isdigit():
        raise Invalid(f"Invalid {name}: {raw!r} is not a number")
    return int(raw)


def _encode(back: bool, position: Any) -> str:
    return ("PB" if back else "PA") + urlsafe_b64encode(orjson.dumps(position)).decode().rstrip("=")


def _decode(token: str) -> tuple[bool, Any]:
    try:
        position = orjson.loads(urlsafe_b64decode(token[2:] + "=" * (-len(token[2:]) % 4)))
    except ValueError:
        position = None
    if position is None or token[:2] not in ("PA", "PB"):
        raise Invalid("Invalid PageToken")
    return token[:2] == "PB", tuple(position) if isinstance(position, list) else position
