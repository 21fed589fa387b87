"""The one open conversation that a customer and a Twilio number may have.

Whoever adds the customer to a conversation first has claimed the pair; Twilio names the holder to everybody else.
Sources: https://www.twilio.com/docs/flex/developer/conversations/best-practices,
https://www.twilio.com/docs/api/errors/50416
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flexsms.core.exceptions import (
    AlreadyExists,
    ChannelClosed,
    InvalidInput,
    NotFound,
    PermanentError,
    TwilioRefused,
)
from flexsms.core.outbound_message import OutboundMessage
from flexsms.twilio.client.dates import utc
from flexsms.twilio.client.not_found import twice
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.stacks.conversations.services import ConversationServices, in_service
from flexsms.twilio.stacks.message_search import PAGE_SIZE as MESSAGES_PAGE_SIZE
from flexsms.twilio.stacks.message_search import has_unmarked
from flexsms.twilio.stacks.protocol import OpenConversation

if TYPE_CHECKING:
    from twilio.rest import Client

NAME_PREFIX = "flexsms."
PAGE_SIZE = 50
CLOSED = 50377
PAIR_TAKEN = 50416
# https://www.twilio.com/docs/api/errors/50407, /50408, /50409, /50412
WRONG_NUMBERS = {
    50407: ("to_number", "cannot be texted by Twilio", "check the number"),
    50408: (
        "from_number",
        "is no number of this Twilio account for SMS",
        "give one of the account's own numbers",
    ),
    50409: ("to_number", "is the same as from_number", "give the customer's number"),
    50412: (
        "from_number",
        "is no number of this Twilio account for SMS",
        "give one of the account's own numbers",
    ),
}


class ConversationPairs:
    """Finds the conversation of two numbers, or starts it."""

    def __init__(self, client: Client, settings: TwilioSettings) -> None:
        self._client = in_service(client, settings)
        self._services = ConversationServices(client, settings)
        self._close_after_days = settings.close_after_days

    async def find_or_start(
        self,
        message: OutboundMessage,
        digest: str,
        *,
        resumed: bool,
        prepare: Callable[[str], Awaitable[object]] | None = None,
    ) -> OpenConversation:
        """The open conversation of the pair, or a new one named after the digest of the send's key.

        :param digest: that of the send's idempotency key
        :param resumed: an earlier try may have started one already
        :param prepare: what a new conversation gets before the customer is in it, so before anybody else can find it
        :raises InvalidInput: when Twilio takes one of the numbers for none
        :raises ChannelClosed: when it was closed in this very moment
        """
        own = await self._started(digest, message) if resumed else None
        if own is None:
            # A customer of many years has many closed ones; on whichever page the open one is, the refusal below
            # names it, so one page is enough.
            found = await self._find(message, first_page_only=True)
            if found is not None:
                return found
            own = await self._start(message, digest)
            if prepare is not None and not resumed:
                try:
                    await prepare(str(own.sid))
                except PermanentError:
                    await self._discard(str(own.sid))
                    raise
        return await self._claim(own, message)

    async def release(self, channel_sid: str, digest: str) -> bool:
        """Let the customer of a conversation go that a send started in vain, so that others reach them again.

        It is closed and not deleted: another send that is about to use it starts afresh then, and no text is destroyed.

        :param digest: that of the send's idempotency key; a conversation that another send started is left alone
        :return: False when somebody wrote in it, so that a person has to look after it
        """
        resource = self._client.conversations(channel_sid)
        try:
            conversation: Any = await resource.fetch_async()
            if str(conversation.unique_name) not in _names(digest):
                return True
            if not await self.is_silent(channel_sid):
                return False
            await resource.update_async(state="closed", x_twilio_webhook_enabled="true")
            return await self.is_silent(channel_sid)
        except NotFound:
            return True
        except TwilioRefused as error:
            if error.code != CLOSED:
                raise
            return True

    async def has_texts_of_others(self, channel_sid: str, since: datetime) -> bool:
        """Whether anybody else has written than flexsms, a customer mostly, no longer ago than ``since``."""
        messages = self._client.conversations(channel_sid).messages
        return await has_unmarked(
            await messages.page_async(order="desc", page_size=MESSAGES_PAGE_SIZE), since
        )

    async def is_silent(self, channel_sid: str) -> bool:
        """Whether nobody has ever written."""
        return not await self._client.conversations(channel_sid).messages.list_async(limit=1, page_size=1)

    async def _find(
        self, message: OutboundMessage, *, first_page_only: bool = False
    ) -> OpenConversation | None:
        page: Any = await self._client.participant_conversations.page_async(
            address=message.to_number, page_size=PAGE_SIZE
        )
        while page is not None:
            for one in page:
                binding = one.participant_messaging_binding or {}
                if (
                    binding.get("proxy_address") == message.from_number
                    and str(one.conversation_state) != "closed"
                ):
                    return OpenConversation(
                        str(one.conversation_sid),
                        utc(one.conversation_date_created),
                        is_new=False,
                        service_sid=one.chat_service_sid,
                    )
            page = None if first_page_only else await page.next_page_async()
        return None

    async def _started(self, digest: str, message: OutboundMessage) -> Any:
        """What an earlier try of the send started, unless it is closed."""
        for name in _names(digest):
            try:
                conversation: Any = await self._client.conversations(name).fetch_async()
            except NotFound:
                return None
            if await self._is_usable(conversation, message):
                return conversation
        return None

    async def _is_usable(self, conversation: Any, message: OutboundMessage) -> bool:
        """Whether it is open, and nobody else is in it: an earlier try may have been for another number."""
        if str(conversation.state) == "closed":
            return False
        pairs = await self._pairs_in(str(conversation.sid))
        return not pairs or _pair(message) in pairs

    async def _pairs_in(self, channel_sid: str) -> list[tuple[str, str]]:
        """The customers of a conversation, each with the Twilio number that they text with."""
        try:
            members = await self._client.conversations(channel_sid).participants.list_async(
                page_size=PAGE_SIZE
            )
        except NotFound:
            return []
        bindings = [member.messaging_binding or {} for member in members]
        return [
            (str(one["address"]), str(one.get("proxy_address"))) for one in bindings if one.get("address")
        ]

    async def _start(self, message: OutboundMessage, digest: str) -> Any:
        # Timers without a state can be refused (https://www.twilio.com/docs/api/errors/50382).
        timers = (
            {"state": "active", "timers_closed": f"P{self._close_after_days}D"}
            if self._close_after_days
            else {}
        )
        for name in _names(digest):
            try:
                return await self._client.conversations.create_async(
                    unique_name=name,
                    friendly_name=message.name,
                    x_twilio_webhook_enabled="true",
                    **timers,
                )
            except AlreadyExists:
                conversation: Any = await self._client.conversations(name).fetch_async()
                if await self._is_usable(conversation, message):
                    return conversation
        raise ChannelClosed(
            "Every conversation that was started for this text was closed at once; trying again."
        )

    async def _claim(self, conversation: Any, message: OutboundMessage) -> OpenConversation:
        own = _open(conversation, is_new=True)
        try:
            await self._client.conversations(own.channel_sid).participants.create_async(
                messaging_binding_address=message.to_number,
                messaging_binding_proxy_address=message.from_number,
                x_twilio_webhook_enabled="true",
            )
        except TwilioRefused as error:
            if error.code == CLOSED:
                raise ChannelClosed(f"{own.channel_sid} was closed before the customer was in it.") from error
            if error.code != PAIR_TAKEN and not isinstance(error, AlreadyExists):
                if _pair(message) in await self._pairs_in(own.channel_sid):
                    return own  # added by a request whose answer was lost, and refused when it was repeated
                await self._discard(own.channel_sid)
                if error.code in WRONG_NUMBERS:
                    raise InvalidInput(*WRONG_NUMBERS[error.code]) from error
                raise
            try:
                holder = await self._holder(error, own, message)
            except (PermanentError, ChannelClosed):
                await self._discard(own.channel_sid)
                raise
            if holder.channel_sid != own.channel_sid:
                await self._discard(own.channel_sid)
            return holder
        return own

    async def _holder(
        self, error: TwilioRefused, own: OpenConversation, message: OutboundMessage
    ) -> OpenConversation:
        """The conversation that has the pair, by Twilio's sentence or, if that names none, by looking further.

        :raises ChannelClosed: when it was closed or deleted in this very moment
        :raises InOtherService: when the connection does not lead there
        """
        named = re.findall(r"CH[0-9a-fA-F]{32}", error.detail)
        if own.channel_sid in named:
            return own  # added by an earlier try
        for sid in named:
            try:
                conversation: Any = await twice(self._client.conversations(sid).fetch_async)
            except NotFound:
                await self._services.check(sid)
                continue  # it was deleted
            if str(conversation.state) != "closed":
                return _open(conversation, is_new=False)
        found = await self._find(message)
        if found is None:
            raise ChannelClosed(
                "The customer's conversation was closed in this very moment; trying again."
            ) from error
        return own if found.channel_sid == own.channel_sid else found

    async def _discard(self, channel_sid: str) -> None:
        """Delete a conversation that nobody has ever been in; where that is refused, it is in nobody's way."""
        conversation = self._client.conversations(channel_sid)
        with suppress(PermanentError):
            if not await conversation.participants.list_async(limit=1, page_size=1):
                await conversation.delete_async(x_twilio_webhook_enabled="true")


def _open(conversation: Any, *, is_new: bool) -> OpenConversation:
    return OpenConversation(
        str(conversation.sid),
        utc(conversation.date_created),
        is_new=is_new,
        service_sid=conversation.chat_service_sid,
    )


def _pair(message: OutboundMessage) -> tuple[str, str]:
    return message.to_number, message.from_number


def _names(digest: str) -> list[str]:
    """Unique names for the conversations of a send: a closed one keeps its name."""
    return [f"{NAME_PREFIX}{digest}", *(f"{NAME_PREFIX}{digest}.{number}" for number in range(2, 6))]
