"""What became of a chat message's text: Proxy relays it, and shows the SMS in an interaction of the session.

Source: https://www.twilio.com/docs/proxy/api/interaction
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flexsms.core.delivery_status import Delivery, DeliveryStatus
from flexsms.core.exceptions import NotFound, TwilioRefused
from flexsms.twilio.client.dates import utc
from flexsms.twilio.stacks.chat.service_check import ServiceCheck

if TYPE_CHECKING:
    from twilio.rest import Client

# What an interaction can be told to have come in by: an SMS or MMS of the customer, or a chat message.
NAMED = ("SM", "MM", "IM")
PAGE_SIZE = 100  # Proxy's pages hold no more


class ChatDelivery:
    """Finds the SMS of chat messages.

    :param service_sid: KS…, the Proxy service
    :param account_sid: AC…, whose texts they are
    """

    def __init__(self, client: Client, service_sid: str, account_sid: str) -> None:
        service = client.proxy.v1.services(service_sid)
        self._sessions = service.sessions
        self._check = ServiceCheck(service, "session_service_sid")
        self._texts = client.api.v2010.accounts(account_sid).messages

    async def delivery(self, channel_sid: str, session_sid: str | None, message_sid: str) -> Delivery | None:
        """Look through the session's interactions for the one that the message came in by.

        One call per 100 interactions down to it; one more for an older XCom without the session's SID, and one more
        for the reason when the text did not arrive, because Proxy does not tell it.

        :raises ProductGone: when Twilio no longer serves the Proxy service
        """
        try:
            found = await self.interaction(channel_sid, session_sid, message_sid)
        except NotFound as error:
            await self._check.confirm(error)
            return None  # no session, so nothing that could have carried the text
        if found is None:
            return None
        status = DeliveryStatus.of(found.outbound_resource_status)
        sms_sid: str | None = found.outbound_resource_sid
        lost = status.is_final and status is not DeliveryStatus.DELIVERED
        return Delivery(status, await self._reason(sms_sid) if lost and sms_sid else None, sms_sid)

    async def interaction(self, channel_sid: str, session_sid: str | None, message_sid: str) -> Any:
        """The interaction of the session that the message came in by, None when there is none.

        :raises NotFound: when there is no session
        """
        async with aclosing(self._interactions(channel_sid, session_sid)) as interactions:
            async for interaction in interactions:
                if interaction.inbound_resource_sid == message_sid:
                    return interaction
        return None

    async def has_relayed(
        self, channel_sid: str, session_sid: str | None, message_sid: str, since: datetime | None
    ) -> bool:
        """Whether the session may have carried the message; no is certain.

        Nobody documents that an interaction names the chat message by which it came in. One that names nothing that is
        known counts as the message's: to take a text for lost that has left would send it twice.

        :param since: UTC, before the message was posted; None: nobody knows
        :raises NotFound: when there is no session
        """
        async with aclosing(self._interactions(channel_sid, session_sid)) as interactions:
            async for interaction in interactions:
                named = str(interaction.inbound_resource_sid or "")
                if named == message_sid:
                    return True
                created = utc(interaction.date_created)
                if not named.startswith(NAMED) and (since is None or created is None or created >= since):
                    return True
        return False

    async def _interactions(self, channel_sid: str, session_sid: str | None) -> AsyncGenerator[Any, None]:
        if session_sid is None:
            session_sid = str((await self._sessions(channel_sid).fetch_async()).sid)
        page: Any = await self._sessions(session_sid).interactions.page_async(page_size=PAGE_SIZE)
        while page is not None:
            for interaction in page:
                yield interaction
            page = await page.next_page_async()

    async def _reason(self, sms_sid: str) -> int | None:
        """Why an SMS did not arrive, None where the key may not ask or Twilio has forgotten it (after 400 days)."""
        try:
            text: Any = await self._texts(sms_sid).fetch_async()
        except TwilioRefused:
            return None
        return None if text.error_code is None else int(text.error_code)
