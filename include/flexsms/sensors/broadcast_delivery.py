"""Waits until it is known what became of a broadcast's texts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import BaseSensorOperator, Context, PokeReturnValue
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException

from flexsms.arguments import flag, number
from flexsms.core.broadcast import BroadcastBatch, BroadcastResult, Outcome
from flexsms.core.broadcast_totals import many
from flexsms.core.exceptions import PermanentError
from flexsms.failure_log import tell_failure
from flexsms.hooks.twilio import TwilioHook
from flexsms.operators.broadcast_xcom import PLAN_KEY, BroadcastPlan
from flexsms.recipients.folder import BroadcastFolder
from flexsms.templates import LiteralRows
from flexsms.twilio.client import clock

if TYPE_CHECKING:
    from flexsms.recipients.fates import BroadcastFates
    from flexsms.twilio.account import Account

# After the first look. Most receipts come within seconds, a few within an hour, and a look costs a call per 1000 texts.
LOOKS = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 300, 900, 1800))
LATER = timedelta(minutes=30)
BEGAN = "began"
ASKED = "asked"
# Texts of which nobody has said anything: as many as the batches of one moment have, and more.
MOST_ASKED = 10_000
# Texts that the list alone does not tell from those of another broadcast.
MOST_RECEIPTS = 1000


class FlexBroadcastDeliverySensor(LiteralRows, BaseSensorOperator):
    """Wait until the fate of all texts of a broadcast is known, for so long at most.

    It looks at once, after 10 seconds, 1, 5, 15 and 30 minutes, and then every 30. A look is one call per 1000 texts,
    for it reads Twilio's list of messages and not receipts one by one. In between it waits in the triggerer, one task
    for the whole broadcast.

    Of a text whose batch ended without a word, it asks the ledger once whether it has left: two calls at most each, and
    for 10 000 texts at most. What has left in another run is ``texted_before``.

    Of a text that it cannot tell from the same one of another broadcast, it reads the receipt: one call on Flex
    Conversations, and two or more on Programmable Chat, for 1000 texts of a look at most. Any others are not known.

    It writes ``delivery.jsonl`` into the broadcast's folder, and keeps who has opted out (21610), so that nobody texts
    them again. It only reads from Twilio and may be cleared, as long as the work list is there. Texts that did not
    arrive do not fail it: the report tells them.

    It has to run when batches failed too. Make it a teardown, as the report::

        send >> delivery.as_teardown() >> report

    :param plan_task_id: the task of :class:`flexsms.operators.broadcast_check.FlexBroadcastCheckOperator`
    :param minutes: how long to wait for texts of which nobody knows; 0: not at all (templated)
    :param preview: a dry run: nothing was sent (templated)
    :param twilio_conn_id: the Airflow connection that the texts were sent with (templated)
    :param deferrable: wait in the triggerer instead of on a worker
    :param sensor: of BaseSensorOperator; ``poke_interval`` counts only without ``deferrable``
    :return: ``{"delivered", "not_delivered", "unknown"}``
    :raises AirflowSkipException: when nobody waits, nothing was sent, nobody knows of a single text, or the report has
        removed the work list and everybody has a text
    :raises InvalidInput: when an argument is wrong
    :raises PermanentError: when the work list is gone, and somebody may be without a text
    """

    template_fields: Sequence[str] = ("minutes", "preview", "twilio_conn_id")
    ui_color = "#e8f4ea"

    def __init__(
        self,
        *,
        plan_task_id: str,
        minutes: float | str = 60,
        preview: bool | str = False,
        twilio_conn_id: str = TwilioHook.default_conn_name,
        deferrable: bool = True,
        **sensor: Any,
    ) -> None:
        super().__init__(**{"poke_interval": 300, "mode": "reschedule", **sensor})
        self.plan_task_id = plan_task_id
        self.minutes = minutes
        self.preview = preview
        self.twilio_conn_id = twilio_conn_id
        self.deferrable = deferrable
        self._counts: dict[str, int] = {}

    @tell_failure
    def execute(self, context: Context) -> Any:
        """Look; if somebody's text is still on its way, wait."""
        wait = number("minutes", self.minutes, low=0, high=7 * 24 * 60)
        if flag("dry_run", self.preview):
            raise AirflowSkipException("Dry run: nothing was sent.")
        if context["ti"].xcom_pull(task_ids=self.plan_task_id, key=PLAN_KEY) is None:
            raise AirflowSkipException(
                f"The task '{self.plan_task_id}' has left no plan, so nothing was sent."
            )
        if not wait:
            raise AirflowSkipException(
                "Nobody waits for the delivery: whether the texts arrive is not known."
            )
        if not self.deferrable:
            self.timeout = wait * 60
            with suppress(AirflowSensorTimeout):
                return super().execute(context)
            return self._outcome(is_late=True)
        seen = self.poke(context)
        if seen.is_done:
            return seen.xcom_value
        upcoming = next_look(self._began(context), clock.utc_now(), timedelta(minutes=wait))
        if upcoming is None:
            return self._outcome(is_late=True)
        self.log.info("%s Looking again at %s UTC.", self._sentence(), f"{upcoming:%H:%M}")
        return self.defer(trigger=DateTimeTrigger(moment=upcoming), method_name="execute_complete")

    def execute_complete(self, context: Context, event: object) -> Any:
        """Look again."""
        return self.execute(context)

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once, and write down what is known."""
        from flexsms.recipients.batch_files import all_over
        from flexsms.recipients.fates import BroadcastFates

        self._began(context)
        ti = context["ti"]
        plan = BroadcastPlan.from_json(ti.xcom_pull(task_ids=self.plan_task_id, key=PLAN_KEY))
        batches = [BroadcastBatch.from_json(one) for one in ti.xcom_pull(task_ids=self.plan_task_id)]
        since = datetime.fromisoformat(plan.checked_at)
        hook, memory = TwilioHook(self.twilio_conn_id), context["task_state_store"]
        folder = BroadcastFolder(plan.folder)
        if all_over(folder, batches):
            raise AirflowSkipException(
                "The broadcast is over; what became of its texts stands in its report."
            )
        with BroadcastFates(folder, batches) as fates:
            if memory.get(ASKED) != ti.max_tries and fates.silent(1):
                run = f"{ti.dag_id}/{ti.run_id}"
                hook.run(lambda account: ask(account, fates, plan.campaign, run))
                fates.write()
            memory.set(ASKED, ti.max_tries)
            if fates.senders:
                hook.run(lambda account: look(account, fates, since))
            fates.write()
            self._counts = fates.counts()
        if not sum(self._counts.values()):
            raise AirflowSkipException("No text has left, so none can be delivered.")
        if self._counts["unknown"]:
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self._outcome(is_late=False))

    def _outcome(self, *, is_late: bool) -> dict[str, int]:
        counts = self._counts
        if is_late and counts["unknown"] == sum(counts.values()):
            raise AirflowSkipException(f"{self._sentence()} Nobody has reported in time.")
        tell = self.log.warning if is_late or counts["not_delivered"] else self.log.info
        tell("%s%s", self._sentence(), " Nobody has reported of these in time." if is_late else "")
        return counts

    def _sentence(self) -> str:
        counts = self._counts
        told = f"{many(counts['delivered'])} delivered, {many(counts['not_delivered'])} not delivered"
        return f"{told}, {many(counts['unknown'])} not known yet."

    def _began(self, context: Context) -> datetime:
        """When the first look was, also after a wait or in another try; a task that is cleared begins anew."""
        memory = context["task_state_store"]
        clears = context["ti"].max_tries  # grows when the task is cleared, and not when it is tried again
        began = memory.get(BEGAN)
        if not isinstance(began, dict) or began["clears"] != clears:
            began = {"at": clock.utc_now().isoformat(), "clears": clears}
            memory.set(BEGAN, began)
        return datetime.fromisoformat(str(began["at"]))


async def ask(account: Account, fates: BroadcastFates, campaign: str, run: str) -> None:
    """Ask the ledger which texts have left although their batch has not said so."""
    from flexsms.core.outbound_message import count_segments
    from flexsms.twilio.client.concurrency import for_each

    found, sender = await account.campaign(campaign), account.sender()

    async def one(text: tuple[int, str, str]) -> None:
        row, to_number, body = text
        with suppress(PermanentError):  # nobody can tell, so it stays unknown
            left = await sender.find(found.key(to_number), waits=False)
            if left is None:
                return
            is_ours = str(left.sent_by).startswith(f"{run}/")
            fates.learn(
                BroadcastResult(
                    row,
                    to_number[-4:],
                    Outcome.SENT if is_ours else Outcome.TEXTED_BEFORE,
                    at=left.sent_at or "",
                    segments=count_segments(body).count if is_ours else 0,
                    channel_sid=left.channel_sid,
                    message_sid=left.message_sid or "",
                )
            )

    await for_each(fates.silent(MOST_ASKED), one, at_once=account.settings.max_in_flight)


async def look(account: Account, fates: BroadcastFates, since: datetime) -> None:
    """Read what has left the numbers of a broadcast, and keep who has opted out."""
    from flexsms.core.opt_out import Why

    deliveries = account.broadcast_deliveries()
    for sender in fates.senders:
        async with aclosing(deliveries.pages(sender, since)) as pages:
            async for page in pages:
                fates.match(sender, page)
    await ask_receipts(account, fates)
    suppressions = account.suppressions()
    for phone, at in fates.opted_out():
        await suppressions.learn(phone, out=True, at=at, why=Why.REFUSED)


async def ask_receipts(account: Account, fates: BroadcastFates) -> None:
    """Read the receipts of texts that the list alone does not tell from those of another broadcast."""
    from flexsms.twilio.client.concurrency import for_each

    deliveries = account.deliveries(None)

    async def one(doubtful: tuple[int, BroadcastResult]) -> None:
        row, sent = doubtful
        with suppress(PermanentError):  # its conversation is gone, so it stays unknown
            found = await deliveries.delivery(sent.channel_sid, None, sent.message_sid)
            if found is not None:
                fates.settle(row, sent, found)

    await for_each(fates.doubtful(MOST_RECEIPTS), one, at_once=account.settings.max_in_flight)


def next_look(began: datetime, now: datetime, wait: timedelta) -> datetime | None:
    """When to look again, None: no more.

    :param began: when the first look was
    :param wait: for so long from then on
    """
    end = began + wait
    if now >= end:
        return None
    upcoming = next((began + after for after in LOOKS if began + after > now), now + LATER)
    return min(upcoming, end)
