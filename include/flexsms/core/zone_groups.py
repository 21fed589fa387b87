"""Which recipients of a broadcast are texted together: those whose local hours are the same, or nearly so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import pairwise
from math import inf
from typing import NamedTuple

from flexsms.core.sending_hours import HORIZON, Opening, SendingHours

Zones = tuple[str, ...]


class ZoneGroup(NamedTuple):
    """Sets of zones whose texts are sent together.

    :param zones: all of them; the texts leave only while it is within hours in each
    :param members: the sets
    """

    zones: Zones
    members: tuple[Zones, ...]


def in_order(
    counts: Mapping[Zones, int],
    hours: SendingHours,
    *,
    since: datetime,
    until: datetime | None = None,
    most: int,
) -> list[ZoneGroup]:
    """Sets of zones by when their texts may leave first, and of several by when that is over.

    Where there are too many, sets are put together: first those that have the same hours anyway, then whichever lose
    the least time in which their texts may leave. Sets that have no hour in common stay apart, however many there are.

    :param counts: texts by set of zones
    :param since: nothing leaves before
    :param until: nothing leaves from then on
    :param most: groups
    """
    end = min(until or since + HORIZON, since + HORIZON)

    def group(members: Iterable[Zones]) -> _Group:
        known = tuple(members)
        zones = tuple(sorted({zone for member in known for zone in member}))
        spans = tuple(_spans(hours, zones, since, end))
        open_s = sum((closes - opens).total_seconds() for opens, closes in spans)
        return _Group(spans, zones, known, sum(counts[member] for member in known), open_s)

    def together(left: _Group, right: _Group) -> tuple[float, _Group]:
        """What two lose if they are put together, in seconds times texts."""
        both = group((*left.members, *right.members))
        lost = sum((one.open_s - both.open_s) * one.texts for one in (left, right))
        return lost if both.spans else inf, both

    groups = sorted(group([zones]) for zones in counts)
    # Neighbours alone: in the order of their hours, those that are nearest to each other stand side by side.
    pairs = [together(*pair) for pair in pairwise(groups)] if len(groups) > most else []
    while len(groups) > most:
        place, (lost, both) = min(enumerate(pairs), key=lambda one: one[1][0])
        if lost == inf:
            break
        groups[place : place + 2] = [both]
        begin = max(0, place - 1)
        pairs[begin : place + 2] = [together(*pair) for pair in pairwise(groups[begin : place + 2])]
    return [ZoneGroup(one.zones, one.members) for one in sorted(groups)]


class _Group(NamedTuple):
    spans: tuple[Opening, ...]
    zones: Zones
    members: tuple[Zones, ...]
    texts: int
    open_s: float


def _spans(hours: SendingHours, zones: Zones, since: datetime, end: datetime) -> Iterator[Opening]:
    """When texts may leave, from a moment on until another."""
    at = since
    while at < end and (found := hours.opening(zones, at)) and found.opens < end:
        yield Opening(max(found.opens, since), min(found.closes, end))
        at = found.closes
