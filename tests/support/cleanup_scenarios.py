"""A contact centre on either stack, and one cleanup of it: all that the two stacks differ in, in one place.

A test takes the fixture ``house`` and runs over both. What it asks for is the same; where to land in the middle of a
retirement, how to look at a channel and what has to be called is the stack's.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from flexsms.core.retention import window_ms
from flexsms.core.stack_name import StackName
from flexsms.core.task_events import to_ms
from flexsms.twilio.account import Account
from flexsms.twilio.cleanup.attempt import KEY, Attempt
from flexsms.twilio.cleanup.outcomes import Action, BatchReport, Outcome
from flexsms.twilio.cleanup.recovery import HealReport
from flexsms.twilio.cleanup.scan import DueChannel, Rule, find_due
from flexsms.twilio.stacks.protocol import RetiringStack
from flexsms.twilio.tracking.parked_states import ParkedStates
from flexsms.twilio.tracking.tracker import track

from .kept import Kept

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess
    from tests.twilio.conftest import Clock

Match = Mapping[str, str]

CUSTOMER = "+14155551001"
OTHER = "+14155551002"
RETIRED = {"status": "INACTIVE", "long_lived": False}
STATE = {"method": "GET", "host": "sync.twilio.com", "path": "/Documents/"}
MARK_RETIRED = {"method": "POST", "host": "sync.twilio.com", "path": "/Documents/"}
LEDGER = {"method": "POST", "host": "sync.twilio.com", "path": "/Items"}
BATCH = "batch"
DELAY_MS = 100
# A look asks for these, and for the new ones, whatever became of them.
OPEN_TASKS: Mapping[str, Any] = {
    "host": "taskrouter.twilio.com",
    "path": "/Tasks$",
    "form": {"AssignmentStatus": "pending"},
}


@dataclass
class Memory:
    """A checkpoint that outlives a batch."""

    saved: dict[str, Any] = field(default_factory=dict)

    async def get(self, key: str) -> Any:
        return self.saved.get(key)

    async def set(self, key: str, value: Any) -> None:
        self.saved[key] = json.loads(json.dumps(value))

    def died(self) -> None:
        """The try before is certainly dead, and what it sent has arrived, so that nobody has to wait for that."""
        self.saved[KEY]["ended"] = True

    def begun(self, batch: Sequence[DueChannel], **more: Any) -> None:
        """An earlier try has begun with a batch, and is certainly dead."""
        self.saved = {f"{BATCH}.{name}": value for name, value in more.items()}
        self.saved[KEY] = {"number": 0, "batch": BATCH, "ended": True}
        for channel in batch:
            self.saved[f"{BATCH}.untouched.{channel.channel_sid}"] = []


class House(ABC):
    """A contact centre, and one cleanup of it.

    :cvar number_name: the Twilio number that leads to this stack, as the sandbox's settings call it
    :cvar hosts: where the stack's own calls go
    :cvar fetch: the request that looks at a channel
    :cvar mark: the one that makes it inactive, and active again
    :cvar delete: the one that removes it
    :cvar steps: all requests that retiring sends for a channel, in their order
    :cvar kept: moments at which a text still finds the channel: before or after which of the requests
    :cvar last: the request after which the channel is out of the customer's way for good
    :cvar looks: how often cleanup asks what is live
    :cvar calls: what retiring a channel costs, by endpoint
    :cvar half_done: what a later run says of a channel that bears both attributes and was not finished
    :cvar arrives: what the sandbox says of a text into a channel that is in use
    :cvar finished_again: whether a second try repeats the last request for a channel that is marked as retired
    """

    stack: ClassVar[StackName]
    number_name: ClassVar[str]
    hosts: ClassVar[tuple[str, ...]]
    fetch: ClassVar[Match]
    mark: ClassVar[Match]
    delete: ClassVar[Match]
    steps: ClassVar[Sequence[Match]]
    kept: ClassVar[Sequence[tuple[Match | None, str]]]
    last: ClassVar[Match]
    looks: ClassVar[int]
    calls: ClassVar[frozenset[str]]
    half_done: ClassVar[Outcome]
    arrives: ClassVar[str]
    finished_again: ClassVar[bool]

    def __init__(self, account: Account, sandbox: SandboxProcess, clock: Clock) -> None:
        self.account = account
        self.sandbox = sandbox
        self.control = sandbox.control
        self.clock = clock
        self.memory = Memory()
        self.cursor: str | None = None
        self.parked = Kept()
        self.scanned_at: datetime = clock()

    # What customers, agents and other systems do

    @property
    def number(self) -> str:
        number: str = self.sandbox.settings["numbers"][self.number_name]
        return number

    def conversation(self, customer: str = CUSTOMER) -> str:
        """A customer wrote, was answered, and the agent is done."""
        sid: str = self.control.customer(customer, self.number, "Hello")["channel_sid"]
        self.clock.advance(seconds=2)  # an interaction takes a moment to come up
        self.control.agent("complete", channel_sid=sid)
        return sid

    def writes(self, customer: str = CUSTOMER) -> dict[str, Any]:
        """The play of a customer who writes again."""
        return {"customer": {"from": customer, "to": self.number, "body": "Me again"}}

    def comes_and_goes(self, channel_sid: str) -> list[dict[str, Any]]:
        """The plays of a customer who writes again and is answered at once."""
        return [self.writes(), {"agent": {"action": "complete", "channel_sid": channel_sid}}]

    @abstractmethod
    def written_by_others(self, channel_sid: str, **attributes: Any) -> dict[str, Any]:
        """The play of somebody else who writes attributes of a channel."""

    def set_attributes(self, channel_sid: str, **attributes: Any) -> None:
        """Somebody else writes attributes of a channel."""
        self.control.perform(self.written_by_others(channel_sid, **attributes))

    def fault(self, match: Mapping[str, Any], **rule: Any) -> None:
        self.control.fault(match=dict(match), **{"times": 1, **rule})

    async def dies(self, match: Mapping[str, Any], **rule: Any) -> list[DueChannel]:
        """A batch dies while a request is under way, which Twilio then applies all the same."""
        due = await self.due()
        self.fault(match, action="delay", delay_ms=DELAY_MS, **rule)
        first = asyncio.create_task(self.retire(due))
        while not self.control.faults()[0]["hits"]:  # noqa: ASYNC110  # another process knows
            await asyncio.sleep(0.005)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await asyncio.sleep(2 * DELAY_MS / 1000)
        return due

    # One cleanup

    async def track(self) -> None:
        async def save(cursor: str) -> None:
            self.cursor = cursor

        await track(
            self.account.taskrouter(),
            self.account.store,
            cursor=self.cursor,
            save_cursor=save,
            at_once=8,
            parked=ParkedStates(self.parked),
        )

    def rule(self, now: datetime, limit: int = 1000) -> Rule:
        """What is due after two days."""
        return Rule(to_ms("now", now), window_ms(2), limit, self.account.home.workspace_sid)

    async def scan(self, limit: int = 1000) -> list[DueChannel]:
        self.scanned_at = self.clock()
        found = await find_due(self.account.store.scan(adopt=True), self.rule(self.scanned_at, limit))
        self.control.clear_journal()
        return found.due

    async def due(self, days: float = 3) -> list[DueChannel]:
        """What is due some days later."""
        self.clock.advance(days=days)
        await self.track()
        return await self.scan()

    async def retire(
        self, due: list[DueChannel], action: Action = Action.DEACTIVATE, *, dry_run: bool = False
    ) -> BatchReport:
        cleaner = self.account.cleaner(action=action, run_id="test", dry_run=dry_run)
        # A lease that no machine is too slow for.
        attempt = Attempt(self.memory, batch=BATCH, number=1, lease=timedelta(minutes=5), grace=timedelta())
        return await cleaner.retire(due, scanned_at=self.scanned_at, attempt=attempt)

    async def clean(self, action: Action = Action.DEACTIVATE, *, days: float = 3) -> BatchReport:
        """A whole run of its own, some days later."""
        self.memory = Memory()
        return await self.retire(await self.due(days), action)

    async def heal(self) -> HealReport:
        """What the next run does before it plans."""
        await self.track()
        healer = self.account.healer(run_id="test")
        unfinished = await healer.unfinished()
        found = await find_due(
            self.account.store.scan(adopt=True),
            self.rule(self.clock()),
            watched=unfinished.outcomes,
        )
        return await healer.heal(found, unfinished)

    # What became of it

    @property
    def retiring(self) -> RetiringStack:
        """The stack itself, for doing a part of its work."""
        return self.account.retiring_stacks[self.stack]

    def written(self) -> list[str]:
        """The requests since the scan that change something."""
        return [
            f"{entry['method']} {entry['host']}{entry['path']}"
            for entry in self.control.journal()
            if entry["method"] != "GET"
        ]

    def touched(self) -> list[str]:
        """Those of them that change a channel."""
        return [line for line in self.written() if any(f" {host}/" in line for host in self.hosts)]

    async def ledger(self) -> dict[str, str]:
        """What the ledger last says of each channel."""
        maps = self.account.client.sync.v1.services(self.account.settings.sync_service_sid).sync_maps
        items = await maps("flexsms.retired").sync_map_items.list_async()
        assert {item.data["run_id"] for item in items} == {"test"}
        found: list[Any] = sorted((item.data for item in items), key=lambda data: str(data["at"]))
        return {line[0]: line[2] for data in found for line in data.get("channels", ())}

    @abstractmethod
    async def attributes(self, channel_sid: str) -> dict[str, Any]:
        """A channel's attributes, past the code that is tested."""

    @abstractmethod
    async def is_open(self, channel_sid: str) -> bool:
        """Whether texts of the customer get through to a channel."""

    @abstractmethod
    async def channels(self) -> list[str]:
        """All channels there are."""

    async def assert_live(self, channel_sid: str, before: Mapping[str, Any]) -> None:
        """The channel is as it was, and the customer's next text gets through to it."""
        assert await self.attributes(channel_sid) == before
        assert await self.is_open(channel_sid)
        arrived = self.control.customer(CUSTOMER, self.number, "Is anybody there?")
        assert (arrived["channel_sid"], arrived["outcome"]) == (channel_sid, self.arrives)
        assert arrived["task_sid"]

    async def assert_retired(self, channel_sid: str) -> None:
        """Both attributes are written, no text gets through, and the next one starts a fresh channel."""
        attributes = await self.attributes(channel_sid)
        assert {name: attributes[name] for name in RETIRED} == RETIRED
        assert not await self.is_open(channel_sid)
        arrived = self.control.customer(CUSTOMER, self.number, "Hello again")
        assert arrived["outcome"] == "started"
        assert arrived["channel_sid"] != channel_sid
        fresh = await self.attributes(arrived["channel_sid"])
        assert {**fresh, **self.retiring.usual} == fresh
        assert fresh.get("status") != "INACTIVE"


class ChatHouse(House):
    """Programmable Chat and Proxy: the session is closed, then the channel is made inactive, and that is all."""

    stack = StackName.CHAT
    number_name = "twilio"
    hosts = ("chat.twilio.com", "proxy.twilio.com")
    fetch: ClassVar[Match] = {"method": "GET", "host": "chat.twilio.com", "path": "/Channels/CH[^/]*$"}
    mark: ClassVar[Match] = {"method": "POST", "host": "chat.twilio.com", "path": "/Channels/CH[^/]*$"}
    delete: ClassVar[Match] = {"method": "DELETE", "host": "chat.twilio.com", "path": "/Channels/CH"}
    session: ClassVar[Match] = {"method": "POST", "host": "proxy.twilio.com", "path": "/Sessions/KC"}
    steps = (fetch, session, mark, LEDGER, MARK_RETIRED)
    kept = (
        (None, ""),
        (fetch, "before"),
        (fetch, "after"),
        (session, "before"),
        (session, "after"),
        (mark, "before"),
    )
    last = mark
    calls = frozenset(
        {
            "GET chat.twilio.com/v2/Services/{id}/Channels/{id}",
            "POST proxy.twilio.com/v1/Services/{id}/Sessions/{id}",
            "POST chat.twilio.com/v2/Services/{id}/Channels/{id}",
            "POST sync.twilio.com/v1/Services/{id}/Documents/{id}",
        }
    )
    half_done = Outcome.ALREADY_GONE
    arrives = "session"
    looks = 2
    finished_again = False

    def written_by_others(self, channel_sid: str, **attributes: Any) -> dict[str, Any]:
        return {"channel_attributes": {"channel_sid": channel_sid, "attributes": attributes}}

    @property
    def _chat(self) -> Any:
        return self.account.client.chat.v2.services(self.account.settings.chat_service_sid).channels

    async def attributes(self, channel_sid: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((await self._chat(channel_sid).fetch_async()).attributes)
        return found

    async def is_open(self, channel_sid: str) -> bool:
        """The session is open; whether the channel is active, the attributes tell."""
        sessions = self.account.client.proxy.v1.services(self.account.settings.session_service_sid).sessions
        (session,) = [one for one in await sessions.list_async() if one.unique_name == channel_sid]
        return str(session.status) in ("open", "in-progress")

    async def channels(self) -> list[str]:
        return [channel.sid for channel in await self._chat.list_async(type="private")]


class ConversationsHouse(House):
    """Flex Conversations: the conversation is made inactive, and its interaction channel closed when all is retired."""

    stack = StackName.CONVERSATIONS
    number_name = "conversations"
    hosts = ("conversations.twilio.com", "flex-api.twilio.com")
    fetch: ClassVar[Match] = {
        "method": "GET",
        "host": "conversations.twilio.com",
        "path": "/Conversations/CH[^/]*$",
    }
    mark: ClassVar[Match] = {
        "method": "POST",
        "host": "conversations.twilio.com",
        "path": "/Conversations/CH[^/]*$",
    }
    delete: ClassVar[Match] = {
        "method": "DELETE",
        "host": "conversations.twilio.com",
        "path": "/Conversations/CH",
    }
    close: ClassVar[Match] = {"method": "POST", "host": "flex-api.twilio.com", "path": "/Channels/UO"}
    steps = (fetch, mark, LEDGER, MARK_RETIRED, close)
    kept = ((None, ""), (fetch, "before"), (fetch, "after"), (mark, "before"), (mark, "after"))
    last = close
    calls = frozenset(
        {
            "GET conversations.twilio.com/v1/Conversations/{id}",
            "POST conversations.twilio.com/v1/Conversations/{id}",
            "POST flex-api.twilio.com/v1/Interactions/{id}/Channels/{id}",
            "POST sync.twilio.com/v1/Services/{id}/Documents/{id}",
        }
    )
    half_done = Outcome.DEACTIVATED
    arrives = "conversation"
    looks = 3
    finished_again = True

    def written_by_others(self, channel_sid: str, **attributes: Any) -> dict[str, Any]:
        return {"conversation_attributes": {"channel_sid": channel_sid, "attributes": attributes}}

    @property
    def _conversations(self) -> Any:
        return self.account.client.conversations.v1.conversations

    async def attributes(self, channel_sid: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((await self._conversations(channel_sid).fetch_async()).attributes)
        return found

    async def is_open(self, channel_sid: str) -> bool:
        """Neither inactive nor closed."""
        return (await self._conversations(channel_sid).fetch_async()).state == "active"

    async def channels(self) -> list[str]:
        return [one.sid for one in await self._conversations.list_async()]


HOUSES: tuple[type[House], ...] = (ChatHouse, ConversationsHouse)
