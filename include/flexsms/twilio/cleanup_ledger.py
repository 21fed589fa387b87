"""What was retired, when, and by which run: append-only, kept for a year in a Sync map."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from twilio.rest import Client

from flexsms.core.errors import AlreadyExists
from flexsms.twilio.sync_map import SyncMap

MAP_NAME = "flexsms.retired"
# Below 10 KiB: larger items may be written only twice a second (https://www.twilio.com/docs/sync/limits).
LINES_PER_ITEM = 140


class CleanupLedger:
    """The ledger of retired channels."""

    def __init__(self, client: Client, service_sid: str) -> None:
        self._map = SyncMap(client, service_sid, MAP_NAME)

    async def append(self, lines: Sequence[tuple[str, int, str]], *, run_id: str, at: datetime) -> None:
        """Add lines. The last line of a channel tells how it stands.

        :param lines: channel SID, when its last task ended (ms since 1970 UTC), what became of it
        :param run_id: the run that did it
        :param at: when, an aware datetime
        """
        parts = [lines[start : start + LINES_PER_ITEM] for start in range(0, len(lines), LINES_PER_ITEM)]
        await asyncio.gather(*(self._add([list(line) for line in part], run_id, at) for part in parts))

    async def _add(self, lines: list[list[Any]], run_id: str, at: datetime) -> None:
        # With the moment: a channel that was put back may be retired by the same run again.
        digest = hashlib.sha256(json.dumps([run_id, at.isoformat(), lines]).encode()).hexdigest()[:16]
        data = {"v": 1, "at": at.astimezone(UTC).isoformat(), "run_id": run_id, "channels": lines}
        with suppress(AlreadyExists):
            await self._map.create(f"{at.astimezone(UTC):%Y-%m-%d}.{digest}", data)
