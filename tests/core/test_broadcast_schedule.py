"""When a broadcast begins and ends, foretold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from flexsms.core.broadcast_schedule import foretell, local_time
from flexsms.core.sending_hours import SendingHours

HOURS = SendingHours.parse("08:00-21:00")
SINCE = datetime(2026, 1, 5, 12, tzinfo=UTC)
BERLIN, LOS_ANGELES = ("Europe/Berlin",), ("America/Los_Angeles",)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_texts_leave_at_once_where_it_is_day() -> None:
    found = foretell({BERLIN: 3600}, HOURS, since=SINCE, per_second=1)
    assert (found.first_at, found.last_at, found.late) == (SINCE, SINCE + timedelta(hours=1), 0)


def test_what_does_not_get_through_goes_on_the_next_day() -> None:
    # Berlin closes at 19:55 UTC, so there are 28 500 seconds; 500 texts are left for the next morning.
    found = foretell({BERLIN: 29_000}, HOURS, since=SINCE, per_second=1)
    assert found.last_at == utc("2026-01-06 07:08:20")


def test_groups_share_the_pace() -> None:
    # While Berlin is texted, Los Angeles opens, at 16:00 UTC.
    found = foretell({LOS_ANGELES: 3600, BERLIN: 5 * 3600}, HOURS, since=SINCE, per_second=1)
    assert (found.first_at, found.last_at) == (SINCE, SINCE + timedelta(hours=6))
    alone = foretell({LOS_ANGELES: 3600}, HOURS, since=SINCE, per_second=1)
    assert (alone.first_at, alone.last_at) == (utc("2026-01-05 16:00"), utc("2026-01-05 17:00"))


def test_what_would_leave_too_late_is_counted() -> None:
    until = SINCE + timedelta(minutes=10)
    found = foretell({BERLIN: 1000, LOS_ANGELES: 10}, HOURS, since=SINCE, until=until, per_second=1)
    assert (found.last_at, found.late) == (until, 410)


def test_nobody_is_texted_at_no_time() -> None:
    found = foretell({}, HOURS, since=SINCE, per_second=1)
    assert (found.first_at, found.last_at) == (None, None)


def test_an_end_that_is_too_far_away_is_not_told() -> None:
    found = foretell({BERLIN: 10**9}, HOURS, since=SINCE, per_second=0.1)
    assert (found.first_at, found.last_at) == (SINCE, None)


@given(
    st.dictionaries(st.sampled_from([BERLIN, LOS_ANGELES, ("Asia/Tokyo",)]), st.integers(1, 200_000)),
    st.sampled_from([0.5, 1.0, 7.0]),
)
def test_it_never_takes_less_than_the_pace_says(groups: dict[tuple[str, ...], int], pace: float) -> None:
    found = foretell(groups, HOURS, since=SINCE, per_second=pace)
    if groups and found.last_at:
        assert found.last_at - found.first_at >= timedelta(seconds=sum(groups.values()) / pace - 1)
        assert found.first_at >= SINCE


def test_an_instant_is_told_by_the_clock_of_its_recipient() -> None:
    at = utc("2026-01-05 16:00")
    assert local_time(at, LOS_ANGELES, is_everybodys=True) == "08:00 in America/Los_Angeles"
    assert local_time(at, LOS_ANGELES, is_everybodys=False) == "08:00 local time"
    # Nobody knows where in the two zones the recipient is.
    two = (*LOS_ANGELES, "America/Boise")
    assert local_time(at, two, is_everybodys=True) == "08:00 to 09:00 local time"
    assert local_time(utc("2026-01-05 07:30"), two, is_everybodys=True) == "23:30 to 00:30 local time"
    assert local_time(None, (), is_everybodys=True) == ""


def test_who_is_first_and_last_is_told() -> None:
    found = foretell({LOS_ANGELES: 3600, BERLIN: 3600}, HOURS, since=SINCE, per_second=1)
    assert (found.first_zones, found.last_zones) == (BERLIN, LOS_ANGELES)
    endless = foretell({BERLIN: 10**9}, HOURS, since=SINCE, per_second=0.1)
    assert (endless.first_zones, endless.last_zones) == (BERLIN, ())
