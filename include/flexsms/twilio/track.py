"""Tracking: pull task events, fold them by channel, merge each changed channel into its document."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from flexsms.core.errors import FlexSmsError, RetryableError, UnreadableState
from flexsms.core.state import ChannelState
from flexsms.twilio.parallel import for_each
from flexsms.twilio.sources.protocol import EventPage, EventSource
from flexsms.twilio.sync_store import SyncStore

logger = logging.getLogger(__name__)

# So many changed channels are held in memory before they are written: about 20 MB.
MAX_PENDING = 20_000
NAMED_REJECTS = 20


@dataclass(slots=True)
class TrackReport:
    """What a run of tracking did; its ``to_json`` goes to XCom.

    :param rejected: events that could not be read; the first ones are named in ``rejects``
    :param ignored: events that concern no messaging channel
    """

    events: int = 0
    ignored: int = 0
    rejected: int = 0
    rejects: list[str] = field(default_factory=list)
    channels: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    cursor: str | None = None

    def add(self, other: TrackReport) -> None:
        """Count what another source told, too; the cursor stays that of the first."""
        for name in ("events", "ignored", "rejected", "channels", "created", "updated", "unchanged"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.rejects.extend(other.rejects[: NAMED_REJECTS - len(self.rejects)])

    def to_json(self) -> dict[str, object]:
        """The XCom value."""
        return {name: getattr(self, name) for name in self.__slots__}


async def track(
    source: EventSource,
    store: SyncStore,
    *,
    cursor: str | None,
    save_cursor: Callable[[str], Awaitable[None]],
    at_once: int,
) -> TrackReport:
    """Bring the channel states up to now.

    At most two Sync calls per changed channel, however many events it had. The cursor is saved only after everything
    before it is stored.

    :param cursor: where the last run stopped, None at the first
    :param at_once: channels written at a time
    :raises UnreadableState: at the end, when nothing else is wrong than documents that hold no state; all other
        channels are up to now, and the cursor stays until somebody repairs or deletes the documents
    :raises FlexSmsError: when the source fails, or as soon as a channel could not be written for another reason; the
        cursor stays before what is not stored
    """
    report = TrackReport()
    pending: dict[str, ChannelState] = {}
    failures: dict[str, FlexSmsError] = {}

    async def merge(learnt: ChannelState) -> None:
        try:
            written = await store.merge(learnt)
        except FlexSmsError as error:
            if learnt.channel_sid not in failures:
                logger.error("Channel %s was not updated: %s", learnt.channel_sid, error)
            failures[learnt.channel_sid] = error
            return
        setattr(report, written, getattr(report, written) + 1)

    async def flush() -> None:
        states = list(pending.values())
        pending.clear()
        report.channels += len(states)
        await for_each(states, merge, at_once=at_once)
        _raise_what_cannot_wait(failures.values())

    async for page in source.read(cursor):
        absorb(page, pending, report)
        if page.cursor is not None or len(pending) >= MAX_PENDING:
            await flush()
        if page.cursor is None:
            continue
        page.unstored.update(failures)
        if not failures:
            await save_cursor(page.cursor)
            report.cursor = page.cursor
    # A collector may end with a page of events and no cursor: they are stored, and will be read once more.
    await flush()
    if failures:
        raise next(iter(failures.values()))
    return report


def absorb(page: EventPage, pending: dict[str, ChannelState], report: TrackReport) -> None:
    """Fold a page of events into the states that are waiting to be written."""
    report.events += len(page.events)
    report.ignored += page.ignored
    report.rejected += len(page.rejected)
    for sentence in page.rejected:
        logger.warning("Event left out: %s", sentence)
    report.rejects.extend(page.rejected[: NAMED_REJECTS - len(report.rejects)])
    for event in page.events:
        learnt = ChannelState.of(event)
        known = pending.get(event.channel_sid)
        pending[event.channel_sid] = learnt if known is None else known.merge(learnt)


def _raise_what_cannot_wait(failures: Iterable[FlexSmsError]) -> None:
    """A document that holds no state is nobody else's misfortune; all else may befall the next channels too."""
    fatal = [error for error in failures if not isinstance(error, UnreadableState)]
    if fatal:
        # One that another try may heal outranks those that it cannot.
        raise next((error for error in fatal if isinstance(error, RetryableError)), fatal[0])
