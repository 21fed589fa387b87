"""The Studio flow that answers in a conversation without an agent: a webhook of the conversation.

Source: https://www.twilio.com/docs/conversations/api/conversation-scoped-webhook-resource
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flexsms.core.errors import NotFound
from flexsms.twilio.config import TwilioSettings
from flexsms.twilio.stacks.conversation_services import in_service

if TYPE_CHECKING:
    from twilio.rest import Client


class ConversationFlow:
    """Finds, attaches and detaches flows; belongs to the opening."""

    def __init__(self, client: Client, settings: TwilioSettings) -> None:
        self._conversations = in_service(client, settings).conversations
        self._settings = settings

    async def find(self, channel_sid: str) -> str | None:
        """The webhook of a flow in the conversation, whoever attached it."""
        for webhook in await self._conversations(channel_sid).webhooks.list_async():
            if str(webhook.target) == "studio":
                return str(webhook.sid)
        return None

    async def attach(self, channel_sid: str) -> str:
        """Attach the connection's flow; Twilio attaches a second one without a question."""
        webhook: Any = await self._conversations(channel_sid).webhooks.create_async(
            target="studio",
            configuration_flow_sid=self._settings.need("studio_flow_sid"),
        )
        return str(webhook.sid)

    async def detach(self, channel_sid: str) -> bool:
        """Take the connection's flow away, because it would answer beside an agent; returns whether it was there."""
        webhooks = self._conversations(channel_sid).webhooks
        found = False
        for webhook in await webhooks.list_async():
            flow_sid = (webhook.configuration or {}).get("flow_sid")
            if str(webhook.target) == "studio" and flow_sid == self._settings.studio_flow_sid:
                found = True
                with suppress(NotFound):
                    await webhooks(str(webhook.sid)).delete_async()
        return found
