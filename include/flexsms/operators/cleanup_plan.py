"""Finds the channels that a cleanup is to retire."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from airflow.sdk import BaseAsyncOperator, Context, conf

from flexsms.arguments import flag, number, whole_number
from flexsms.assets import CHANNEL_STATE, leftovers_key
from flexsms.core.retention import MS_PER_DAY, SMS, channel_types, window_ms
from flexsms.failure_log import tell_failure
from flexsms.hooks.twilio import TwilioHook
from flexsms.operators.asset_state import AssetValue, cursor_saver, last_cursor, parked_states, task_ends
from flexsms.operators.cleanup_xcom import PLAN_KEY, batches_of, calls_of, push_channels, summary_of
from flexsms.telemetry import span
from flexsms.templates import LiteralRows
from flexsms.twilio.cleanup.outcomes import NAMED_FAILURES, Action, parse_action
from flexsms.twilio.cleanup.scan import BATCH_SIZE
from flexsms.twilio.cleanup.unanswered import Unanswered, parse_unanswered
from flexsms.twilio.tracking.parked_states import Memory

MAX_LIMIT = 100_000


class FlexCleanupPlanOperator(LiteralRows, BaseAsyncOperator):
    """Bring the channel states up to now, put back what should not be down, and find the channels that are due.

    A live channel that an earlier cleanup left inactive is put back; in a dry run nothing is.

    Map :class:`flexsms.operators.cleanup.FlexCleanupOperator` over the result, and let
    :class:`flexsms.operators.cleanup_report.FlexCleanupReportOperator` sum up::

        plan = FlexCleanupPlanOperator(task_id="plan")
        retire = FlexCleanupOperator.partial(task_id="retire").expand(batch=plan.output)

    :param retention_days: a channel is due when its last task ended at least so long ago; may be a fraction
        (templated)
    :param action: ``deactivate`` or ``delete``: what a person approves, and what the batches have to do (templated)
    :param preview: a dry run: store nothing, not even what the events tell (templated)
    :param limit: channels per run at most, the longest quiet first (templated). They go through XCom, with some 120
        bytes each, in parts of at most 2,000: a proxy before the API server may refuse what is larger than 1 MB
    :param channel_types: which kinds of channels are retired, as tasks name them in ``channelType``: a list, or names
        separated by commas; channels of any other kind are left alone and counted (templated)
    :param unanswered: what becomes of a text that a customer wrote after the last task's end, if no task was opened for
        it: ``task`` opens one and leaves the channel alone, ``report`` retires the channel and names it (templated)
    :param batch_size: channels per batch; more where these would be more batches than Airflow maps over (templated)
    :param twilio_conn_id: the Airflow connection (templated)
    :return: the batches, each ``{"label", "scanned_at", "task_id", "action", "start", "end"}``: from where to where
        among the channels that are due. These are packed under the keys ``channels.0``, ``channels.1`` and so on. Under
        the key ``plan`` also ``{"scanned", "due", "oldest_ended_at", "failures", "failed", "restored", "finished",
        "unanswered", "unanswered_channels", "tasks_over", "elsewhere", "leftovers", "other_types", "skipped_type",
        "started_at", "scanned_at", "api_calls", "batches"}``, and what docs/monitoring.md lists. ``failures`` are the
        documents that hold no channel state and the channels that could not be put right, ``restored`` is how many
        live ones were put back, ``finished`` how many retired ones were closed that an earlier batch had left,
        ``unanswered`` in how many of those a text was that nobody was told of,
        ``tasks_over`` how many tasks are over by TaskRouter's list alone, ``elsewhere`` how many due channels are
        another workspace's, ``leftovers`` the documents of the original recipe about no channel, ``other_types`` how
        many due channels are of a kind that is not retired, by kind, ``skipped_type`` their sum, and ``batches`` are
        the sizes
    :raises InvalidInput: when an argument is wrong
    """

    template_fields: Sequence[str] = (
        "retention_days",
        "action",
        "preview",
        "limit",
        "channel_types",
        "unanswered",
        "batch_size",
        "twilio_conn_id",
    )
    ui_color = "#fdf3e1"
    execute = tell_failure(BaseAsyncOperator.execute)

    def __init__(
        self,
        *,
        retention_days: float | str = 2,
        action: str = Action.DEACTIVATE,
        preview: bool | str = False,
        limit: int | str = 10_000,
        channel_types: Collection[str] | str = SMS,
        unanswered: str = Unanswered.TASK,
        batch_size: int | str = BATCH_SIZE,
        twilio_conn_id: str = TwilioHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        # An inlet opens the asset's state store, where the cursors are; an outlet would announce a change too early.
        super().__init__(**{"inlets": [CHANNEL_STATE], **kwargs})
        self.retention_days = retention_days
        self.action = action
        self.preview = preview
        self.limit = limit
        self.channel_types = channel_types if isinstance(channel_types, str) else sorted(channel_types)
        self.unanswered = unanswered
        self.batch_size = batch_size
        self.twilio_conn_id = twilio_conn_id

    async def aexecute(self, context: Context) -> list[dict[str, Any]]:
        """Drain the source, then scan the states."""
        # Here, because the DAG processor imports this module again and again, and never plans.
        from flexsms.twilio.cleanup.plan import PLAN_LOOKBACK

        window = window_ms(number("retention_days", self.retention_days, low=0, high=3650))
        limit = whole_number("limit", self.limit, low=1, high=MAX_LIMIT)
        size = whole_number("batch_size", self.batch_size, low=1, high=MAX_LIMIT)
        kinds = channel_types(self.channel_types)
        action = parse_action(self.action)
        unanswered = parse_unanswered(self.unanswered)
        preview = flag("dry_run", self.preview)
        async with TwilioHook(self.twilio_conn_id).account() as account:
            began = account.now()
            source = account.taskrouter(lookback=PLAN_LOOKBACK)
            planner = account.planner(
                source=source,
                parked=parked_states(account, context),
                ends=task_ends(account, context),
                run_id=f"{context['ti'].dag_id}/{context['ti'].run_id}",
                unanswered=unanswered,
                dry_run=preview,
            )
            with span("plan"):
                plan = await planner.plan(
                    window_ms=window,
                    limit=limit,
                    channel_types=kinds,
                    cursor=last_cursor(source, context),
                    save_cursor=cursor_saver(source, context),
                )
            calls = calls_of(account)
            named = AssetValue(
                context["asset_state_store"][CHANNEL_STATE],
                leftovers_key(account.settings.need("sync_service_sid")),
            )
        scan, healed, over = plan.scan, plan.healed, plan.tasks_over
        self._name_leftovers(scan.leftovers, named, preview=preview)
        # Airflow maps over so many batches and no more.
        size = max(size, -(-len(scan.due) // conf.getint("core", "max_map_length")))
        ti = context["ti"]
        push_channels(ti, scan.due)
        batches = batches_of(len(scan.due), size, plan.scanned_at, ti.task_id, action)
        summary = summary_of(plan, size, began) | calls
        summary |= {"action": action, "retention_days": window / MS_PER_DAY}
        ti.xcom_push(PLAN_KEY, summary)
        if healed.restored:
            self.log.warning("%d live channels were out of use and are put back.", len(healed.restored))
        if healed.finished:
            self.log.info(
                "%d channels that an earlier batch left half done are finished.", len(healed.finished)
            )
        if over:
            self.log.info("%d tasks whose end nobody told are over: TaskRouter no longer has them.", over)
        if scan.elsewhere:
            self.log.warning("%d due channels of another workspace are left alone.", scan.elsewhere)
        self.log.info("Scanned %d channels: %d due, %d taken.", scan.scanned, scan.due_in_all, len(scan.due))
        for document in scan.unreadable:
            self.log.error("Channel %s cannot be judged: %s", document.channel_sid, document.problem)
        return batches

    def _name_leftovers(self, found: Sequence[str], named: Memory, *, preview: bool) -> None:
        """Say once what is rubbish by the recipe's own doing; it is nothing that failed, and does no harm."""
        new = sorted({*found} - {*(named.get() or [])}) if found else []
        if new:
            self.log.warning(
                "%d documents of the original recipe are about no channel, like those of calls (%s): delete them.",
                len(new),
                ", ".join(new[:NAMED_FAILURES]),
            )
            if not preview:
                named.set(sorted(found))
