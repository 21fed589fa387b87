"""Starting or continuing a conversation over Programmable Chat.

Source: https://www.twilio.com/docs/flex/developer/messaging/chat-channel
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flexsms.core.errors import InvalidInput, NotFound, SendInProgress
from flexsms.core.message import OutboundMessage, Route
from flexsms.core.redaction import mask_number
from flexsms.twilio.config import TwilioSettings
from flexsms.twilio.dates import utc
from flexsms.twilio.stacks.chat_channels import ChatChannels, is_inactive
from flexsms.twilio.stacks.chat_sessions import ChatSessions, PairTaken
from flexsms.twilio.stacks.protocol import OpenConversation
from flexsms.twilio.stacks.tasks import check_worker, find_open_task

if TYPE_CHECKING:
    from twilio.rest import Client

logger = logging.getLogger(__name__)

INTEGRATION = {Route.AGENT: "task", Route.STUDIO: "studio"}


class ChatOpening:
    """Opens conversations; belongs to :class:`flexsms.twilio.stacks.chat.ChatStack`."""

    def __init__(
        self, client: Client, settings: TwilioSettings, channels: ChatChannels, sessions: ChatSessions
    ) -> None:
        self._flex = client.flex_api.v1
        self._taskrouter = client.taskrouter.v1
        self._settings = settings
        self._channels = channels
        self._sessions = sessions
        self._flows: dict[tuple[Route, str], Any] = {}

    async def check(self, message: OutboundMessage) -> None:
        """Make sure that the number has a flow of the route, and that the worker exists."""
        await self._flow(message)
        await check_worker(self._workspace(), message.target_worker_sid)

    async def open(self, message: OutboundMessage) -> OpenConversation:
        """Get the active channel of the two numbers, or a new one, with an open session."""
        flow = await self._flow(message)
        channel: Any = await self._flex.channel.create_async(
            flex_flow_sid=str(flow.sid),
            identity=uuid.uuid4().hex,
            chat_user_friendly_name=message.name,
            chat_friendly_name=f"SMS{message.to_number}",
            target=message.to_number,
            task_attributes=json.dumps(message.routing_attributes())
            if message.route is Route.AGENT
            else None,
        )
        try:
            session_sid = await self._sessions.open(channel.sid, message)
        except PairTaken as taken:
            if await self._is_live(taken.channel_sid):
                return await self._continue(taken, message, flow, instead_of=channel)
            # A clean-up that only wrote the attributes has left this session behind; it swallows the customer's texts.
            await self._sessions.close(taken.channel_sid, taken.session_sid)
            try:
                session_sid = await self._sessions.open(channel.sid, message)
            except PairTaken as again:
                raise SendInProgress(
                    f"The customer wrote at this very moment ({again}); trying again."
                ) from again
        return OpenConversation(
            channel_sid=channel.sid,
            created_at=utc(channel.date_created),
            task_sid=channel.task_sid,
            session_sid=session_sid,
        )

    async def _continue(
        self, taken: PairTaken, message: OutboundMessage, flow: Any, *, instead_of: Any
    ) -> OpenConversation:
        """Go on in the conversation that another flow of the number opened, mostly the customer's own text."""
        logger.info("The customer is in channel %s of another flow; continuing there.", taken.channel_sid)
        await self._discard_if_empty(instead_of)
        snapshot = await self._channels.fetch(taken.channel_sid)
        return OpenConversation(
            channel_sid=taken.channel_sid,
            created_at=snapshot.created_at,
            task_sid=await self._task_on(taken.channel_sid, message, flow)
            if message.route is Route.AGENT
            else None,
            session_sid=taken.session_sid,
        )

    async def _is_live(self, channel_sid: str) -> bool:
        try:
            return not is_inactive((await self._channels.fetch(channel_sid)).attributes)
        except NotFound:
            return False

    async def _discard_if_empty(self, channel: Any) -> None:
        """Take back a channel that was only just made, with its task."""
        if await self._channels.has_messages(channel.sid):
            return
        if channel.task_sid:
            await (
                self._workspace()
                .tasks(channel.task_sid)
                .update_async(assignment_status="canceled", reason="the customer is in another channel")
            )
        await self._flex.channel(channel.sid).delete_async()

    async def _task_on(self, channel_sid: str, message: OutboundMessage, flow: Any) -> str:
        """The open task of a channel, or a new one by the flow's routing."""
        found = await find_open_task(self._workspace(), "channelSid", channel_sid)
        if found is not None:
            return str(found.sid)
        routing: Mapping[str, Any] = flow.integration or {}
        attributes = {**message.routing_attributes(), "channelSid": channel_sid, "channelType": "sms"}
        task = await self._workspace().tasks.create_async(
            attributes=json.dumps(attributes),
            workflow_sid=routing.get("workflow_sid"),
            task_channel=routing.get("channel"),
        )
        return str(task.sid)

    async def _flow(self, message: OutboundMessage) -> Any:
        wanted = (message.route, message.from_number)
        if wanted not in self._flows:
            integration = INTEGRATION[message.route]
            async for flow in await self._flex.flex_flow.stream_async(page_size=1000):
                if str(flow.integration_type) == integration and flow.contact_identity == message.from_number:
                    self._flows[wanted] = flow
                    break
            else:
                raise InvalidInput(
                    "from_number",
                    f"{mask_number(message.from_number)} has no Flex Flow of integration type "
                    f"'{integration}', which route '{message.route}' needs",
                    "create the flow or choose another number",
                )
        return self._flows[wanted]

    def _workspace(self) -> Any:
        return self._taskrouter.workspaces(self._settings.need("workspace_sid"))
