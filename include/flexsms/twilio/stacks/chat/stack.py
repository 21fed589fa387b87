"""Programmable Chat and Proxy: the generation that the original recipes were written for.

A text is a chat message on a channel with an open Proxy session; Proxy relays it to the handset.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flexsms.core.exceptions import (
    ChannelClosed,
    NotFound,
    ServiceUnavailable,
    TwilioRefused,
)
from flexsms.core.outbound_message import OutboundMessage, Route
from flexsms.core.stack_name import StackName
from flexsms.twilio.client.rate_limits import per_second
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.stacks.chat.channels import ChatChannels
from flexsms.twilio.stacks.chat.delivery import ChatDelivery
from flexsms.twilio.stacks.chat.flows import ChatFlows
from flexsms.twilio.stacks.chat.opening import ChatOpening
from flexsms.twilio.stacks.chat.proxy_sessions import PAIR_TAKEN, ChatSessions, PairTaken
from flexsms.twilio.stacks.chat.tasks import ChatTasks
from flexsms.twilio.stacks.chat.unanswered_customers import UnansweredCustomers
from flexsms.twilio.stacks.protocol import ChannelSnapshot, Healed, NewestText, OpenConversation, Relay
from flexsms.twilio.stacks.short_lived import BEFORE, bears_our_mark, marks, restored, retired
from flexsms.twilio.sync.lock import SyncLock
from flexsms.twilio.taskrouter.tasks import end_open_tasks, find_tasks_of, open_tasks, refer_to

if TYPE_CHECKING:
    from twilio.rest import Client

logger = logging.getLogger(__name__)

# What each text to a new customer asks of the endpoints with limits.
CALLS_PER_TEXT = {
    "POST flex-api.twilio.com/v1/Channels": 1,
    "GET proxy.twilio.com/v1/Services/{id}/Sessions/{id}": 1,
    "POST proxy.twilio.com/v1/Services/{id}/Sessions": 1,
    "POST sync.twilio.com/v1/Services/{id}/Documents": 1,
}
CONSOLE = "https://console.twilio.com/us1/develop/chat/manage/services?frameUrl=/console/chat/services"


class ChatStack:
    """Flex over Programmable Chat.

    :param settings: needs ``chat_service_sid`` and ``session_service_sid``
    """

    name = StackName.CHAT
    usual: Mapping[str, Any] = {"long_lived": True, "status": "ACTIVE"}
    closing_is_final = False

    def __init__(self, client: Client, settings: TwilioSettings, lock: SyncLock) -> None:
        self._settings = settings
        self._service_sid = settings.need("chat_service_sid")
        self._channels = ChatChannels(client, self._service_sid)
        self._sessions = ChatSessions(client, settings.need("session_service_sid"), self._channels)
        self._deliveries = ChatDelivery(client, settings.need("session_service_sid"), settings.account_sid)
        self._workspace: Any = client.taskrouter.v1.workspaces(settings.need("workspace_sid"))
        self._tasks = ChatTasks(client, self._workspace, lock)
        flows = ChatFlows(client)
        self.opening = ChatOpening(client, self._channels, self._sessions, self._tasks, flows)
        self._unanswered = UnansweredCustomers(self.opening, self._sessions, self._tasks, flows)

    def texts_per_second(self, route: Route) -> float | None:  # noqa: ARG002  # both open a channel
        """By what opening a channel takes."""
        return per_second(self._settings, CALLS_PER_TEXT)

    async def post(self, conversation: OpenConversation, body: str, digest: str) -> str:
        """Post the chat message that Proxy relays as an SMS."""
        try:
            return await self._channels.post(conversation.channel_sid, body, digest)
        except NotFound as error:
            # One 404 is no proof.
            if await self._channels.is_live(conversation.channel_sid):
                raise ServiceUnavailable(
                    f"{error} The channel is there, though; trying again later.", endpoint=error.endpoint
                ) from error
            await self.abandon(conversation)
            raise ChannelClosed(f"{conversation.channel_sid} was gone before the text was in it.") from error

    async def relay(self, conversation: OpenConversation, message_sid: str) -> Relay:
        """Look at the session, which cleaning up closes before anything else, and at its interactions.

        The dates of a session prove nothing: it may be closed and open again within a second.
        """
        session_sid, since = conversation.session_sid, conversation.session_updated_at
        is_open = bool(session_sid) and await self._sessions.is_open(str(session_sid))
        if not await self._deliveries.has_relayed(conversation.channel_sid, session_sid, message_sid, since):
            return Relay.MISSING
        is_undisturbed = is_open and since is not None and not conversation.is_reconnected
        return Relay.UNDISTURBED if is_undisturbed else Relay.LEFT

    async def is_in_use(self, conversation: OpenConversation) -> bool:
        """Whether the channel is active."""
        return await self._channels.is_live(conversation.channel_sid)

    async def keep(self, conversation: OpenConversation) -> bool | None:
        """Make the channel active and its session open, or end the task."""
        if conversation.task_sid is None or not await self._tasks.is_open(conversation.task_sid):
            return None
        links = {"session": conversation.session_sid} if conversation.session_sid else {}
        with suppress(NotFound):
            if conversation.session_sid:
                # Without one nobody can be reached: Flex has ended a channel that was short-lived.
                await self._sessions.is_open(conversation.session_sid)
            kept = await self.resume(conversation.channel_sid, links)
            if kept and await self._channels.is_live(conversation.channel_sid):
                return True
        await self.abandon(conversation)
        return False

    async def abandon(self, conversation: OpenConversation) -> bool:
        """Close the session, with which an inactive or deleted channel would swallow the customer's next text."""
        await self._sessions.close(conversation.channel_sid, conversation.session_sid)
        return conversation.task_sid is not None and await self._tasks.end(conversation.task_sid)

    async def find_post(self, channel_sid: str, digest: str, since: datetime) -> str | None:
        """Look through the channel's messages, down to the moment the key was taken."""
        return await self._channels.find_post(channel_sid, digest, since)

    def console_url(self, channel_sid: str) -> str:
        """The channel among those of the chat service."""
        return f"{CONSOLE}/{self._service_sid}/channels/{channel_sid}"

    async def fetch(self, channel_sid: str) -> ChannelSnapshot:
        """The chat channel with its attributes."""
        return await self._channels.fetch(channel_sid)

    async def channel_type(self, snapshot: ChannelSnapshot) -> str | None:
        """The attribute that Flex writes into a channel when it makes it."""
        kind = snapshot.attributes.get("channel_type")
        return kind.lower() if isinstance(kind, str) and kind else None

    async def suspend(self, snapshot: ChannelSnapshot, links: Mapping[str, str]) -> None:
        """Close the session, then make the channel inactive.

        In this order, because an inactive channel with an open session would swallow the customer's next text, while
        an active one without a session is simply taken up again.
        """
        await self._sessions.close(snapshot.channel_sid, snapshot.session_sid or links.get("session"))
        await self._channels.write(snapshot, retired(snapshot.attributes, self.usual))

    async def resume(self, channel_sid: str, links: Mapping[str, str], *, was_active: bool = False) -> bool:
        """Put the two attributes back as they were and let texts through again.

        Flex ends a short-lived channel with its task, and removes the session. One that others have made short-lived
        stays so; where we have, an agent was quick with a text that came as it was suspended, and its window has begun
        anew.
        """
        current = await self.fetch(channel_sid)
        message = None
        if bears_our_mark(current.attributes) and await self._sessions.is_closed(channel_sid) is None:
            if was_active and BEFORE not in current.attributes:
                message = await self._tasks.message_like_the_last(channel_sid)
            if message is None:
                return True
        return await self._put_back(current, links, message)

    async def _put_back(
        self, current: ChannelSnapshot, links: Mapping[str, str], message: OutboundMessage | None = None
    ) -> bool:
        channel_sid = current.channel_sid
        ours = bears_our_mark(current.attributes)
        if ours:
            await self._channels.write(current, restored(current.attributes, self.usual))
        if await self._reconnect(current, links, message):
            return True
        if ours:
            current = await self.fetch(channel_sid)
            await self._channels.write(current, retired(current.attributes, self.usual))
        # Behind that, because of two active channels Flex shows the wrong one to whoever looks for the customer.
        return not await self._hand_over(channel_sid)

    async def heal(self, channel_sid: str, links: Mapping[str, str], *, has_moved: bool = False) -> Healed:
        """Put a live channel back that bears our mark, or a long-lived one whose session was closed."""
        if has_moved:
            await self._hand_over(channel_sid)
            return Healed.NOTHING
        current = await self.fetch(channel_sid)
        if bears_our_mark(current.attributes):
            if await self._sessions.is_closed(channel_sid) is None:
                return Healed.NOTHING  # Flex has ended it: see resume
            is_back = await self._put_back(current, links)
            return Healed.PUT_BACK if is_back else Healed.MOVED_ON
        if marks(current.attributes) != self.usual or not await self._sessions.is_closed(channel_sid):
            return Healed.NOTHING
        is_back = await self._reconnect(current, links) or not await self._hand_over(channel_sid)
        return Healed.PUT_BACK if is_back else Healed.MOVED_ON

    async def _reconnect(
        self, channel: ChannelSnapshot, links: Mapping[str, str], message: OutboundMessage | None = None
    ) -> bool:
        """Let texts through again; False when the customer goes on in another channel by now.

        :param message: what a new session is for, where the channel has none any more
        """
        sid = channel.channel_sid
        try:
            if message is None:
                await self._sessions.reopen(sid, channel.session_sid or links.get("session"))
            else:
                await self._sessions.open_session(sid, message)
        except PairTaken:
            return False
        except TwilioRefused as error:
            if error.code not in PAIR_TAKEN:
                raise
            return False
        return True

    async def _hand_over(self, channel_sid: str) -> bool:
        """Leave a channel's customer to the task of the channel in which they go on; an agent could not answer here.

        :return: False when they are back here meanwhile
        """
        customers = await self._sessions.customers(channel_sid)
        other = await self._task_where_they_are(channel_sid, customers)
        if other is not None:
            await refer_to(self._workspace, other, channel_sid)
        elif await open_tasks(self._workspace, "channelSid", channel_sid):
            # A studio send is where they are, and no agent there learns what they wrote here.
            there = await self._unanswered.go_on_elsewhere(channel_sid, customers)
            if there is None or there == channel_sid:
                return there is None
        await end_open_tasks(
            self._workspace, "channelSid", channel_sid, reason="its customer goes on in another channel"
        )
        logger.warning("The customer of channel %s goes on in another one, with another task.", channel_sid)
        return True

    async def _task_where_they_are(self, channel_sid: str, customers: Collection[str]) -> str | None:
        """The newest task on a channel that reaches them; one on any other is about to be taken back by a send."""
        found = await find_tasks_of(self._workspace, customers, other_than=channel_sid)
        for task in reversed(found):
            if await self._sessions.find(str(task.attributes["channelSid"])) is not None:
                return str(task.sid)
        return None

    async def newest_text(self, channel_sid: str) -> NewestText | None:
        """The newest message of the chat channel."""
        return await self._channels.newest_text(channel_sid)

    async def assign_to_agent(self, channel_sid: str) -> None:
        """Open a task by the number's Flex Flow."""
        await self._unanswered.assign_to_agent(channel_sid)

    async def close(self, channel_sid: str, links: Mapping[str, str]) -> bool:  # noqa: ARG002
        """Nothing is left to do: an inactive channel without a session is never taken up again."""
        return True

    async def delete(self, channel_sid: str, links: Mapping[str, str]) -> None:  # noqa: ARG002
        """Remove the chat channel with its history."""
        await self._channels.delete(channel_sid)
