"""The Studio flow that answers in a conversation without an agent: a webhook of the conversation.

Source: https://www.twilio.com/docs/conversations/api/conversation-scoped-webhook-resource
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flexsms.core.attributes import parse_attributes
from flexsms.core.exceptions import NotFound
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.stacks.conversations.services import in_service

if TYPE_CHECKING:
    from twilio.rest import Client


class ConversationFlow:
    """Finds, attaches and detaches flows; belongs to the opening."""

    def __init__(self, client: Client, settings: TwilioSettings) -> None:
        self._conversations = in_service(client, settings).conversations
        self._settings = settings

    async def find(self, channel_sid: str) -> str | None:
        """The webhook of a flow in the conversation, whoever attached it, or the one by which agents have parked it."""
        webhooks = await self._conversations(channel_sid).webhooks.list_async()
        for webhook in webhooks:
            if str(webhook.target) == "studio":
                return str(webhook.sid)
        return await self._parked_by(channel_sid, webhooks)

    async def attach(self, channel_sid: str) -> str:
        """Attach the connection's flow; Twilio attaches a second one without a question."""
        webhook: Any = await self._conversations(channel_sid).webhooks.create_async(
            target="studio",
            configuration_flow_sid=self._settings.need("studio_flow_sid"),
        )
        return str(webhook.sid)

    async def detach(self, channel_sid: str) -> bool:
        """Take the connection's flow away, because it would answer beside an agent; returns whether it was there.

        And the webhook by which a parked conversation invites an agent, because that would invite another one.
        """
        webhooks = self._conversations(channel_sid).webhooks
        found = False
        listed = await webhooks.list_async()
        parked_by = await self._parked_by(channel_sid, listed)
        if parked_by is not None:
            with suppress(NotFound):
                await webhooks(parked_by).delete_async()
        for webhook in listed:
            flow_sid = (webhook.configuration or {}).get("flow_sid")
            if str(webhook.target) == "studio" and flow_sid == self._settings.studio_flow_sid:
                found = True
                with suppress(NotFound):
                    await webhooks(str(webhook.sid)).delete_async()
        return found

    async def _parked_by(self, channel_sid: str, webhooks: list[Any]) -> str | None:
        """The webhook that un-parks the conversation at the customer's next text; one call where it has any webhook.

        Twilio's template for parking writes its SID into the attributes:
        https://github.com/twilio-professional-services/flex-project-template
        """
        sids = [str(webhook.sid) for webhook in webhooks if str(webhook.target) == "webhook"]
        if not sids:
            return None
        conversation: Any = await self._conversations(channel_sid).fetch_async()
        named = parse_attributes(conversation.attributes).get("webhookSid")
        return str(named) if named in sids else None
