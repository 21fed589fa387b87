"""Makes, changes and removes things in an account: searches first, adopts what is there, and reports everything.

Most of what set-up makes has no natural key, so Twilio would make a second one without a question. A POST whose answer
was lost is therefore searched for, and if nothing is found, left to the next try, which searches first as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from flexsms.core.exceptions import NotFound, OutcomeUnknown
from flexsms.core.setup_report import Row, RowState

T = TypeVar("T")

POLL_INTERVAL_S = 0.5


class Provisioner:
    """Makes, changes and removes things, or, in a dry run, only says what it would do.

    :param dry_run: send nothing that changes anything
    :param grace: how long a request whose answer was lost may still take effect
    """

    def __init__(self, *, dry_run: bool, grace: timedelta) -> None:
        self.dry_run = dry_run
        self.rows: list[Row] = []
        self._grace = grace

    def note(self, what: str, state: RowState, sid: str = "", note: str = "") -> None:
        """Write a line of the table."""
        self.rows.append(Row(what, state, sid, note))

    async def ensure(
        self,
        what: str,
        find: Callable[[], Awaitable[T | None]],
        make: Callable[..., Awaitable[T]],
        fields: Callable[[], Mapping[str, Any]],
        note: str = "",
    ) -> tuple[T | None, bool]:
        """What ``find`` finds, else what ``make`` makes, and whether it is new. Only what is new gets its line here.

        :param fields: what ``make`` is called with; asked only if it is missing, and in a dry run as well, so that a
            setting that is missing is named by it
        :return: None in a dry run when it is not there
        :raises OutcomeUnknown: when nobody knows whether it was made
        """
        found = await find()
        if found is not None:
            return found, False
        values = fields()
        if self.dry_run:
            self.note(what, RowState.WOULD_MAKE, note=note)
            return None, True
        try:
            made = await make(**values)
        except OutcomeUnknown:
            late = await self.poll(find)
            if late is None:
                raise
            made = late
        self.note(what, RowState.MADE, str(getattr(made, "sid", None) or ""), note)
        return made, True

    async def change(self, what: str, sid: str, note: str, send: Callable[[], Awaitable[Any]]) -> None:
        """Set values that are wrong. Doing so twice comes to the same."""
        if not self.dry_run:
            await send()
        self.note(what, RowState.WOULD_CHANGE if self.dry_run else RowState.CHANGED, sid, note)

    async def remove(self, what: str, sid: str, note: str, send: Callable[[], Awaitable[Any]]) -> None:
        """Remove something, unless that has happened already."""
        if not self.dry_run:
            with suppress(NotFound):
                await send()
        self.note(what, RowState.WOULD_REMOVE if self.dry_run else RowState.REMOVED, sid, note)

    async def poll(self, find: Callable[[], Awaitable[T | None]]) -> T | None:
        """Search again and again for as long as a lost request may take; None when nothing turns up."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._grace.total_seconds()
        while True:
            found = await find()
            if found is not None or loop.time() >= deadline:
                return found
            await asyncio.sleep(POLL_INTERVAL_S)
