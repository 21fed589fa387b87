"""Customers who wrote in a chat channel where no agent answers: each gets a task."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from flexsms.core.exceptions import InteractionFailed, InvalidInput, SendInProgress, TwilioRefused
from flexsms.core.outbound_message import OutboundMessage, Route
from flexsms.twilio.client import clock
from flexsms.twilio.stacks.chat.flows import ChatFlows
from flexsms.twilio.stacks.chat.opening import ChatOpening
from flexsms.twilio.stacks.chat.proxy_sessions import ChatSessions
from flexsms.twilio.stacks.chat.tasks import ChatTasks

logger = logging.getLogger(__name__)


class UnansweredCustomers:
    """Gives them tasks; belongs to :class:`flexsms.twilio.stacks.chat.stack.ChatStack`."""

    def __init__(
        self, opening: ChatOpening, sessions: ChatSessions, tasks: ChatTasks, flows: ChatFlows
    ) -> None:
        self._opening = opening
        self._sessions = sessions
        self._tasks = tasks
        self._flows = flows

    async def go_on_elsewhere(self, channel_sid: str, customers: Mapping[str, str]) -> str | None:
        """Open a task wherever a customer is who has left a channel, to lead an agent to that channel as well.

        :param customers: the Twilio number that they text with, by customer, both E.164
        :return: the channel that the customer is in; None where no task could be opened
        """
        why = "nobody is in its session"
        try:
            for customer, number in customers.items():
                message = OutboundMessage(
                    Route.AGENT,
                    from_number=number,
                    to_number=customer,
                    body="",
                    source_channel_sid=channel_sid,
                )
                conversation = await self._opening.open_conversation(
                    message, f"after-{channel_sid}", resumed=True, since=clock.utc_now()
                )
                return conversation.channel_sid
        except (InvalidInput, SendInProgress, TwilioRefused) as error:
            why = str(error)
        logger.warning(
            "Channel %s has a task, but its customer goes on in another channel; an agent can only read it (%s).",
            channel_sid,
            why,
        )
        return None

    async def assign_to_agent(self, channel_sid: str) -> None:
        """Open a task, by the number's Flex Flow, for a customer who wrote after the channel's last task had ended.

        :raises InteractionFailed: when nobody is in a session of the channel
        """
        for customer, number in (await self._sessions.customers(channel_sid)).items():
            message = OutboundMessage(Route.AGENT, from_number=number, to_number=customer, body="")
            flow, digest = await self._flows.of(message), f"unanswered-{channel_sid}"
            task_sid = await self._tasks.ensure(channel_sid, message, flow, digest, is_own=False)
            logger.warning(
                "A customer wrote in %s and nobody was told; an agent gets task %s.", channel_sid, task_sid
            )
            return
        raise InteractionFailed(
            f"Somebody wrote in {channel_sid} and nobody was told, and its customer is in no session of it, so no task "
            "could be opened; look after it."
        )
