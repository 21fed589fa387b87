"""Opening the conversation of a text, and waiting until Flex has set up its interaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from flexsms.core.exceptions import ChannelInSetup, InteractionFailed
from flexsms.core.outbound_message import OutboundMessage
from flexsms.twilio.client.precondition import checked_before_sending
from flexsms.twilio.sending.channels_in_use import ChannelsInUse
from flexsms.twilio.sending.idempotency import SendLedger
from flexsms.twilio.sending.progress import Progress, note_of, promise_of
from flexsms.twilio.stacks.protocol import OpenConversation, SendingStack


class ReadyConversations:
    """Opens conversations.

    :param grace: before the end of a lease, how long nothing may leave any more
    """

    def __init__(
        self, stack: SendingStack, ledger: SendLedger, channels: ChannelsInUse, *, grace: timedelta
    ) -> None:
        self._stack = stack
        self._ledger = ledger
        self._channels = channels
        self._grace_s = grace.total_seconds()

    async def open(self, message: OutboundMessage, progress: Progress) -> OpenConversation:
        """The conversation of a text, ready for it.

        :raises ChannelInSetup: while Flex sets up its interaction, and nobody can wait for that here
        :raises InteractionFailed: when Flex could not set it up
        :raises ChannelClosed: when it was closed in this very moment
        """
        while True:
            try:
                return await self._open_now(message, progress)
            except ChannelInSetup:
                if progress.wait_for_setup is None:
                    raise
                await progress.wait_for_setup()
                progress.has_waited, progress.is_first_try = True, False

    async def _open_now(self, message: OutboundMessage, progress: Progress) -> OpenConversation:
        """The conversation, if it is ready for a text."""
        if self._ledger.left_s(progress.claim) < 2 * self._grace_s:
            # Looking for the text of an earlier try has taken most of the lease.
            progress.claim = await self._ledger.advance(progress.claim)
        claim, opening = progress.claim, self._stack.opening
        try:
            conversation = progress.left_open() if claim.opened else None
            if conversation is None:
                with checked_before_sending(lambda: self._ledger.refuse_if_late(claim)):
                    conversation = await opening.open_conversation(
                        message, claim.digest, resumed=claim.resumed, since=claim.claimed_at
                    )
            progress.opened = conversation
            is_ready = await opening.is_ready(conversation, claim.digest, waited=bool(claim.opened))
        except InteractionFailed:
            # Whoever puts it right and clears the task starts afresh; the stack itself has taken everything back.
            progress.claim, progress.opened = replace(claim, opened=None), None
            raise
        if not is_ready:
            opened = note_of(conversation)
            if claim.opened != opened:
                progress.claim = await self._ledger.advance(replace(claim, opened=opened))
            raise progress.refusal or ChannelInSetup(
                str(conversation.interaction_sid), str(conversation.interaction_channel_sid)
            )
        promise = promise_of(conversation, claim)
        if conversation.is_reconnected:
            await self._channels.use_again(conversation)
        elif not promise.reused_channel:
            await self._channels.remember_session(conversation, progress)
        progress.claim = replace(claim, resumed=True, result=promise.to_json())
        return conversation
