"""One Twilio account, ready for work: the settings, and everything that is made from them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cached_property

from flexsms.core.cloud_events import Home
from flexsms.core.event_source import EventSource
from flexsms.core.number_digest import NumberDigest
from flexsms.core.retention import SMS
from flexsms.core.stack_name import StackName
from flexsms.twilio.broadcast.campaign import Campaign
from flexsms.twilio.broadcast.deliveries import BroadcastDeliveries
from flexsms.twilio.cleanup.attempt import Attempt, Checkpoint
from flexsms.twilio.cleanup.batch import Cleaner
from flexsms.twilio.cleanup.context import CleanupContext
from flexsms.twilio.cleanup.ledger import CleanupLedger
from flexsms.twilio.cleanup.outcomes import Action
from flexsms.twilio.cleanup.plan import Planner
from flexsms.twilio.cleanup.recovery import Healer
from flexsms.twilio.cleanup.unanswered import Unanswered, UnansweredTexts
from flexsms.twilio.client import clock
from flexsms.twilio.client.clock import Now
from flexsms.twilio.client.dates import read_dates_quickly
from flexsms.twilio.client.http_client import TwilioTransport
from flexsms.twilio.client.observer import CallObserver
from flexsms.twilio.client.sdk_client import sdk_client
from flexsms.twilio.client.settings import (
    ATTEMPT_IN_TIMEOUTS,
    GRACE_IN_TIMEOUTS,
    LEASE_IN_TIMEOUTS,
    TwilioSettings,
)
from flexsms.twilio.client.unexpected_errors import contained
from flexsms.twilio.sending.idempotency import SendLedger
from flexsms.twilio.sending.message_log import MessageLog
from flexsms.twilio.sending.notifications import Notifications
from flexsms.twilio.sending.sender import Sender
from flexsms.twilio.sending.suppressions import Suppressions
from flexsms.twilio.stacks.chat.delivery import ChatDelivery
from flexsms.twilio.stacks.chat.stack import ChatStack
from flexsms.twilio.stacks.conversations.delivery import ConversationsDelivery
from flexsms.twilio.stacks.conversations.stack import ConversationsStack
from flexsms.twilio.stacks.protocol import DeliveryStack, RetiringStack, SendingStack
from flexsms.twilio.sync.channel_states import SyncStore
from flexsms.twilio.sync.digest_key import DigestKey
from flexsms.twilio.sync.lock import SyncLock
from flexsms.twilio.taskrouter.events import DEFAULT_LOOKBACK, TaskRouterRange, TaskRouterSource
from flexsms.twilio.tracking.parked_states import ParkedStates
from flexsms.twilio.tracking.task_ends import TaskEnds

# A lease of a try is never shorter than what a look takes on a slow machine.
SHORTEST_ATTEMPT = timedelta(seconds=20)


class Account:
    """Creates what the three jobs work with. Get one from :func:`connect`.

    :param now: the present; replaced in tests
    """

    def __init__(self, settings: TwilioSettings, transport: TwilioTransport, now: Now) -> None:
        self.settings = settings
        self.transport = transport
        read_dates_quickly()
        self.client = sdk_client(settings, transport)
        self.now = now

    def skew(self) -> timedelta:
        """How far our clock is ahead of Twilio's by its newest answer; negative: behind, zero: nobody knows."""
        theirs = self.transport.twilio_now
        return self.now() - theirs if theirs else timedelta()

    def earlier(self, moment: datetime) -> datetime:
        """A moment of our clock, put back by as much as that is ahead of Twilio's.

        What is judged by it is never judged too early: tasks end by Twilio's clock.
        """
        return moment - max(self.skew(), timedelta())

    def present(self) -> datetime:
        """The present, by the earlier of the two clocks."""
        return self.earlier(self.now())

    def latest(self) -> datetime:
        """The present, by the later of the two clocks: nothing that has happened is dated later."""
        return self.now() + max(-self.skew(), timedelta())

    def theirs(self) -> datetime:
        """The present by Twilio's clock, as far as its answers have told it."""
        return self.now() - self.skew()

    @property
    def home(self) -> Home:
        """Whose events count."""
        return Home(self.settings.account_sid, self.settings.need("workspace_sid"))

    @property
    def store(self) -> SyncStore:
        """The channel states."""
        return SyncStore(self.client, self.settings.need("sync_service_sid"))

    @property
    def stack(self) -> SendingStack:
        """The stack that new conversations are opened on.

        :raises MissingSetting: when it lacks a setting
        """
        return self._chat() if self.settings.stack is StackName.CHAT else self._conversations()

    @property
    def retiring_stacks(self) -> Mapping[StackName, RetiringStack]:
        """The stacks whose channels this connection can retire; an account that is moving over has both."""
        stacks: dict[StackName, RetiringStack] = {StackName.CONVERSATIONS: self._conversations()}
        if self.settings.has_chat:
            stacks[StackName.CHAT] = self._chat()
        return stacks

    def deliveries(self, session_sid: str | None) -> DeliveryStack:
        """Reads the delivery of texts, on the stack that they went out on.

        :param session_sid: KC… of a text, which only Programmable Chat has; without it, the connection's stack counts
        :raises MissingSetting: when that stack lacks a setting
        """
        if session_sid or self.settings.stack is StackName.CHAT:
            service_sid = self.settings.need("session_service_sid")
            return ChatDelivery(self.client, service_sid, self.settings.account_sid)
        return ConversationsDelivery(self.client, self.settings)

    def broadcast_deliveries(self) -> BroadcastDeliveries:
        """Lists what has left a number, on both stacks."""
        return BroadcastDeliveries(self.client, self.settings.account_sid)

    def sender(self) -> Sender:
        """Sends texts."""
        ledger = SendLedger(
            self.client,
            self.settings.need("sync_service_sid"),
            secret=self.settings.password,
            now=self.now,
            lease=self._lease,
            grace=self._grace,
        )
        log, out = MessageLog(self.client, self.settings.account_sid), self.suppressions()
        return Sender(self.stack, ledger, self.store, out, log, grace=self._grace, now=self.now)

    async def number_digest(self) -> NumberDigest:
        """What turns phone numbers into digests; read once. See :class:`flexsms.twilio.sync.digest_key.DigestKey`."""
        return await self._digest_key.number_digest()

    def suppressions(self) -> Suppressions:
        """Who has opted out."""
        number_digest = self._digest_key.number_digest
        return Suppressions(self.client, self.settings, number_digest=number_digest, now=self.theirs)

    async def campaign(self, name: str) -> Campaign:
        """Whom a campaign of that name has texted."""
        service_sid = self.settings.need("sync_service_sid")
        return Campaign(self.client, service_sid, name, await self.number_digest())

    @cached_property
    def _digest_key(self) -> DigestKey:
        return DigestKey(self.client, self.settings.need("sync_service_sid"))

    def notifications(self) -> Notifications:
        """Texts colleagues."""
        return Notifications(self.client, self.settings, now=self.now)

    def taskrouter(self, lookback: timedelta = DEFAULT_LOOKBACK) -> TaskRouterSource:
        """The source of task events that every account has."""
        return TaskRouterSource(
            self.client,
            self.settings.need("workspace_sid"),
            now=self.now,
            skew=self.skew,
            lookback=lookback,
        )

    def taskrouter_range(self, since: datetime, until: datetime | None = None) -> TaskRouterRange:
        """The same events of one stretch of time."""
        return TaskRouterRange(self.taskrouter(), since, until)

    @property
    def _grace(self) -> timedelta:
        return timedelta(seconds=self.settings.timeout_s) * GRACE_IN_TIMEOUTS

    @property
    def _lease(self) -> timedelta:
        return timedelta(seconds=self.settings.timeout_s) * LEASE_IN_TIMEOUTS

    def _chat(self) -> ChatStack:
        return ChatStack(self.client, self.settings, self._lock())

    def _conversations(self) -> ConversationsStack:
        return ConversationsStack(self.client, self.settings, self._lock())

    def _lock(self) -> SyncLock:
        return SyncLock(
            self.client,
            self.settings.need("sync_service_sid"),
            now=self.now,
            duration=self._lease,
            grace=self._grace,
        )

    @property
    def _cleanup_ledger(self) -> CleanupLedger:
        return CleanupLedger(self.client, self.settings.need("sync_service_sid"), now=self.now)

    def attempt(self, checkpoint: Checkpoint, *, batch: str, number: int) -> Attempt:
        """One try of a batch of a cleanup; see :class:`flexsms.twilio.cleanup.attempt.Attempt`."""
        lease = timedelta(seconds=self.settings.timeout_s) * ATTEMPT_IN_TIMEOUTS
        lease = max(lease, SHORTEST_ATTEMPT)
        return Attempt(checkpoint, batch=batch, number=number, lease=lease, grace=self._grace)

    def healer(self, *, run_id: str, unanswered: Unanswered = Unanswered.TASK) -> Healer:
        """Puts back live channels that an earlier cleanup suspended."""
        stacks = self.retiring_stacks
        return Healer(
            stacks=stacks,
            texts={name: UnansweredTexts(stack) for name, stack in stacks.items()},
            unanswered=unanswered,
            tasks=self.taskrouter(),
            ledger=self._cleanup_ledger,
            at_once=self.settings.max_in_flight,
            run_id=run_id,
            now=self.present,
        )

    def planner(
        self,
        *,
        source: EventSource,
        parked: ParkedStates,
        ends: TaskEnds,
        run_id: str,
        unanswered: Unanswered = Unanswered.TASK,
        dry_run: bool = False,
    ) -> Planner:
        """Finds the channels that are due; see :class:`flexsms.twilio.cleanup.plan.Planner`."""
        return Planner(
            store=self.store,
            source=source,
            parked=parked,
            ends=ends,
            healer=self.healer(run_id=run_id, unanswered=unanswered),
            tasks=self.taskrouter(),
            workspace_sid=self.home.workspace_sid,
            at_once=self.settings.max_in_flight,
            now=self.now,
            earlier=self.earlier,
            theirs=self.theirs,
            dry_run=dry_run,
        )

    def cleaner(
        self,
        *,
        action: Action,
        run_id: str,
        channel_types: frozenset[str] = SMS,
        unanswered: Unanswered = Unanswered.TASK,
        dry_run: bool = False,
    ) -> Cleaner:
        """Retires due channels of some kinds."""
        tasks = self.taskrouter()
        stacks = self.retiring_stacks
        context = CleanupContext(
            stacks=stacks,
            texts={name: UnansweredTexts(stack) for name, stack in stacks.items()},
            unanswered=unanswered,
            store=self.store,
            ledger=self._cleanup_ledger,
            source=tasks,
            tasks=tasks,
            action=action,
            at_once=self.settings.max_in_flight,
            run_id=run_id,
            now=self.present,
            channel_types=channel_types,
            dry_run=dry_run,
        )
        return Cleaner(context)


@asynccontextmanager
async def connect(
    settings: TwilioSettings, *, now: Now | None = None, observer: CallObserver | None = None
) -> AsyncIterator[Account]:
    """An account for as long as the block lasts; its connections are closed behind it.

    :param now: the present; this machine's clock unless given
    :param observer: hears of every call
    :raises Unexpected: when an answer could not be read in the block, in a way that nobody foresaw
    """
    async with TwilioTransport(settings, observer) as transport:
        with contained():
            yield Account(settings, transport, now or clock.utc_now)
