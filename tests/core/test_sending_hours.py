from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from flexsms.core.exceptions import InvalidInput
from flexsms.core.sending_hours import HORIZON, MARGIN, SendingHours, parse_zone, zones_of

DAYTIME = SendingHours.parse()
ZONES = [
    "America/Boise",
    "America/Los_Angeles",
    "America/New_York",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Africa/Cairo",
    "America/Havana",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "UTC",
]
INSTANTS = st.integers(14_600 * 1440, 23_700 * 1440).map(  # 2009 to 2034
    lambda minute: datetime.fromtimestamp(minute * 60, UTC)
)
MINUTES = st.integers(0, 24 * 60 - 1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def span(opening: tuple[datetime, datetime] | None) -> tuple[str, str] | None:
    """The opening as the clocks of UTC show it, with its margin put back."""
    if opening is None:
        return None
    opens, closes = opening
    return f"{opens:%d %H:%M}", f"{closes + MARGIN:%d %H:%M}"


@pytest.mark.parametrize(
    ("hours", "zones", "at", "expected"),
    [
        # Berlin is an hour ahead in winter and two in summer; its clocks are put forward on 2026-03-29.
        ("08:00-21:00", ["Europe/Berlin"], "2026-01-05 12:00", ("05 07:00", "05 20:00")),
        ("08:00-21:00", ["Europe/Berlin"], "2026-07-06 12:00", ("06 06:00", "06 19:00")),
        ("08:00-21:00", ["Europe/Berlin"], "2026-03-28 20:00", ("29 06:00", "29 19:00")),
        ("22:00-06:00", ["Europe/Berlin"], "2026-03-28 23:00", ("28 21:00", "29 04:00")),
        # … and back on 2026-10-25.
        ("08:00-21:00", ["Europe/Berlin"], "2026-10-24 20:00", ("25 07:00", "25 20:00")),
        ("22:00-06:00", ["Europe/Berlin"], "2026-10-24 23:00", ("24 20:00", "25 05:00")),
        # 02:30 is not shown once, and is shown twice once.
        ("02:30-21:00", ["Europe/Berlin"], "2026-03-28 22:00", ("29 01:30", "29 19:00")),
        ("02:30-21:00", ["Europe/Berlin"], "2026-10-24 22:00", ("25 01:30", "25 20:00")),
        ("20:00-02:30", ["Europe/Berlin"], "2026-10-24 22:00", ("24 18:00", "25 00:30")),
        # Half an hour of daylight saving: Lord Howe is 11:00 ahead until 2026-04-05, then 10:30.
        ("08:00-21:00", ["Australia/Lord_Howe"], "2026-04-04 00:00", ("03 21:00", "04 10:00")),
        ("08:00-21:00", ["Australia/Lord_Howe"], "2026-04-05 00:00", ("04 21:30", "05 10:30")),
        ("08:00-21:00", ["Asia/Kathmandu"], "2026-01-05 12:00", ("05 02:15", "05 15:15")),
        # Two sides of the date line, 25 hours apart: no hour is the same, every daytime is.
        ("08:00-21:00", ["Pacific/Kiritimati"], "2026-01-05 20:00", ("05 18:00", "06 07:00")),
        ("08:00-21:00", ["Pacific/Pago_Pago"], "2026-01-05 20:00", ("05 19:00", "06 08:00")),
        (
            "08:00-21:00",
            ["Pacific/Pago_Pago", "Pacific/Kiritimati"],
            "2026-01-05 20:00",
            ("05 19:00", "06 07:00"),
        ),
        (
            "10:00-18:00",
            ["America/New_York", "America/Los_Angeles"],
            "2026-01-05 12:00",
            ("05 18:00", "05 23:00"),
        ),
        ("08:00-21:00", ["Europe/Berlin", "Pacific/Auckland"], "2026-01-05 12:00", ("05 19:00", "05 20:00")),
        ("09:00-17:00", ["Europe/Berlin", "Pacific/Auckland"], "2026-01-05 12:00", None),
        ("22:00-06:00", ["Asia/Tokyo"], "2026-01-05 12:00", ("05 13:00", "05 21:00")),
        ("22:00-06:00", ["Asia/Tokyo"], "2026-01-05 20:00", ("05 13:00", "05 21:00")),
    ],
)
def test_the_hours(hours: str, zones: list[str], at: str, expected: tuple[str, str] | None) -> None:
    assert span(SendingHours.parse(hours).opening(zones, utc(at))) == expected


def test_a_text_leaves_before_the_margin_and_not_after_it() -> None:
    opening = DAYTIME.opening(["UTC"], utc("2026-01-05 20:54"))
    assert opening == (utc("2026-01-05 08:00"), utc("2026-01-05 20:55"))
    assert DAYTIME.opening(["UTC"], utc("2026-01-05 20:55")).opens == utc("2026-01-06 08:00")


def test_the_days_are_those_on_which_the_hours_begin() -> None:
    nights = SendingHours.parse("22:00-06:00", days="fri")
    assert span(nights.opening(["UTC"], utc("2026-01-10 01:00"))) == ("09 22:00", "10 06:00")  # a Saturday
    assert span(nights.opening(["UTC"], utc("2026-01-10 06:00"))) == ("16 22:00", "17 06:00")
    # Friday on one side of the date line is Saturday on the other.
    friday = SendingHours.parse(days="fri")
    assert friday.opening(["Pacific/Pago_Pago", "Pacific/Kiritimati"], utc("2026-01-05 00:00")) is None
    weekend = SendingHours.parse(days="sat-mon")
    assert span(weekend.opening(["UTC"], utc("2026-01-06 00:00"))) == ("10 08:00", "10 21:00")


def test_hours_around_the_clock_never_close_for_a_week() -> None:
    at = utc("2026-01-05 23:58")
    opening = SendingHours.parse("00:00-24:00").opening(["UTC", "Asia/Kathmandu"], at)
    assert opening.opens < at
    assert opening.closes > at + HORIZON


def test_hours_that_a_night_leaves_out_come_a_week_later() -> None:
    """On the one Sunday of two weeks, clocks in Berlin go from 02:00 to 03:00."""
    nights = SendingHours.parse("02:00-03:00", days="sun")
    assert span(nights.opening(["Europe/Berlin"], utc("2026-03-23 00:55"))) == ("05 00:00", "05 01:00")
    assert nights.opening(["Pacific/Pago_Pago", "Pacific/Kiritimati"], utc("2026-03-23 00:55")) is None


def test_no_zone_has_no_hours() -> None:
    assert DAYTIME.opening([], utc("2026-01-05 12:00")) is None


def within(hours: SendingHours, zone: str, at: datetime) -> bool:
    """Whether a clock on the wall shows a time within hours: another way to say it."""
    wall = at.astimezone(ZoneInfo(zone))
    minute = wall.hour * 60 + wall.minute
    today, yesterday = wall.weekday() in hours.days, (wall.weekday() - 1) % 7 in hours.days
    if hours.end <= 24 * 60:
        return today and hours.start <= minute < hours.end
    return (today and minute >= hours.start) or (yesterday and minute < hours.end - 24 * 60)


@given(
    INSTANTS,
    st.lists(st.sampled_from(ZONES), min_size=1, max_size=4, unique=True),
    MINUTES,
    st.integers(15, 24 * 60),
    st.frozensets(st.integers(0, 6), min_size=1),
)
@example(
    utc("2011-12-29 12:00"), ["Pacific/Apia"], 480, 780, frozenset(range(7))
)  # without a 30th of December
@example(utc("2026-03-28 20:00"), ["Europe/Berlin"], 150, 60, frozenset(range(7)))
@example(utc("2026-10-24 20:00"), ["Europe/Berlin"], 150, 60, frozenset(range(7)))
def test_an_opening_is_within_hours_in_every_zone(
    at: datetime, zones: list[str], start: int, length: int, days: frozenset[int]
) -> None:
    hours = SendingHours(start, start + length, days)
    opening = hours.opening(zones, at)
    assume(opening is not None)
    opens, closes = opening
    assert opens < closes
    assert at < closes
    assert opens < at + HORIZON
    last = closes + MARGIN - timedelta(minutes=1)
    moments = [opens, closes, last, *(opens + (last - opens) * part / 7 for part in range(1, 7))]
    for zone in zones:
        assert all(within(hours, zone, moment) for moment in moments if moment <= last)


@given(
    # No clock of these is put forward or back in these weeks.
    st.integers(0, 15 * 96).map(lambda quarter: utc("2026-01-05 00:00") + timedelta(minutes=15 * quarter)),
    st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True),
    st.integers(0, 95),
    st.integers(1, 96),
    st.frozensets(st.integers(0, 6), min_size=1),
)
def test_no_earlier_hour_is_missed(
    at: datetime, zones: list[str], start: int, length: int, days: frozenset[int]
) -> None:
    hours = SendingHours(start * 15, (start + length) * 15, days)
    quarters = [at + timedelta(minutes=15) * number for number in range(8 * 96)]
    first = next((one for one in quarters if all(within(hours, zone, one) for zone in zones)), None)
    opening = hours.opening(zones, at)
    assert (first is None) == (opening is None)
    if opening is not None:
        assert max(opening.opens, at) == first


@given(INSTANTS, st.sampled_from(ZONES))
def test_openings_follow_each_other(at: datetime, zone: str) -> None:
    found = []
    for _ in range(5):
        opening = DAYTIME.opening([zone], at)
        found.append(opening)
        at = opening.closes
    for one, following in pairwise(found):
        assert one.closes + timedelta(hours=9) < following.opens


@pytest.mark.parametrize(
    ("hours", "days", "sentence"),
    [
        (
            "8 to 9",
            "mon",
            "hours: '8 to 9' is not from one time to another; write local times like 08:00-21:00.",
        ),
        ("08:00-25:00", "mon", "hours: '08:00-25:00' has a time that no clock shows; write local times like"),
        ("08:60-10:00", "mon", "has a time that no clock shows"),
        ("24:00-10:00", "mon", "has a time that no clock shows"),
        (None, "mon", "hours: '' is not from one time to another"),
        ("08:00-21:00", None, "days: is empty"),
        ("08:00-21:00", 5, "days: is int, not text; write it in quotes."),
        ("08:00-08:00", "mon", "ends when it begins; write 00:00-24:00 for the whole day."),
        ("08:00-08:05", "mon", "is over before a text has got through its carrier's queue"),
        ("08:00-21:00", "someday", "days: 'someday' is not a day of the week; write days like mon-fri"),
        ("08:00-21:00", "mon-", None),
        ("08:00-21:00", "", "days: is empty; write days like mon-fri, or mon,wed,sat."),
        ("08:00-21:00", "mon,", "days: 'mon,' has a comma without a day; write days like mon-fri"),
    ],
)
def test_what_makes_no_sense_is_named(hours: Any, days: Any, sentence: str | None) -> None:
    if sentence is None:
        assert SendingHours.parse(hours, days=days).days == {0}
        return
    with pytest.raises(InvalidInput) as raised:
        SendingHours.parse(hours, days=days)
    assert sentence in str(raised.value)


def test_days_are_read_as_people_write_them() -> None:
    assert SendingHours.parse(days="Mon-Fri, sun").days == {0, 1, 2, 3, 4, 6}
    assert SendingHours.parse("8:00 – 21:00") == DAYTIME
    assert SendingHours.parse("22:00-06:00") == SendingHours(22 * 60, 30 * 60, frozenset(range(7)))


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+14155550100", ("America/Los_Angeles",)),
        ("+12085550100", ("America/Boise", "America/Los_Angeles")),
        ("+4915112345678", ("Europe/Berlin",)),
        ("+9779812345678", ("Asia/Katmandu",)),
    ],
)
def test_the_zones_of_a_number(number: str, expected: tuple[str, ...]) -> None:
    assert zones_of(number) == expected


def test_a_number_that_can_be_anywhere() -> None:
    toll_free, russian_mobile = zones_of("+18005550100"), zones_of("+79161234567")
    assert len(toll_free) > 40
    assert len(russian_mobile) > 5
    at = utc("2026-01-05 12:00")
    # From the morning of Guam, where it is the next day already, to the evening of Newfoundland.
    assert span(DAYTIME.opening(toll_free, at)) == ("05 22:00", "06 00:30")
    # It is still evening in Kamchatka when it is morning in Moscow, but no longer work.
    assert DAYTIME.opening(russian_mobile, at) is not None
    assert SendingHours.parse("09:00-17:00").opening(russian_mobile, at) is None
    assert zones_of("+88213300000") == ()


def test_a_zone_is_an_iana_name() -> None:
    assert parse_zone("zone", " Europe/Berlin ") == "Europe/Berlin"
    with pytest.raises(InvalidInput, match="zone: is not a time zone; write "):
        parse_zone("zone", "berlin")
    with pytest.raises(InvalidInput, match="write 'America/New_York', or leave it empty"):
        parse_zone("zone", "america/new york")
    # What is near to these is another hour.
    for value in ("PST", "pst", "CEST", "GMT+1", "UTC-5", "Etc/GMT+15", "../../etc/passwd", "localtime"):
        with pytest.raises(InvalidInput, match="is not a time zone; write an IANA name like 'America/Los_An"):
            parse_zone("zone", value)


def test_every_zone_of_a_number_is_known_here() -> None:
    from phonenumbers.tzdata import TIMEZONE_DATA

    for zone in {zone for zones in TIMEZONE_DATA.values() for zone in zones}:
        assert ZoneInfo(zone).utcoffset(datetime.combine(date(2026, 1, 5), time())) is not None
