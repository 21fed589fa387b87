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

from flexsms.core.errors import OutcomeUnknown, SendInProgress
from flexsms.core.events import to_ms
from flexsms.core.message import OutboundMessage
from flexsms.core.state import ChannelState
from flexsms.twilio.send_ledger import Claim, SendLedger, Stage
from flexsms.twilio.stacks.protocol import OpenConversation, SendingStack
from flexsms.twilio.sync_store import SyncStore

logger = logging.getLogger(__name__)

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
        """
        await self._stack.check(message)
        claim = await self._ledger.take(key, fingerprint=message.fingerprint(), owner=owner)
        if claim.stage is Stage.SENT:
            return replace(_result(claim), duplicate=True)
        if claim.stage is Stage.POSTING:
            found = await self._find(claim)
            if found is not None:
                return await self._finish(claim, found)
        conversation = await self._stack.open(message)
        claim = replace(claim, result=_promise(conversation, claim).to_json())
        if not _result(claim).reused_channel:
            await self._remember_session(conversation)
        if not message.body:
            return await self._finish(claim, None)
        return await self._post(conversation, message, claim)

    async def _post(
        self, conversation: OpenConversation, message: OutboundMessage, claim: Claim
    ) -> SendResult:
        for attempt in range(1, POST_ATTEMPTS + 1):
            claim = await self._ledger.advance(replace(claim, stage=Stage.POSTING))
            try:
                # Once the lease is over another task may take the key, so nothing may leave after that.
                seconds = claim.lease_until_ms / 1000 - self._now().timestamp() - self._settle.total_seconds()
                async with asyncio.timeout(seconds):
                    sid: str | None = await self._stack.post(conversation, message.body, claim.marker)
            except (OutcomeUnknown, TimeoutError) as error:
                logger.warning("Nobody answered whether the text left (%s); looking for it.", error)
                sid = await self._find(claim)
            if sid is not None:
                return await self._finish(claim, sid)
            logger.info("The text did not leave at attempt %d of %d.", attempt, POST_ATTEMPTS)
        raise SendInProgress("The text could not be posted, and none was found; trying again later.")

    async def _find(self, claim: Claim) -> str | None:
        """Look for the text until it cannot turn up any more."""
        # From now and not from the attempt's beginning: the request may have left long after that, behind 429s.
        gives_up_ms = to_ms("now", self._now()) + round(self._settle.total_seconds() * 1000)
        channel_sid = _result(claim).channel_sid
        while True:
            sid = await self._stack.find_post(channel_sid, claim.marker, claim.claimed_at)
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


def _promise(conversation: OpenConversation, claim: Claim) -> SendResult:
    created_at = conversation.created_at
    return SendResult(
        channel_sid=conversation.channel_sid,
        task_sid=conversation.task_sid,
        session_sid=conversation.session_sid,
        interaction_sid=conversation.interaction_sid,
        message_sid=None,
        # Both moments are Twilio's, so no other clock is involved.
        reused_channel=created_at is not None and created_at < claim.claimed_at,
    )


def _result(claim: Claim) -> SendResult:
    return SendResult(**(claim.result or {}))
