"""When the texts of a broadcast leave, as far as one can tell before it begins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flexsms.core.sending_hours import SendingHours

# A broadcast that takes longer is not foretold.
LONGEST = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a broadcast begins and ends at a pace.

    :param first_at: UTC; None where nobody is texted
    :param last_at: UTC; None where nobody is texted, or the end is too far away to be told
    :param late: how many texts do not leave before it is too late
    :param first_zones: in which the recipient of the first text can be
    :param last_zones: in which the recipient of the last one can be
    """

    first_at: datetime | None
    last_at: datetime | None
    late: int = 0
    first_zones: tuple[str, ...] = ()
    last_zones: tuple[str, ...] = ()


def foretell(
    groups: Mapping[tuple[str, ...], int],
    hours: SendingHours,
    *,
    since: datetime,
    until: datetime | None = None,
    per_second: float,
) -> Schedule:
    """Go through the openings of all groups: whichever closes first is texted first.

    :param groups: texts by set of zones
    :param since: nothing leaves before
    :param until: nothing leaves from then on
    :param per_second: texts that leave in a second, all senders together
    """
    end = min(until or since + LONGEST, since + LONGEST)
    left = {zones: float(count) for zones, count in groups.items() if count}
    first: datetime | None = None
    last: datetime | None = None
    first_zones: tuple[str, ...] = ()
    last_zones: tuple[str, ...] = ()
    at = since
    while left and at < end:
        openings = {zones: opening for zones in left if (opening := hours.opening(zones, at))}
        is_open = [zones for zones, opening in openings.items() if opening.opens <= at]
        if not is_open:
            at = min((opening.opens for opening in openings.values()), default=end)
            continue
        zones = min(is_open, key=lambda one: openings[one].closes)
        stop = min(openings[zones].closes, end)
        needed = timedelta(seconds=left[zones] / per_second)
        first, first_zones, last_zones = first or at, first_zones or zones, zones
        if at + needed <= stop:
            del left[zones]
            at += needed
            last = at
        else:
            left[zones] -= (stop - at).total_seconds() * per_second
            at = last = stop
    late = round(sum(left.values()))
    ends = not left or until
    return Schedule(
        first,
        last if ends else None,
        late if until else 0,
        first_zones=first_zones,
        last_zones=last_zones if ends else (),
    )


def local_time(at: datetime | None, zones: Iterable[str], *, is_everybodys: bool) -> str:
    """An instant by the clocks of a recipient: ``08:00 in Europe/Berlin``, ``08:00 local time``; empty for none.

    :param zones: IANA names, those in which the recipient can be
    :param is_everybodys: whether all recipients of the broadcast have these zones, so that one is worth its name
    """
    names = list(zones)
    if at is None or not names:
        return ""
    # By the calendar, because one clock may show 23:30 while another one shows 00:30.
    local = sorted(at.astimezone(ZoneInfo(name)).replace(tzinfo=None) for name in names)
    times = f"{local[0]:%H:%M}" + (f" to {local[-1]:%H:%M}" if local[0] != local[-1] else "")
    return f"{times} in {names[0]}" if is_everybodys and len(names) == 1 else f"{times} local time"
