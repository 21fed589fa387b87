"""Tracking: pull task events, fold them by channel, merge each changed channel into its document."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime

from flexsms.core.channel_state import ChannelState
from flexsms.core.event_source import NAMED_REJECTS, EventPage, EventSource
from flexsms.core.exceptions import FlexSmsError, InvalidInput, RetryableError, UnreadableState
from flexsms.core.latency import percentiles
from flexsms.core.task_events import NOT_UNDERSTOOD
from flexsms.twilio.client import clock
from flexsms.twilio.client.clock import Now
from flexsms.twilio.client.concurrency import for_each
from flexsms.twilio.client.unexpected_errors import contained
from flexsms.twilio.sync.channel_states import DOCUMENT_PREFIX, StoredState, SyncStore, Written
from flexsms.twilio.tracking.parked_states import ParkedStates
from flexsms.twilio.tracking.task_ends import TaskEnds

logger = logging.getLogger(__name__)

# So many changed channels are held in memory before they are written: about 20 MB.
MAX_PENDING = 20_000


_COUNTED = (
    *("events", "ignored", "placed", "rejected", "channels", "created", "updated", "unchanged"),
    "opt_outs",
)


@dataclass(slots=True)
class TrackReport:
    """What a run of tracking did; its ``to_json`` goes to XCom.

    :param rejected: events that could not be read; the first ones are named in ``rejects``
    :param ignored: events that concern no messaging channel of ours; ``ignored_by`` counts them by reason
    :param foreign: events of another workspace or account, by its SID
    :param placed: those of the ignored events that ended a task which had been seen on a channel; that has heard of it
    :param parked: channels whose documents hold no state; what is known of them waits
    :param opt_outs: customers who have opted out or in again, each time they said so
    :param behind_s: seconds between the newest event that was read and the moment when all was stored; None: no event
    :param latency_s: per changed channel, seconds between its newest event and the moment when its state was stored
    """

    events: int = 0
    ignored: int = 0
    ignored_by: Counter[str] = field(default_factory=Counter)
    foreign: Counter[str] = field(default_factory=Counter)
    placed: int = 0
    rejected: int = 0
    rejects: list[str] = field(default_factory=list)
    channels: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    parked: list[str] = field(default_factory=list)
    opt_outs: int = 0
    cursor: str | None = None
    behind_s: float | None = None
    latency_s: list[float] = field(default_factory=list)

    @property
    def is_news(self) -> bool:
        """Whether a document was changed, or an event was left out."""
        return bool(self.created or self.updated or self.rejected)

    def add(self, other: TrackReport) -> None:
        """Count what another source told, too; the cursor stays that of the first."""
        for name in _COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.ignored_by += other.ignored_by
        self.foreign += other.foreign
        self.rejects.extend(other.rejects[: NAMED_REJECTS - len(self.rejects)])
        self.parked = sorted({*self.parked, *other.parked})
        # The smaller one is that of the newest event of both.
        self.behind_s = min((s for s in (self.behind_s, other.behind_s) if s is not None), default=None)
        self.latency_s += other.latency_s

    def why_ignored(self) -> str:
        """The reasons for a sentence: ``3 voice, 1 redacted``; empty when there are none."""
        return ", ".join(f"{count} {why}" for why, count in self.ignored_by.most_common())

    def to_json(self) -> dict[str, object]:
        """The XCom value."""
        return {
            **{name: getattr(self, name) for name in self.__slots__},
            "ignored_by": dict(self.ignored_by),
            "foreign": dict(self.foreign.most_common(NAMED_REJECTS)),
            "latency_s": percentiles(self.latency_s),
        }


async def track(
    source: EventSource,
    store: SyncStore,
    *,
    cursor: str | None,
    save_cursor: Callable[[str], Awaitable[None]],
    at_once: int,
    parked: ParkedStates | None = None,
    ends: TaskEnds | None = None,
    now: Now = clock.utc_now,
) -> TrackReport:
    """Bring the channel states up to now.

    At most two Sync calls per changed channel, however many events it had. The cursor is saved only after everything
    before it is stored. What is learnt of a channel whose document holds no state is stored among the parked ones, and
    merged into the document by the first run that finds it repaired or deleted; that takes one call a run.

    :param cursor: where the last run stopped, None at the first
    :param at_once: channels written at a time
    :param parked: channels whose documents hold no state; None: such a document ends the run
    :param ends: what is known of tasks from earlier runs; None: nothing
    :param now: the present by Twilio's clock, by which events are dated
    :raises InvalidInput: at the end, when no event was understood; all of them are read
    :raises UnreadableState: at the end, when channels were parked; all others are up to now. Later runs only name them
    :raises FlexSmsError: when the source fails, or a channel could be neither written nor parked: then no other channel
        is tried, and the cursor stays before what is not stored
    """
    recorder = Recorder(store, parked or ParkedStates(None), ends or TaskEnds(None), at_once=at_once, now=now)
    report, parked = recorder.report, recorder.parked
    newest_ms = 0
    told = set(parked.news)
    pending = {state.channel_sid: state for state in parked.due()}

    async def flush() -> None:
        states = list(pending.values())
        pending.clear()
        await recorder.record(states)

    try:
        async with aclosing(source.read(cursor)) as pages:
            async for page in pages:
                newest_ms = max(newest_ms, *(event.at_ms for event in page.events), 0)
                absorb(page, pending, report, recorder.ends)
                if page.cursor is not None or len(pending) >= MAX_PENDING:
                    await flush()
                if page.cursor is not None:
                    await save_cursor(page.cursor)
                    report.cursor = page.cursor
        # A collector may end with a page of events and no cursor: they are stored, and will be read once more.
        await flush()
    finally:
        name_what_is_left_out(report)
    if newest_ms:
        report.behind_s = _seconds_since(newest_ms, now())
    report.parked = parked.channels
    for sid, error in parked.news.items():
        if sid not in told:
            error.args = (f"Document {DOCUMENT_PREFIX}{sid}: {error}",)
            raise error
    check_understood(report)
    return report


class Recorder:
    """Stores what was learnt of channels.

    :param at_once: channels written at a time
    :param now: the present by Twilio's clock
    """

    def __init__(
        self,
        store: SyncStore,
        parked: ParkedStates,
        ends: TaskEnds,
        *,
        at_once: int,
        now: Now = clock.utc_now,
    ) -> None:
        self.report = TrackReport()
        self.parked = parked
        self.ends = ends
        self._store = store
        self._at_once = at_once
        self._now = now
        self._failures: list[FlexSmsError] = []

    async def record(
        self, states: Collection[ChannelState], known: Mapping[str, StoredState] | None = None
    ) -> list[StoredState]:
        """Merge states into their documents, and keep for later runs what has to be kept before a cursor moves.

        :param known: what has just been read of some of the channels, by SID, which saves a call each
        :return: what is stored of them by now; those whose documents hold no state are parked, and not among them
        :raises FlexSmsError: when a channel could be neither written nor parked; then no other one is tried
        """
        stored: list[StoredState] = []

        async def merge(learnt: ChannelState) -> None:
            found = await self._merge(learnt, (known or {}).get(learnt.channel_sid))
            if found is not None:
                stored.append(found)

        self.report.channels += len(states)
        await for_each(states, merge, at_once=self._at_once)
        self.parked.save()
        self.ends.save()
        if self._failures:
            raise _weightiest(self._failures)
        return stored

    async def _merge(self, learnt: ChannelState, known: StoredState | None) -> StoredState | None:
        if self._failures:
            return None  # what has befallen one channel may befall all
        sid, parked = learnt.channel_sid, self.parked
        try:
            if known is None and parked.is_unreadable(sid):
                parked.add(learnt)
                return None
            with contained():
                written, stored = await self._store.learn(learnt, self.ends.waiting, stored=known)
        except UnreadableState as error:
            level = logging.WARNING if sid in parked.channels else logging.ERROR
            logger.log(level, "Channel %s was not updated: %s", sid, error)
            try:
                parked.park(learnt, error)
            except InvalidInput as full:
                self._failures.append(full)
        except FlexSmsError as error:
            logger.error("Channel %s was not updated: %s", sid, error)
            self._failures.append(error)
        else:
            parked.release(learnt)
            setattr(self.report, written, getattr(self.report, written) + 1)
            if written is not Written.UNCHANGED:
                newest_ms = max((*learnt.seen.values(), *learnt.ended.values()), default=0)
                self.report.latency_s.append(_seconds_since(newest_ms, self._now()))
            return stored
        return None


def absorb(page: EventPage, pending: dict[str, ChannelState], report: TrackReport, ends: TaskEnds) -> None:
    """Fold a page of events into the states that are waiting to be written."""
    report.events += len(page.events)
    report.ignored += sum(page.ignored.values())
    report.ignored_by.update({str(why): count for why, count in page.ignored.items()})
    report.foreign.update(page.foreign)
    report.opt_outs += len(page.opt_outs)
    report.rejected += len(page.rejected)
    named = page.rejected[: NAMED_REJECTS - len(report.rejects)]
    for sentence in named:
        logger.warning("Event left out: %s", sentence)
    report.rejects.extend(named)
    for event in page.events:
        ends.note(event)
        _add(pending, ChannelState.of(event))
    for task_sid, ended_ms in page.ends:
        learnt = ends.end(task_sid, ended_ms)
        if learnt is not None:
            report.placed += 1
            _add(pending, learnt)


def _seconds_since(moment_ms: int, now: datetime) -> float:
    return round(max(now.timestamp() - moment_ms / 1000, 0.0), 3)


def _add(pending: dict[str, ChannelState], learnt: ChannelState) -> None:
    known = pending.get(learnt.channel_sid)
    pending[learnt.channel_sid] = learnt if known is None else known.merge(learnt)


def name_what_is_left_out(report: TrackReport) -> None:
    """Log which events came to nothing."""
    for origin, count in report.foreign.most_common(NAMED_REJECTS):
        what = "workspace" if origin.startswith("WS") else "account"
        logger.warning(
            "%d events of %s %s are left out; the connection is for another one.", count, what, origin
        )
    if report.rejected > len(report.rejects):
        logger.warning("Events left out besides: %d.", report.rejected - len(report.rejects))


def check_understood(report: TrackReport) -> None:
    """Make sure that something could be read, if there was anything.

    :raises InvalidInput: when there was, and none of it said what it is
    """
    lost = sum(report.ignored_by[str(why)] for why in NOT_UNDERSTOOD)
    if lost and lost == report.events + report.ignored and not report.placed:
        raise InvalidInput(
            "source",
            f"gave {lost} events of which none could be understood ({report.why_ignored()})",
            "let what hands them on leave `type`, `task_sid` and the SIDs in `task_attributes` as Twilio sends them",
        )


def _weightiest(failures: Sequence[FlexSmsError]) -> FlexSmsError:
    """One that another try may heal outranks those that it cannot."""
    return next((error for error in failures if isinstance(error, RetryableError)), failures[0])
