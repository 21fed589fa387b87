"""Regular expressions that come from outside: one that is tried for ever is refused."""

from __future__ import annotations

import pytest

from flexsms.sandbox.http import Invalid
from flexsms.sandbox.state.patterns import LONGEST_PATTERN, LONGEST_TEXT, Pattern


@pytest.mark.parametrize(
    "source",
    [
        "(a+)+$",
        "(a*)*b",
        "(a|aa)+$",
        "(?:a?){30}a{30}",
        "a?" * 30 + "a" * 30,
        "(a|ab)" * 30 + "c",
        ".*.*.*x",
        "(.*)\\1\\1",
        "(?=(a+)+$)a",
        "((a{1,9}){1,9}){1,9}",
        "a{0,900}" * 3,
        "(",
        "a" * (LONGEST_PATTERN + 1),
        "a{1,99999999999999999999}",
    ],
)
def test_a_pattern_that_may_be_tried_for_ever_is_refused(source: str) -> None:
    with pytest.raises(Invalid, match="pattern: "):
        Pattern(source)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("/Channels/CH[^/]*$", "/v1/Channels/CH12"),
        ("/(Channels|Conversations)/CH1", "/v1/Conversations/CH1"),
        (".*Services.*Documents", "/v1/Services/IS/Documents"),
        ("^b{3}c?$", "bbb"),
        ("(?i)HELLO", "well, hello"),
        ("(?<!x)y(?=z)", "yz"),
        ("end", "x" * 5_000 + "end"),
    ],
)
def test_an_ordinary_one_is_searched_for(source: str, text: str) -> None:
    assert Pattern(source).found_in(text)
    assert not Pattern(source).found_in("nothing of the kind")


@pytest.mark.parametrize("source", [r"\w+\w+x", ".*.*x", "[^x]*[^y]*x", "(a+|b)?a*x"])
def test_the_slowest_that_are_taken_end_soon(source: str) -> None:
    assert not Pattern(source).found_in("a" * 100_000)


def test_what_has_an_open_end_is_searched_for_at_the_beginning() -> None:
    assert Pattern("a+b").found_in("x" * (LONGEST_TEXT - 2) + "ab")
    assert not Pattern("a+b").found_in("x" * LONGEST_TEXT + "ab")
