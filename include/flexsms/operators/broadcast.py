"""Sends the texts of a broadcast, batch by batch."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import BaseAsyncOperator, Context

from flexsms.arguments import flag
from flexsms.core.broadcast import BroadcastBatch
from flexsms.core.exceptions import InvalidInput, PermanentError
from flexsms.core.outbound_message import Route
from flexsms.core.sending_hours import DEFAULT_DAYS, DEFAULT_HOURS
from flexsms.failure_log import tell_failure
from flexsms.hooks.twilio import TwilioHook
from flexsms.lineage import Lineage, WithLineage
from flexsms.operators.approval import GRANTED, answer_to, why_not
from flexsms.operators.broadcast_rules import parse_campaign, parse_rules
from flexsms.operators.broadcast_xcom import PROGRESS_KEY, BroadcastProgress, pull_plan
from flexsms.recipients.batch_files import ResultSpool, is_over, read_texts, take_up, write_results
from flexsms.recipients.folder import BroadcastFolder
from flexsms.telemetry import Metric, count, span
from flexsms.templates import LiteralRows
from flexsms.triggers.open_tasks import FlexOpenTasksTrigger
from flexsms.triggers.polling import TIMEOUT, TRIGGERER_GRACE, check
from flexsms.twilio.client import clock

if TYPE_CHECKING:
    from flexsms.twilio.broadcast.batch import BatchSender
    from flexsms.twilio.broadcast.rules import BroadcastRules, Wait

PROGRESS_EVERY_S = 5.0
# Twilio dates its answers in whole seconds, so by its clock it is a little earlier than by ours.
BEHIND = timedelta(seconds=2)
LOOK_AT_TASKS_EVERY_S = 30
# Then the hour is looked at again.
LONGEST_WAIT_FOR_TASKS = timedelta(hours=1)
# So long before its execution_timeout, a batch that is not through goes on in another process: what has begun by then
# ends in time, and no try is used up.
PAUSE_BEFORE_TIMEOUT = timedelta(minutes=15)


class FlexBroadcastOperator(WithLineage, LiteralRows, BaseAsyncOperator):
    """Send one batch of a broadcast: each text once per campaign and recipient, whatever is killed and tried again.

    Map it over what :class:`flexsms.operators.broadcast_check.FlexBroadcastCheckOperator` returns::

        check = FlexBroadcastCheckOperator(task_id="check", …)
        FlexBroadcastOperator.partial(
            task_id="send", campaign="spring", map_index_template="{{ task.batch['label'] }}"
        ).expand(batch=check.output)

    Many texts are under way at once, as many as the connection's ``max_in_flight``. Right before each of them the hour
    and the opt-outs are looked at again. Outside of the hours the task waits in the triggerer, once for all its texts.
    All workers together keep within the limits of the account and ``max_per_second``. One bad text is one failure. A
    text that could not be sent for now is tried again at the end of the batch, and then by the next try of the task.

    :param batch: of the check (templated)
    :param campaign: whoever was texted in it is not texted again, whatever the text (templated)
    :param route: ``studio`` or ``agent``, see :class:`flexsms.operators.send.FlexSendOperator` (templated)
    :param hours: the recipients' local hours, like ``08:00-21:00`` (templated)
    :param days: days of the week on which these begin, like ``mon-fri,sun`` (templated)
    :param not_before: ISO 8601; no text leaves before (templated)
    :param not_after: ISO 8601; who has no text by then is too late (templated)
    :param max_per_second: texts a second of each sending number, over all workers; empty: as many as the limits of the
        account leave room for (templated)
    :param max_open_tasks: while the workspace has more open tasks, the task waits in the triggerer; empty: never
        (templated)
    :param stop_over: share of failures, 0 to 1, over which all batches of the run stop, once 50 texts were tried;
        empty: never (templated)
    :param preview: a dry run: nothing is sent (templated)
    :param plan_task_id: the check, by whose plan the approval is; needed with ``approval_task_id``
    :param approval_task_id: the task of :class:`flexsms.operators.broadcast_approval.FlexBroadcastApprovalOperator`, if
        there is one: without its approval of this very plan nothing is sent, whatever state Airflow has it in
    :param twilio_conn_id: the Airflow connection (templated)
    :return: counts only, as :meth:`flexsms.core.broadcast_totals.BroadcastTotals.to_json` says. What became of each
        text is in the broadcast's folder. The key ``progress`` has :class:`.broadcast_xcom.BroadcastProgress` meanwhile
    :raises InvalidInput: when an argument is wrong
    :raises TextsUnsent: when texts have not left, and another try may help
    :raises PermanentError: when no text can leave, or the plan is not approved
    """

    template_fields: Sequence[str] = (
        "batch",
        "campaign",
        "route",
        "hours",
        "days",
        "not_before",
        "not_after",
        "max_per_second",
        "max_open_tasks",
        "stop_over",
        "preview",
        "twilio_conn_id",
    )
    ui_color = "#e8f4ea"
    execute = tell_failure(BaseAsyncOperator.execute)

    def __init__(
        self,
        *,
        batch: Mapping[str, Any],
        campaign: str,
        route: str = Route.STUDIO,
        hours: str = DEFAULT_HOURS,
        days: str = DEFAULT_DAYS,
        not_before: str | None = None,
        not_after: str | None = None,
        max_per_second: float | str | None = None,
        max_open_tasks: int | str | None = None,
        stop_over: float | str | None = None,
        preview: bool | str = False,
        plan_task_id: str | None = None,
        approval_task_id: str | None = None,
        twilio_conn_id: str = TwilioHook.default_conn_name,
        render_template_as_native_obj: bool | None = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(render_template_as_native_obj=render_template_as_native_obj, **kwargs)
        self.batch = batch
        self.campaign = campaign
        self.route = route
        self.hours = hours
        self.days = days
        self.not_before = not_before
        self.not_after = not_after
        self.max_per_second = max_per_second
        self.max_open_tasks = max_open_tasks
        self.stop_over = stop_over
        self.preview = preview
        self.plan_task_id = plan_task_id
        self.approval_task_id = approval_task_id
        self.twilio_conn_id = twilio_conn_id
        self._sender: BatchSender | None = None
        self._goes_on = False

    def on_kill(self) -> None:
        """Let no further text begin; Airflow ends the process some seconds later."""
        if self._sender:
            self._sender.halt()

    async def aexecute(self, context: Context) -> dict[str, Any]:
        """Send the batch, or what is left of it, and write down what became of each text."""
        batch, campaign = BroadcastBatch.from_json(self.batch), parse_campaign(self.campaign)
        rules = parse_rules(
            route=self.route,
            hours=self.hours,
            days=self.days,
            not_before=self.not_before,
            not_after=self.not_after,
            max_per_second=self.max_per_second,
            max_open_tasks=self.max_open_tasks,
            stop_over=self.stop_over,
        )
        self._check_approval(context)
        with ResultSpool() as spool:
            if batch.texts and not flag("dry_run", self.preview):
                await self._work(context, batch, rules, campaign, spool)
            self.log.info("%s: %s", batch.label, spool.totals.sentence())
            return spool.totals.to_json()

    async def _work(
        self,
        context: Context,
        batch: BroadcastBatch,
        rules: BroadcastRules,
        campaign: str,
        spool: ResultSpool,
    ) -> None:
        from flexsms.twilio.broadcast.rules import Wait

        folder = BroadcastFolder(batch.folder)
        if await asyncio.to_thread(is_over, folder, batch, spool):
            self.log.info("Nothing is left to be sent: the broadcast is over.")
            return
        if self._goes_on:
            await asyncio.to_thread(take_up, folder, batch, spool)
        now = clock.utc_now()
        window = rules.window(batch.zones, now)
        wait = Wait(window.opens) if window is not None and window.opens > now + BEHIND else None
        try:
            if wait is None:
                wait = await self._send(context, batch, rules, campaign, spool)
        finally:
            # Before an error, too, for the report.
            await asyncio.to_thread(write_results, folder, batch, spool, waits=wait is not None)
            self._push_progress(context, batch, spool, until=wait.until if wait else None)
        if wait is not None:
            self._wait(wait.until, rules)

    def execute_complete(self, context: Context, event: Any) -> Any:
        """Go on behind a wait with the texts of which nothing is known yet."""
        if isinstance(event, Mapping) and event.get("status") != TIMEOUT:
            check(event)
        self._goes_on = True
        return self.execute(context)

    async def _send(
        self,
        context: Context,
        batch: BroadcastBatch,
        rules: BroadcastRules,
        campaign: str,
        spool: ResultSpool,
    ) -> Wait | None:
        # Here, because the DAG processor imports this module again and again, and never sends.
        from flexsms.twilio.broadcast.batch import BatchSender
        from flexsms.twilio.broadcast.outcomes import BatchOutcomes
        from flexsms.twilio.broadcast.pace import SteadyClock

        ti = context["ti"]
        run = f"{ti.dag_id}/{ti.run_id}"
        async with TwilioHook(self.twilio_conn_id).account() as account:
            now = SteadyClock(lambda: account.transport.twilio_now)
            found = await account.campaign(campaign)
            outcomes = BatchOutcomes(found, run=run, now=now.moment, tell=spool.add)
            self._sender = BatchSender(
                account.client,
                account.settings,
                account.sender(),
                account.stack,
                found,
                rules,
                outcomes,
                zones=batch.zones,
                # Once somebody has cleared tasks, too many failures of before count no more; for a retry they do.
                run=f"{run}/{context['dag_run'].clear_number or 0}",
                # Not the try number: a retry has to be recognised as the same task.
                owner=f"{run}/{ti.task_id}/{ti.map_index}",
                was_tried=ti.try_number > 1 or self._goes_on,
                clock=now,
            )
            known = frozenset(spool.rows)
            telling = asyncio.create_task(self._tell_progress(context, batch, spool))
            pausing = asyncio.create_task(self._pause_in_time(self._sender))
            try:
                with span("broadcast"):
                    return await self._sender.send(read_texts(BroadcastFolder(batch.folder), batch, known))
            finally:
                telling.cancel()
                pausing.cancel()
                await asyncio.gather(telling, pausing, return_exceptions=True)
                self.lineage = Lineage(
                    account.settings.account_sid, "", "flex/texts", outcomes.counts["sent"]
                )
                stack = str(account.settings.stack)
                for one, texts in outcomes.counts.items():
                    count(Metric.SENT, texts, route=str(rules.route), stack=stack, outcome=one)

    async def _pause_in_time(self, sender: BatchSender) -> None:
        if (timeout := self.execution_timeout) is not None:
            await asyncio.sleep(max(timeout - PAUSE_BEFORE_TIMEOUT, timeout / 2).total_seconds())
            sender.pause()

    def _check_approval(self, context: Context) -> None:
        if not self.approval_task_id:
            return
        if not self.plan_task_id:
            raise InvalidInput("plan_task_id", "is empty", "name the check that approval_task_id is about")
        plan = pull_plan(context["ti"], self.plan_task_id)
        approval = answer_to(context["ti"], self.approval_task_id, plan.checked_at)
        if approval["answer"] not in GRANTED:
            raise PermanentError(f"Nothing is sent: {why_not(approval, self.approval_task_id)}.")

    async def _tell_progress(self, context: Context, batch: BroadcastBatch, spool: ResultSpool) -> None:
        while True:
            try:
                self._push_progress(context, batch, spool, until=None)
            except Exception as error:  # of Airflow's; the texts matter more
                self.log.warning("The progress could not be shown (%s).", type(error).__name__)
            await asyncio.sleep(PROGRESS_EVERY_S)

    @staticmethod
    def _push_progress(
        context: Context, batch: BroadcastBatch, spool: ResultSpool, *, until: datetime | None
    ) -> None:
        progress = BroadcastProgress.of(batch.texts, spool.totals, until)
        context["ti"].xcom_push(PROGRESS_KEY, progress.to_json())

    def _wait(self, until: datetime | None, rules: BroadcastRules) -> NoReturn:
        if until is not None:
            self.log.info("Texts leave from %s on; waiting.", until.isoformat())
            self.defer(trigger=DateTimeTrigger(moment=until + BEHIND), method_name="execute_complete")
        self.log.info("There are more than %s open tasks; waiting.", rules.max_open_tasks)
        self.defer(
            trigger=FlexOpenTasksTrigger(
                most=int(rules.max_open_tasks or 0),
                twilio_conn_id=self.twilio_conn_id,
                poll_interval_s=LOOK_AT_TASKS_EVERY_S,
                timeout_s=LONGEST_WAIT_FOR_TASKS.total_seconds(),
            ),
            method_name="execute_complete",
            timeout=LONGEST_WAIT_FOR_TASKS + TRIGGERER_GRACE,
        )
