"""Keeps the channel states in Sync up to date with TaskRouter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseAsyncOperator, Context

from flexsms.arguments import moment, number
from flexsms.assets import CHANNEL_STATE
from flexsms.core.event_source import EventSource, reason_of
from flexsms.core.exceptions import InvalidInput, TwilioError
from flexsms.failure_log import tell_failure
from flexsms.hooks.twilio import TwilioHook
from flexsms.lineage import Lineage, WithLineage
from flexsms.operators.asset_state import cursor_saver, last_cursor, parked_states, task_ends
from flexsms.sources.http import HttpSource
from flexsms.sources.inbox import InboxSource
from flexsms.sources.kinesis import KinesisSource
from flexsms.sources.kinesis_stream import KinesisStream
from flexsms.sources.object_storage import ObjectStorageInbox
from flexsms.telemetry import Metric, count, gauge, span, timing
from flexsms.templates import LiteralRows
from flexsms.twilio.client import clock
from flexsms.twilio.taskrouter.events import TaskRouterSource, parse_cursor
from flexsms.twilio.tracking.opt_outs import LearningSource
from flexsms.twilio.tracking.parked_states import ParkedStates
from flexsms.twilio.tracking.task_ends import TaskEnds
from flexsms.twilio.tracking.tracker import TrackReport, track

if TYPE_CHECKING:
    from flexsms.twilio.account import Account

SOURCES = (TaskRouterSource.name, InboxSource.name, HttpSource.name, KinesisSource.name)
# A stream loses what its sink did not take within four hours, and now and then an event for good (error 91303).
# https://www.twilio.com/docs/events/event-delivery
RECONCILE_AFTER = timedelta(hours=3)
MAX_LOOKBACK_MINUTES = 30 * 24 * 60  # TaskRouter keeps events for 30 days


class FlexTrackOperator(WithLineage, LiteralRows, BaseAsyncOperator):
    """Pull task events and merge each changed channel into its Sync document.

    Of TaskRouter, the first run reads the 30 days that it keeps, every later one from the cursor of the one before. The
    cursor lives in the asset state store of :data:`flexsms.assets.CHANNEL_STATE`, which the task has to have among
    its outlets or inlets, and moves only after everything before it is stored. Of the inbox, every run reads what is
    there, and puts it away when it is stored. A run that reads a stream asks TaskRouter as well when that was last
    asked over three hours ago, so that no gap in the stream stays open.

    A stream also tells who has opted out or in again. That is stored before the cursor moves, too.

    :param source: where events come from: ``taskrouter``, ``inbox``, ``http`` or ``kinesis`` (templated)
    :param fallback: the source to read where ``inbox`` is told and the connection has none: a hand-made event of the
        inbox's asset starts a DAG, too; empty: that is an error (templated)
    :param lookback_minutes: how far before TaskRouter's cursor reading starts, because events may come late (templated)
    :param since: source ``taskrouter``: read again from this moment on, whatever was read before, and leave the cursor
        where it is; ISO 8601, UTC if it names no offset, at most 30 days ago (templated)
    :param until: where that ends, by default now (templated)
    :param twilio_conn_id: the Airflow connection (templated)
    :return: ``{"events", "ignored", "ignored_by", "foreign", "placed", "rejected", "rejects", "channels",
        "created", "updated", "unchanged", "parked", "opt_outs", "cursor", "api_calls", "duration_s"}`` and the figures
        that docs/monitoring.md lists; it is the asset event's ``extra`` too. A run that changed no document and left no
        event out emits no asset event
    :raises InvalidInput: when an argument is wrong
    :raises InvalidInput: at the end, when the source gave events and none of them said what it is
    :raises UnreadableState: at the end, when it met a document that holds no state, for the first time
    """

    template_fields: Sequence[str] = (
        "source",
        "fallback",
        "lookback_minutes",
        "since",
        "until",
        "twilio_conn_id",
    )
    ui_color = "#e8eef8"
    execute = tell_failure(BaseAsyncOperator.execute)

    def __init__(
        self,
        *,
        source: str = "taskrouter",
        fallback: str = "",
        lookback_minutes: float | str = 15,
        since: str | None = None,
        until: str | None = None,
        twilio_conn_id: str = TwilioHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"outlets": [CHANNEL_STATE], **kwargs})
        self.source = source
        self.fallback = fallback
        self.lookback_minutes = lookback_minutes
        self.since = since
        self.until = until
        self.twilio_conn_id = twilio_conn_id

    async def aexecute(self, context: Context) -> dict[str, Any]:
        """Read everything since the cursor and store what changed."""
        minutes = number("lookback_minutes", self.lookback_minutes, low=0, high=MAX_LOOKBACK_MINUTES)
        for name in ("source", "fallback"):
            given = getattr(self, name)
            if given not in SOURCES and (given or name == "source"):
                raise InvalidInput(name, f"is '{given}'", f"choose one of {', '.join(SOURCES)}")
        since, until = moment("since", self.since), moment("until", self.until)
        if until and not since:
            raise InvalidInput("since", "is empty", "say where the range up to `until` begins")
        if since and self.source != TaskRouterSource.name:
            raise InvalidInput("since", f"cannot go with source {self.source}", "choose source taskrouter")
        began = clock.monotonic_s()
        async with TwilioHook(self.twilio_conn_id).account() as account:
            began_at = account.now()
            with span("track"):
                report = await self._track(account, timedelta(minutes=minutes), since, until, context)
            if since:
                report.behind_s = None  # the age of what was read again is no lag
            summary: dict[str, Any] = {
                "kind": "track",
                "source": self.source,
                # A source is read to its end; of a range, that says nothing.
                "read_up_to": None if since else account.earlier(began_at).isoformat(),
                **report.to_json(),
                **await self._left_in_inbox(account),
                "api_calls": account.transport.total_calls,
                "calls": account.transport.calls_by_host(),
                "duration_s": round(clock.monotonic_s() - began, 2),
            }
            settings = account.settings
            self.lineage = Lineage(
                settings.account_sid,
                f"{self.source}/{settings.workspace_sid}/events",
                f"sync/{settings.sync_service_sid}/documents",
                report.created + report.updated,
            )
        self._measure(report, summary)
        if report.is_news:
            context["outlet_events"][CHANNEL_STATE].extra = summary
        else:
            # Airflow emits an event of every outlet that is left when the task has succeeded.
            self.outlets = [outlet for outlet in self.outlets if outlet != CHANNEL_STATE]
        how_far = f"again from {since}" if since else f"up to {account.earlier(began_at):%F %H:%M:%S} UTC"
        self.log.info(
            "Read %s: %d events of %d channels, %d new, %d updated, %d unchanged, %d parked; %d events ignored%s, "
            "%d left out.",
            how_far,
            report.events,
            report.channels,
            report.created,
            report.updated,
            report.unchanged,
            len(report.parked),
            report.ignored,
            f" ({report.why_ignored()})" if report.ignored else "",
            report.rejected,
        )
        return summary

    def _measure(self, report: TrackReport, summary: Mapping[str, Any]) -> None:
        outcomes = {"read": report.events, "ignored": report.ignored, "rejected": report.rejected}
        for outcome, many in outcomes.items():
            count(Metric.EVENTS, many, source=self.source, outcome=outcome)
        if report.behind_s is not None:
            timing(Metric.EVENT_LAG, report.behind_s, source=self.source)
        if "waiting" in summary:
            gauge(Metric.INBOX_WAITING, summary["waiting"])

    async def _track(
        self,
        account: Account,
        lookback: timedelta,
        since: datetime | None,
        until: datetime | None,
        context: Context,
    ) -> TrackReport:
        """Read the source, and TaskRouter as well where the source may have lost something.

        A source that fails, even for good, is all gap. Where Sync fails, what TaskRouter knows cannot be stored either.
        """
        parked, ends = parked_states(account, context), task_ends(account, context)
        failure, report = None, TrackReport()
        try:
            source = LearningSource(
                self._source(account, lookback, since, until),
                account.suppressions(),
                at_once=account.settings.max_in_flight,
            )
            report = await drain(account, source, context, parked, ends)
        except Exception as error:  # also what the store of an inbox raises
            if isinstance(error, TwilioError) and " sync.twilio.com/" in error.endpoint:
                raise
            failure = error
        try:
            if self._has_gap(account, context):
                self.log.info("TaskRouter was last asked over %s ago; asking it too.", RECONCILE_AFTER)
                taskrouter = account.taskrouter(lookback=lookback)
                report.add(await drain(account, taskrouter, context, parked, ends))
        except Exception as error:
            if failure is None:
                raise
            self.log.error("TaskRouter was asked as well, and that failed, too: %s", error)
        if failure is not None:
            raise failure
        return report

    def _source(
        self, account: Account, lookback: timedelta, since: datetime | None, until: datetime | None
    ) -> EventSource:
        settings = account.settings
        if (
            self.source == InboxSource.name
            and not settings.inbox_path
            and self.fallback not in ("", InboxSource.name)
        ):
            self.log.warning("The connection has no inbox (inbox_path is empty); reading %s.", self.fallback)
            self.source = self.fallback
        if self.source == HttpSource.name:
            from flexsms.sources.http_collector import HttpCollector

            collector = HttpCollector(settings.events_conn_id, settings.events_endpoint)
            return HttpSource(collector, now=account.latest, home=account.home)
        if self.source == InboxSource.name:
            inbox = self._inbox(account)
            # Without it the web app takes nothing in, and the inbox only looks empty.
            settings.need("events_url")
            return InboxSource(inbox, now=account.latest, home=account.home)
        if self.source == KinesisSource.name:
            stream = KinesisStream(settings.kinesis_conn_id, settings.need("kinesis_stream"))
            return KinesisSource(stream, now=account.latest, home=account.home)
        if since:
            return account.taskrouter_range(since, until)
        return account.taskrouter(lookback=lookback)

    def _inbox(self, account: Account) -> ObjectStorageInbox:
        settings = account.settings
        return ObjectStorageInbox(settings.need("inbox_path"), keep_days=settings.inbox_keep_days)

    async def _left_in_inbox(self, account: Account) -> dict[str, int]:
        """How many posts have arrived since the inbox was read; nothing of any other source."""
        if self.source != InboxSource.name:
            return {}
        try:
            return {"waiting": len(await self._inbox(account).names())}
        except Exception as error:  # whatever the store raises: all that was read is stored
            self.log.warning("The inbox could not be counted: %s", reason_of(error))
            return {}

    def _has_gap(self, account: Account, context: Context) -> bool:
        """Whether what a stream may have lost was not looked for lately."""
        source = account.taskrouter()
        if self.source == source.name:
            return False
        cursor = last_cursor(source, context)
        return cursor is None or abs(account.now() - parse_cursor(cursor)) > RECONCILE_AFTER


async def drain(
    account: Account,
    source: EventSource,
    context: Context,
    parked: ParkedStates | None = None,
    ends: TaskEnds | None = None,
) -> TrackReport:
    """Bring the channel states up to now and move the source's cursor.

    :param context: of a task that has the asset among its inlets or outlets
    :param parked: those of the same run; by default, they are read
    :param ends: those of the same run; by default, they are read
    """
    return await track(
        source,
        account.store,
        cursor=last_cursor(source, context),
        save_cursor=cursor_saver(source, context),
        at_once=account.settings.max_in_flight,
        parked=parked or parked_states(account, context),
        ends=ends or task_ends(account, context),
        now=account.theirs,
    )
