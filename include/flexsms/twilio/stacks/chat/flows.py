"""The Flex Flows of a number: where its conversations lead to.

Source: https://www.twilio.com/docs/flex/developer/messaging/api/flow
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flexsms.core.exceptions import FlexSmsError, InvalidInput
from flexsms.core.outbound_message import OutboundMessage, Route
from flexsms.core.redaction import mask_number
from flexsms.twilio.stacks.own_numbers import STUDIO, TASK, flow_of, sms_addresses, sms_flows

if TYPE_CHECKING:
    from twilio.rest import Client

INTEGRATION = {Route.AGENT: TASK, Route.STUDIO: STUDIO}


class ChatFlows:
    """Finds flows, and remembers what it has found."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._flows: dict[str, list[Any]] = {}
        self._reading = asyncio.Lock()  # many texts at once share one call

    async def of(self, message: OutboundMessage) -> Any:
        """The flow of the message's number that leads where its route goes.

        :raises InvalidInput: when the number has none
        """
        integration = INTEGRATION[message.route]
        flow = flow_of(await self.of_number(message.from_number), message.from_number, integration)
        if flow is not None:
            return flow
        problem = f"has no Flex Flow of integration type '{integration}', which route '{message.route}' needs"
        remedy = "create the flow or choose another number"
        if await self._has_moved(message.from_number):
            problem = "was migrated to Flex Conversations: it has an address configuration, and no Flex Flow"
            remedy = "use a connection with stack 'conversations'"
        raise InvalidInput("from_number", f"{mask_number(message.from_number)} {problem}", remedy)

    async def of_number(self, number: str) -> list[Any]:
        """The flows of a number that lead to agents or to Studio."""
        async with self._reading:
            if number not in self._flows:
                self._flows[number] = [
                    flow
                    for flow in await sms_flows(self._client)
                    if flow.contact_identity == number and str(flow.integration_type) in INTEGRATION.values()
                ]
            return self._flows[number]

    async def _has_moved(self, number: str) -> bool:
        """Whether the number is one of Flex Conversations by now; asked only when it has no flow, for one call."""
        if self._flows[number]:
            return False
        with suppress(FlexSmsError):  # what is wrong is told all the same
            return any(one.address == number for one in await sms_addresses(self._client))
        return False
