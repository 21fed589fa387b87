"""What an examination makes of dates and limits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from flexsms.core.checks import (
    Arrivals,
    Failed,
    Finding,
    Verdict,
    judge_last_event,
    judge_limits,
    judge_rejected,
    judge_skew,
    judge_unread,
    once_each,
    total,
)
from flexsms.core.exceptions import MissingSetting, ServiceUnavailable

OK, NOTE, WRONG = Verdict.OK, Verdict.NOTE, Verdict.WRONG
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
        ("documented", "ok", "are as Twilio documents them"),
        ("off", "wrong", "set it to documented"),
        (
            {"proxy.twilio.com": 10},
            "ok",
            "are as Twilio documents them, and 10/s for all of proxy.twilio.com together",
        ),
        (
            {"POST flex-api.twilio.com/v1/Channels": 5, "sync.twilio.com": 100},
            "ok",
            "are as Twilio documents them, but 5/s for POST flex-api.twilio.com/v1/Channels, "
            "and 100/s for all of sync.twilio.com together",
        ),
        ({"POST flex-api.twilio.com/v1/Channels": 20}, "wrong", "allows 20/s for POST flex-api"),
        ({"flex-api.twilio.com/v1/Channels": 5}, "wrong", "is no endpoint"),
        ({"proxy": 5}, "wrong", "'proxy', which is no endpoint"),
        ({"+14155550171": 5}, "wrong", "has '…0171', which is no endpoint"),
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


def test_a_check_that_fails_says_the_call_apart() -> None:
    call = "GET sync.twilio.com/v1/Services/IS0"
    error = ServiceUnavailable(f"{call}: no answer within 15 s; it may be repeated.", where=call)
    assert Failed.of("Sync", error) == Failed(
        "Sync", WRONG, "no answer within 15 s; it may be repeated.", call
    )
    missing = MissingSetting("workspace_sid", "is empty", "give one")
    assert Failed.of("Last event", missing) == Failed("Last event", WRONG, str(missing))


def test_what_stops_several_checks_is_said_once_by_the_first() -> None:
    fine = Finding("Sync", OK, "answers")
    found = [Failed("Flex", WRONG, "No.", "GET a"), fine, Failed("Numbers", WRONG, "No.", "GET b")]
    other = Failed("Inbox", WRONG, "Never.")
    assert once_each([*found, other]) == [
        Failed("Flex", WRONG, "No. The same stops: Numbers.", "GET a"),
        fine,
        other,
    ]


def test_findings_that_read_the_same_stay() -> None:
    """Two numbers may lack the same."""
    found = [Finding(f"Number …010{one}", WRONG, "is not set up") for one in range(2)]
    assert once_each(found) == found


def test_findings_are_counted() -> None:
    found = [Finding("a", WRONG, ""), Finding("b", OK, ""), Finding("c", NOTE, ""), Finding("d", OK, "")]
    assert total(found) == "1 wrong, 1 to note, 2 ok"
    assert total([]) == "0 wrong, 0 to note, 0 ok"
