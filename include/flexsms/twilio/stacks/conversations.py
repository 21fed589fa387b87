"""Flex Conversations: the generation that Twilio serves today.

A text is a message in a conversation; an interaction channel ties the conversation to its tasks. Sources:
https://www.twilio.com/docs/flex/developer/conversations/interactions-api,
https://www.twilio.com/docs/conversations-classic/states-timers
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from twilio.rest import Client

from flexsms.core.errors import NotFound, OutcomeUnknown, ServiceUnavailable, TwilioRefused
from flexsms.core.events import StackName, parse_attributes
from flexsms.twilio.dates import utc
from flexsms.twilio.stacks.protocol import RETIRED, ChannelSnapshot, bears_our_mark

CLOSED = 50377  # a closed conversation is final
WRITE_ATTEMPTS = 3


class ConversationsRetiring:
    """Retires conversations.

    A conversation without an open task is one that the agents parked or left. Making it inactive can be undone, and
    any text of the customer undoes it by itself; closing it is final, frees the pair of numbers, and so comes last.
    """

    name = StackName.CONVERSATIONS
    usual: Mapping[str, Any] = {}

    def __init__(self, client: Client) -> None:
        self._conversations = client.conversations.v1.conversations
        self._interaction = client.flex_api.v1.interaction

    async def fetch(self, channel_sid: str) -> ChannelSnapshot:
        """The conversation with its attributes; a closed one is retired."""
        conversation: Any = await self._conversations(channel_sid).fetch_async()
        return ChannelSnapshot(
            channel_sid=channel_sid,
            attributes=parse_attributes(conversation.attributes),
            created_at=utc(conversation.date_created),
            is_retired=str(conversation.state) == "closed",
        )

    async def suspend(self, snapshot: ChannelSnapshot, links: Mapping[str, str]) -> None:  # noqa: ARG002
        """Make the conversation inactive and write the two attributes, in one update."""
        if not snapshot.is_retired:
            await self._write(snapshot, {**snapshot.attributes, **RETIRED}, "inactive")

    async def resume(
        self,
        channel_sid: str,
        previous: Mapping[str, Any],
        links: Mapping[str, str],  # noqa: ARG002
        *,
        reconnect: bool,
    ) -> None:
        """Put the two attributes back and make the conversation active again, unless somebody closed it for good."""
        current = await self.fetch(channel_sid)
        kept = {name: value for name, value in current.attributes.items() if name not in RETIRED}
        if reconnect and not current.is_retired and bears_our_mark(current.attributes):
            await self._write(current, {**kept, **previous}, "active")

    async def close(self, channel_sid: str, links: Mapping[str, str]) -> None:
        """Close the interaction channel, which closes the conversation; without one, close the conversation itself."""
        try:
            await self._close_interaction(links)
        except NotFound:
            # There is none, or Twilio removed it after 180 days without use.
            try:
                await self._conversations(channel_sid).update_async(
                    state="closed", x_twilio_webhook_enabled="true"
                )
            except TwilioRefused as error:
                if error.code != CLOSED and not isinstance(error, NotFound):
                    raise

    async def delete(self, channel_sid: str, links: Mapping[str, str]) -> None:
        """Close the interaction channel, so that no task is orphaned, and remove the conversation with its history."""
        with suppress(NotFound):
            await self._close_interaction(links)
        with suppress(NotFound):
            await self._conversations(channel_sid).delete_async(x_twilio_webhook_enabled="true")

    async def _close_interaction(self, links: Mapping[str, str]) -> None:
        interaction_sid, channel_sid = links.get("interaction"), links.get("interaction_channel")
        if interaction_sid is None or channel_sid is None:
            raise NotFound("The conversation has no interaction channel that is known.")
        channel: Any = self._interaction(interaction_sid).channels(channel_sid)
        await channel.update_async(status="closed", routing={"status": "closed"})

    async def _write(self, snapshot: ChannelSnapshot, attributes: Mapping[str, Any], state: str) -> None:
        """Write attributes and state; a lost answer is followed by a fresh read and not by a repetition."""
        for attempt in range(1, WRITE_ATTEMPTS + 1):
            try:
                await self._conversations(snapshot.channel_sid).update_async(
                    attributes=json.dumps(attributes, ensure_ascii=False),
                    state=state,
                    x_twilio_webhook_enabled="true",
                )
            except OutcomeUnknown as error:
                if attempt == WRITE_ATTEMPTS:
                    raise ServiceUnavailable(str(error), endpoint=error.endpoint) from error
                fresh = await self.fetch(snapshot.channel_sid)
                others = {name: value for name, value in fresh.attributes.items() if name not in RETIRED}
                attributes = {**others, **{name: attributes[name] for name in RETIRED if name in attributes}}
            except TwilioRefused as error:
                if error.code != CLOSED:
                    raise
                return
            else:
                return
