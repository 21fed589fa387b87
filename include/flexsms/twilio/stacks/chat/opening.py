"""Starting or continuing a conversation over Programmable Chat.

Source: https://www.twilio.com/docs/flex/developer/messaging/chat-channel
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from flexsms.core.attributes import parse_attributes
from flexsms.core.exceptions import (
    InvalidInput,
    NotFound,
    PermanentError,
    SendInProgress,
)
from flexsms.core.outbound_message import DIGEST_ATTRIBUTE, OutboundMessage, Route
from flexsms.twilio.client.dates import utc
from flexsms.twilio.stacks.chat.channels import ChatChannels, is_inactive
from flexsms.twilio.stacks.chat.flows import ChatFlows
from flexsms.twilio.stacks.chat.proxy_sessions import ChatSessions, OpenSession, PairTaken
from flexsms.twilio.stacks.chat.tasks import ELSEWHERE, ChatTasks, marked
from flexsms.twilio.stacks.protocol import OpenConversation, told_if_left
from flexsms.twilio.taskrouter.task_list import attributes_of
from flexsms.twilio.taskrouter.tasks import (
    check_worker,
    end_open_tasks,
    end_task,
    open_tasks,
)

if TYPE_CHECKING:
    from twilio.rest import Client

logger = logging.getLogger(__name__)

# Of one send, with the time until a dead one is noticed.
TRIES_TAKE = timedelta(minutes=15)


class ChatOpening:
    """Opens conversations; belongs to :class:`flexsms.twilio.stacks.chat.stack.ChatStack`."""

    def __init__(
        self,
        client: Client,
        channels: ChatChannels,
        sessions: ChatSessions,
        tasks: ChatTasks,
        flows: ChatFlows,
    ) -> None:
        self._flex = client.flex_api.v1
        self._channels = channels
        self._sessions = sessions
        self._tasks = tasks
        self._flows = flows

    async def check(self, message: OutboundMessage) -> None:
        """Make sure that the number has a flow of the route, and that the worker exists."""
        if message.worker_only:
            raise InvalidInput(
                "worker_only",
                "is on, and on stack 'chat' only your workflow routes tasks",
                "switch it off, and let the workflow route by targetWorkerSid",
            )
        await self._flows.of(message)
        await check_worker(self._tasks.workspace, message.target_worker_sid)

    async def open_conversation(
        self, message: OutboundMessage, digest: str, *, resumed: bool, since: datetime
    ) -> OpenConversation:
        """Get the active channel of the two numbers, or a new one, with an open session.

        It is out of use when it was retired in this very moment.

        :param digest: that of the send's idempotency key
        :param resumed: an earlier try of the same send may have come as far as this
        :param since: what was made before is none of this send
        """
        flow = await self._flows.of(message)
        is_agents = message.route is Route.AGENT
        channel = await self._channel(message, flow, marked(message, digest) if is_agents else None)
        try:
            try:
                session = await self._sessions.open_session(channel.sid, message)
            except PairTaken as taken:
                if taken.channel_sid is None:
                    taken = await self._search(taken, message, flow, digest, resumed=resumed)
                opened = await self._where_the_customer_is(taken, message, flow, channel, digest)
            else:
                opened = await self._opened(channel, session)
            if resumed and is_agents:
                await self._end_strays(digest, other_than=opened.channel_sid)
        except PermanentError:
            with told_if_left(str(channel.sid)):
                await self.take_back(OpenConversation(str(channel.sid), None), digest, since=since)
            raise
        return opened

    async def is_ready(self, conversation: OpenConversation, digest: str, *, waited: bool) -> bool:  # noqa: ARG002
        """A chat channel takes texts at once."""
        return True

    async def take_back(self, conversation: OpenConversation, digest: str, *, since: datetime) -> None:
        """Take back what a send has made that came to nothing: its task, and a new channel that nobody is in.

        A customer who has written meanwhile keeps both.

        :param digest: that of the send's idempotency key
        :param since: a channel that was made before is none of this send
        """
        channel_sid = conversation.channel_sid
        for task in await open_tasks(self._tasks.workspace, DIGEST_ATTRIBUTE, digest):
            attributes = await attributes_of(task)
            if attributes is not None and not await self._has_texts(str(attributes.get("channelSid")), since):
                await end_task(self._tasks.workspace, task, "its text was not sent")
        if await open_tasks(self._tasks.workspace, "channelSid", channel_sid):
            return
        with suppress(NotFound):
            if not await self._channels.is_unused(channel_sid, since=since):
                return
            # First, because an open session of a deleted channel would swallow the customer's next text.
            session_sid = await self._sessions.close(channel_sid, None)
            if await self._channels.is_unused(channel_sid, since=since):
                await self._flex.channel(channel_sid).delete_async()
            elif session_sid is not None:  # the customer wrote in this very moment
                await self._sessions.reopen(channel_sid, session_sid)

    async def _has_texts(self, channel_sid: str, since: datetime) -> bool:
        try:
            return await self._channels.has_texts_of_others(channel_sid, since)
        except NotFound:
            return False

    async def _end_strays(self, digest: str, *, other_than: str) -> None:
        """End what an earlier try has opened on another channel, which was the customer's at that time."""
        for task in await open_tasks(self._tasks.workspace, DIGEST_ATTRIBUTE, digest):
            channel_sid = str(parse_attributes(task.attributes).get("channelSid"))
            if channel_sid != other_than and await self._sessions.find(channel_sid) is None:
                await end_task(self._tasks.workspace, task, ELSEWHERE)

    async def _channel(
        self, message: OutboundMessage, flow: Any, attributes: Mapping[str, Any] | None
    ) -> Any:
        return await self._flex.channel.create_async(
            flex_flow_sid=str(flow.sid),
            identity=uuid.uuid4().hex,
            chat_user_friendly_name=message.name,
            chat_friendly_name=f"SMS{message.to_number}",
            target=message.to_number,
            task_attributes=None if attributes is None else json.dumps(attributes),
        )

    async def _opened(self, channel: Any, session: OpenSession) -> OpenConversation:
        conversation = OpenConversation(
            channel_sid=channel.sid,
            created_at=utc(channel.date_created),
            task_sid=channel.task_sid,
            session_sid=session.sid,
            session_updated_at=session.updated_at,
            is_reconnected=session.was_closed,
        )
        # Cleaning up closes the session first: one that was open belonged to a channel in use.
        is_live = not session.was_closed or (session.is_open and await self._channels.is_live(channel.sid))
        return conversation if is_live else _out_of_use(conversation)

    async def _where_the_customer_is(
        self, taken: PairTaken, message: OutboundMessage, flow: Any, channel: Any, digest: str
    ) -> OpenConversation:
        """The conversation whose session has the customer, or the new one when that is a leftover."""
        if taken.channel_sid is None:
            # It may have been a channel that was retired meanwhile.
            try:
                return await self._opened(channel, await self._sessions.open_session(channel.sid, message))
            except PairTaken as again:
                await self._discard_if_empty(channel)
                raise again.refusal from taken
        if taken.session is None:
            await self._discard_if_empty(channel)
            raise SendInProgress(
                f"The customer wrote in {taken.channel_sid} as it was being retired; trying again once it is put back."
            )
        if await self._channels.is_live(taken.channel_sid):
            logger.info("The customer is in channel %s of another flow; continuing there.", taken.channel_sid)
            await self._discard_if_empty(channel)
            return await self._continue(taken.channel_sid, taken.session, message, flow, digest)
        # A cleanup that only wrote the attributes has left this session behind; it swallows the customer's texts.
        await self._sessions.close(taken.channel_sid, taken.session.sid)
        try:
            return await self._opened(channel, await self._sessions.open_session(channel.sid, message))
        except PairTaken as again:
            raise SendInProgress(
                f"The customer wrote at this very moment ({again}); trying again."
            ) from again

    async def _search(
        self, taken: PairTaken, message: OutboundMessage, flow: Any, digest: str, *, resumed: bool
    ) -> PairTaken:
        """Look for the holder of a pair that Proxy does not name: the active channel of the number's other flow.

        Flex gives that to whoever asks for a channel of the flow. Where there is none it makes one, which is taken
        back, and it may open a task, which bears a mark. A text of the customer meanwhile opens none beside that,
        also while an earlier try was at work.
        """
        mark = {"flexsms_search": digest, DIGEST_ATTRIBUTE: digest}
        for other in await self._flows.of_number(message.from_number):
            if str(other.sid) == str(flow.sid):
                continue
            attributes = {**message.routing_attributes(), **mark}
            channel = await self._channel(message, other, attributes)
            sid, task_sid = str(channel.sid), channel.task_sid
            opened_at = await self._tasks.end_marked(str(task_sid), mark) if task_sid else None
            if opened_at is not None:
                since = opened_at - TRIES_TAKE if resumed else opened_at
                is_waiting = await self._may_somebody_wait(sid, since)
                task_sid = (
                    await self._tasks.ensure(sid, message, other, digest, is_own=False)
                    if is_waiting
                    else None
                )
            session = await self._sessions.find(sid)
            if session is not None or (task_sid and await self._tasks.is_open(task_sid)):
                return PairTaken(taken.refusal, sid, session)
            await self._discard_if_empty(channel)
        return taken

    async def _may_somebody_wait(self, channel_sid: str, since: datetime) -> bool:
        try:
            return await self._channels.has_texts_of_others(channel_sid, since)
        except PermanentError:
            return True  # nobody can tell, and an agent who looks in vain does no harm

    async def _continue(
        self, channel_sid: str, session: OpenSession, message: OutboundMessage, flow: Any, digest: str
    ) -> OpenConversation:
        """Go on in the conversation that another flow of the number opened, mostly the customer's own text."""
        is_agents = message.route is Route.AGENT
        task_sid = await self._tasks.ensure(channel_sid, message, flow, digest) if is_agents else None
        # Behind the task, because a cleanup looks for tasks once more after it has made the channel inactive.
        snapshot = None
        with suppress(NotFound):
            snapshot = await self._channels.fetch(channel_sid)
        conversation = OpenConversation(
            channel_sid=channel_sid,
            created_at=snapshot.created_at if snapshot else None,
            is_new=False,
            task_sid=task_sid,
            session_sid=session.sid,
            session_updated_at=session.updated_at,
        )
        is_live = snapshot is not None and not is_inactive(snapshot.attributes)
        return conversation if is_live else _out_of_use(conversation)

    async def _discard_if_empty(self, channel: Any) -> None:
        """Take back a channel that was only just made, with its tasks.

        Another send may have got the same channel, opened a second task on it, taken it back already, or gone on in it.
        """
        sid, is_there = str(channel.sid), True
        try:
            if await self._channels.is_used(sid):
                return
        except NotFound:
            is_there = False
        if channel.task_sid:
            await end_open_tasks(self._tasks.workspace, "channelSid", sid, reason=ELSEWHERE)
        if is_there:
            with suppress(NotFound):
                await self._flex.channel(sid).delete_async()
            # An open session on a deleted channel would swallow all of the customer's texts.
            session = await self._sessions.find(sid)
            if session is not None:
                await self._sessions.close(sid, session.sid)


def _out_of_use(conversation: OpenConversation) -> OpenConversation:
    """A conversation that was retired in this very moment."""
    return replace(conversation, session_updated_at=None, is_reconnected=True, is_out_of_use=True)
