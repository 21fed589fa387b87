"""What was retired, when, and by which run: append-only, kept for a year in a Sync map.

A batch announces the channels that it is about to suspend, writes what becomes of them before it marks the states,
and says when all of it is finished. What was announced and not finished is that of a batch that died in between: the
next run puts it right.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flexsms.core.exceptions import AlreadyExists
from flexsms.twilio.stacks.protocol import Healed
from flexsms.twilio.sync.map import SyncMap

if TYPE_CHECKING:
    from twilio.rest import Client

MAP_NAME = "flexsms.retired"
# Below 10 KiB: larger items may be written only twice a second (https://www.twilio.com/docs/sync/limits).
LINES_PER_ITEM = 140

# What is announced of a channel.
SUSPENDED = "suspended"
# Channel SID, when its last task ended (ms since 1970 UTC), what became of it.
Line = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What batches have announced and nobody knows to be finished.

    :param keys: the items
    :param outcomes: by channel, what was last written of it
    :param moved: other channels whose customers went on elsewhere
    """

    keys: Sequence[str]
    outcomes: dict[str, str]
    moved: Collection[str] = ()


class CleanupLedger:
    """The ledger of retired channels.

    :param now: the present, an aware datetime
    """

    def __init__(self, client: Client, service_sid: str, *, now: Callable[[], datetime]) -> None:
        self._map = SyncMap(client, service_sid, MAP_NAME)
        self._now = now

    async def append(self, lines: Sequence[Line], *, run_id: str) -> None:
        """Add lines about what is done; no call when there are none. The last line of a channel tells how it stands.

        :param run_id: the run that did it
        """
        await self._add(lines, run_id, finished=True)

    async def announce(self, lines: Sequence[Line], *, run_id: str) -> list[str]:
        """Add lines about what is about to be done.

        :return: what :meth:`finish` has to be given when it is done
        """
        return await self._add(lines, run_id, finished=False)

    async def finish(self, keys: Collection[str], *, run_id: str) -> None:
        """Say that all is done that was announced under these keys; one call."""
        if keys:
            await self._create(
                f"{max(keys)}.finished", {"run_id": run_id, "finished": sorted(keys)}, self._now()
            )

    async def unfinished(self, since: datetime) -> Unfinished:
        """What was announced since and not finished; one call per 100 items.

        :param since: an aware datetime; its day counts as a whole
        """
        items = await self._map.list(since=_day(since))
        finished = {key for item in items for key in item.data.get("finished", ())}
        left = [item.key for item in items if item.data.get("announced") and item.key not in finished]
        # What was written of a channel later outranks what was announced.
        items.sort(key=lambda item: str(item.data["at"]))
        last = {line[0]: line[2] for item in items for line in item.data.get("channels", ())}
        doubtful = {line[0] for item in items if item.key in left for line in item.data["channels"]}
        moved = {sid for sid, outcome in last.items() if outcome == Healed.MOVED_ON}
        return Unfinished(left, {sid: last[sid] for sid in doubtful}, moved)

    async def _add(self, lines: Sequence[Line], run_id: str, *, finished: bool) -> list[str]:
        at = self._now()
        parts = [lines[start : start + LINES_PER_ITEM] for start in range(0, len(lines), LINES_PER_ITEM)]

        async def add(part: Sequence[Line]) -> str:
            channels = [list(line) for line in part]
            # With the moment: a channel that was put back may be retired by the same run again.
            told = json.dumps([run_id, at.isoformat(), channels]).encode()
            key = f"{_day(at)}.{hashlib.sha256(told).hexdigest()[:16]}"
            mark = {} if finished else {"announced": True}
            await self._create(key, {"run_id": run_id, "channels": channels, **mark}, at)
            return key

        return list(await asyncio.gather(*(add(part) for part in parts)))

    async def _create(self, key: str, data: dict[str, Any], at: datetime) -> None:
        with suppress(AlreadyExists):
            await self._map.create(key, {"v": 1, "at": at.astimezone(UTC).isoformat(), **data})


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d}"
