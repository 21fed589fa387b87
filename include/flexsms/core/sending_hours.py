"""When a text may leave: only while it is within hours in every time zone that its recipient can be in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import NamedTuple, Self
from zoneinfo import ZoneInfo, available_timezones

from flexsms.core.exceptions import InvalidInput
from flexsms.core.phone_numbers import ReadNumber, read_number
from flexsms.core.validation import parse_text

DEFAULT_HOURS = "08:00-21:00"
DEFAULT_DAYS = "mon-sun"
# A text that leaves at the last moment still waits in the carrier's queue. How long one may wait cannot be said of a
# text in a conversation, so it leaves a little earlier.
MARGIN = timedelta(minutes=5)
# Two weeks, for a night may leave out the hours of the only day of a week, and what a day may begin later elsewhere.
HORIZON = timedelta(days=15)
DAY_MINUTES = 24 * 60

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"\s*(\d{1,2}):(\d{2})\s*[-–]\s*(\d{1,2}):(\d{2})\s*")


class Opening(NamedTuple):
    """A span in which texts may leave.

    :param opens: UTC, the first instant
    :param closes: UTC, the first instant that is too late; :data:`MARGIN` before the hours end
    """

    opens: datetime
    closes: datetime


@dataclass(frozen=True, slots=True)
class SendingHours:
    """Local hours, and the days of the week on which they begin. Make it with :meth:`parse`.

    :param start: minutes after midnight
    :param end: minutes after that midnight; more than a day's where the hours end on the next day
    :param days: 0 is Monday
    """

    start: int
    end: int
    days: frozenset[int]

    @classmethod
    def parse(cls, hours: str = DEFAULT_HOURS, *, days: str = DEFAULT_DAYS) -> Self:
        """Read what a person wrote.

        :param hours: like ``08:00-21:00``; ``22:00-06:00`` ends on the next day, ``00:00-24:00`` never
        :param days: like ``mon-sun`` or ``mon-fri,sun``
        :raises InvalidInput: when it makes no sense
        """
        start, end = _parse_hours(parse_text("hours", hours))
        return cls(start, end, _parse_days(parse_text("days", days)))

    def opening(self, zones: Iterable[str], at: datetime) -> Opening | None:
        """The span that contains an instant, or the next one.

        Where clocks are put forward or back, the hours begin at the later and end at the earlier of two readings.

        :param zones: IANA names, at least one
        :param at: with a time zone
        :return: None when there is none that begins within :data:`HORIZON`: the zones have no hour in common
        """
        spans = _common_spans(self, frozenset(zones), at.astimezone(UTC).date())
        for span in spans:
            if at < span.closes:
                return span if span.opens < at + HORIZON else None
        return None


def zones_of(number: str) -> tuple[str, ...]:
    """The time zones in which a number can be, sorted; none where nobody knows.

    A mobile number or a toll-free one may be anywhere in its country, or in several.

    :param number: E.164
    """
    return zones_of_read(read_number("number", number))


def zones_of_read(read: ReadNumber) -> tuple[str, ...]:
    """:func:`zones_of`, of a number whose kind is known already."""
    from phonenumbers import phonenumberutil, timezone  # large, and every DAG imports core

    country_code = read.number.country_code or 0
    if phonenumberutil.is_number_type_geographical(read.kind, country_code):
        return _sorted(tuple(timezone.time_zones_for_geographical_number(read.number)))
    known = _ZONES_OF_KIND.get((country_code, read.kind))
    if known is None:
        known = _sorted(tuple(timezone.time_zones_for_number(read.number)))
        _ZONES_OF_KIND[country_code, read.kind] = known
    return known


# A number that belongs to no place is wherever its country is.
_ZONES_OF_KIND: dict[tuple[int | None, int], tuple[str, ...]] = {}


@cache
def _sorted(zones: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({*zones} - {"Etc/Unknown"}))


@lru_cache(maxsize=1024)
def parse_zone(name: str, value: str) -> str:
    """The name of a time zone. What was given is not quoted: of a list with a shifted column it may be anything.

    :param name: of the field, for the error
    :raises InvalidInput: when it is none
    """
    zone = value.strip()
    if zone in _known_zones():
        return zone
    plain = zone.lower().replace(" ", "_")
    # What is near a short name or an offset is another hour: PST is near MST, GMT+1 near GMT+0.
    is_place = "/" in plain and not any(sign.isdigit() or sign == "+" for sign in plain)
    like = get_close_matches(plain, [*_lower_zones()], n=1, cutoff=0.8) if is_place else []
    remedy = f"write {_lower_zones()[like[0]]!r}" if like else "write an IANA name like 'America/Los_Angeles'"
    raise InvalidInput(name, "is not a time zone", f"{remedy}, or leave it empty")


@cache
def _known_zones() -> frozenset[str]:
    # What these two mean is the machine's own business.
    return frozenset(available_timezones() - {"localtime", "Factory"})


@cache
def _lower_zones() -> dict[str, str]:
    return {zone.lower(): zone for zone in sorted(_known_zones())}


@lru_cache(maxsize=4096)
def _common_spans(hours: SendingHours, zones: frozenset[str], day: date) -> tuple[Opening, ...]:
    """The spans that matter to an instant of a day of UTC, in order."""
    if not zones:
        return ()
    first, *others = (_local_spans(hours, zone, day) for zone in zones)
    common = first
    for spans in others:
        common = _intersection(common, spans)
    kept = (Opening(opens, closes - MARGIN) for opens, closes in common)
    return tuple(span for span in kept if span.opens < span.closes)


@lru_cache(maxsize=4096)
def _local_spans(hours: SendingHours, zone: str, day: date) -> tuple[Opening, ...]:
    """The hours of one zone, from two days before a day to behind :data:`HORIZON`."""
    found: list[Opening] = []
    info = ZoneInfo(zone)
    for local_day in (day + timedelta(days=number) for number in range(-2, HORIZON.days + 3)):
        if local_day.weekday() not in hours.days:
            continue
        opens = max(_readings(local_day, hours.start, info))
        closes = min(_readings(local_day, hours.end, info))
        if found and found[-1].closes >= opens:
            found[-1] = Opening(found[-1].opens, max(closes, found[-1].closes))
        elif opens < closes:
            found.append(Opening(opens, closes))
    return tuple(found)


def _readings(day: date, minutes: int, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The two instants at which a clock may show a time: they differ where it is put forward or back."""
    days, rest = divmod(minutes, DAY_MINUTES)
    local = datetime.combine(day + timedelta(days=days), time(rest // 60, rest % 60), zone)
    return local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)


def _intersection(left: tuple[Opening, ...], right: tuple[Opening, ...]) -> tuple[Opening, ...]:
    found = []
    here = there = 0
    while here < len(left) and there < len(right):
        one, other = left[here], right[there]
        opens, closes = max(one.opens, other.opens), min(one.closes, other.closes)
        if opens < closes:
            found.append(Opening(opens, closes))
        if one.closes <= other.closes:
            here += 1
        else:
            there += 1
    return tuple(found)


def _parse_hours(value: str) -> tuple[int, int]:
    example = f"write local times like {DEFAULT_HOURS}"
    found = _HOURS.fullmatch(value)
    if not found:
        raise InvalidInput("hours", f"{value!r} is not from one time to another", example)
    hour, minute, end_hour, end_minute = map(int, found.groups())
    start, end = hour * 60 + minute, end_hour * 60 + end_minute
    if max(minute, end_minute) > 59 or start >= DAY_MINUTES or end > DAY_MINUTES:
        raise InvalidInput("hours", f"{value!r} has a time that no clock shows", example)
    if start == end:
        raise InvalidInput("hours", f"{value!r} ends when it begins", "write 00:00-24:00 for the whole day")
    end = end if end > start else end + DAY_MINUTES
    if end - start <= MARGIN.total_seconds() / 60:
        problem = f"{value!r} is over before a text has got through its carrier's queue"
        raise InvalidInput("hours", problem, "leave at least a quarter of an hour")
    return start, end


def _parse_days(value: str) -> frozenset[int]:
    found: set[int] = set()
    remedy = "write days like mon-fri, or mon,wed,sat"
    if not value:
        raise InvalidInput("days", "is empty", remedy)
    for part in value.lower().split(","):
        if not part.strip():
            raise InvalidInput("days", f"{value!r} has a comma without a day", remedy)
        first, _, last = (name.strip() for name in part.replace("–", "-").partition("-"))
        if first not in _DAYS or (last or first) not in _DAYS:
            raise InvalidInput("days", f"{part.strip()!r} is not a day of the week", remedy)
        begin = _DAYS.index(first)
        length = (_DAYS.index(last or first) - begin) % 7
        found |= {(begin + number) % 7 for number in range(length + 1)}
    return frozenset(found)
