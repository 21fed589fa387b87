"""Sets of zones that are texted together: never too many, and nobody out of their hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexsms.core.sending_hours import SendingHours
from flexsms.core.zone_groups import ZoneGroup, Zones, in_order

HOURS = SendingHours.parse("08:00-21:00")
BERLIN: Zones = ("Europe/Berlin",)
LOS_ANGELES: Zones = ("America/Los_Angeles",)
TOKYO: Zones = ("Asia/Tokyo",)
EVERYWHERE = sorted(zone for zone in available_timezones() if "/" in zone)
PLACES = EVERYWHERE[::7]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        # Whoever closes first goes first among those that are open, and the others as they open.
        ("2026-01-05 17:00", [BERLIN, LOS_ANGELES, TOKYO]),
        ("2026-01-05 22:00", [LOS_ANGELES, TOKYO, BERLIN]),
    ],
)
def test_groups_are_in_the_order_of_their_hours(at: str, expected: list[Zones]) -> None:
    found = in_order(dict.fromkeys([TOKYO, LOS_ANGELES, BERLIN], 1), HOURS, since=utc(at), most=3)
    assert found == [ZoneGroup(zones, (zones,)) for zones in expected]


def test_those_with_the_same_hours_are_put_together_first_and_then_the_nearest_and_fewest() -> None:
    counts: dict[Zones, int] = {
        BERLIN: 5000,
        ("Europe/Paris",): 5000,
        ("Europe/London",): 3,
        ("Europe/Lisbon",): 3,
        TOKYO: 9,
    }
    since = utc("2026-01-05 12:00")
    three = in_order(counts, HOURS, since=since, most=3)
    assert {group.zones for group in three} == {
        ("Europe/Berlin", "Europe/Paris"),
        ("Europe/Lisbon", "Europe/London"),
        TOKYO,
    }
    two = in_order(counts, HOURS, since=since, most=2)
    assert {frozenset(group.members) for group in two} in (
        {frozenset({TOKYO}), frozenset(set(counts) - {TOKYO})},
        {frozenset({TOKYO, ("Europe/London",), ("Europe/Lisbon",)}), frozenset({BERLIN, ("Europe/Paris",)})},
    )


def test_what_has_no_common_hour_stays_apart() -> None:
    hours = SendingHours.parse("10:00-12:00")
    counts: dict[Zones, int] = {BERLIN: 1, LOS_ANGELES: 1, TOKYO: 1, ("Europe/Paris",): 1}
    found = in_order(counts, hours, since=utc("2026-01-05 12:00"), most=1)
    assert sorted(group.zones for group in found) == [LOS_ANGELES, TOKYO, ("Europe/Berlin", "Europe/Paris")]
    # Nor has what has one only once nothing leaves any more.
    both: dict[Zones, int] = {BERLIN: 1, ("America/New_York",): 1}
    assert len(in_order(both, HOURS, since=utc("2026-01-05 12:00"), most=1)) == 1
    assert (
        len(in_order(both, HOURS, since=utc("2026-01-05 12:00"), until=utc("2026-01-05 12:30"), most=1)) == 2
    )


@given(
    st.dictionaries(
        st.lists(st.sampled_from(PLACES), min_size=1, max_size=3, unique=True).map(
            lambda one: tuple(sorted(one))
        ),
        st.integers(1, 5000),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 10),
    st.sampled_from(["08:00-21:00", "10:00-12:00", "20:00-02:00", "00:00-24:00"]),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.integers(0, 14),
)
def test_every_set_is_in_one_group_and_nobody_is_texted_out_of_their_hours(
    counts: dict[Zones, int], most: int, hours: str, since: datetime, later_days: int
) -> None:
    """Also behind the days that were looked at, where clocks may be put forward or back."""
    sending = SendingHours.parse(hours)
    # The check leaves out who has none.
    counts = {zones: count for zones, count in counts.items() if sending.opening(zones, since)}
    groups = in_order(counts, sending, since=since, most=most)
    assert sorted(member for group in groups for member in group.members) == sorted(counts)
    at = since + timedelta(days=later_days)
    for group in groups:
        assert {zone for member in group.members for zone in member} == set(group.zones)
        assert sending.opening(group.zones, since), "nobody of the group is ever texted"
        found = sending.opening(group.zones, at)
        for member in group.members if found else ():
            for leaves in (max(found.opens, at), found.closes - timedelta(seconds=1)):
                own = sending.opening(member, leaves)
                assert own is not None
                assert own.opens <= leaves
    if len(groups) > most:  # neighbours have no hour in common
        assert hours != "00:00-24:00"


def test_a_list_from_everywhere_is_in_as_many_groups_as_a_broadcast_can_have() -> None:
    """Each zone, and each with another one."""
    there = EVERYWHERE[::4]
    sets = {
        *((zone,) for zone in there),
        *(tuple(sorted(pair)) for pair in zip(there, there[40:], strict=False)),
    }
    since = utc("2026-01-05 12:00")
    counts = {zones: 3 for zones in sets if HOURS.opening(zones, since)}
    assert len(counts) > 150
    assert len(in_order(counts, HOURS, since=since, most=50)) == 50
