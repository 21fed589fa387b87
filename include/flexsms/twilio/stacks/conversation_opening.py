"""Starting or continuing a conversation over Flex Conversations.

The conversation comes first, with the customer in it: that claims the pair of numbers. Then, once, what takes care of
the customer's answer: an interaction, which opens a task, or the webhook of the Studio flow. Sources:
https://www.twilio.com/docs/flex/developer/conversations/interactions-api,
https://www.twilio.com/docs/flex/developer/conversations/send-outbound-messages-via-sms-and-whatsapp
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from twilio.rest import Client

from flexsms.core.errors import ChannelClosed, InteractionFailed, NotFound, PermanentError, TwilioRefused
from flexsms.core.events import parse_attributes
from flexsms.core.message import OutboundMessage, Route
from flexsms.core.redaction import redact
from flexsms.twilio.config import TwilioSettings
from flexsms.twilio.stacks.conversation_pairs import CLOSED, ConversationPairs
from flexsms.twilio.stacks.protocol import OpenConversation
from flexsms.twilio.stacks.tasks import check_worker, find_open_task
from flexsms.twilio.turns import Turns

logger = logging.getLogger(__name__)

# The error codes of a channel that failed because its conversation is closed: 45354 is Flex's own.
CLOSED_CODES = (CLOSED, 45354)
TASK_CHANNEL = "chat"
_SOMEBODY_WROTE = "Somebody wrote in {} meanwhile, and no agent was told; look after it."


@dataclass(frozen=True, slots=True)
class OpenTask:
    """A task that is not over, with the interaction that it belongs to, if Flex wrote it down."""

    task_sid: str | None
    interaction_sid: str | None
    interaction_channel_sid: str | None
    is_new: bool = False


class ConversationOpening:
    """Opens conversations; belongs to :class:`flexsms.twilio.stacks.conversations.ConversationsStack`."""

    def __init__(self, client: Client, settings: TwilioSettings, turns: Turns) -> None:
        self._conversations = client.conversations.v1.conversations
        self._interaction = client.flex_api.v1.interaction
        self._taskrouter = client.taskrouter.v1
        self._settings = settings
        self._turns = turns
        self._pairs = ConversationPairs(client, close_after_days=settings.close_after_days)

    async def check(self, message: OutboundMessage) -> None:
        """Make sure that the settings of the route are there, and that the worker exists."""
        if message.route is Route.STUDIO:
            self._settings.need("studio_flow_sid")
            return
        workspace = self._workspace()
        if message.target_worker_sid:
            self._settings.need("queue_sid")
        await check_worker(workspace, message.target_worker_sid)

    async def open(self, message: OutboundMessage, key: str, *, resumed: bool) -> OpenConversation:
        """Get the open conversation of the two numbers, or a new one, with what takes care of the answer."""
        conversation = await self._pairs.open(message, key, resumed=resumed)
        try:
            return await self._with_care(conversation, message, key, resumed=resumed)
        except PermanentError as error:
            if await self._is_over(conversation.channel_sid, error):
                closed = f"{conversation.channel_sid} was closed before anybody could look after it."
                raise ChannelClosed(closed) from error
            if conversation.is_new and not await self._let_go(conversation.channel_sid, key):
                error.args = (f"{error} {_SOMEBODY_WROTE.format(conversation.channel_sid)}", *error.args[1:])
            raise

    async def _with_care(
        self, conversation: OpenConversation, message: OutboundMessage, key: str, *, resumed: bool
    ) -> OpenConversation:
        """The conversation with a task or, failing that, with the Studio flow."""
        sid = conversation.channel_sid
        is_fresh = bool(conversation.is_new) and not resumed
        task = None if is_fresh else await self._open_task(sid)
        if task is None and message.route is Route.AGENT:
            task = await self._turns.once(
                sid, key, lambda: self._open_task(sid), lambda: self._start_interaction(sid, message)
            )
            if not is_fresh:
                await self._detach_studio(sid)
        if task is None:
            await self._ensure_studio(sid, key, is_fresh=is_fresh)
            return conversation
        return replace(
            conversation,
            task_sid=task.task_sid,
            interaction_sid=task.interaction_sid,
            interaction_channel_sid=task.interaction_channel_sid,
            is_new_interaction=task.is_new,
        )

    async def is_ready(self, conversation: OpenConversation, key: str) -> bool:
        """Whether the interaction channel is active.

        :param key: the marker of the send
        :raises InteractionFailed: when Flex gave it up; the customer of a conversation that was made for it is let go
        :raises ChannelClosed: when the conversation was closed meanwhile
        """
        if conversation.interaction_sid is None or conversation.interaction_channel_sid is None:
            return True
        try:
            channel: Any = (
                await self._interaction(conversation.interaction_sid)
                .channels(conversation.interaction_channel_sid)
                .fetch_async()
            )
        except NotFound:
            # One that was only just made may not show yet. Twilio forgets an old one after 180 days without use, and
            # the conversation is what carries the text.
            return not conversation.is_new_interaction
        if str(channel.status) == "failed":
            await self._give_up(conversation, key, channel)
        return str(channel.status) != "setup"

    async def _give_up(self, conversation: OpenConversation, key: str, channel: Any) -> NoReturn:
        if channel.error_code in CLOSED_CODES:
            raise ChannelClosed(f"{conversation.channel_sid} was closed; the next try starts a fresh one.")
        released = await self._let_go(conversation.channel_sid, key)
        raise InteractionFailed(
            f"Flex could not set up interaction channel {conversation.interaction_channel_sid}: "
            f"{redact(str(channel.error_message or 'no reason given'))} ({channel.error_code}); nothing was sent. "
            "Check workflow_sid and queue_sid of the connection and the agent, then clear the task."
            + ("" if released else f" {_SOMEBODY_WROTE.format(conversation.channel_sid)}")
        )

    async def _is_over(self, channel_sid: str, error: PermanentError) -> bool:
        """Whether a refusal came of a conversation that was closed or deleted meanwhile."""
        is_gone = isinstance(error, NotFound)
        if not is_gone and not (isinstance(error, TwilioRefused) and error.code in CLOSED_CODES):
            return False
        try:
            conversation: Any = await self._conversations(channel_sid).fetch_async()
        except NotFound:
            return True
        return str(conversation.state) == "closed"

    async def _let_go(self, channel_sid: str, key: str) -> bool:
        """Release the pair, unless somebody is at work in the conversation; False when a text waits in it."""
        try:
            task = await self._open_task(channel_sid)
        except PermanentError:  # TaskRouter itself refuses, and so can have given nobody a task for us
            task = None
        return task is not None or await self._pairs.release(channel_sid, key)

    async def go_on_afresh(self, closed_sid: str) -> None:
        """Give the customer of a closed conversation a fresh one, with a task that names the closed one."""
        for member in await self._conversations(closed_sid).participants.list_async():
            binding = member.messaging_binding or {}
            if binding.get("address") and binding.get("proxy_address"):
                message = OutboundMessage(
                    route=Route.AGENT,
                    from_number=str(binding["proxy_address"]),
                    to_number=str(binding["address"]),
                    body="",
                    source_channel_sid=closed_sid,
                )
                fresh = await self.open(message, f"after-{closed_sid}", resumed=True)
                logger.warning(
                    "A customer wrote in %s as it was closed; an agent gets task %s on %s for it.",
                    closed_sid,
                    fresh.task_sid,
                    fresh.channel_sid,
                )

    async def _open_task(self, channel_sid: str) -> OpenTask | None:
        task = await find_open_task(self._workspace(), "conversationSid", channel_sid)
        if task is None:
            return None
        attributes = parse_attributes(task.attributes)
        return OpenTask(
            str(task.sid), attributes.get("flexInteractionSid"), attributes.get("flexInteractionChannelSid")
        )

    async def _start_interaction(self, channel_sid: str, message: OutboundMessage) -> OpenTask:
        """Open a task on the conversation, for one agent or by the workflow.

        Always on a conversation that is there: an interaction that makes its own has no natural key, so a lost answer
        would leave a second one.
        """
        interaction: Any = await self._interaction.create_async(
            channel={
                "type": "sms",
                "initiated_by": "api",
                "properties": {"media_channel_sid": channel_sid},
            },
            routing={"properties": self._routing(message)},
        )
        routed = (interaction.routing or {}).get("properties") or {}
        return OpenTask(routed.get("sid"), str(interaction.sid), str(interaction.channel["sid"]), is_new=True)

    def _routing(self, message: OutboundMessage) -> dict[str, Any]:
        routing: dict[str, Any] = {
            "workspace_sid": self._settings.need("workspace_sid"),
            "task_channel_unique_name": TASK_CHANNEL,
            "attributes": {
                **message.routing_attributes(),
                "channelType": "sms",
                "customerAddress": message.to_number,
                "customerName": message.to_name or message.to_number,
            },
        }
        if self._settings.workflow_sid:
            routing["workflow_sid"] = self._settings.workflow_sid
        if message.target_worker_sid:
            routing |= {
                "queue_sid": self._settings.need("queue_sid"),
                "worker_sid": message.target_worker_sid,
            }
        return routing

    async def _ensure_studio(self, channel_sid: str, key: str, *, is_fresh: bool) -> None:
        if is_fresh or not await self._studio(channel_sid):
            await self._turns.once(
                channel_sid, key, lambda: self._studio(channel_sid), lambda: self._attach_studio(channel_sid)
            )

    async def _studio(self, channel_sid: str) -> str | None:
        for webhook in await self._conversations(channel_sid).webhooks.list_async():
            if str(webhook.target) == "studio":
                return str(webhook.sid)
        return None

    async def _detach_studio(self, channel_sid: str) -> None:
        """Answers go to the agent now; the flow of an earlier text of ours would answer as well."""
        webhooks = self._conversations(channel_sid).webhooks
        for webhook in await webhooks.list_async():
            flow_sid = (webhook.configuration or {}).get("flow_sid")
            if str(webhook.target) == "studio" and flow_sid == self._settings.studio_flow_sid:
                with suppress(NotFound):
                    await webhooks(str(webhook.sid)).delete_async()

    async def _attach_studio(self, channel_sid: str) -> str:
        webhook = await self._conversations(channel_sid).webhooks.create_async(
            target="studio",  # type: ignore[arg-type]  # the SDK names a class whose members are texts
            configuration_flow_sid=self._settings.need("studio_flow_sid"),
        )
        return str(webhook.sid)

    def _workspace(self) -> Any:
        return self._taskrouter.workspaces(self._settings.need("workspace_sid"))
