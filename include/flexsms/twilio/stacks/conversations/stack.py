"""Flex Conversations: the generation that Twilio serves today.

A text is a message in a conversation; an interaction channel ties the conversation to its tasks. Sources:
https://www.twilio.com/docs/flex/developer/conversations/interactions-api,
https://www.twilio.com/docs/conversations-classic/states-timers
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flexsms.core.attributes import parse_attributes
from flexsms.core.exceptions import (
    ChannelClosed,
    NotAuthorized,
    NotFound,
    ServiceUnavailable,
    TwilioRefused,
)
from flexsms.core.outbound_message import DIGEST_ATTRIBUTE, Route
from flexsms.core.stack_name import StackName
from flexsms.twilio.client.dates import utc
from flexsms.twilio.client.not_found import twice
from flexsms.twilio.client.rate_limits import per_second
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.stacks.conversations.address_pairs import CLOSED
from flexsms.twilio.stacks.conversations.attributes import ConversationAttributes
from flexsms.twilio.stacks.conversations.opening import ConversationOpening
from flexsms.twilio.stacks.conversations.services import ConversationServices, in_service
from flexsms.twilio.stacks.conversations.unanswered_customers import UnansweredCustomers
from flexsms.twilio.stacks.message_search import PAGE_SIZE, find_marked, newest_text
from flexsms.twilio.stacks.protocol import ChannelSnapshot, Healed, NewestText, OpenConversation, Relay
from flexsms.twilio.stacks.short_lived import bears_our_mark, restored, retired
from flexsms.twilio.sync.lock import SyncLock

if TYPE_CHECKING:
    from twilio.rest import Client

# What each text to a new customer asks of the endpoints with limits. Flex sets up an interaction in a while, so it is
# looked at twice.
CALLS_PER_TEXT = {"POST conversations.twilio.com/v1/Conversations": 1}
CALLS_PER_INTERACTION = {
    "POST flex-api.twilio.com/v1/Interactions": 1,
    "GET flex-api.twilio.com/v1/Interactions/{id}/Channels/{id}": 2,
}
CONSOLE = "https://console.twilio.com/us1/develop/conversations/manage/services"


class ConversationsStack:
    """Flex over Conversations.

    A conversation without an open task is one that the agents parked or left. Making it inactive can be undone, and
    any text of the customer undoes it by itself; closing it is final, frees the pair of numbers, and so comes last.
    """

    name = StackName.CONVERSATIONS
    usual: Mapping[str, Any] = {}
    closing_is_final = True

    def __init__(self, client: Client, settings: TwilioSettings, lock: SyncLock) -> None:
        self._settings = settings
        self._conversations = in_service(client, settings).conversations
        self._interaction = client.flex_api.v1.interaction
        self._services = ConversationServices(client, settings)
        self._attributes = ConversationAttributes(self._conversations, self.fetch)
        self.opening = ConversationOpening(client, settings, lock)
        self._unanswered = UnansweredCustomers(self._conversations, self.opening)

    def texts_per_second(self, route: Route) -> float | None:
        """By what opening a conversation takes, and, on route ``agent``, an interaction."""
        more = CALLS_PER_INTERACTION if route is Route.AGENT else {}
        return per_second(self._settings, {**CALLS_PER_TEXT, **more})

    async def post(self, conversation: OpenConversation, body: str, digest: str) -> str:
        """Add the message that Twilio texts to the customer.

        Without the header that runs webhooks: the Studio flow is for the customer's answer, not for our text.
        """
        try:
            message = await self._conversations(conversation.channel_sid).messages.create_async(
                body=body, attributes=json.dumps({DIGEST_ATTRIBUTE: digest})
            )
        except TwilioRefused as error:
            await self._check_closed(conversation, error)
            raise ChannelClosed(
                f"{conversation.channel_sid} was closed before the text was in it."
            ) from error
        return str(message.sid)

    async def _check_closed(self, conversation: OpenConversation, error: TwilioRefused) -> None:
        """Return when a refusal means that the conversation is over, and raise when it does not."""
        if error.code != CLOSED:
            if not isinstance(error, NotFound):
                raise error
            # One 404 is no proof, and an agent may be at work.
            with suppress(NotFound):
                if not (await self.fetch(conversation.channel_sid)).is_retired:
                    raise ServiceUnavailable(
                        f"{error} The conversation is there, though; trying again later.",
                        endpoint=error.endpoint,
                    ) from error
        # No agent is to be left with a task whose conversation is over.
        await self._close_interaction(conversation.interaction_sid, conversation.interaction_channel_sid)

    async def relay(self, conversation: OpenConversation, message_sid: str) -> Relay:  # noqa: ARG002
        """What is in a conversation leaves; one that is closed takes no text."""
        return Relay.UNDISTURBED

    async def is_in_use(self, conversation: OpenConversation) -> bool:  # noqa: ARG002
        """A conversation that is closed refuses the text by itself."""
        return True

    async def keep(self, conversation: OpenConversation) -> bool | None:  # noqa: ARG002
        """Closing is final, and cleaning up itself looks for those who were too late."""
        return None

    async def abandon(self, conversation: OpenConversation) -> bool:  # noqa: ARG002
        """Closing ends the task."""
        return False

    async def find_post(self, channel_sid: str, digest: str, since: datetime) -> str | None:
        """Look through the conversation's messages, down to the moment the key was taken."""
        messages = self._conversations(channel_sid).messages
        return await find_marked(await messages.page_async(order="desc", page_size=PAGE_SIZE), digest, since)

    def console_url(self, channel_sid: str) -> str:
        """The conversation among those of its service, which Twilio tells with it."""
        if not self.opening.service_sid:
            return ""
        return f"{CONSOLE}/{self.opening.service_sid}/conversations/{channel_sid}"

    async def fetch(self, channel_sid: str) -> ChannelSnapshot:
        """The conversation with its attributes; a closed one is retired.

        :raises NotFound: when it is gone; it is asked for twice, because a replica of Twilio's may be behind
        :raises InOtherService: when it is in another service
        """
        try:
            conversation: Any = await twice(self._conversations(channel_sid).fetch_async)
        except NotFound:
            await self._services.check(channel_sid)
            raise
        return ChannelSnapshot(
            channel_sid=channel_sid,
            attributes=parse_attributes(conversation.attributes),
            created_at=utc(conversation.date_created),
            updated_at=utc(conversation.date_updated),
            is_retired=str(conversation.state) == "closed",
        )

    async def channel_type(self, snapshot: ChannelSnapshot) -> str | None:
        """The messaging binding of its customer; who is in it by name only is in a web chat. One call.

        Source: https://www.twilio.com/docs/conversations/api/conversation-participant-resource
        """
        members = await self._conversations(snapshot.channel_sid).participants.list_async()
        bound = [member.messaging_binding for member in members if member.messaging_binding]
        if bound:
            return str(bound[0].get("type") or "sms")
        return "web" if members else None

    async def suspend(self, snapshot: ChannelSnapshot, links: Mapping[str, str]) -> None:  # noqa: ARG002
        """Make the conversation inactive and write the two attributes, in one update."""
        if not snapshot.is_retired:
            await self._attributes.write(snapshot, retired(snapshot.attributes, self.usual), "inactive")

    async def resume(
        self,
        channel_sid: str,
        links: Mapping[str, str],  # noqa: ARG002
        *,
        was_active: bool = False,  # noqa: ARG002  # Flex ends none by its attributes
    ) -> bool:
        """Put the two attributes back and make the conversation active again.

        Nothing opens a conversation again that we have closed: a customer who wrote in the moment before goes on in a
        fresh one, with a task that leads an agent to the text.
        """
        current = await self.fetch(channel_sid)
        return not bears_our_mark(current.attributes) or await self._restore(current)

    async def heal(
        self,
        channel_sid: str,
        links: Mapping[str, str],  # noqa: ARG002
        *,
        has_moved: bool = False,  # noqa: ARG002  # it is in a fresh one, which has the task
    ) -> Healed:
        """Put a live conversation back that bears our mark; who wrote in a closed one goes on in a fresh one."""
        current = await self.fetch(channel_sid)
        if not bears_our_mark(current.attributes):
            return Healed.NOTHING
        return Healed.PUT_BACK if await self._restore(current) else Healed.MOVED_ON

    async def _restore(self, current: ChannelSnapshot) -> bool:
        if current.is_retired:
            await self._unanswered.go_on_afresh(current.channel_sid)
            return False
        await self._attributes.write(current, restored(current.attributes, self.usual), "active")
        return True

    async def newest_text(self, channel_sid: str) -> NewestText | None:
        """The newest message of the conversation."""
        return await newest_text(self._conversations(channel_sid).messages, author="author")

    async def assign_to_agent(self, channel_sid: str) -> None:
        """Invite an agent to the conversation."""
        await self._unanswered.assign_to_agent(channel_sid)

    async def close(self, channel_sid: str, links: Mapping[str, str]) -> bool:
        """Close the interaction channel, which closes the conversation; where it does not, close that itself.

        An agent's outbound task may name the interaction channel and not its interaction, without which nobody can
        reach it: https://www.twilio.com/docs/flex/developer/conversations/send-outbound-messages-via-sms-and-whatsapp
        """
        if await self._close_interaction(links.get("interaction"), links.get("interaction_channel")):
            return True
        # There is none, it had failed, or Twilio removed it after 180 days without use.
        try:
            await self._conversations(channel_sid).update_async(
                state="closed", x_twilio_webhook_enabled="true"
            )
        except NotFound:
            await self._confirm_gone(channel_sid)
        except TwilioRefused as error:
            if error.code != CLOSED:
                raise
        return "interaction" in links or "interaction_channel" not in links

    async def delete(self, channel_sid: str, links: Mapping[str, str]) -> None:  # noqa: ARG002
        """Remove the conversation with its history; closing has ended its interaction, so no task is orphaned."""
        try:
            await self._conversations(channel_sid).delete_async(x_twilio_webhook_enabled="true")
        except NotFound:
            await self._confirm_gone(channel_sid)

    async def _confirm_gone(self, channel_sid: str) -> None:
        """Make sure that a conversation which was not found is gone: one 404 is no proof.

        :raises ServiceUnavailable: when it is there
        """
        try:
            await self.fetch(channel_sid)
        except NotFound:
            return
        raise ServiceUnavailable(
            f"Twilio did not find conversation {channel_sid}, and then did; trying again later."
        )

    async def _close_interaction(self, interaction_sid: str | None, channel_sid: str | None) -> bool:
        """Close an interaction channel with its tasks; returns whether it is closed."""
        if interaction_sid is None or channel_sid is None:
            return False
        try:
            channel: Any = (
                await self._interaction(interaction_sid)
                .channels(channel_sid)
                .update_async(
                    status="closed",  # type: ignore[arg-type]  # the SDK names a class whose members are texts
                    routing={"status": "closed"},
                )
            )
        except TwilioRefused as error:
            if isinstance(error, NotAuthorized):
                raise
            return False
        return str(channel.status) == "closed"
