"""Waiting for something at Twilio by polling it.

Airflow may run a trigger twice at the same time, and again after a restart, so all it does is read.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from flexsms.core.exceptions import NotFound, PermanentError, RetryableError, ServiceUnavailable
from flexsms.hooks.twilio import TwilioHook
from flexsms.twilio.client import clock
from flexsms.twilio.client.unexpected_errors import contained

if TYPE_CHECKING:
    from flexsms.twilio.account import Account

TIMEOUT, ERROR = "timeout", "error"
# A trigger gives up by itself and says how far it came. Where no triggerer runs, Airflow ends the wait so much later.
TRIGGERER_GRACE = timedelta(minutes=2)
# Polls in a row that may fail. The client has repeated each for some ten seconds already, but not a 404: what was
# only just made may not show yet, and what is gone does not come back.
MOST_FAILURES = 5


class PollingTrigger(BaseTrigger):
    """Polls Twilio until there is something to tell; then it fires one event.

    The event is what :meth:`poll` returned, or ``{"status": "timeout", …}`` with what :meth:`so_far` has to add, or
    ``{"status": "error", "message", "retryable"}``, which :func:`check` makes an exception again. All that the task
    needs is in there, because ``dag.test()`` forgets what else was given to ``defer``.

    :cvar wanted: the arguments of the subclass, by name; JSON values, and no secrets
    :param twilio_conn_id: the Airflow connection
    :param poll_interval_s: seconds between two polls
    :param timeout_s: seconds from now on until it gives up
    :param deadline: seconds since 1970, instead of ``timeout_s``: a trigger that is restarted does not begin anew
    """

    wanted: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        *,
        twilio_conn_id: str = TwilioHook.default_conn_name,
        poll_interval_s: float = 10,
        timeout_s: float = 600,
        deadline: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's own
        self.twilio_conn_id = twilio_conn_id
        self.poll_interval_s = poll_interval_s
        self.deadline = clock.utc_now().timestamp() + timeout_s if deadline is None else deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and the arguments that Airflow makes the trigger from again."""
        names = (*self.wanted, "twilio_conn_id", "poll_interval_s", "deadline")
        kind = type(self)
        return f"{kind.__module__}.{kind.__qualname__}", {name: getattr(self, name) for name in names}

    @abstractmethod
    async def poll(self, account: Account) -> dict[str, Any] | None:
        """The event, None when there is none yet.

        An error that may heal by itself, or a 404 that may not be true, is no reason to stop before it comes several
        times in a row.
        """

    def so_far(self) -> dict[str, Any]:
        """What the event of a timeout has to tell besides."""
        return {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire the one event."""
        try:
            async with TwilioHook(self.twilio_conn_id).account() as account:
                event = await self._wait(account)
        except PermanentError as error:
            event = {"status": ERROR, "message": str(error), "retryable": False}
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]  # Airflow's own

    async def _wait(self, account: Account) -> dict[str, Any]:
        failures = 0
        while True:
            try:
                with contained():
                    event = await self.poll(account)
            except (RetryableError, NotFound) as error:
                failures += 1
                self.log.warning("Poll failed, %d of %d in a row: %s", failures, MOST_FAILURES, error)
                if failures == MOST_FAILURES:
                    return {
                        "status": ERROR,
                        "message": str(error),
                        "retryable": isinstance(error, RetryableError),
                    }
            else:
                failures = 0
                if event is not None:
                    return event
            left_s = self.deadline - clock.utc_now().timestamp()
            if left_s <= 0:
                return {"status": TIMEOUT, **self.so_far()}
            await asyncio.sleep(min(self.poll_interval_s, left_s))


def check(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The event of a polling trigger, if it is no error.

    :raises ServiceUnavailable: when Twilio gave no useful answer several times in a row
    :raises PermanentError: when another poll changes nothing
    """
    if event["status"] == ERROR:
        raise (ServiceUnavailable if event["retryable"] else PermanentError)(event["message"])
    return event
