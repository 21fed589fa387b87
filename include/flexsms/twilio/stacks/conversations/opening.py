"""Starting or continuing a conversation over Flex Conversations.

The conversation comes first, with the customer in it: that claims the pair of numbers. Then, once, what takes care of
the customer's answer: an interaction, which opens a task, or the webhook of the Studio flow. Sources:
https://www.twilio.com/docs/flex/developer/conversations/interactions-api,
https://www.twilio.com/docs/flex/developer/conversations/send-outbound-messages-via-sms-and-whatsapp
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from flexsms.core.exceptions import ChannelClosed, InteractionFailed, NotFound, PermanentError, TwilioRefused
from flexsms.core.outbound_message import OutboundMessage, Route
from flexsms.core.redaction import redact
from flexsms.twilio.client.not_found import twice
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.stacks.conversations.address_pairs import CLOSED, ConversationPairs
from flexsms.twilio.stacks.conversations.services import in_service
from flexsms.twilio.stacks.conversations.studio_flow import ConversationFlow
from flexsms.twilio.stacks.conversations.tasks import ConversationTasks, OpenTask
from flexsms.twilio.stacks.protocol import OpenConversation, told_if_left
from flexsms.twilio.sync.lock import Lease, SyncLock
from flexsms.twilio.taskrouter.tasks import check_worker, end_own_tasks

if TYPE_CHECKING:
    from twilio.rest import Client

logger = logging.getLogger(__name__)

# The error codes of a channel that failed because its conversation is closed: 45354 is Flex's own.
CLOSED_CODES = (CLOSED, 45354)
_SOMEBODY_WROTE = "Somebody wrote in {} meanwhile, and no agent was told; look after it."


class ConversationOpening:
    """Opens conversations; belongs to :class:`flexsms.twilio.stacks.conversations.stack.ConversationsStack`.

    :ivar service_sid: the service that conversations are in, as far as it is known
    """

    def __init__(self, client: Client, settings: TwilioSettings, lock: SyncLock) -> None:
        self._conversations = in_service(client, settings).conversations
        self._interaction = client.flex_api.v1.interaction
        self._taskrouter = client.taskrouter.v1
        self._settings = settings
        self.service_sid = settings.conversations_service_sid or settings.chat_service_sid
        self._lock = lock
        self._tasks = ConversationTasks(client, settings)
        self._flow = ConversationFlow(client, settings)
        self._pairs = ConversationPairs(client, settings)

    async def check(self, message: OutboundMessage) -> None:
        """Make sure that the settings of the route are there, and that the worker exists."""
        if message.route is Route.STUDIO:
            self._settings.need("studio_flow_sid")
            return
        workspace = self.workspace()
        if message.worker_only:
            self._settings.need("queue_sid")
        await check_worker(workspace, message.target_worker_sid)

    async def open_conversation(
        self, message: OutboundMessage, digest: str, *, resumed: bool, since: datetime
    ) -> OpenConversation:
        """Get the open conversation of the two numbers, or a new one, with what takes care of the answer."""
        # The customer may write as soon as they are in it, and then the flow has to be there already.
        prepare = self._prepare_studio if message.route is Route.STUDIO else None
        conversation = await self._pairs.find_or_start(message, digest, resumed=resumed, prepare=prepare)
        self.service_sid = conversation.service_sid or self.service_sid
        try:
            return await self._with_care(conversation, message, digest, resumed=resumed)
        except PermanentError as error:
            if await self._is_over(conversation.channel_sid, error):
                closed = f"{conversation.channel_sid} was closed before anybody could look after it."
                raise ChannelClosed(closed) from error
            with told_if_left(conversation.channel_sid):
                if not await self._take_back(conversation, digest, since):
                    error.args = (
                        f"{error} {_SOMEBODY_WROTE.format(conversation.channel_sid)}",
                        *error.args[1:],
                    )
            raise

    async def take_back(self, conversation: OpenConversation, digest: str, *, since: datetime) -> None:
        """End the send's task, close the conversation that it has started, and give another one its flow back.

        A customer who has written meanwhile keeps all of it.

        :param digest: that of the send's idempotency key
        :param since: when the send began
        """
        await self._take_back(conversation, digest, since)

    async def _take_back(self, conversation: OpenConversation, digest: str, since: datetime) -> bool:
        """Take everything back; False when a text waits in a conversation that nobody was told of."""
        if conversation.is_new:
            return await self._let_go(conversation.channel_sid, digest)
        if await self._pairs.has_texts_of_others(conversation.channel_sid, since):
            return True
        others = await self._end_own_tasks(conversation.channel_sid, digest)
        if conversation.lost_flow and not others:
            await self._ensure_task_or_flow(conversation.channel_sid, digest, doubtful=False)
        return True

    async def _with_care(
        self, conversation: OpenConversation, message: OutboundMessage, digest: str, *, resumed: bool
    ) -> OpenConversation:
        """The conversation with a task or, on the other route and without one, with the Studio flow."""
        is_fresh = bool(conversation.is_new) and not resumed
        sid = conversation.channel_sid
        if message.route is Route.AGENT:
            task = await self.ensure_task(sid, message, digest, is_fresh=is_fresh, resumed=resumed)
        elif is_fresh:
            return conversation
        else:
            found = await self._ensure_task_or_flow(sid, digest, doubtful=bool(conversation.is_new))
            if not isinstance(found, OpenTask):
                return conversation
            if resumed:
                await self._flow.detach(sid)
            task = found
        return replace(
            conversation,
            task_sid=task.task_sid,
            interaction_sid=task.interaction_sid,
            interaction_channel_sid=task.interaction_channel_sid,
            is_new_interaction=task.is_new,
            is_set_up=task.is_invited,
            lost_flow=task.replaces_flow,
        )

    async def ensure_task(
        self, channel_sid: str, message: OutboundMessage, digest: str, *, is_fresh: bool, resumed: bool
    ) -> OpenTask:
        """The conversation's open task, or a new one, and no flow beside it.

        A task that an earlier try made may have the flow or another task still beside it, so a later try looks under
        its lock.
        """
        just_searched = not is_fresh and not resumed
        if just_searched:
            found = await self._open_task(channel_sid)
            if found is not None:
                return found

        async def detach_flow(task: OpenTask, lease: Lease) -> OpenTask:
            if is_fresh and lease.is_first:
                return task
            if task.is_invited or resumed:
                task = await self._tasks.keep_one(channel_sid, task, digest)
            return replace(task, replaces_flow=await self._flow.detach(channel_sid))

        return await self._lock.once(
            channel_sid,
            digest,
            lambda: self._open_task(channel_sid),
            lambda: self._tasks.make(channel_sid, message, digest, is_fresh=is_fresh),
            tidy=detach_flow,
            just_searched=just_searched,
        )

    async def _ensure_task_or_flow(self, channel_sid: str, digest: str, *, doubtful: bool) -> OpenTask | str:
        """The conversation's open task, or else its Studio flow.

        :param doubtful: an earlier try may have asked for the flow
        """
        found = await self._task_or_flow(channel_sid)
        if found is not None:
            return found

        async def prefer_task(found: OpenTask | str, _: Lease) -> OpenTask | str:
            # The customer may have written right before the flow was there.
            task = None if isinstance(found, OpenTask) else await self._open_task(channel_sid)
            if task is None:
                return found
            await self._flow.detach(channel_sid)
            return task

        return await self._lock.once(
            channel_sid,
            digest,
            lambda: self._task_or_flow(channel_sid),
            lambda: self._flow.attach(channel_sid),
            tidy=prefer_task,
            just_searched=True,
            doubtful=doubtful,
        )

    async def _task_or_flow(self, channel_sid: str) -> OpenTask | str | None:
        return await self._open_task(channel_sid) or await self._flow.find(channel_sid)

    async def is_ready(self, conversation: OpenConversation, digest: str, *, waited: bool) -> bool:
        """Whether the interaction channel is active.

        :param digest: that of the send's idempotency key
        :param waited: it had time to be set up
        :raises InteractionFailed: when Flex gave it up; the customer of a conversation that was made for it is let go
        :raises ChannelClosed: when the conversation was closed meanwhile
        """
        self.service_sid = conversation.service_sid or self.service_sid
        if conversation.is_set_up:
            return True
        if conversation.interaction_sid is None or conversation.interaction_channel_sid is None:
            return True
        interaction = self._interaction(conversation.interaction_sid)
        fetch = interaction.channels(conversation.interaction_channel_sid).fetch_async
        try:
            channel: Any = await twice(fetch) if waited else await fetch()
        except NotFound:
            if waited and await self._open_task(conversation.channel_sid) is None:
                raise ChannelClosed(
                    f"Twilio no longer knows {conversation.interaction_sid}, and there is no task."
                ) from None
            # One that was only just made may not show yet. Twilio forgets an old one after 180 days without use, and
            # the conversation is what carries the text.
            return waited or not conversation.is_new_interaction
        if str(channel.status) == "failed":
            await self._give_up(conversation, digest, channel)
        return str(channel.status) != "setup"

    async def _give_up(self, conversation: OpenConversation, digest: str, channel: Any) -> NoReturn:
        if channel.error_code in CLOSED_CODES:
            raise ChannelClosed(f"{conversation.channel_sid} was closed; the next try starts a fresh one.")
        if conversation.lost_flow:
            await self._ensure_task_or_flow(conversation.channel_sid, digest, doubtful=False)
        released = await self._let_go(conversation.channel_sid, digest)
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

    async def _let_go(self, channel_sid: str, digest: str) -> bool:
        """Release the pair, unless somebody else is at work in the conversation; False when a text waits in it."""
        if not await self._pairs.is_silent(channel_sid):
            return await self._open_task(channel_sid) is not None
        try:
            others = await self._end_own_tasks(channel_sid, digest)
        except PermanentError:  # TaskRouter itself refuses, and so can have given nobody a task for us
            others = False
        return others or await self._pairs.release(channel_sid, digest)

    async def _end_own_tasks(self, channel_sid: str, digest: str) -> bool:
        reason = "its text was not sent"
        return await end_own_tasks(self.workspace(), "conversationSid", channel_sid, digest, reason=reason)

    async def _open_task(self, channel_sid: str) -> OpenTask | None:
        return await self._tasks.find(channel_sid)

    async def _prepare_studio(self, channel_sid: str) -> None:
        await self._lock.make(lambda: self._flow.find(channel_sid), lambda: self._flow.attach(channel_sid))

    def workspace(self) -> Any:
        """The SDK's context of the workspace that the tasks are in."""
        return self._taskrouter.workspaces(self._settings.need("workspace_sid"))
