"""Reads JSON of which one value is odd: what stands beside it must not be lost."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

# Nothing that Twilio sends is nested more than some ten times.
MAX_DEPTH = 100
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


def loads(body: bytes) -> Any:
    """The value of a JSON text.

    In place of what parsers refuse there is null, as for NaN and for what is nested too deeply, or something else of
    its kind.

    :raises ValueError: when it is not JSON
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(
            _flat(body.decode(errors="replace")), parse_constant=lambda _: None, parse_int=_number
        )


def _flat(text: str) -> str:
    """The same with null in place of every array and object that is nested too deeply."""
    parts, kept, depth = [], 0, 0
    for token in _TOKEN.finditer(text):
        if token[0] in ("[", "{"):
            depth += 1
            if depth == MAX_DEPTH + 1:
                parts += [text[kept : token.start()], "null"]
        elif token[0] in ("]", "}"):
            if depth == MAX_DEPTH + 1:
                kept = token.end()
            depth -= 1
    return "".join([*parts, text[kept:]])


def _number(digits: str) -> int | float:
    # Python makes no integer of thousands of digits.
    return int(digits) if len(digits) < 20 else float(digits)
