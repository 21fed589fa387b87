"""All channel states, brought up to now while they are listed: a channel of which there is no news costs no call."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from flexsms.core.event_source import EventSource
from flexsms.twilio.sync.channel_states import Scanned, StoredState, SyncStore, UnreadableDocument
from flexsms.twilio.tracking.parked_states import ParkedStates
from flexsms.twilio.tracking.task_ends import TaskEnds
from flexsms.twilio.tracking.tracker import (
    MAX_PENDING,
    Recorder,
    absorb,
    check_understood,
    name_what_is_left_out,
)


class TrackedScan:
    """Reads a source, and then the store.

    :param at_once: channels written at a time
    :param write: store what the events tell; else what is listed holds it all the same
    :ivar cursor: where to go on in the source; None until everything before it is stored
    """

    def __init__(
        self,
        source: EventSource,
        store: SyncStore,
        *,
        parked: ParkedStates,
        ends: TaskEnds,
        at_once: int,
        write: bool,
    ) -> None:
        self.cursor: str | None = None
        self._source = source
        self._store = store
        self._recorder = Recorder(store, parked, ends, at_once=at_once)
        self._write = write
        self._learnt = {state.channel_sid: state for state in parked.due()}
        self._reached: str | None = None

    async def read(self, cursor: str | None) -> None:
        """Read the source.

        Of more channels than may be held in memory, the states are listed more than once.

        :param cursor: where the last run stopped, None at the first
        """
        report = self._recorder.report
        try:
            async with aclosing(self._source.read(cursor)) as pages:
                async for page in pages:
                    absorb(page, self._learnt, report, self._recorder.ends)
                    self._reached = page.cursor or self._reached
                    if self._write and len(self._learnt) >= MAX_PENDING:
                        await self._store_all()
        finally:
            name_what_is_left_out(report)

    async def pages(self) -> AsyncGenerator[list[Scanned], None]:
        """All states, a page at a time.

        One call per 100 documents, one more per channel of which there is news, and two per channel that is new.

        :raises InvalidInput: at the end, when no event was understood
        :raises FlexSmsError: when a channel could not be written
        """
        async with aclosing(self._states()) as pages:
            async for page in pages:
                yield page
        if self._write:
            self.cursor = self._reached

    def check(self) -> None:
        """Make sure that something could be read, if there was anything.

        :raises InvalidInput: when none of the events said what it is
        """
        check_understood(self._recorder.report)

    async def _store_all(self) -> None:
        async with aclosing(self._states()) as pages:
            async for _ in pages:
                pass
        self._learnt.clear()

    async def _states(self) -> AsyncGenerator[list[Scanned], None]:
        met: set[str] = set()
        async with aclosing(self._store.scan(adopt=self._write)) as pages:
            async for page in pages:
                listed = {one.state.channel_sid: one for one in page if isinstance(one, StoredState)}
                met |= listed.keys() & self._learnt.keys()
                if not self._write:
                    # A run that writes parks what is known of such a channel.
                    met |= {one.channel_sid for one in page if isinstance(one, UnreadableDocument)}
                states = await self._bring_up(listed)
                yield [
                    states.get(one.state.channel_sid, one) if isinstance(one, StoredState) else one
                    for one in page
                ]
        # What no document holds, and what the channel's document does not take.
        left = [state for sid, state in self._learnt.items() if sid not in met]
        if self._write:
            yield [*await self._recorder.record(left)]
        else:
            yield [StoredState(state, "") for state in left]

    async def _bring_up(self, listed: Mapping[str, StoredState]) -> dict[str, StoredState]:
        """The states with what is known besides, by channel; only those about which something is known."""
        ends, states = self._recorder.ends.waiting, {}
        for sid, stored in listed.items():
            learnt = self._learnt.get(sid)
            state = (stored.state.merge(learnt) if learnt else stored.state).end(ends)
            if learnt or state != stored.state:
                states[sid] = StoredState(state, stored.revision)
        if not self._write:
            return states
        known = {sid: listed[sid] for sid in states if listed[sid].revision}
        recorded = await self._recorder.record([stored.state for stored in states.values()], known)
        return {stored.state.channel_sid: stored for stored in recorded}
