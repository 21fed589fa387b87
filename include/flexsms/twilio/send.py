"""Sending one text, once.

The order is what makes it safe: check everything, claim the key, open the conversation, write down that the text is
about to leave, post it, write down that it left. A task that dies anywhere and is tried again finds out from the
ledger how far it came; between the last two steps it looks for the text itself, which carries the key's digest.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from flexsms.core.errors import (
    ChannelClosed,
    ChannelInSetup,
    InteractionFailed,
    NotFound,
    OutcomeUnknown,
    SendInProgress,
    TwilioRefused,
    UndecidedSend,
)
from flexsms.core.events import to_ms
from flexsms.core.message import OutboundMessage
from flexsms.core.state import ChannelState
from flexsms.twilio.send_ledger import Claim, SendLedger, Stage
from flexsms.twilio.stacks.protocol import OpenConversation, SendingStack
from flexsms.twilio.sync_store import SyncStore

logger = logging.getLogger(__name__)

OPEN_ATTEMPTS = 3
POST_ATTEMPTS = 3
LOOK_UP_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class SendResult:
    """What a send leaves in XCom: SIDs and flags, no number and no text.

    :param reused_channel: the conversation was there before the key was taken
    :param duplicate: nothing was sent, because the key had already been used for this text
    """

    channel_sid: str
    task_sid: str | None
    session_sid: str | None
    interaction_sid: str | None
    message_sid: str | None
    reused_channel: bool
    duplicate: bool = False

    def to_json(self) -> dict[str, Any]:
        """The XCom value."""
        return asdict(self)


class Sender:
    """Sends texts over one stack.

    :param settle: how long a text whose answer was lost may still turn up
    :param now: the present, an aware datetime
    """

    def __init__(
        self,
        stack: SendingStack,
        ledger: SendLedger,
        store: SyncStore,
        *,
        settle: timedelta,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._stack = stack
        self._ledger = ledger
        self._store = store
        self._settle = settle
        self._now = now
        self._sleep = sleep

    async def send(self, message: OutboundMessage, *, key: str, owner: str) -> SendResult:
        """Send a text, unless it was sent under this key before.

        :param key: the idempotency key
        :param owner: the task instance, the same for all its tries
        :raises InvalidInput: for an unknown worker or number, or a key used for another text
        :raises SendInProgress: while another task sends under the same key
        :raises ChannelInSetup: while Flex sets up the interaction; call again when its channel is active
        :raises InteractionFailed: when Flex could not set it up
        :raises UndecidedSend: when a text may have left and its channel is gone
        """
        await self._stack.check(message)
        claim = await self._ledger.take(key, fingerprint=message.fingerprint(), owner=owner)
        if claim.stage is Stage.SENT:
            return replace(_result(claim), duplicate=True)
        if claim.stage is Stage.POSTING:
            found = await self._find(claim)
            if found is not None:
                return await self._finish(claim, found)
        for _ in range(OPEN_ATTEMPTS):
            try:
                conversation = await self._open(message, claim)
                promise = _promise(conversation, claim)
                if not promise.reused_channel:
                    await self._remember_session(conversation)
                claim = replace(claim, resumed=True, result=promise.to_json())
                claim, sid = await self._post(conversation, message, claim) if message.body else (claim, None)
            except _ClosedUnder as closed:
                logger.info("%s Starting afresh.", closed)
                claim = closed.claim
            else:
                return await self._finish(claim, sid)
        raise SendInProgress("The customer's conversation is closed again and again; trying again later.")

    async def _open(self, message: OutboundMessage, claim: Claim) -> OpenConversation:
        """The conversation, ready for a text."""
        try:
            if claim.opened:
                conversation = OpenConversation(created_at=None, **claim.opened)
            else:
                conversation = await self._stack.open(message, claim.marker, resumed=claim.resumed)
            is_ready = await self._stack.is_ready(conversation, claim.marker)
        except ChannelClosed as error:
            raise _ClosedUnder(error, replace(claim, resumed=True, opened=None)) from error
        except InteractionFailed:
            # Whoever puts it right and clears the task starts afresh.
            await self._ledger.advance(replace(claim, opened=None))
            raise
        if not is_ready:
            opened = {name: value for name, value in asdict(conversation).items() if name != "created_at"}
            if claim.opened != opened:
                await self._ledger.advance(replace(claim, opened=opened))
            raise ChannelInSetup(str(conversation.interaction_sid), str(conversation.interaction_channel_sid))
        return conversation

    async def _post(
        self, conversation: OpenConversation, message: OutboundMessage, claim: Claim
    ) -> tuple[Claim, str]:
        """Post the text until it is certain that it left; returns the claim as it is then, and the text's SID."""
        for attempt in range(1, POST_ATTEMPTS + 1):
            claim = await self._ledger.advance(replace(claim, stage=Stage.POSTING))
            try:
                # Once the lease is over another task may take the key, so nothing may leave after that.
                seconds = claim.lease_until_ms / 1000 - self._now().timestamp() - self._settle.total_seconds()
                async with asyncio.timeout(seconds):
                    sid: str | None = await self._stack.post(conversation, message.body, claim.marker)
            except ChannelClosed as error:
                # Certain: nothing left. A later try must not look for the text in what is closed.
                raise _ClosedUnder(
                    error, replace(claim, stage=Stage.CLAIMED, result=None, opened=None)
                ) from error
            except TwilioRefused:
                # Certain: nothing left. Whoever puts it right and tries again need not wait for it.
                await self._ledger.advance(replace(claim, stage=Stage.CLAIMED, result=None))
                raise
            except (OutcomeUnknown, TimeoutError) as error:
                logger.warning("Nobody answered whether the text left (%s); looking for it.", error)
                sid = await self._find(claim)
            if sid is not None:
                return claim, sid
            logger.info("The text did not leave at attempt %d of %d.", attempt, POST_ATTEMPTS)
        raise SendInProgress("The text could not be posted, and none was found; trying again later.")

    async def _find(self, claim: Claim) -> str | None:
        """Look for the text until it cannot turn up any more."""
        # From now and not from the attempt's beginning: the request may have left long after that, behind 429s.
        gives_up_ms = to_ms("now", self._now()) + round(self._settle.total_seconds() * 1000)
        # An earlier try that is thought to be dead may still post until its lease is over.
        gives_up_ms = max(gives_up_ms, claim.held_until_ms)
        channel_sid = _result(claim).channel_sid
        while True:
            try:
                sid = await self._stack.find_post(channel_sid, claim.marker, claim.claimed_at)
            except NotFound as error:
                raise UndecidedSend(
                    f"Channel {channel_sid} is gone, and with it the answer whether the text left; ask the customer "
                    "or look into Twilio's message log, and send it under a new idempotency_key if it did not."
                ) from error
            left_ms = gives_up_ms - to_ms("now", self._now())
            if sid is not None or left_ms <= 0:
                return sid
            await self._sleep(min(LOOK_UP_EVERY_S, left_ms / 1000))

    async def _finish(self, claim: Claim, message_sid: str | None) -> SendResult:
        result = replace(_result(claim), message_sid=message_sid)
        await self._ledger.advance(replace(claim, stage=Stage.SENT, result=result.to_json()))
        return result

    async def _remember_session(self, conversation: OpenConversation) -> None:
        """Keep the session of a new channel, so that retiring it later need not look it up."""
        if conversation.session_sid:
            await self._store.merge(
                ChannelState(
                    channel_sid=conversation.channel_sid,
                    stack=self._stack.name,
                    links={"session": (to_ms("now", self._now()), conversation.session_sid)},
                )
            )


class _ClosedUnder(Exception):
    """The conversation closed under the send.

    :param claim: as it is now
    """

    def __init__(self, error: ChannelClosed, claim: Claim) -> None:
        super().__init__(str(error))
        self.claim = claim


def _promise(conversation: OpenConversation, claim: Claim) -> SendResult:
    created_at, is_new = conversation.created_at, conversation.is_new
    if is_new is None:
        # Both moments are Twilio's, so no other clock is involved.
        is_new = created_at is None or created_at >= claim.claimed_at
    return SendResult(
        channel_sid=conversation.channel_sid,
        task_sid=conversation.task_sid,
        session_sid=conversation.session_sid,
        interaction_sid=conversation.interaction_sid,
        message_sid=None,
        reused_channel=not is_new,
    )


def _result(claim: Claim) -> SendResult:
    return SendResult(**(claim.result or {}))
