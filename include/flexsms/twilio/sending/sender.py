"""Sending one text, once.

The order is what makes it safe: check everything, claim the key, see that the recipient has not opted out, open the
conversation, write down that the text is about to leave, post it, write down that it left. A later try finds out from
the ledger how far it came; between the last two steps it looks for the text itself, which carries the key's digest.

A channel may be retired at any of these steps. So each attempt opens the conversation anew, and a channel that was
there before is looked at once more behind the text: what has certainly not left goes out in a fresh one. Whoever takes
a channel back writes that into its state first: a cleanup that has not marked it yet then gives way, and of one that
has it shows what comes next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

from flexsms.core.exceptions import (
    ChannelClosed,
    ChannelInSetup,
    FlexSmsError,
    OutcomeUnknown,
    PermanentError,
    SendInProgress,
    TwilioRefused,
    UndecidedSend,
)
from flexsms.core.outbound_message import OutboundMessage
from flexsms.twilio.client.precondition import checked_before_sending
from flexsms.twilio.sending.channels_in_use import ChannelsInUse
from flexsms.twilio.sending.idempotency import SendLedger, Stage
from flexsms.twilio.sending.message_log import MessageLog
from flexsms.twilio.sending.posted_texts import PostedTexts, is_sms
from flexsms.twilio.sending.progress import (
    Progress,
    SendResult,
    duplicate_of,
    result_of,
    tell_of_nothing,
)
from flexsms.twilio.sending.ready_conversations import ReadyConversations
from flexsms.twilio.sending.suppressions import Suppressions
from flexsms.twilio.stacks.protocol import OpenConversation, Relay, SendingStack, told_if_left
from flexsms.twilio.sync.channel_states import SyncStore

logger = logging.getLogger(__name__)

ATTEMPTS = 4
TIMED_OUT = 408


class Sender:
    """Sends texts over one stack.

    :param grace: how long a text whose answer was lost may still turn up
    :param now: the present, an aware datetime
    """

    def __init__(
        self,
        stack: SendingStack,
        ledger: SendLedger,
        store: SyncStore,
        suppressions: Suppressions,
        log: MessageLog,
        *,
        grace: timedelta,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._stack = stack
        self._ledger = ledger
        self._suppressions = suppressions
        self._channels = ChannelsInUse(stack, store, now=now)
        self._ready = ReadyConversations(stack, ledger, self._channels, grace=grace)
        self._texts = PostedTexts(stack, log, grace=grace, now=now, sleep=sleep)

    async def send(
        self,
        message: OutboundMessage,
        *,
        key: str,
        owner: str,
        earlier_key: str | None = None,
        refusal: PermanentError | None = None,
        whatever_text: bool = False,
        refuse_late: Callable[[], None] = lambda: None,
        wait_for_setup: Callable[[], Awaitable[None]] | None = None,
    ) -> SendResult:
        """Send a text, unless it was sent under this key before.

        Whatever is raised says whether a text has left.

        :param key: the idempotency key
        :param earlier_key: one under which an earlier try may have sent this text; it is looked up, for one call
        :param owner: the task instance, the same for all its tries
        :param refusal: why waiting for the interaction has ended; raised where Flex still sets that up
        :param whatever_text: the key is used up by any text, so that another one is a duplicate, too
        :param refuse_late: raises when the text may not leave any more; asked until it has gone out
        :param wait_for_setup: waits while Flex sets up the interaction, or raises once that takes too long; the
            interaction's channel is looked at behind each wait, for one call. None: ``ChannelInSetup`` is raised
        :raises InvalidInput: for an unknown worker or number, or a key used for another text
        :raises OptedOut: when the recipient of a text has opted out
        :raises SendInProgress: while another task sends under the same key
        :raises ChannelInSetup: while Flex sets up the interaction; call again when its channel is active
        :raises InteractionFailed: when Flex could not set it up
        :raises UndecidedSend: when a text may have left, its channel is gone, and Twilio does not list it
        """
        try:
            await self._stack.opening.check(message)
            if earlier_key and await self._ledger.knows(earlier_key, message):
                key = earlier_key
            claim = await self._ledger.take(key, message, owner=owner, whatever_text=whatever_text)
        except FlexSmsError as error:
            tell_of_nothing(error)
            if isinstance(error, PermanentError):
                await self._ledger.give_up(key, owner=owner)
            raise
        if claim.stage is Stage.SENT:
            return duplicate_of(claim)
        progress = Progress(
            claim,
            is_first_try=not claim.resumed,
            refusal=refusal,
            refuse_late=refuse_late,
            wait_for_setup=wait_for_setup,
        )
        try:
            return await self._send(message, progress)
        except ChannelInSetup:
            raise
        except FlexSmsError as error:
            progress.tell(error)
            if isinstance(error, PermanentError):
                await self._suppressions.learn_from(error, message.to_number)
                await self._take_back(progress, error)
                # Whoever puts it right need not wait for a lease.
                await self._ledger.give_back(progress.claim)
            raise

    async def find(self, key: str, *, waits: bool = True) -> SendResult | None:
        """What has left under a key, None if nothing; sends nothing.

        :param waits: until it is certain; else it takes two calls at most, and None may mean that nobody knows yet
        """
        return await self._texts.left_under(await self._ledger.find(key), waits=waits)

    def console_url(self, result: SendResult) -> str:
        """Where the Twilio Console shows the channel of a send, after it; empty where that is not known."""
        return self._stack.console_url(result.channel_sid)

    async def _send(self, message: OutboundMessage, progress: Progress) -> SendResult:
        earlier = progress.left_open()
        if progress.claim.stage is Stage.POSTING:
            found = await self._go_on(message, progress)
            if found is not None:
                return found
        if message.body:
            progress.opened = earlier  # for taking back
            await self._suppressions.refuse(message.to_number)
            progress.opened = None
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with checked_before_sending(progress.refuse_late):
                    conversation = progress.take_kept() or await self._ready.open(message, progress)
                    if progress.has_waited and message.body:  # in which the recipient may have opted out
                        await self._suppressions.refuse(message.to_number)
                if not message.body:
                    return await self._finish(progress, None)
                sid = await self._post(conversation, message, progress)
                if sid is not None:
                    return await self._after(conversation, message, progress, sid)
                logger.info("The text did not leave at attempt %d of %d.", attempt, ATTEMPTS)
                if not await self._stack.is_in_use(conversation):
                    await self._channels.use_again(replace(conversation, is_out_of_use=True))
            except ChannelClosed as closed:
                logger.info("%s Starting afresh.", closed)
                progress.nothing_left()
                progress.claim = replace(progress.claim, resumed=True, opened=None)
        raise SendInProgress("The text could not be posted, and none was found; trying again later.")

    async def _take_back(self, progress: Progress, error: PermanentError) -> None:
        """After a refusal, end the task and the conversation of a text that certainly did not leave."""
        opened, claim = progress.opened, progress.claim
        if opened is None or progress.in_doubt or progress.text_sid or isinstance(error, UndecidedSend):
            return
        progress.claim = replace(claim, opened=None)
        with told_if_left(opened.channel_sid):
            await self._stack.opening.take_back(opened, claim.digest, since=claim.claimed_at)

    async def _go_on(self, message: OutboundMessage, progress: Progress) -> SendResult | None:
        """Search for a text that an earlier try was about to post, and finish the send if it has left."""
        result = result_of(progress.claim)
        progress.in_doubt = True
        sid = result.message_sid or await self._texts.find(
            progress.claim, message, posted_until=self._ledger.posted_until(progress.claim)
        )
        if sid is not None:
            conversation = OpenConversation(
                result.channel_sid, None, task_sid=result.task_sid, session_sid=result.session_sid
            )
            try:
                return await self._after(conversation, message, progress, sid)
            except ChannelClosed as closed:
                logger.info("%s Starting afresh.", closed)
        progress.nothing_left()
        return None

    async def _post(
        self, conversation: OpenConversation, message: OutboundMessage, progress: Progress
    ) -> str | None:
        """Post the text; returns its SID, None when it certainly did not leave."""
        progress.claim = claim = await self._ledger.advance(progress.about_to_post())
        try:
            # Once the lease is over another task may take the key, so nothing may leave after that.
            async with asyncio.timeout(self._ledger.left_s(claim)):
                with checked_before_sending(progress.refuse_late, lambda: self._ledger.refuse_if_late(claim)):
                    return await self._stack.post(conversation, message.body, claim.digest)
        except TwilioRefused as error:
            if error.status != TIMED_OUT:
                progress.nothing_left()
                raise
            lost: Exception = error
        except (OutcomeUnknown, TimeoutError) as error:
            lost = error
        progress.is_first_try = False
        logger.warning("Nobody answered whether the text left (%s); looking for it.", lost)
        progress.in_doubt = True
        sid = await self._texts.find(claim, message)
        progress.in_doubt = False
        return sid

    async def _after(
        self, conversation: OpenConversation, message: OutboundMessage, progress: Progress, sid: str
    ) -> SendResult:
        """Finish the send of a text that is in its channel.

        :raises ChannelClosed: when the channel was retired before the text had left it
        """
        is_disturbed = not progress.is_first_try or result_of(progress.claim).reused_channel
        if is_disturbed and not is_sms(sid):
            progress.in_doubt = True
            relay = await self._texts.relay(conversation, sid, progress.claim, message)
            progress.in_doubt = False
            if relay is Relay.MISSING:
                if await self._channels.keep(conversation):
                    progress.kept = replace(conversation, session_updated_at=None)
                raise ChannelClosed(f"{conversation.channel_sid} was retired before {sid} had left.")
            progress.text_sid = sid
            if relay is Relay.LEFT:
                await self._lead_the_answer(conversation, message, progress, sid)
        return await self._finish(progress, sid)

    async def _lead_the_answer(
        self, conversation: OpenConversation, message: OutboundMessage, progress: Progress, sid: str
    ) -> None:
        """Make sure that the answer reaches the agent, although the channel was disturbed after the text had left."""
        result = replace(result_of(progress.claim), message_sid=sid)
        # The next try need not look for the text, which may be gone with its channel.
        progress.claim = await self._ledger.advance(replace(progress.claim, result=result.to_json()))
        if await self._channels.keep(conversation) is not False:
            return
        try:
            fresh = await self._ready.open(message, progress)
        except ChannelClosed as closed:
            # Not to be taken for a text that did not leave.
            raise SendInProgress(f"{closed} Trying again later.") from closed
        logger.warning(
            "%s has left %s, which was retired meanwhile; the customer goes on in %s.",
            *(sid, conversation.channel_sid, fresh.channel_sid),
        )
        moved = replace(result, task_sid=fresh.task_sid)
        progress.claim = replace(progress.claim, result=moved.to_json())

    async def _finish(self, progress: Progress, message_sid: str | None) -> SendResult:
        progress.text_sid = message_sid
        result = replace(result_of(progress.claim), message_sid=message_sid)
        progress.claim = replace(progress.claim, result=result.to_json())
        await self._ledger.advance(replace(progress.claim, stage=Stage.SENT))
        return result
