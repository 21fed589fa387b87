"""Writing the attributes and the state of a conversation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from flexsms.core.attributes import write_attributes
from flexsms.core.exceptions import OutcomeUnknown, ServiceUnavailable, TwilioRefused
from flexsms.twilio.stacks.conversations.address_pairs import CLOSED
from flexsms.twilio.stacks.protocol import ChannelSnapshot
from flexsms.twilio.stacks.short_lived import marks, rebased

WRITE_ATTEMPTS = 3


class ConversationAttributes:
    """Writes attributes and states.

    :param conversations: the SDK's list of them
    :param fetch: reads a conversation
    """

    def __init__(self, conversations: Any, fetch: Callable[[str], Awaitable[ChannelSnapshot]]) -> None:
        self._conversations = conversations
        self._fetch = fetch

    async def write(self, snapshot: ChannelSnapshot, attributes: Mapping[str, Any], state: str) -> None:
        """Write attributes and state; a lost answer is followed by a fresh read and not by a repetition."""
        for attempt in range(1, WRITE_ATTEMPTS + 1):
            try:
                await self._conversations(snapshot.channel_sid).update_async(
                    attributes=write_attributes(attributes),
                    state=state,
                    x_twilio_webhook_enabled="true",
                )
            except OutcomeUnknown as error:
                if attempt == WRITE_ATTEMPTS:
                    raise ServiceUnavailable(str(error), endpoint=error.endpoint) from error
                fresh = await self._fetch(snapshot.channel_sid)
                if marks(fresh.attributes) not in (marks(snapshot.attributes), marks(attributes)):
                    raise ServiceUnavailable(
                        f"Somebody else wrote attributes of {snapshot.channel_sid} meanwhile; trying again later.",
                        endpoint=error.endpoint,
                    ) from error
                attributes = rebased(fresh.attributes, attributes)
            except TwilioRefused as error:
                if error.code != CLOSED:
                    raise
                return
            else:
                return
