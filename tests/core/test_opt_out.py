"""Words by which customers opt out, and what is known of a number."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexsms.core.exceptions import InvalidInput, OptedOut
from flexsms.core.opt_out import IN_WORDS, OUT_WORDS, OptOut, Why, opts_out
from flexsms.core.task_events import TOO_EARLY_MS, TOO_LATE_MS

known = st.builds(OptOut, st.integers(TOO_EARLY_MS, TOO_EARLY_MS + 3), st.booleans(), st.sampled_from(Why))
AT = 1_796_000_000_000


@pytest.mark.parametrize(
    ("body", "meaning"),
    [
        *((word, True) for word in sorted(OUT_WORDS)),
        *((word, False) for word in sorted(IN_WORDS)),
        (" stop\n", True),
        ("Unsubscribe", True),
        ("\tstart ", False),
        ("YES", None),
        ("Please stop", None),
        ("STOP it", None),
        ("opt out", None),
        ("", None),
        ("🛑", None),
    ],
)
def test_a_word_counts_as_a_whole_only(body: str, meaning: bool | None) -> None:
    assert opts_out(body) is meaning


@given(known, known, known)
def test_order_and_repetition_do_not_matter(a: OptOut, b: OptOut, c: OptOut) -> None:
    assert a.merge(b) == b.merge(a)
    assert a.merge(b.merge(c)) == a.merge(b).merge(c)
    assert a.merge(a) == a
    assert a.merge(b).merge(b) == a.merge(b)


@given(known, known)
def test_the_later_one_counts_and_of_one_moment_who_opts_out(a: OptOut, b: OptOut) -> None:
    merged = a.merge(b)
    assert merged.at_ms == max(a.at_ms, b.at_ms)
    if a.at_ms == b.at_ms:
        assert merged.out is (a.out or b.out)


@given(known)
def test_what_is_stored_is_read_again(one: OptOut) -> None:
    assert OptOut.from_json(json.loads(json.dumps(one.to_json()))) == one


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"at_ms": None}, "at_ms"),
        ({"at_ms": True}, "at_ms"),
        ({"at_ms": 1_796_000_000}, "at_ms"),
        ({"at_ms": TOO_LATE_MS + 1}, "at_ms"),
        ({"out": 1}, "out"),
        ({"why": "whim"}, "why"),
        ({"why": []}, "why"),
    ],
)
def test_what_is_no_opt_out_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        OptOut.from_json({**OptOut(AT, True, Why.STOP).to_json(), **changes})
    assert raised.value.field == field


def test_the_error_says_since_when_why_and_what_to_do() -> None:
    one = OptOut(AT, True, Why.STOP)
    error = OptedOut("+14155550100", since=one.since, why=one.why.phrase)
    assert str(error) == (
        "to_number: …0100 has opted out since 2026-11-30 00:53 UTC (by a word like STOP); do not text this number "
        "until they send START, or you know that they want texts and run flexsms suppress lift."
    )
