"""Finding out what became of a text that was posted, or may have been."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

from flexsms.core.exceptions import NotAuthorized, NotFound, UndecidedSend
from flexsms.core.outbound_message import OutboundMessage
from flexsms.core.task_events import to_ms
from flexsms.twilio.sending.idempotency import Claim, Stage
from flexsms.twilio.sending.message_log import MessageLog
from flexsms.twilio.sending.progress import SendResult, duplicate_of, result_of
from flexsms.twilio.stacks.protocol import OpenConversation, Relay, SendingStack

logger = logging.getLogger(__name__)

LOOK_UP_EVERY_S = 1.0


class PostedTexts:
    """Looks for texts.

    :param grace: how long a text whose answer was lost may still turn up
    :param now: the present, an aware datetime
    """

    def __init__(
        self,
        stack: SendingStack,
        log: MessageLog,
        *,
        grace: timedelta,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._stack = stack
        self._log = log
        self._grace = grace
        self._now = now
        self._sleep = sleep

    async def find(
        self,
        claim: Claim,
        message: OutboundMessage | None = None,
        *,
        posted_until: datetime | None = None,
        waits: bool = True,
    ) -> str | None:
        """Look for the text until it cannot turn up any more.

        :param message: the text, which is looked for in the list of messages if its channel is gone; None: it is not
        :param posted_until: nobody has posted it later; None: it may have been posted just now
        :param waits: else it looks once
        :return: its IM… SID, or that of its SMS, SM…, if its channel is gone; None when it has not left
        :raises UndecidedSend: when a text may have left, its channel is gone, and it is not listed
        """
        # From now and not from the attempt's beginning: the request may have left long after that, behind 429s.
        gives_up_ms = to_ms("now", self._now()) + round(self._grace.total_seconds() * 1000)
        # An earlier try that is thought to be dead may still post until its lease is over.
        gives_up_ms = max(gives_up_ms, claim.held_until_ms)
        channel_sid = result_of(claim).channel_sid
        while True:
            try:
                sid = await self._stack.find_post(channel_sid, claim.digest, claim.claimed_at)
            except NotFound as error:
                listed = message and await self._listed(message, claim, posted_until)
                if not listed:
                    raise _undecided(channel_sid) from error
                return listed
            left_ms = gives_up_ms - to_ms("now", self._now())
            if sid is not None or left_ms <= 0 or not waits:
                return sid
            await self._sleep(min(LOOK_UP_EVERY_S, left_ms / 1000))

    async def left_under(self, claim: Claim | None, *, waits: bool = True) -> SendResult | None:
        """What has left under somebody's claim, None if nothing. No call, or more while nobody knows.

        :param waits: else it looks once, and None may mean that nobody knows yet
        :raises UndecidedSend: when a text may have left and its channel is gone
        """
        if claim is None or claim.stage is Stage.CLAIMED:
            return None
        sid = result_of(claim).message_sid or await self.find(claim, waits=waits)
        return None if sid is None else replace(duplicate_of(claim), message_sid=sid)

    async def relay(
        self, conversation: OpenConversation, sid: str, claim: Claim, message: OutboundMessage
    ) -> Relay:
        """What became of a text; looks until it cannot leave any more.

        :raises UndecidedSend: when a text may have left, its channel is gone, and it is not listed
        """
        until = self._now() + self._grace
        while True:
            try:
                relay = await self._stack.relay(conversation, sid)
            except NotFound as error:
                if not await self._listed(message, claim, None):
                    raise _undecided(conversation.channel_sid) from error
                return Relay.UNDISTURBED
            if relay is not Relay.MISSING or self._now() >= until:
                return relay
            # A session that is open again by then was not open all the time.
            conversation = replace(conversation, is_reconnected=True)
            await self._sleep(LOOK_UP_EVERY_S)

    async def _listed(
        self, message: OutboundMessage, claim: Claim, posted_until: datetime | None
    ) -> str | None:
        try:
            sid = await self._log.find(message, since=claim.claimed_at, until=posted_until or self._now())
        except NotAuthorized as error:
            logger.warning("Whether Twilio's list of messages has the text of a gone channel: %s", error)
            return None
        if sid is not None:
            logger.info("A channel is gone, and Twilio's list of messages has its text as %s.", sid)
        return sid


def is_sms(sid: str) -> bool:
    """Whether this is the SID of the SMS that carried a text, whose channel is gone."""
    return sid.startswith("SM")


def _undecided(channel_sid: str) -> UndecidedSend:
    return UndecidedSend(
        f"Channel {channel_sid} is gone, and Twilio's message log does not have its text, which may still wait to be "
        "sent. Clear the task later to look again, or ask the customer. If it did not leave, send it with flexsms_send "
        "under a new idempotency_key; a broadcast does not send it again."
    )
