"""What an examination makes of dates and limits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from flexsms.core.checks import (
    Arrivals,
    Verdict,
    judge_last_event,
    judge_limits,
    judge_rejected,
    judge_skew,
    judge_unread,
)

NOW = datetime(2026, 11, 20, 12, 0, 10, tzinfo=UTC)
DOCUMENTED = {"POST flex-api.twilio.com/v1/Channels": 10.0}


@pytest.mark.parametrize(
    ("ahead", "verdict", "text"),
    [
        (timedelta(), "ok", "within 1 s"),
        (timedelta(seconds=-60), "ok", "within 60 s"),
        (timedelta(seconds=-61), "wrong", "61 s behind Twilio"),
        (timedelta(seconds=600), "wrong", "600 s ahead of Twilio"),
        (None, "note", "no date"),
    ],
)
def test_clock(ahead: timedelta | None, verdict: str, text: str) -> None:
    found = judge_skew(ahead)
    assert found.verdict == verdict
    assert text in found.text


@pytest.mark.parametrize(
    ("limits", "verdict", "text"),
    [
        ("documented", "ok", "as Twilio documents them"),
        ("off", "wrong", "set it to documented"),
        (
            {"proxy.twilio.com": 10},
            "ok",
            "as Twilio documents them, and 10/s for all of proxy.twilio.com together",
        ),
        (
            {"POST flex-api.twilio.com/v1/Channels": 5, "sync.twilio.com": 100},
            "ok",
            "as Twilio documents them, but 5/s for POST flex-api.twilio.com/v1/Channels, "
            "and 100/s for all of sync.twilio.com together",
        ),
        ({"POST flex-api.twilio.com/v1/Channels": 20}, "wrong", "allows 20/s for POST flex-api"),
        ({"flex-api.twilio.com/v1/Channels": 5}, "wrong", "is no endpoint"),
        ({"proxy": 5}, "wrong", "'proxy', which is no endpoint"),
    ],
)
def test_limits(limits: str | Mapping[str, float], verdict: str, text: str) -> None:
    found = judge_limits(limits, DOCUMENTED.get, for_twilio=True)
    assert found.verdict == verdict
    assert text in found.text


def test_limits_may_be_off_for_a_sandbox() -> None:
    assert judge_limits("off", DOCUMENTED.get, for_twilio=False).verdict is Verdict.OK


def ago(minutes: int | None) -> datetime | None:
    return None if minutes is None else NOW - timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("minutes", "post", "rejected", "verdict", "text"),
    [
        (None, None, None, "note", "no task of a channel within a day"),
        (1, None, None, "ok", "60 s old"),  # may still be under way
        (30, None, None, "wrong", "nothing is in the inbox; look for 91302"),
        (30, 40, None, "wrong", "the inbox's newest 40 min; look for 91302"),
        (30, 34, None, "ok", "30 min old, the inbox's newest 34 min"),
        (30, 2, None, "ok", "the inbox's newest 2 min"),
        (30, None, 28, "wrong", "30 min old, and what has come since was rejected"),
        (30, 40, 28, "wrong", "30 min old, and what has come since was rejected"),
        (30, 40, 50, "wrong", "the inbox's newest 40 min; look for 91302"),
        (30, 29, 28, "ok", "the inbox's newest 29 min"),
    ],
)
def test_last_event(
    minutes: int | None, post: int | None, rejected: int | None, verdict: str, text: str
) -> None:
    found = judge_last_event(ago(minutes), Arrivals(ago(post), 1, ago(rejected)), NOW)
    assert found.verdict == verdict
    assert text in found.text


@pytest.mark.parametrize(("minutes", "text"), [(90, "newest is 90 min old"), (180, "newest is 3 h old")])
def test_events_that_are_not_to_come_to_an_inbox_need_not(minutes: int, text: str) -> None:
    found = judge_last_event(ago(minutes), None, NOW)
    assert found.verdict is Verdict.OK
    assert text in found.text


@pytest.mark.parametrize(
    ("post", "rejected", "verdict", "text"),
    [
        (None, None, "ok", "none"),
        (5, None, "ok", "none"),
        (5, 180, "note", "3 in rejected/, the newest 3 h old; the .txt beside each"),
        (
            5,
            4,
            "wrong",
            "3 in rejected/, the newest 4 min old, and no good post has come since; its .txt says",
        ),
        (None, 180, "wrong", "no good post has come since"),
    ],
)
def test_rejected_posts(post: int | None, rejected: int | None, verdict: str, text: str) -> None:
    found = judge_rejected(Arrivals(ago(post), 3, ago(rejected)), NOW)
    assert found.verdict == verdict
    assert text in found.text


@pytest.mark.parametrize(
    ("minutes", "verdict", "text"),
    [
        (None, "ok", "none"),
        (19, "ok", "3 in new/"),
        (21, "wrong", "the oldest 21 min old; unpause flexsms_track"),
    ],
)
def test_posts_that_nobody_reads(minutes: int | None, verdict: str, text: str) -> None:
    first = None if minutes is None else NOW - timedelta(minutes=minutes)
    found = judge_unread(Arrivals(unread=3, first_unread=first), NOW)
    assert found.verdict == verdict
    assert text in found.text


def test_what_was_rejected_long_ago_says_nothing_of_now() -> None:
    """Good posts of then are no longer kept."""
    ago = NOW - timedelta(hours=216)
    assert judge_rejected(Arrivals(rejected=1, last_rejected=ago), NOW).verdict == "note"
    assert judge_rejected(Arrivals(ago - timedelta(hours=1), 1, ago), NOW).verdict == "wrong"
