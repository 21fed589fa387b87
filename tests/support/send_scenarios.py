"""A desk from which texts are sent, the same on both stacks; what differs between them is in one table."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from flexsms.core.exceptions import ChannelInSetup, RetryableError
from flexsms.core.outbound_message import OutboundMessage
from flexsms.core.stack_name import StackName
from flexsms.sandbox.client import connection_extra
from flexsms.twilio.account import Account, connect
from flexsms.twilio.client.endpoints import endpoint
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.sending.progress import SendResult

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

CUSTOMER = "+14155550177"
OPEN = ("pending", "reserved", "assigned", "wrapping")


@dataclass(frozen=True)
class Wire:
    """What a send does on one stack.

    :param number: the sandbox's name for the Twilio number
    :param post: the request that makes the text leave
    :param opening: host and path of every POST that opens a conversation
    :param tables: where the sandbox keeps channels, and those of them that are open
    """

    number: str
    post: tuple[str, str]
    opening: tuple[tuple[str, str], ...]
    new: dict[str, int]
    reused: dict[str, int]


FLEX, CHAT, PROXY = "flex-api.twilio.com", "chat.twilio.com", "proxy.twilio.com"
CONVERSATIONS = "conversations.twilio.com"
# The calls of a send by route, after the first key of each Sync map and the first send of the account.
WIRES = {
    StackName.CHAT: Wire(
        number="twilio",
        post=(CHAT, "/Messages$"),
        opening=((FLEX, "/Channels$"), (PROXY, "/Sessions$")),
        new={"agent": 12, "studio": 12},
        reused={"agent": 11, "studio": 11},
    ),
    StackName.CONVERSATIONS: Wire(
        number="conversations",
        post=(CONVERSATIONS, "/Messages$"),
        opening=(
            (CONVERSATIONS, "/Conversations$"),
            (CONVERSATIONS, "/Participants$"),
            (CONVERSATIONS, "/Webhooks$"),
            (FLEX, "/Interactions$"),
        ),
        new={"agent": 14, "studio": 10},
        reused={"agent": 9, "studio": 9},
    ),
}


class Desk:
    """Sends texts from the number of one stack."""

    def __init__(self, stack: StackName, sandbox: SandboxProcess, clock: Any) -> None:
        self.stack = stack
        self.sandbox = sandbox
        self.clock = clock
        self.wire = WIRES[stack]
        self.number: str = sandbox.settings["numbers"][self.wire.number]
        extra = connection_extra(sandbox.settings, stack=stack)
        self.settings = TwilioSettings.from_connection(
            sandbox.settings["account_sid"],
            sandbox.settings["auth_token"],
            {**extra, "rate_limits": "off", "timeout_s": 1},
        )

    @asynccontextmanager
    async def account(self, **changes: Any) -> AsyncIterator[Account]:
        """The account, connected, as a worker of its own has it."""
        async with connect(replace(self.settings, **changes), now=self.clock) as account:
            yield account

    def text(self, body: str = "Your results are in.", **changes: Any) -> OutboundMessage:
        return OutboundMessage.parse(
            **{"from_number": self.number, "to_number": CUSTOMER, "to_name": "Ada", "body": body, **changes}
        )

    async def send_until_done(self, *args: Any, **kwargs: Any) -> SendResult:
        """Send, and try again as Airflow does after an error that may heal."""
        for _ in range(5):
            with contextlib.suppress(RetryableError):
                return await self.send(*args, **kwargs)
        raise AssertionError("not through after 5 tries")

    async def send(
        self, body: str = "Your results are in.", *, key: str = "k1", owner: str = "me", **changes: Any
    ) -> SendResult:
        """Send as the operator does: where Flex is still setting up, again when it is through."""
        message = self.text(body, **changes)
        async with self.account() as account:
            for _ in range(40):
                try:
                    return await account.sender().send(message, key=key, owner=owner)
                except ChannelInSetup:
                    await asyncio.sleep(0.1)
        raise AssertionError("the interaction channel is never active")

    async def make_maps(self) -> None:
        """Make the Sync maps, and the key of the digests; else the first who need them do, for two calls more."""
        async with self.account() as account:
            await account.number_digest()
            maps = account.client.sync.v1.services(account.settings.sync_service_sid).sync_maps
            for digit in "0123456789abcdef":
                for kind in ("sends", "turns"):
                    await maps.create_async(unique_name=f"flexsms.{kind}.{digit}")

    def fault(self, host: str, path: str, **rule: Any) -> None:
        """A fault rule for POSTs, once unless told."""
        match = {"method": "POST", "host": host, "path": path}
        self.sandbox.control.fault(match=match, **{"times": 1, **rule})

    def fault_post(self, **rule: Any) -> None:
        """A fault rule for the request that makes the text leave."""
        self.fault(*self.wire.post, **rule)

    def texts(self) -> list[str]:
        """Every text that left for a handset."""
        return [sms["body"] for sms in self.sandbox.control.outbox()]

    def answers(self, body: str = "Thanks!") -> dict[str, Any]:
        """The customer writes."""
        return self.sandbox.control.customer(CUSTOMER, self.number, body)

    def calls(self) -> Counter[str]:
        """How often each endpoint was called since the journal was last emptied."""
        return Counter(
            endpoint(entry["method"], entry["host"], entry["path"])
            for entry in self.sandbox.control.journal()
        )

    def posts(self) -> int:
        """How often the text was posted."""
        host = self.wire.post[0]
        return sum(
            count
            for name, count in self.calls().items()
            if name.startswith(f"POST {host}") and name.endswith("/Messages")
        )

    def channels(self) -> list[dict[str, Any]]:
        """All channels there are, closed ones left out."""
        tables = self.sandbox.control.state()["tables"]
        if self.stack is StackName.CHAT:
            return [row for row in tables["channels"] if '"INACTIVE"' not in row["attributes"]]
        return [row for row in tables["conversations"] if row["state"] != "closed"]

    def open_tasks(self) -> list[str]:
        """The SIDs of the tasks that are not over."""
        return [
            row["sid"] for row in self.sandbox.control.state()["tables"]["tasks"] if row["status"] in OPEN
        ]

    async def retire(self, channel_sid: str) -> None:
        """What cleanup does with a channel."""
        async with self.account() as account:
            stack = account.retiring_stacks[self.stack]
            await stack.suspend(await stack.fetch(channel_sid), {})
            await stack.close(channel_sid, {})
