"""Customers who wrote in a conversation when no agent was told: each gets a task."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from flexsms.core.exceptions import InteractionFailed
from flexsms.core.outbound_message import OutboundMessage, Route
from flexsms.twilio.client import clock
from flexsms.twilio.stacks.conversations.opening import ConversationOpening
from flexsms.twilio.taskrouter.tasks import end_open_tasks, refer_to

logger = logging.getLogger(__name__)


class UnansweredCustomers:
    """Gives them an agent.

    :param conversations: the SDK's list of them
    :param opening: opens the conversations and the tasks
    """

    def __init__(self, conversations: Any, opening: ConversationOpening) -> None:
        self._conversations = conversations
        self._opening = opening

    async def go_on_afresh(self, closed_sid: str) -> None:
        """Give the customer of a closed conversation a fresh one, whose task leads an agent to the closed one.

        :raises InteractionFailed: when nobody is in the closed conversation whom a fresh one could be opened for
        """
        message = await self._message_after(closed_sid)
        fresh = await self._opening.open_conversation(
            message, f"after-{closed_sid}", resumed=True, since=clock.utc_now()
        )
        if fresh.task_sid:
            await refer_to(self._opening.workspace(), fresh.task_sid, closed_sid)
        # Nobody can answer in a closed conversation.
        await end_open_tasks(
            self._opening.workspace(), "conversationSid", closed_sid, reason="its conversation was closed"
        )
        logger.warning(
            "A customer wrote in %s as it was closed; an agent gets task %s on %s for it.",
            closed_sid,
            fresh.task_sid,
            fresh.channel_sid,
        )

    async def assign_to_agent(self, channel_sid: str) -> None:
        """Open a task for a customer who wrote in the conversation after its last task had ended.

        :raises InteractionFailed: when that customer is no longer in it
        """
        message = replace(await self._message_after(channel_sid), source_channel_sid=None)
        digest = f"unanswered-{channel_sid}"
        task = await self._opening.ensure_task(channel_sid, message, digest, is_fresh=False, resumed=True)
        logger.warning(
            "A customer wrote in %s and nobody was told; an agent gets task %s.", channel_sid, task.task_sid
        )

    async def _message_after(self, closed_sid: str) -> OutboundMessage:
        for member in await self._conversations(closed_sid).participants.list_async():
            binding = member.messaging_binding or {}
            if binding.get("address") and binding.get("proxy_address"):
                return OutboundMessage(
                    route=Route.AGENT,
                    from_number=str(binding["proxy_address"]),
                    to_number=str(binding["address"]),
                    body="",
                    source_channel_sid=closed_sid,
                    channel_type=str(binding.get("type") or "sms"),
                )
        raise InteractionFailed(
            f"Somebody wrote in {closed_sid} and nobody was told, and its customer is no longer in it, so no task "
            "could be opened; look after it."
        )
