"""What an examination makes of dates and limits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from flexsms.core.doctor import Verdict, judge_last_event, judge_limits, judge_skew

NOW = datetime(2026, 11, 20, 12, 0, 10, tzinfo=UTC)
DOCUMENTED = {"POST flex-api.twilio.com/v1/Channels": 10.0, "proxy.twilio.com": 30.0}


@pytest.mark.parametrize(
    ("date", "verdict", "text"),
    [
        ("Fri, 20 Nov 2026 12:00:10 GMT", "ok", "within 1 s"),
        ("Fri, 20 Nov 2026 12:01:10 GMT", "ok", "within 60 s"),
        ("Fri, 20 Nov 2026 12:01:11 GMT", "wrong", "61 s behind Twilio"),
        ("Fri, 20 Nov 2026 11:50:10 GMT", "wrong", "600 s ahead of Twilio"),
        ("Fri, 20 Nov 2026 12:00:10 -0000", "ok", "within 1 s"),
        ("", "note", "no date"),
    ],
)
def test_clock(date: str, verdict: str, text: str) -> None:
    found = judge_skew(date, NOW)
    assert found.verdict == verdict
    assert text in found.text


@pytest.mark.parametrize(
    ("limits", "verdict", "text"),
    [
        ("documented", "ok", "as Twilio documents them"),
        ("off", "wrong", "set it to documented"),
        ({"proxy.twilio.com": 10}, "ok", "but for proxy.twilio.com"),
        ({"POST flex-api.twilio.com/v1/Channels": 10}, "ok", ""),
        ({"POST flex-api.twilio.com/v1/Channels": 20}, "wrong", "allows 20/s for POST flex-api"),
        ({"flex-api.twilio.com/v1/Channels": 5}, "wrong", "is no endpoint"),
        ({"proxy": 5}, "wrong", "'proxy', which is no endpoint"),
    ],
)
def test_limits(limits: str | Mapping[str, float], verdict: str, text: str) -> None:
    found = judge_limits(limits, DOCUMENTED, for_twilio=True)
    assert found.verdict == verdict
    assert text in found.text


def test_limits_may_be_off_for_a_sandbox() -> None:
    assert judge_limits("off", DOCUMENTED, for_twilio=False).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("minutes", "post", "inbox", "verdict", "text"),
    [
        (None, None, True, "note", "no task of a channel within a day"),
        (90, None, False, "ok", "newest is 90 min old"),
        (180, None, False, "ok", "newest is 3 h old"),
        (1, None, True, "ok", "60 s old"),  # may still be under way
        (30, None, True, "wrong", "nothing came to the inbox within a day"),
        (30, 40, True, "wrong", "the inbox's newest 40 min"),
        (30, 34, True, "ok", "30 min old, the inbox's newest 34 min"),
        (30, 2, True, "ok", "the inbox's newest 2 min"),
    ],
)
def test_last_event(minutes: int | None, post: int | None, inbox: bool, verdict: str, text: str) -> None:
    def ago(given: int | None) -> datetime | None:
        return None if given is None else NOW - timedelta(minutes=given)

    found = judge_last_event(ago(minutes), ago(post), NOW, inbox=inbox)
    assert found.verdict == verdict
    assert text in found.text
