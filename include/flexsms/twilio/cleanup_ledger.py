"""What was retired, when, and by which run: append-only, kept for a year in a Sync map."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from twilio.rest import Client

from flexsms.core.errors import AlreadyExists
from flexsms.twilio.sync_map import SyncMap

MAP_NAME = "flexsms.retired"
LINES_PER_ITEM = 150  # about 10 KB of the 16 KiB that Sync takes


class CleanupLedger:
    """The ledger of retired channels."""

    def __init__(self, client: Client, service_sid: str) -> None:
        self._map = SyncMap(client, service_sid, MAP_NAME)

    async def append(self, lines: Sequence[tuple[str, int, str]], *, run_id: str, at: datetime) -> None:
        """Add lines; adding the same lines again changes nothing.

        :param lines: channel SID, when its last task ended (ms since 1970 UTC), what became of it
        :param run_id: the run that did it
        :param at: when, an aware datetime
        """
        for start in range(0, len(lines), LINES_PER_ITEM):
            part = [list(line) for line in lines[start : start + LINES_PER_ITEM]]
            digest = hashlib.sha256(json.dumps([run_id, part]).encode()).hexdigest()[:16]
            data = {"v": 1, "at": at.astimezone(UTC).isoformat(), "run_id": run_id, "channels": part}
            with suppress(AlreadyExists):
                await self._map.create(f"{at.astimezone(UTC):%Y-%m-%d}.{digest}", data)
