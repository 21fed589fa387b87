"""The body of a broadcast: a text with ``{name}`` where each recipient's own words go.

It is no template language: a field is a name in braces, and what a list says is put in its place as it is. Neither
``str.format`` nor Jinja ever sees what comes from a list.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from difflib import get_close_matches
from math import isinf
from typing import Self

from flexsms.core.exceptions import InvalidInput
from flexsms.core.validation import parse_visible

# What looks as if somebody meant a field. A brace alone is text, be it of a smile.
_BRACES = re.compile(r"\{([^{}]*)\}")
_ONE_BRACE = re.compile(r"\{\s*(\w+)|(\w+)\s*\}")
_FOREIGN = re.compile(r"\{\{|\}\}|\{%|%\}")


@dataclass(frozen=True, slots=True)
class MessageFields:
    """A body, taken apart. Make it with :meth:`parse`.

    :param texts: what stands between the fields; one more than there are fields
    :param names: of the fields, in the order in which they stand in the body
    """

    texts: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def parse(cls, body: str | None) -> Self:
        """Find the fields of a body.

        :raises InvalidInput: when it is empty, or has braces that are almost a field
        """
        text = parse_visible("body", body)
        if not text:
            raise InvalidInput("body", "is empty", "write a text, like: Hello {first_name}")
        if found := _FOREIGN.search(text):
            problem = f"has {found.group()!r}, and is no template of Jinja"
            raise InvalidInput("body", problem, "write a field like {first_name}, in single braces")
        *pairs, last = _BRACES.split(text)
        texts, names = [*pairs[::2], last], pairs[1::2]
        for name in names:
            if not name.isidentifier():
                problem = f"has {{{name}}}, which cannot be the name of a column"
                raise InvalidInput("body", problem, "write a field like {first_name}: letters, digits and _")
        return cls(tuple(texts), tuple(names))

    def check_columns(self, columns: Collection[str]) -> None:
        """Make sure that a list has all columns that the body names.

        :raises InvalidInput: naming the nearest right name, or a field that lacks a brace
        """
        for name in self.names:
            if name not in columns:
                remedy = _nearest(name, columns)
                raise InvalidInput("body", f"has {{{name}}}, and the list has no such column", remedy)
        for found in (found for text in self.texts for found in _ONE_BRACE.finditer(text)):
            name = found[1] or found[2]
            if name in columns:
                problem = f"has {found.group()!r}, a field with one brace only"
                raise InvalidInput("body", problem, f"write {{{name}}}")

    def render(self, values: Mapping[str, object]) -> str:
        """The text for one recipient.

        :raises InvalidInput: naming the field that is missing or no text
        """
        if not self.names:
            return self.texts[0]
        parts = [self.texts[0]]
        for name, text in zip(self.names, self.texts[1:], strict=True):
            parts += (_written(name, values.get(name)), text)
        return "".join(parts)


def _written(name: str, value: object) -> str:
    """What a list says, as it is put into a text."""
    if is_empty(value):
        raise InvalidInput(name, "is empty", f"give it a value, or leave {{{name}}} out of the body")
    problem = f"is {type(value).__name__}, not text"
    match value:
        case str():
            parse_visible(name, value)
            return value
        case bool():
            problem = "is true or false, and no text"
        case datetime():
            return value.isoformat(" ")
        case date() | time():
            return value.isoformat()
        case float() | Decimal() if isinf(value):
            problem = "is infinite, and no number"
        case Decimal():
            return f"{value:f}"
        case int() | float():
            return str(value)
    raise InvalidInput(name, problem, "write in the list what is to be read")


def is_empty(value: object) -> bool:
    """Whether somebody has left it out. Of numbers and moments, pandas writes NaN and NaT then: equal to nothing."""
    match value:
        case str():
            return not value.strip()
        case float() | Decimal() | datetime():
            return value != value
    return value is None


def _nearest(name: str, columns: Collection[str]) -> str:
    """What to do about a field that the list has no column for."""
    # Some databases write names in capitals.
    by_letters = {column.casefold(): column for column in sorted(columns)}
    found = get_close_matches(name.casefold(), by_letters, n=1)
    if not found:
        return "add the column, or leave the field out"
    like = by_letters[found[0]]
    return (
        f"did you mean {{{like}}}?" if like.isidentifier() else f"call the column {like!r} {name} in the list"
    )
