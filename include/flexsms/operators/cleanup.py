"""Retires the channels that a plan has found, batch by batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseAsyncOperator, Context
from airflow.sdk.execution_time.context import TaskStateStoreAccessor

from flexsms.arguments import flag
from flexsms.core.exceptions import ChannelsFailed, InvalidInput, PermanentError
from flexsms.core.retention import SMS, channel_types
from flexsms.failure_log import tell_failure
from flexsms.hooks.twilio import TwilioHook
from flexsms.lineage import Lineage, WithLineage
from flexsms.operators.approval import GRANTED, answer_to
from flexsms.operators.cleanup_failures import causes
from flexsms.operators.cleanup_xcom import REPORT_KEY, calls_of, planned_channels
from flexsms.telemetry import span
from flexsms.templates import LiteralRows
from flexsms.twilio.cleanup.outcomes import DONE, Action, BatchReport, failure, parse_action
from flexsms.twilio.cleanup.unanswered import Unanswered, parse_unanswered

if TYPE_CHECKING:
    from flexsms.twilio.cleanup.attempt import Attempt


class FlexCleanupOperator(WithLineage, LiteralRows, BaseAsyncOperator):
    """Retire one batch of due channels, many at a time, without ever cutting off a live one.

    A batch that was killed goes on where it stopped, once the try before can no longer be at work: after four times the
    connection's ``timeout_s``, a minute. A try that was replaced or stopped writes nothing more. One bad channel does
    not stop the others: the batch goes through, leaves its report, and then fails for the bad ones.

    :param batch: one of the batches of :class:`flexsms.operators.cleanup_plan.FlexCleanupPlanOperator` (templated)
    :param action: ``deactivate`` makes channels short-lived and inactive, ``delete`` removes them with their history;
        the plan's, which may have been approved (templated)
    :param unanswered: what becomes of a text that nobody was told of, ``task`` or ``report``: see the plan (templated)
    :param preview: a dry run: look, count, and write nothing (templated)
    :param channel_types: which kinds of channels are retired, like the plan's: a channel whose kind no task has told is
        asked itself (templated)
    :param twilio_conn_id: the Airflow connection (templated)
    :param approval_task_id: the task of :class:`flexsms.operators.cleanup_approval.FlexCleanupApprovalOperator`, if
        there is one: without its approval of this very plan, nothing is retired, whatever state Airflow has it in
    :return: nothing. Under the key ``report`` a count per outcome, ``failures``, ``api_calls``, and in a dry run
        ``would``, the channels that would be retired, each with its last task's end, milliseconds since 1970 UTC
    :raises InvalidInput: when an argument is wrong, or the action another one than the plan's
    :raises ChannelsFailed: when channels failed and another try may help
    :raises PermanentError: when channels failed and no other try will help, or the plan is not approved
    """

    template_fields: Sequence[str] = (
        "batch",
        "action",
        "unanswered",
        "preview",
        "channel_types",
        "twilio_conn_id",
    )
    ui_color = "#fbe4d0"
    execute = tell_failure(BaseAsyncOperator.execute)

    def __init__(
        self,
        *,
        batch: Mapping[str, Any],
        action: str = Action.DEACTIVATE,
        unanswered: str = Unanswered.TASK,
        preview: bool | str = False,
        channel_types: Collection[str] | str = SMS,
        twilio_conn_id: str = TwilioHook.default_conn_name,
        approval_task_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.channel_types = channel_types if isinstance(channel_types, str) else sorted(channel_types)
        self.unanswered = unanswered
        self.batch = batch
        self.action = action
        self.preview = preview
        self.twilio_conn_id = twilio_conn_id
        self.approval_task_id = approval_task_id
        self._attempt: Attempt | None = None

    def on_kill(self) -> None:
        """Let no further request leave; Airflow ends the process some seconds later."""
        if self._attempt:
            self._attempt.stop()

    async def aexecute(self, context: Context) -> None:
        """Retire the batch, report, and only then fail."""
        ti = context["ti"]
        scanned_at = str(self.batch["scanned_at"])
        action = parse_action(self.action)
        if action != (planned := self.batch.get("action")):
            raise InvalidInput(
                "action",
                f"is '{action}', and that of the task '{self.batch['task_id']}' is {planned!r}",
                "give both tasks the same, and trigger a new run",
            )
        channels = planned_channels(ti, self.batch)
        preview = flag("dry_run", self.preview)
        if not channels:
            self.log.info("Nothing is due, so nothing is retired.")
            return
        asks = self.approval_task_id
        if asks and answer_to(ti, asks, scanned_at)["answer"] not in GRANTED:
            raise PermanentError(
                f"Nothing is retired: this plan is not approved; clear the task '{asks}' to ask again."
            )
        async with TwilioHook(self.twilio_conn_id).account() as account:
            cleaner = account.cleaner(
                action=action,
                run_id=f"{ti.dag_id}/{ti.run_id}",
                channel_types=channel_types(self.channel_types),
                unanswered=parse_unanswered(self.unanswered),
                dry_run=preview,
            )
            # A plan that is made again names another moment, so its batches do not take these memories for theirs.
            self._attempt = account.attempt(
                _Checkpoint(context["task_state_store"]), batch=f"batch.{scanned_at}", number=ti.try_number
            )
            with span("retire"):
                report = await cleaner.retire(
                    channels, scanned_at=datetime.fromisoformat(scanned_at), attempt=self._attempt
                )
            pushed = {**report.to_json(), **calls_of(account)}
            self.lineage = Lineage(
                account.settings.account_sid,
                f"sync/{account.settings.sync_service_sid}/documents",
                "flex/channels",
                0 if preview else sum(outcome in DONE.values() for outcome in report.outcomes.values()),
            )
        if preview:
            pushed["would"] = [
                [channel.channel_sid, channel.ended_ms]
                for channel in channels
                if report.outcomes.get(channel.channel_sid) in DONE.values()
            ]
        ti.xcom_push(REPORT_KEY, pushed)
        self.log.info("Batch of %d: %s.", len(channels), _counts(report))
        if report.errors:
            raise _failed(report)


class _Checkpoint:
    """What a task remembers over its own death, in the store that all tries of a task instance share."""

    def __init__(self, store: TaskStateStoreAccessor) -> None:
        self._store = store

    async def get(self, key: str) -> Any:
        return self._store.get(key)

    async def set(self, key: str, value: Any) -> None:
        self._store.set(key, value)


def _counts(report: BatchReport) -> str:
    counts = Counter(report.outcomes.values())
    return (
        ", ".join(f"{count} {outcome.replace('_', ' ')}" for outcome, count in counts.items())
        or "nothing to do"
    )


def _failed(report: BatchReport) -> ChannelsFailed | PermanentError:
    why = causes(failure(sid, error) for sid, error in report.errors.items())
    sentence = f"{len(report.errors)} of {len(report.outcomes)} channels failed. {why}"
    return ChannelsFailed(sentence) if report.worth_retrying else PermanentError(sentence)
