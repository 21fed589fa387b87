"""Regular expressions that come from outside: one that could be tried for ever is refused before it is used.

Python's matcher tries every way in which a pattern may fit, and holds up the whole process meanwhile. How many ways
that are at most follows from the pattern alone.
"""

from __future__ import annotations

import math
import re
from importlib import import_module
from typing import Any

from ..http import Invalid

# The parser of `re` has no types of its own.
op: Any = import_module("re._constants")
parser: Any = import_module("re._parser")

LONGEST_PATTERN = 500
# What a pattern with an open end (`*`, `+`) is searched in, in characters.
LONGEST_TEXT = 1_000
MOST_WAYS = (LONGEST_TEXT + 1) ** 2


class Pattern:
    """A regular expression, searched for like `re.search`.

    Parameters
    ----------
    source: with at most two open ends, none of them inside another one.
    """

    def __init__(self, source: str) -> None:
        if len(source) > LONGEST_PATTERN:
            raise Invalid(f"pattern: a pattern has at most {LONGEST_PATTERN} characters")
        try:
            self._regex = re.compile(source)
            ways = _ways(parser.parse(source))
        except (re.error, RecursionError, OverflowError) as error:
            raise Invalid(f"pattern: {error}") from None
        if ways > MOST_WAYS:
            raise Invalid(f"pattern: {source!r} may be tried without an end; use fewer * and +")
        self.source = source
        self._longest = LONGEST_TEXT if ways > 1 else None

    def found_in(self, text: str) -> bool:
        """Whether it is anywhere in `text`; with repetitions, in its first `LONGEST_TEXT` characters."""
        return self._regex.search(text[: self._longest]) is not None


def _ways(items: Any) -> float:
    """In how many ways a pattern may be tried from one place, at most."""
    return math.prod((_ways_of(kind, value) for kind, value in items), start=1.0)


def _ways_of(kind: Any, value: Any) -> float:
    if kind in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
        least, most, inner = value
        within = _ways(inner)
        if within > 1:
            return within if most == 1 else math.inf
        return float(min(most, LONGEST_TEXT) - min(least, LONGEST_TEXT) + 1)
    if kind is op.BRANCH:
        return sum(_ways(one) for one in value[1])
    if kind is op.SUBPATTERN:
        return _ways(value[-1])
    if kind in (op.ASSERT, op.ASSERT_NOT):
        return _ways(value[1])
    if kind is op.ATOMIC_GROUP:
        return _ways(value)
    return math.inf if kind in (op.GROUPREF, op.GROUPREF_EXISTS) else 1.0
