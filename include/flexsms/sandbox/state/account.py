"""One emulated account: its clock, its rows, its timers, its switches and the resources it is born with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from heapq import heappop, heappush
from typing import Any

from ..http import basic
from .clock import Clock
from .delivery_queue import DeliveryQueue
from .indexes import Indexes
from .rows.conversations import Address, Conversation
from .rows.flex import FlexFlow
from .rows.shared import Fixture, Service
from .settings import Settings
from .sids import Sids

# Valid for `phonenumbers`, and in the 555 exchange, which no US carrier gives to subscribers.
NUMBER = "+14155550100"
NUMBER_SHORT_LIVED = "+14155550101"
NUMBER_CONVERSATIONS = "+14155550102"
NUMBERS = {
    "twilio": NUMBER,
    "twilio_short_lived": NUMBER_SHORT_LIVED,
    "conversations": NUMBER_CONVERSATIONS,
}

Timer = Callable[["EmulatedAccount", str], None]
TIMERS: dict[str, Timer] = {}


def timer(kind: str) -> Callable[[Timer], Timer]:
    """Register what happens when a timer of this kind is due. Handlers check that it still applies."""

    def register(handler: Timer) -> Timer:
        TIMERS[kind] = handler
        return handler

    return register


TaskEnd = Callable[["EmulatedAccount", str | None], None]
TASK_ENDS: list[TaskEnd] = []


def after_task(handler: TaskEnd) -> TaskEnd:
    """Register what happens when TaskRouter's API has ended a task; the handler gets the SID of its channel."""
    TASK_ENDS.append(handler)
    return handler


class EmulatedAccount(Indexes):
    """Everything a request can see or change.

    Parameters
    ----------
    seed: SIDs and secrets are the same for the same seed.
    config: the switches.
    """

    def __init__(self, seed: int = 1, config: Settings | None = None) -> None:
        super().__init__()
        self.settings = config or Settings()
        self.clock = Clock()
        self.sids = Sids(seed)
        self.delivery_queue = DeliveryQueue()
        self.opted_out: set[str] = set()  # "customer>number"
        self.filtered: Counter[str] = Counter()  # rules of sms_filters -> how many texts they fitted
        self.story: dict[str, Any] = {}
        self.under_way: Counter[str] = Counter()  # participants of Proxy requests that are not answered yet
        self.reads = 0  # for the draw of the replica
        self._timers: list[tuple[float, int, str, str]] = []
        self._credentials()
        self._create_defaults()

    # What exists from the start

    def _credentials(self) -> None:
        token = self.sids.token
        self.account_sid = "AC" + token("account")
        self.auth_token = token("auth token")
        self.api_key_sid, self.api_key_secret = "SK" + token("key"), token("key secret")
        self.restricted_key_sid, self.restricted_key_secret = (
            "SK" + token("restricted"),
            token("restricted secret"),
        )
        self.full_access = {
            basic(self.account_sid, self.auth_token),
            basic(self.api_key_sid, self.api_key_secret),
        }
        self.restricted_access = basic(self.restricted_key_sid, self.restricted_key_secret)

    def _create_defaults(self) -> None:
        make = self.make_service
        self.chat_service_sid = make("chat", "IS", "Flex Chat Service").sid
        self.sync_service_sid = make("sync", "IS", "Default Service").sid
        proxy = make("proxy", "KS", "Flex Proxy Service", chat_instance_sid=self.chat_service_sid)
        self.session_service_sid = proxy.sid
        self.activity_sids = {name: self.sids.new("WA") for name in ("Offline", "Available", "Break")}
        self.task_channel_sids = {name: self.sids.new("TC") for name in ("default", "chat", "sms", "voice")}
        workspace = self._make_fixture("workspaces", "WS", "Flex Task Assignment")
        self.workspace_sid = workspace.sid
        self.workflow_sid = self._make_fixture(f"workflows/{workspace.sid}", "WW", "Assign to Anyone").sid
        self.queue_sid = self._make_fixture(f"queues/{workspace.sid}", "WQ", "Everyone").sid
        self._make_fixture(f"queues/{workspace.sid}", "WQ", "Billing")
        self.worker_sids = [
            self._make_fixture(f"workers/{workspace.sid}", "WK", name).sid
            for name in ("grace", "linus", "margaret")
        ]
        self.number_sids = {
            number: self._make_fixture("numbers", "PN", number).sid for number in (NUMBER, NUMBER_SHORT_LIVED)
        }
        self.studio_flow_sid = self._make_fixture("studio", "FW", "Messaging Flow").sid
        # A number may have a Studio flow and a Task flow; the outbound Task flow is normally not enabled
        # (https://www.twilio.com/docs/flex/developer/messaging/manage-flows).
        self.flow_sids = {
            "task": self._make_flow("Outbound SMS", NUMBER, "task", long_lived=True).sid,
            "studio": self._make_flow("Inbound SMS", NUMBER, "studio", long_lived=True).sid,
            "task_short_lived": self._make_flow(
                "Outbound once", NUMBER_SHORT_LIVED, "task", long_lived=False
            ).sid,
            "studio_short_lived": self._make_flow(
                "Inbound once", NUMBER_SHORT_LIVED, "studio", long_lived=False
            ).sid,
        }

        # The number that was migrated: texts that find no conversation run the Studio flow (https://www.twilio.com/docs/conversations/inbound-autocreation).
        studio = {"enabled": True, "type": "studio", "conversation_service_sid": self.chat_service_sid}
        studio |= {"studio_flow_sid": self.studio_flow_sid, "studio_retry_count": 3}
        number = NUMBER_CONVERSATIONS
        self.address_sid = self.store.addresses.add(
            Address(*self.stamp("IG"), "addresses", "sms", number, "Conversations", "US", studio)
        ).sid
        self._make_fixture("numbers", "PN", number)

    @property
    def default_service_sid(self) -> str:
        """The Conversations service that paths without one mean."""
        return self.settings.default_conversations_service or self.chat_service_sid

    def stamp(self, prefix: str) -> tuple[str, int, float, float]:
        """sid, seq, created and updated of a new row."""
        now = self.clock.now()
        return self.sids.new(prefix), self.store.next(), now, now

    def make_service(self, product: str, prefix: str, name: str, **settings: Any) -> Service:
        return self.store.services.add(Service(*self.stamp(prefix), product, name, settings))

    def _make_fixture(self, parent: str, prefix: str, name: str) -> Fixture:
        return self.store.fixtures.add(Fixture(*self.stamp(prefix), parent, name))

    def _make_flow(self, name: str, number: str, kind: str, *, long_lived: bool) -> FlexFlow:
        task: dict[str, Any] = {
            "workspace_sid": self.workspace_sid,
            "workflow_sid": self.workflow_sid,
            "channel": "sms",
        }
        return self.store.flows.add(
            FlexFlow(
                *self.stamp("FO"),
                "flows",
                name,
                self.chat_service_sid,
                "sms",
                number,
                kind == "studio",
                kind,
                task if kind == "task" else {"flow_sid": self.studio_flow_sid, "retry_count": 3},
                long_lived,
                True,
            )
        )

    def holds_pair(self, conversation: Conversation) -> bool:
        holding = ("active", "inactive") if self.settings.inactive_holds_pair else ("active",)
        return conversation.state in holding

    # Time

    def schedule(self, due: float, kind: str, sid: str) -> None:
        heappush(self._timers, (due, self.store.next(), kind, sid))

    def run_due_timers(self) -> None:
        """Let everything happen that was due by now, each at its own moment."""
        now = self.clock.now()
        while self._timers and self._timers[0][0] <= now:
            due, _, kind, sid = heappop(self._timers)
            with self.clock.at(due):
                TIMERS[kind](self, sid)

    def task_ended(self, channel_sid: str | None) -> None:
        """TaskRouter's API has ended the task of a channel."""
        for handler in TASK_ENDS:
            handler(self, channel_sid)

    def next_timer(self) -> float | None:
        """When something happens by itself again."""
        return self._timers[0][0] if self._timers else None

    # Snapshots

    def snapshot(self) -> dict[str, Any]:
        """The whole account as JSON values."""
        return {
            "seed": self.sids.seed,
            "issued": self.sids.issued,
            "seq": self.store.seq,
            "offset": self.clock.offset,
            "config": asdict(self.settings),
            "opted_out": sorted(self.opted_out),
            "filtered": self.filtered,
            "story": self.story,
            "timers": self._timers,
            "delivery_queue": self.delivery_queue.snapshot(),
            "tables": {name: list(table) for name, table in self.store.tables().items()},
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> EmulatedAccount:
        """The account of a snapshot. The fixtures come out the same because their seed is the same."""
        account = cls(state["seed"], Settings(**state["config"]))
        account.sids.issued = dict(state["issued"])
        account.store.seq = state["seq"]
        account.clock.offset = state["offset"]
        account.opted_out = set(state["opted_out"])
        account.filtered = Counter(state["filtered"])
        account.story = state["story"]
        account._timers = [(due, n, kind, sid) for due, n, kind, sid in state["timers"]]
        account.delivery_queue = DeliveryQueue.restore(state["delivery_queue"])
        for name, table in account.store.tables().items():
            table.restore(state["tables"][name])
        account.rebuild()
        return account

    def describe(self) -> dict[str, Any]:
        """What a client has to know to use this account."""
        return {
            "account_sid": self.account_sid,
            "auth_token": self.auth_token,
            "api_key_sid": self.api_key_sid,
            "api_key_secret": self.api_key_secret,
            "restricted_key_sid": self.restricted_key_sid,
            "restricted_key_secret": self.restricted_key_secret,
            "sync_service_sid": self.sync_service_sid,
            "workspace_sid": self.workspace_sid,
            "chat_service_sid": self.chat_service_sid,
            "session_service_sid": self.session_service_sid,
            "workflow_sid": self.workflow_sid,
            "queue_sid": self.queue_sid,
            "studio_flow_sid": self.studio_flow_sid,
            "worker_sids": self.worker_sids,
            "numbers": dict(NUMBERS),
            "address_sid": self.address_sid,
            "flex_flow_sids": self.flow_sids,
            "seed": self.sids.seed,
            **asdict(self.settings),
        }
