"""Texts a colleague when a task fails or a deadline passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier, Context

from flexsms.arguments import whole_number
from flexsms.core.exceptions import InvalidInput
from flexsms.core.redaction import redact
from flexsms.hooks.twilio import TwilioHook

if TYPE_CHECKING:
    from flexsms.twilio.account import Account

MOST_PER_HOUR = 60


class FlexSmsNotifier(BaseNotifier):
    """Text colleagues by plain SMS: no Flex conversation, no task for an agent.

    It works as ``on_failure_callback`` of DAGs and tasks and as the callback of a deadline. A message is texted once
    per run, whatever calls it, and every hour only so many. Sync keeps both.

    Numbers stand in the connection alone, as ``notify_from`` and ``notify_numbers``: Airflow writes the arguments of a
    deadline's callback into its database, its metrics and its logs.

    :param message: the text; what is beyond 459 characters is cut off (templated)
    :param to: a name in the connection's ``notify_numbers``, never a number (templated)
    :param per_hour: texts to that name in an hour of the clock (UTC) at most, whatever notifier sends them
    :param twilio_conn_id: the Airflow connection (templated)
    :param context: what the callback is about, which Airflow gives to those of deadlines
    :raises InvalidInput: when an argument is wrong
    :raises MissingSetting: when the connection does not know the name
    """

    template_fields: Sequence[str] = ("message", "to", "twilio_conn_id")

    def __init__(
        self,
        *,
        message: str,
        to: str,
        per_hour: int = 4,
        twilio_conn_id: str = TwilioHook.default_conn_name,
        context: Context | None = None,
    ) -> None:
        super().__init__(context)
        _refuse_number(to)
        self.message = message
        self.to = to
        self.per_hour = whole_number("per_hour", per_hour, low=1, high=MOST_PER_HOUR)
        self.twilio_conn_id = twilio_conn_id

    def notify(self, context: Context) -> None:
        """Text, from code without an event loop."""

        async def work(account: Account) -> str:
            return await self._text(account, context)

        self.log.info(TwilioHook(self.twilio_conn_id).run(work))

    async def async_notify(self, context: Context) -> None:
        """Text, in the triggerer."""
        async with TwilioHook(self.twilio_conn_id).account() as account:
            self.log.info(await self._text(account, context))

    async def _text(self, account: Account, context: Context) -> str:
        _refuse_number(self.to)  # a template may have become one
        outcome = await account.notifications().notify(
            self.to, self.message, run=run_of(context), per_hour=self.per_hour
        )
        return f"{outcome} ({self.to})."


def _refuse_number(to: str) -> None:
    if redact(to) != to:
        raise InvalidInput(
            "to", "is a phone number", "name it in the connection's notify_numbers, and give the name"
        )


def run_of(context: Any) -> str:
    """The run that a callback is about; empty where it is about none.

    A task's context holds an object, a deadline's what Airflow's REST API says of the run.
    """
    run = context.get("dag_run")
    if run is None:
        return ""
    if isinstance(run, dict):
        return f"{run['dag_id']}/{run.get('dag_run_id') or run.get('run_id')}"
    return f"{run.dag_id}/{run.run_id}"
