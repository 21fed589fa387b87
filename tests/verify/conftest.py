"""The experiments on a local Twilio, with somebody who holds the handset."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.verify import Finding
from flexsms.sandbox.client import connection_extra
from flexsms.twilio.account import connect
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.verify.own import Own, Patience, Wishes
from flexsms.twilio.verify.run import run

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

HANDSET = "+14155550142"
EVENTS_URL = "https://airflow.example.com/flexsms/events"
# Nobody and nothing takes longer here.
PATIENCE = Patience(
    machine=timedelta(seconds=3),
    ended=timedelta(),
    person=timedelta(seconds=3),
    every=timedelta(seconds=0.02),
)


class Bench:
    """Makes experiments on the sandbox.

    :ivar own: what the last run made
    :ivar requests: what it has asked for
    """

    def __init__(self, sandbox: SandboxProcess) -> None:
        self.sandbox = sandbox
        self.control = sandbox.control
        self.requests: list[str] = []
        self.own: Own

    def settings(self, stack: str, **changes: Any) -> TwilioSettings:
        extra = connection_extra(self.sandbox.settings, stack=stack)
        return TwilioSettings.from_connection(
            self.sandbox.settings["account_sid"],
            self.sandbox.settings["auth_token"],
            {**extra, "rate_limits": "off", "timeout_s": 2, "events_url": EVENTS_URL, **changes},
        )

    def number(self, stack: str) -> str:
        number: str = self.sandbox.settings["numbers"]["twilio" if stack == "chat" else "conversations"]
        return number

    def wishes(self, stack: str = "conversations", *only: str, **changes: Any) -> Wishes:
        given = {
            "number": self.number(stack),
            "handset": HANDSET,
            "worker_sid": self.sandbox.settings["worker_sids"][0],
            "stack": stack,
        }
        return Wishes.parse(**{**given, "only": only, **changes})

    def person(self, request: str) -> None:
        """Does what is asked for."""
        self.requests.append(request)
        if "text from the handset" in request:
            self.control.customer(HANDSET, self.own.wishes.number, "Hello")
        elif "Accept the task" in request:
            self.control.agent("complete", task_sid=self.open_tasks()[-1])

    def open_tasks(self) -> list[str]:
        """The SIDs of the tasks that are not over, the newest last."""
        rows = self.control.state()["tables"]["tasks"]
        return [row["sid"] for row in rows if row["status"] not in ("completed", "canceled")]

    async def findings(
        self,
        stack: str = "conversations",
        *only: str,
        person: Callable[[str], None] | None = None,
        patience: Patience = PATIENCE,
        extra: dict[str, Any] | None = None,
        **changes: Any,
    ) -> dict[str, Finding]:
        """The findings by the names of their assumptions; each is there once."""
        found: list[Finding] = []
        async with connect(self.settings(stack, **(extra or {}))) as account:
            wishes = self.wishes(stack, *only, **changes)
            self.own = Own(account, wishes, person=person or self.person, patience=patience)
            await run(self.own, found.append)
        by_name = {one.assumption.name: one for one in found}
        assert len(by_name) == len(found)
        return by_name


@pytest.fixture
def bench(sandbox: SandboxProcess) -> Bench:
    """Experiments on an account with nothing in it."""
    return Bench(sandbox)
