"""What a cleanup records: lines of the ledger, and the final states of channels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from flexsms.core.channel_state import ChannelState
from flexsms.core.exceptions import NotFound, RevisionMismatch
from flexsms.core.task_events import to_ms
from flexsms.twilio.cleanup.ledger import SUSPENDED, CleanupLedger
from flexsms.twilio.cleanup.live_channels import CLOCK_SKEW
from flexsms.twilio.cleanup.outcomes import Action, Outcome
from flexsms.twilio.cleanup.scan import DueChannel
from flexsms.twilio.sync.channel_states import SyncStore

MARK_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Bookkeeping:
    """Writes the ledger and the final states of channels.

    :param run_id: names the run in the ledger
    :param scanned_at: when the scan began, an aware datetime
    :param now: the present, an aware datetime
    """

    store: SyncStore
    ledger: CleanupLedger
    action: Action
    run_id: str
    scanned_at: datetime
    now: Callable[[], datetime]

    async def announce(self, channels: Iterable[DueChannel]) -> list[str]:
        """Write which channels are about to be suspended; returns what :meth:`finish` has to be given."""
        lines = [(channel.channel_sid, channel.ended_ms, SUSPENDED) for channel in channels]
        return await self.ledger.announce(lines, run_id=self.run_id)

    async def record(self, channels: Iterable[tuple[DueChannel, str]]) -> None:
        """Write into the ledger what becomes of channels; a later line of a channel corrects an earlier one."""
        lines = [(channel.channel_sid, channel.ended_ms, what) for channel, what in channels]
        await self.ledger.append(lines, run_id=self.run_id)

    async def finish(self, keys: Sequence[str]) -> None:
        """Write that all is finished that was announced; what failed is due again, so the next run finds it."""
        await self.ledger.finish(keys, run_id=self.run_id)

    async def mark_retired(self, channel: DueChannel, *, gone: bool) -> bool:
        """Write the final state of a channel, unless somebody wrote to its state since the scan.

        :param gone: Twilio has no such channel any more, so news of it change nothing
        :return: False when the channel is in use again
        :raises RevisionMismatch: when the state changed again and again
        """
        sid = channel.channel_sid
        mark = str(Outcome.ALREADY_GONE if gone else self.action)
        # With the links, because what could not be finished is retired by them the next day.
        links = {name: (channel.ended_ms, linked) for name, linked in channel.links.items()}
        state = ChannelState(sid, channel.stack, forgotten_ms=channel.ended_ms, links=links)
        revision = channel.revision
        for _ in range(MARK_ATTEMPTS):
            try:
                await self.store.mark_retired(state.mark_retired(to_ms("now", self.now()), mark), revision)
            except NotFound:
                return True
            except RevisionMismatch:
                stored = await self.store.load(sid)
                if stored is None or stored.state.is_retired:
                    return True
                state, revision = stored.state, stored.revision
                if not gone and self._is_in_use(state, channel):
                    return False
            else:
                return True
        raise RevisionMismatch(
            f"The state of {sid} kept changing, so it could not be marked as retired; the next run marks it."
        )

    async def mark_due_again(self, channel: DueChannel) -> None:
        """Let the next run find a channel that could not be finished."""
        stored = await self.store.load(channel.channel_sid)
        if stored is not None and stored.state.is_retired:
            await self.store.mark_retired(replace(stored.state, retired=None), stored.revision)
        await self.record([(channel, "not finished")])

    def _is_in_use(self, state: ChannelState, channel: DueChannel) -> bool:
        """Whether something happened on the channel since the scan; a send that goes on in it learns of its session."""
        since_ms = to_ms("scanned_at", self.scanned_at - CLOCK_SKEW)
        learnt_ms = max((at_ms for at_ms, _ in state.links.values()), default=0)
        return (
            bool(state.open_tasks)
            or (state.last_ended_ms or 0) > channel.ended_ms
            or learnt_ms > max(since_ms, channel.ended_ms)
        )
