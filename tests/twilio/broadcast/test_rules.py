"""When texts may leave: hours, the first and the last moment, and what is under way when they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from flexsms.core.exceptions import OutsideHours
from flexsms.core.sending_hours import MARGIN, SendingHours
from flexsms.twilio.broadcast.rules import OVERTIME, BroadcastRules, HoursWatch, TextLanes

HOURS = SendingHours.parse("08:00-21:00")
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
UTC_ONLY = ("UTC",)


def at(hour: int, day: int = 30) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def test_a_window_ends_with_the_hours_or_with_the_last_moment() -> None:
    window = BroadcastRules(HOURS).window(UTC_ONLY, NOON)
    assert window is not None
    assert (window.opens, window.closes, window.ends) == (NOON, at(21) - MARGIN, at(21) - MARGIN + OVERTIME)
    assert window.ends < at(21)
    last = at(15)
    window = BroadcastRules(HOURS, not_after=last).window(UTC_ONLY, NOON)
    assert window is not None
    assert window.closes == window.ends == last


def test_a_window_begins_with_the_hours_or_with_the_first_moment() -> None:
    window = BroadcastRules(HOURS).window(UTC_ONLY, at(6))
    assert window is not None
    assert window.opens == at(8)
    for first, opens in ((at(10), at(10)), (at(22, 29), at(8)), (at(6), at(8))):
        window = BroadcastRules(HOURS, not_before=first).window(UTC_ONLY, at(20, 29))
        assert window is not None
        assert window.opens == opens


@pytest.mark.parametrize(("last", "now"), [(NOON, NOON), (at(7), at(6)), (at(8), at(6)), (at(7), NOON)])
def test_behind_the_last_moment_there_is_none(last: datetime, now: datetime) -> None:
    assert BroadcastRules(HOURS, not_after=last).window(UTC_ONLY, now) is None


def test_zones_without_an_hour_in_common_have_none() -> None:
    night = SendingHours.parse("08:00-12:00")
    assert BroadcastRules(night).window(("Europe/Berlin", "Pacific/Auckland"), NOON) is None


def test_who_watches_the_hours_says_when_they_begin_and_lets_go_what_is_under_way() -> None:
    now = [at(21) - MARGIN - timedelta(seconds=1)]
    watch = HoursWatch(BroadcastRules(HOURS), UTC_ONLY, lambda: now[0])
    with pytest.raises(OutsideHours):
        watch.refuse_late()  # nothing has begun
    assert watch.is_open()
    now[0] = at(21) - MARGIN
    assert not watch.is_open()
    assert (watch.opens, watch.is_over) == (at(8) + timedelta(days=1), False)
    watch.refuse_late()
    now[0] = at(21) - MARGIN + OVERTIME
    with pytest.raises(OutsideHours):
        watch.refuse_late()
    now[0] = at(8) + timedelta(days=1)
    assert watch.is_open()
    assert watch.opens is None
    watch.refuse_late()


def test_who_watches_the_hours_says_that_they_are_over() -> None:
    now = [NOON]
    watch = HoursWatch(BroadcastRules(HOURS, not_after=at(13)), UTC_ONLY, lambda: now[0])
    assert watch.is_open()
    now[0] = at(13)
    assert not watch.is_open()
    assert watch.is_over
    with pytest.raises(OutsideHours):
        watch.refuse_late()


def test_a_text_takes_a_slot_of_the_account_and_of_its_number() -> None:
    lanes = TextLanes(
        BroadcastRules(HOURS, max_per_second=2), {"chat": 10.0}, lambda number: f"d{number[-1]}"
    )
    assert lanes.of("+14155550101") == {"chat": 10.0, "d1": 2}
    assert lanes.of("+14155550102") == {"chat": 10.0, "d2": 2}
    assert lanes.are_limited
    unlimited = TextLanes(BroadcastRules(HOURS), {}, str)
    assert unlimited.of("+14155550101") == {}
    assert not unlimited.are_limited
