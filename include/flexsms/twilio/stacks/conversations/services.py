"""Which Conversations service conversations are in: an account may have several.

Without a service's SID Twilio looks in the account's default one only, and another default than the service that Flex
uses is a known mistake. So a 404 proves nothing as long as there is another service.
Source: https://www.twilio.com/docs/flex/developer/conversations/best-practices
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from flexsms.core.exceptions import InOtherService, NotFound
from flexsms.twilio.client.settings import TwilioSettings

if TYPE_CHECKING:
    from twilio.rest import Client


def in_service(client: Client, settings: TwilioSettings) -> Any:
    """Where the SDK has conversations: the service that the connection names, or the account's default one."""
    root = client.conversations.v1
    return root.services(settings.conversations_service_sid) if settings.conversations_service_sid else root


class ConversationServices:
    """Looks for conversations that are not where they were looked for."""

    def __init__(self, client: Client, settings: TwilioSettings) -> None:
        self._services = client.conversations.v1.services
        self._own = settings.conversations_service_sid
        self._others: list[str] | None = None
        self._asking = asyncio.Lock()

    async def check(self, channel_sid: str) -> None:
        """Make sure that a conversation which was not found is in no other service.

        One call for the list of services, once; one per conversation and service, where there is more than one.

        :raises InOtherService: when it is
        """
        for service_sid in await self._all():
            try:
                await self._services(service_sid).conversations(channel_sid).fetch_async()
            except NotFound:
                continue
            raise InOtherService(
                f"Conversation {channel_sid} is in Conversations service {service_sid}, and was looked for in "
                f"{self._own or 'the default one of the account'}: set conversations_service_sid of the connection to "
                f"{service_sid}, or use a connection of its own for that service (flexsms doctor tells which one Flex "
                "uses)."
            )

    async def _all(self) -> list[str]:
        async with self._asking:
            if self._others is None:
                found = [str(service.sid) for service in await self._services.list_async(page_size=100)]
                self._others = found if len(found) > 1 or self._own not in ("", *found) else []
            return self._others
