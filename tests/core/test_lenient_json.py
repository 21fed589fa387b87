"""Reading JSON of which one value is odd."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexsms.core.lenient_json import MAX_DEPTH, loads

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("odd", "read"),
    [
        (b"[" * 1000 + b"]" * 1000, None),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, None),
        (b"NaN", None),
        (b"-Infinity", None),
        (b'"\\ud83d"', "\ud83d"),
        (b'"\xff"', "\ufffd"),
        (b'"' + b"[{" * 2000 + b'\\""', "[{" * 2000 + '"'),
        (b"1" * 5000, float("inf")),
    ],
    ids=["deep", "deep objects", "no number", "no end", "half an emoji", "no text", "brackets", "long"],
)
def test_what_stands_beside_an_odd_value_is_read(odd: bytes, read: Any) -> None:
    spoilt = b'{"first": [1, "]"], "odd": ' + odd + b', "broken": "\\ud800", "next": {"a": "}"}}'
    found = loads(spoilt)
    assert (found["first"], found["next"]) == ([1, "]"], {"a": "}"})
    value = found["odd"]
    for _ in range(MAX_DEPTH - 1):
        if isinstance(value, list | dict):
            [value] = value.values() if isinstance(value, dict) else value
    assert value == read


@pytest.mark.parametrize("body", [b"", b"[1", b"[1]]", b"[" * 200_000, b"]" * 5, b"<p>", b'{"a": 1,}'])
def test_what_is_no_json_stays_none(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        loads(body)


@given(JSON)
def test_nothing_else_is_changed(value: Any) -> None:
    assert loads(orjson.dumps(value)) == value
    # The same by the way that odd values take.
    assert loads(json.dumps([value, float("nan")]).encode()) == [value, None]


@given(st.binary(max_size=60) | st.text('[]{}",:1\\ ', max_size=60).map(str.encode))
def test_it_reads_or_says_that_it_is_no_json(body: bytes) -> None:
    with suppress(ValueError):
        loads(body)
