"""The pace of a broadcast over all its workers: one item of a Sync map, which each of them updates with If-Match.

Whoever sends reserves slots for its next texts, some two seconds of them. A worker that is killed loses the slots that
it has reserved, and nobody else's. With the slots it tells how its texts have fared, so that all stop when too many
fail, and how many of them are about to open a task, so that all together open no more than there is room for.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flexsms.core.broadcast_tally import BroadcastTally
from flexsms.core.exceptions import AlreadyExists, NotFound, RevisionMismatch
from flexsms.core.time_slots import MICROSECONDS, Lanes
from flexsms.twilio.client import clock
from flexsms.twilio.sync.digest_key import PACE
from flexsms.twilio.sync.map import MapItem, SyncMap

if TYPE_CHECKING:
    from twilio.rest import Client

KEY = "pace"
SPAN = 2 * MICROSECONDS
# Where nothing limits the pace, a block ends after so many texts.
MOST_TEXTS = 200
# How broadcasts of so many runs have fared; the newest.
RUNS_KEPT = 20
WRITE_ATTEMPTS = 40
# Who has told nothing for so long opens no tasks any more: it was killed.
OPENING_S = 60
# What a date in whole seconds leaves open, and the way of the answer.
UNCERTAIN_S = 1.5
LONGEST_PAUSE_S = 0.1
Room = Callable[[int], Awaitable[int | None]]


class SteadyClock:
    """The present by Twilio's clock, microseconds since 1970 UTC, as near as possible the same for all workers.

    Twilio dates its answers in whole seconds. So this machine's clock counts, as long as it agrees with every answer:
    of machines whose clocks are right, none has to find that out first. Of another one, the least that it is behind.

    :param told: the present by Twilio's newest answer, at most a second too early; None before there is one
    """

    def __init__(self, told: Callable[[], datetime | None]) -> None:
        self._told = told
        # Its own seconds since then: the machine's clock may be set meanwhile.
        self._began_s = clock.utc_now().timestamp() - clock.monotonic_s()
        self._behind_s: tuple[float, float] | None = None  # at least, and at most

    def __call__(self) -> int:
        """The present."""
        ours_s, told = self._began_s + clock.monotonic_s(), self._told()
        if told is not None:
            least = told.timestamp() - ours_s
            low, high = self._behind_s or (least, least + UNCERTAIN_S)
            # Else Twilio's clock has jumped, or this machine stood still.
            high = min(high, least + UNCERTAIN_S) if least <= high else least + UNCERTAIN_S
            self._behind_s = max(low, least), high
        low, high = self._behind_s or (0.0, 0.0)
        return round((ours_s + (0.0 if low <= 0 <= high else low)) * MICROSECONDS)

    def moment(self) -> datetime:
        """The present as a datetime, UTC."""
        return datetime.fromtimestamp(self() / MICROSECONDS, UTC)


class SharedPace:
    """What all workers of a broadcast know of its pace.

    :param run: what they work on; those of another run share the slots and not the counts
    :param owner: this worker, in all its tries
    :param stop_over: the share of failures over which all stop, 0 to 1
    :param now: the present, microseconds since 1970 UTC, the same for all workers
    :ivar tally: how the texts of all workers have fared, as far as this one knows
    """

    def __init__(
        self,
        client: Client,
        service_sid: str,
        *,
        run: str,
        owner: str,
        stop_over: float,
        now: Callable[[], int],
    ) -> None:
        self._items = SyncMap(client, service_sid, PACE)
        self._run = run
        self._owner = owner
        self._stop_over = stop_over
        self._now = now
        self._known: MapItem | None = None
        self._writing = asyncio.Lock()
        # How long the last two writes took, microseconds: a single slow one does not hold up the texts of all workers.
        self._took: deque[int] = deque(maxlen=2)
        self.tally = BroadcastTally()

    async def reserve(
        self,
        texts: Sequence[Mapping[str, float]],
        learnt: BroadcastTally | None = None,
        *,
        opening: int | None = None,
        room: Room | None = None,
    ) -> list[int]:
        """Reserve slots for the next texts, and tell how others have fared. One call, or three when others wrote.

        :param texts: for each the lanes that it takes, with their texts per second
        :param learnt: what has come to be known since the last call
        :param opening: texts of this worker that have a slot already, and are about to open a task; None: its texts
            open none
        :param room: says how many texts may begin, None: all of them; given how many of all workers are about to open
            a task. It is asked once these are known, and again when others wrote meanwhile, so a task that is opened
            is in its answer or among them
        :return: when each of the first texts may leave, microseconds since 1970 UTC; none once all have stopped
        :raises RevisionMismatch: when others write all the time
        """
        async with self._writing:
            return await self._write(texts, learnt or BroadcastTally(), opening, room)

    async def _write(
        self,
        texts: Sequence[Mapping[str, float]],
        learnt: BroadcastTally,
        opening: int | None,
        room: Room | None,
    ) -> list[int]:
        for _ in range(WRITE_ATTEMPTS):
            known = self._known or await self._load()
            others = self._others(known.data)
            held = (opening or 0) + sum(one["texts"] for one in others.values())
            most = None if room is None else await room(held)
            slots, data = self._add(known.data, texts[:most], learnt)
            mine = 0 if opening is None else opening + len(slots)
            own = {self._owner: {"texts": mine, "at_ms": self._now() // 1000}} if mine else {}
            data["opening"] = {**others, **own}
            began = self._now()
            try:
                self._known = await self._items.update(KEY, data, revision=known.revision)
            except RevisionMismatch:
                self._known = await self._load()
                if self._known.data != data:  # or it is our own, written twice because its answer was lost
                    await asyncio.sleep(random.uniform(0, LONGEST_PAUSE_S))  # noqa: S311  # no secret
                    continue
            except NotFound:
                self._known = None
                continue
            self._took.append(self._now() - began)
            self.tally = _tally(data["runs"][self._run])
            return slots
        raise RevisionMismatch(f"Others wrote {PACE} {WRITE_ATTEMPTS} times meanwhile; trying again later.")

    def _add(
        self, known: Mapping[str, Any], texts: Sequence[Mapping[str, float]], learnt: BroadcastTally
    ) -> tuple[list[int], dict[str, Any]]:
        now, runs = self._now(), dict(known.get("runs", {}))
        tally = _tally(runs.get(self._run)).add(learnt).judge(self._stop_over)
        lanes = Lanes(known.get("lanes", {}))
        slots: list[int] = []
        if not tally.stopped:
            # Not from now on: while this is being written, the first slots would go by. No fixed bound: where every
            # write took longer than that, all slots would go by.
            slots, lanes = lanes.reserve(texts, now + min(self._took, default=0), span=SPAN)
        runs[self._run] = {**tally.to_json(), "at_ms": now // 1000}
        newest = sorted(runs.items(), key=lambda one: one[1]["at_ms"])[-RUNS_KEPT:]
        data = {"v": 1, "by": secrets.token_hex(8), "lanes": dict(lanes.free_from), "runs": dict(newest)}
        return slots, data

    def _others(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """How many texts other workers are about to open a task for, those that were killed left out."""
        since_ms = self._now() // 1000 - OPENING_S * 1000
        return {
            owner: one
            for owner, one in known.get("opening", {}).items()
            if owner != self._owner and one["at_ms"] >= since_ms
        }

    async def _load(self) -> MapItem:
        try:
            return await self._items.fetch(KEY)
        except NotFound:
            pass
        try:
            return await self._items.create(KEY, {})
        except AlreadyExists:
            return await self._items.fetch(KEY)


def _tally(value: Mapping[str, Any] | None) -> BroadcastTally:
    return BroadcastTally.from_json(value) if value else BroadcastTally()
