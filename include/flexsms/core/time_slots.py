"""Slots of time in which texts may leave, handed out in order, so that several who share them keep one pace.

A *lane* is what has a rate: an endpoint of Twilio's, or a number that texts are sent from. A text takes a slot in each
of its lanes. What has to be known of a lane is from when on it is free, which is one number, however many share it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil

MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Lanes:
    """From when on each lane is free, microseconds since 1970 UTC. One that is not named is free."""

    free_from: Mapping[str, int] = field(default_factory=dict)

    def reserve(
        self, texts: Iterable[Mapping[str, float]], now: int, *, span: int | None = None
    ) -> tuple[list[int], Lanes]:
        """Take slots for some texts, in their order.

        In no lane are two slots closer to each other than its rate allows, whoever reserved them.

        :param texts: for each the lanes that it takes, with their texts per second
        :param now: microseconds since 1970 UTC
        :param span: no slot is so much later than the first; texts behind that get none
        :return: when each of the first texts may leave, and the lanes by then
        """
        # A lane that is free has nothing to remember.
        free_from = {lane: free for lane, free in self.free_from.items() if free > now}
        slots: list[int] = []
        at = now
        for lanes in texts:
            at = max([at, *(free_from.get(lane, now) for lane in lanes)])
            if slots and span is not None and at >= slots[0] + span:
                break
            slots.append(at)
            for lane, per_second in lanes.items():
                free_from[lane] = at + ceil(MICROSECONDS / per_second)
        return slots, Lanes(free_from)
