"""A broadcast on each of the two stacks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.broadcast import BroadcastResult, BroadcastText, Outcome
from flexsms.core.outbound_message import Route
from flexsms.core.sending_hours import SendingHours
from flexsms.core.stack_name import StackName
from flexsms.sandbox.client import connection_extra
from flexsms.twilio.account import Account, connect
from flexsms.twilio.broadcast.batch import BatchSender
from flexsms.twilio.broadcast.feed import each
from flexsms.twilio.broadcast.outcomes import BatchOutcomes
from flexsms.twilio.broadcast.pace import SteadyClock
from flexsms.twilio.broadcast.rules import BroadcastRules, Wait
from flexsms.twilio.client.settings import TwilioSettings
from tests.twilio.conftest import Clock

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

NUMBERS = {StackName.CHAT: "twilio", StackName.CONVERSATIONS: "conversations"}
ALWAYS = SendingHours.parse("00:00-24:00")


@dataclass
class Broadcast:
    """Sends batches as a task would, each try with connections of its own."""

    sandbox: SandboxProcess
    settings: TwilioSettings
    clock: Clock
    stack: AsyncExitStack
    results: list[BroadcastResult] = field(default_factory=list)
    sender: BatchSender | None = None

    @property
    def from_number(self) -> str:
        return str(self.sandbox.settings["numbers"][NUMBERS[self.settings.stack]])

    def texts(self, count: int, **more: Any) -> list[BroadcastText]:
        return [
            BroadcastText(
                **{
                    "row": row,
                    "from_number": self.from_number,
                    "to_number": f"+1415{5_560_000 + row}",
                    "body": f"Text {row}",
                    "zones": ("UTC",),
                    **more,
                }
            )
            for row in range(1, count + 1)
        ]

    async def send(
        self,
        texts: list[BroadcastText],
        *,
        campaign: str = "spring",
        run: str = "dag/run",
        batch: int = 0,
        was_tried: bool = False,
        meanwhile: Callable[[BroadcastResult], None] = lambda _: None,
        account: Account | None = None,
        **rules: Any,
    ) -> Wait | None:
        """One try of one batch; `results` has what it told, an earlier try's being gone."""
        self.results = []

        def tell(result: BroadcastResult) -> None:
            self.results.append(result)
            meanwhile(result)

        account = account or await self.connect()
        found = await account.campaign(campaign)
        now = SteadyClock(lambda: account.transport.twilio_now)
        self.sender = BatchSender(
            account.client,
            account.settings,
            account.sender(),
            account.stack,
            found,
            BroadcastRules(**{"hours": ALWAYS, "route": Route.STUDIO, **rules}),
            BatchOutcomes(found, run=run, now=now.moment, tell=tell),
            zones=texts[0].zones,
            run=run,
            owner=f"{run}/send/{batch}",
            was_tried=was_tried,
            clock=now,
        )
        return await self.sender.send(each(texts))

    async def connect(self) -> Account:
        return await self.stack.enter_async_context(connect(self.settings, now=self.clock))

    def outcomes(self) -> dict[int, str]:
        assert len({result.row for result in self.results}) == len(self.results), "a row was told twice"
        return {result.row: str(result.outcome) for result in self.results}

    def bodies(self) -> list[str]:
        """Of what has left, in order."""
        return sorted(str(sms["body"]) for sms in self.sandbox.control.outbox())

    def each_once(self, texts: list[BroadcastText]) -> None:
        """Every text has left once, and nothing else; and the results say so."""
        assert self.bodies() == sorted(text.body for text in texts)
        assert self.outcomes() == {text.row: str(Outcome.SENT) for text in texts}
        sent = {result.message_sid for result in self.results}
        assert len(sent) == len(texts)


@pytest.fixture(params=StackName)
async def broadcast(
    request: pytest.FixtureRequest,
    sandbox: SandboxProcess,
    clock: Clock,
    anyio_backend: str,
) -> AsyncIterator[Broadcast]:
    extra = {
        **connection_extra(sandbox.settings, stack=request.param),
        "rate_limits": "off",
        "timeout_s": 1,
        "max_in_flight": 16,
    }
    account = sandbox.settings
    settings = TwilioSettings.from_connection(account["account_sid"], account["auth_token"], extra)
    async with AsyncExitStack() as stack:
        yield Broadcast(sandbox, settings, clock, stack)
