"""The second half of cleaning up: retire a batch of due channels without ever cutting off a live one.

Twilio has no conditional update for channels, so safety comes from the order of the steps:

1. look at the open tasks and at the events since the scan; leave alone what is in use or has changed;
2. per channel: fetch it, close its session, then make it inactive. In this order, because an inactive channel with an
   open session would swallow the customer's next text, while an active one without a session is simply taken up again;
3. look once more, and put back what became live in between;
4. write the ledger, then settle the states, each only if nobody changed it since the scan.

A batch that is killed and tried again goes through the same steps: what is settled is counted and not touched again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from flexsms.core.errors import (
    FlexSmsError,
    MissingSetting,
    NotFound,
    RetryableError,
    RevisionMismatch,
    TwilioError,
)
from flexsms.core.events import StackName, to_ms
from flexsms.core.state import ChannelState
from flexsms.twilio.cleanup_ledger import CleanupLedger
from flexsms.twilio.cleanup_scan import DueChannel
from flexsms.twilio.parallel import for_each
from flexsms.twilio.sources.protocol import EventSource, OpenTasks
from flexsms.twilio.stacks.protocol import ChannelSnapshot, Stack
from flexsms.twilio.sync_store import SyncStore

logger = logging.getLogger(__name__)

# Channels per batch. Every batch waits for its last channel three times and looks at the open tasks twice, so
# small ones are slow (`make bench`); at Proxy's 30 channels/s this one takes a minute.
BATCH_SIZE = 2_000
NAMED_FAILURES = 50
SETTLE_ATTEMPTS = 5
# Events carry Twilio's time, the scan ours. No due channel has news of the last minute: the window is longer than that.
CLOCK_SKEW = timedelta(minutes=1)
LONG_LIVED = {"long_lived": True, "status": "ACTIVE"}


class Action(StrEnum):
    """How a channel is retired."""

    DEACTIVATE = "deactivate"
    DELETE = "delete"


class Outcome(StrEnum):
    """What became of a due channel."""

    DEACTIVATED = "deactivated"
    DELETED = "deleted"
    SKIPPED_OPEN_TASK = "skipped_open_task"
    SKIPPED_CHANGED = "skipped_changed"
    ALREADY_GONE = "already_gone"
    FAILED = "failed"


DONE = {Action.DEACTIVATE: Outcome.DEACTIVATED, Action.DELETE: Outcome.DELETED}


class Checkpoint(Protocol):
    """What a batch has to remember over its own death; Airflow's ``task_state_store`` in production."""

    async def load(self) -> dict[str, Any] | None:
        """What was saved, None at the first try."""
        ...

    async def save(self, value: dict[str, Any]) -> None:
        """Keep it, durably, before returning."""
        ...


@dataclass(slots=True)
class BatchReport:
    """What became of each channel of a batch; its ``to_json`` goes to XCom."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    errors: dict[str, FlexSmsError] = field(default_factory=dict)

    @property
    def worth_retrying(self) -> bool:
        """Whether another try could do better."""
        return any(isinstance(error, RetryableError) for error in self.errors.values())

    def to_json(self) -> dict[str, Any]:
        """A count per outcome, and the failures by name."""
        counts: dict[str, Any] = {str(outcome): 0 for outcome in Outcome}
        for outcome in self.outcomes.values():
            counts[outcome] += 1
        failures = [failure(sid, error) for sid, error in list(self.errors.items())[:NAMED_FAILURES]]
        return {**counts, "failures": failures}


def failure(channel_sid: str, error: FlexSmsError) -> dict[str, Any]:
    """A failure as the summary names it."""
    return {
        "channel_sid": channel_sid,
        "code": error.code if isinstance(error, TwilioError) else 0,
        "message": str(error),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaner:
    """What retiring needs, whatever the batch.

    :param stacks: by name; every channel is retired by its own
    :param source: where task events come from
    :param tasks: which channels have an open task
    :param at_once: channels in work at a time
    :param run_id: names the run in the ledger
    :param now: the present, an aware datetime
    :param dry_run: look, count, and write nothing
    """

    stacks: Mapping[StackName, Stack]
    store: SyncStore
    ledger: CleanupLedger
    source: EventSource
    tasks: OpenTasks
    action: Action
    at_once: int
    run_id: str
    now: Callable[[], datetime]
    dry_run: bool = False

    async def retire(
        self, batch: Sequence[DueChannel], *, scanned_at: datetime, checkpoint: Checkpoint
    ) -> BatchReport:
        """Retire a batch.

        :param scanned_at: when the scan began, an aware datetime
        :param checkpoint: belongs to this batch alone
        :return: one outcome per channel; one that failed is in ``errors`` too, and the others are through
        """
        return await _Batch(self, scanned_at, checkpoint).run(batch)


class _Batch:
    """One batch in work."""

    def __init__(self, cleaner: Cleaner, scanned_at: datetime, checkpoint: Checkpoint) -> None:
        self._cleaner = cleaner
        self._scanned_at = scanned_at
        self._checkpoint = checkpoint
        self._report = BatchReport()
        self._resumed = False
        # The two attributes of channels that did not look like an ordinary long-lived one before we came.
        self._unusual: dict[str, dict[str, Any]] = {}
        self._before: dict[str, dict[str, Any]] = {}
        self._sessions: dict[str, str] = {}
        self._down: dict[str, DueChannel] = {}

    async def run(self, batch: Sequence[DueChannel]) -> BatchReport:
        """Go through the four steps."""
        todo = await self._resume(batch)
        todo = await self._leave_alone_what_is_in_use(todo)
        await self._each(todo, self._take_down)
        if self._cleaner.dry_run:
            return self._report
        if self._down:
            await self._put_back_what_became_live()
        if self._cleaner.action is Action.DELETE:
            await self._each(self._still_down(), self._delete)
        await self._write_ledger(self._still_down())
        await self._each(self._still_down(), self._settle)
        return self._report

    async def _resume(self, batch: Sequence[DueChannel]) -> list[DueChannel]:
        """Find out what an earlier try has done, and leave a mark for a later one."""
        saved = None if self._cleaner.dry_run else await self._checkpoint.load()
        if saved is None:
            if not self._cleaner.dry_run:
                await self._save()
            return list(batch)
        self._resumed = True
        self._unusual = saved["unusual"]
        unsettled: list[DueChannel] = []

        async def look(channel: DueChannel) -> None:
            stored = await self._cleaner.store.load(channel.channel_sid)
            if stored is not None and stored.state.is_retired:
                gone = stored.state.retired is not None and stored.state.retired[1] == Outcome.ALREADY_GONE
                outcome = Outcome.ALREADY_GONE if gone else DONE[self._cleaner.action]
                self._report.outcomes[channel.channel_sid] = outcome
            else:
                unsettled.append(channel)

        await self._each(batch, look)
        return unsettled

    async def _leave_alone_what_is_in_use(self, todo: Sequence[DueChannel]) -> list[DueChannel]:
        verdicts = await self._in_use() if todo else {}
        in_use = [channel for channel in todo if channel.channel_sid in verdicts]
        for channel in in_use:
            self._report.outcomes[channel.channel_sid] = verdicts[channel.channel_sid]
        if self._resumed:
            # The try before may have taken them down without coming to its second look.
            await self._each(in_use, self._put_back)
        return [channel for channel in todo if channel.channel_sid not in verdicts]

    async def _in_use(self) -> dict[str, Outcome]:
        """The channels of which something was heard since the scan, and those with an open task."""
        changed, busy = await asyncio.gather(self._changed(), self._cleaner.tasks.open_channels())
        return {
            **dict.fromkeys(changed, Outcome.SKIPPED_CHANGED),
            **dict.fromkeys(busy, Outcome.SKIPPED_OPEN_TASK),
        }

    async def _changed(self) -> set[str]:
        since = self._scanned_at - CLOCK_SKEW
        since_ms = to_ms("since", since)
        return {
            event.channel_sid
            async for page in self._cleaner.source.read(since.isoformat())
            for event in page.events
            if event.at_ms >= since_ms
        }

    async def _take_down(self, channel: DueChannel) -> None:
        sid, stack = channel.channel_sid, self._stack(channel)
        try:
            snapshot = await stack.fetch(sid)
        except NotFound:
            self._report.outcomes[sid] = Outcome.ALREADY_GONE
            self._down[sid] = channel
            return
        await self._note_before(snapshot)
        was_retired = snapshot.is_retired and snapshot.attributes.get("long_lived") is False
        if was_retired and not self._resumed:
            self._report.outcomes[sid] = Outcome.ALREADY_GONE
        else:
            self._report.outcomes[sid] = DONE[self._cleaner.action]
        if self._cleaner.dry_run:
            return
        self._down[sid] = channel
        try:
            closed = await stack.disconnect(snapshot, channel.session_sid)
            if closed:
                self._sessions[sid] = closed
            if not was_retired:
                await stack.deactivate(snapshot)
        except FlexSmsError:
            await self._put_back(channel)
            raise

    async def _note_before(self, snapshot: ChannelSnapshot) -> None:
        sid = snapshot.channel_sid
        before = {name: snapshot.attributes[name] for name in LONG_LIVED if name in snapshot.attributes}
        if self._resumed and snapshot.is_retired:
            before = self._unusual.get(sid, LONG_LIVED)
        elif before != LONG_LIVED and not self._cleaner.dry_run:
            self._unusual[sid] = before
            await self._save()
        self._before[sid] = before

    async def _put_back_what_became_live(self) -> None:
        verdicts = await self._in_use()
        live = [channel for sid, channel in self._down.items() if sid in verdicts]
        for channel in live:
            self._report.outcomes[channel.channel_sid] = verdicts[channel.channel_sid]
            logger.info("Channel %s came alive while it was retired; putting it back.", channel.channel_sid)
        await self._each(live, self._put_back)

    async def _put_back(self, channel: DueChannel) -> None:
        """Give a live channel its two attributes and its session again."""
        sid = channel.channel_sid
        self._down.pop(sid, None)
        before = self._before.get(sid) or self._unusual.get(sid, LONG_LIVED)
        session_sid = self._sessions.get(sid) or (channel.session_sid if self._resumed else None)
        try:
            await self._stack(channel).restore(sid, before, session_sid)
        except NotFound:
            return

    async def _delete(self, channel: DueChannel) -> None:
        await self._stack(channel).delete(channel.channel_sid)

    async def _write_ledger(self, channels: Sequence[DueChannel]) -> None:
        lines = [(c.channel_sid, c.ended_ms, str(self._report.outcomes[c.channel_sid])) for c in channels]
        if lines:
            await self._cleaner.ledger.append(lines, run_id=self._cleaner.run_id, at=self._cleaner.now())

    async def _settle(self, channel: DueChannel) -> None:
        """Close the books on a channel, unless somebody wrote to its state since the scan."""
        sid = channel.channel_sid
        state = ChannelState(sid, channel.stack, forgotten_ms=channel.ended_ms)
        revision = channel.revision
        for _ in range(SETTLE_ATTEMPTS):
            mark = (
                Outcome.ALREADY_GONE
                if self._report.outcomes[sid] is Outcome.ALREADY_GONE
                else self._cleaner.action
            )
            try:
                settled = state.settle(to_ms("now", self._cleaner.now()), str(mark))
                await self._cleaner.store.settle(settled, revision)
            except NotFound:
                return
            except RevisionMismatch:
                stored = await self._cleaner.store.load(sid)
                if stored is None or stored.state.is_retired:
                    return
                state, revision = stored.state, stored.revision
                newer = state.open_tasks or (state.last_ended_ms or 0) > channel.ended_ms
                if newer and self._report.outcomes[sid] is Outcome.DEACTIVATED:
                    self._report.outcomes[sid] = Outcome.SKIPPED_CHANGED
                    await self._put_back(channel)
                    line = (sid, channel.ended_ms, "put back")
                    await self._cleaner.ledger.append(
                        [line], run_id=self._cleaner.run_id, at=self._cleaner.now()
                    )
                    return
            else:
                return
        raise RevisionMismatch(
            f"The state of {sid} kept changing while it was settled; the next run settles it."
        )

    async def _each(self, channels: Sequence[DueChannel], work: Callable[[DueChannel], Any]) -> None:
        """Do the work for every channel; what goes wrong with one is noted and stays with it."""

        async def guarded(channel: DueChannel) -> None:
            try:
                await work(channel)
            except FlexSmsError as error:
                logger.warning("Channel %s failed: %s", channel.channel_sid, error)
                self._report.outcomes[channel.channel_sid] = Outcome.FAILED
                self._report.errors[channel.channel_sid] = error
                self._down.pop(channel.channel_sid, None)

        await for_each(list(channels), guarded, at_once=self._cleaner.at_once)

    def _still_down(self) -> list[DueChannel]:
        return list(self._down.values())

    def _stack(self, channel: DueChannel) -> Stack:
        stack = self._cleaner.stacks.get(channel.stack)
        if stack is None:
            raise MissingSetting(
                "stack",
                f"does not cover {channel.channel_sid}, a channel of stack '{channel.stack}'",
                "clean such channels up with a connection whose stack is that one",
            )
        return stack

    async def _save(self) -> None:
        await self._checkpoint.save({"unusual": self._unusual})
