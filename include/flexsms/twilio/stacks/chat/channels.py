"""Chat channels and their messages.

Source: https://www.twilio.com/docs/chat/rest/channel-resource
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flexsms.core.attributes import parse_attributes, write_attributes
from flexsms.core.exceptions import NotFound, OutcomeUnknown, ServiceUnavailable
from flexsms.core.outbound_message import DIGEST_ATTRIBUTE
from flexsms.twilio.client.dates import utc
from flexsms.twilio.client.not_found import twice
from flexsms.twilio.stacks.chat.service_check import ServiceCheck
from flexsms.twilio.stacks.message_search import (
    PAGE_SIZE,
    find_marked,
    has_unmarked,
    newest_text,
)
from flexsms.twilio.stacks.protocol import ChannelSnapshot, NewestText
from flexsms.twilio.stacks.short_lived import marks, rebased

if TYPE_CHECKING:
    from twilio.rest import Client

WRITE_ATTEMPTS = 3


class ChatChannels:
    """The channels of one Programmable Chat service."""

    def __init__(self, client: Client, service_sid: str) -> None:
        service = client.chat.v2.services(service_sid)
        self._channels = service.channels
        self._check = ServiceCheck(service, "chat_service_sid")

    async def fetch(self, channel_sid: str) -> ChannelSnapshot:
        """A channel with its attributes.

        :raises NotFound: when it is gone; it is asked for twice, because a replica of Twilio's may be behind
        :raises ProductGone: when Twilio no longer serves the service that it was in
        """
        try:
            channel: Any = await twice(self._channels(channel_sid).fetch_async)
        except NotFound as error:
            await self._check.confirm(error)
            raise
        attributes = parse_attributes(channel.attributes)
        session_sid = attributes.get("proxySession")
        return ChannelSnapshot(
            channel_sid=channel_sid,
            attributes=attributes,
            created_at=utc(channel.date_created),
            updated_at=utc(channel.date_updated),
            session_sid=session_sid
            if isinstance(session_sid, str) and session_sid.startswith("KC")
            else None,
            is_retired=is_inactive(attributes) and attributes.get("long_lived") is False,
        )

    async def is_live(self, channel_sid: str) -> bool:
        """Whether a channel is there and not inactive."""
        try:
            return not is_inactive((await self.fetch(channel_sid)).attributes)
        except NotFound:
            return False

    async def write(self, snapshot: ChannelSnapshot, attributes: Mapping[str, Any]) -> None:
        """Write the attributes.

        Chat has no conditional update, so a lost answer is followed by a fresh read and not by a repetition.
        """
        for attempt in range(1, WRITE_ATTEMPTS + 1):
            if attributes == snapshot.attributes:
                return
            try:
                await self._channels(snapshot.channel_sid).update_async(
                    attributes=write_attributes(attributes), x_twilio_webhook_enabled="true"
                )
            except OutcomeUnknown as error:
                if attempt == WRITE_ATTEMPTS:
                    raise ServiceUnavailable(str(error), endpoint=error.endpoint) from error
                fresh = await self.fetch(snapshot.channel_sid)
                if marks(fresh.attributes) not in (marks(snapshot.attributes), marks(attributes)):
                    raise ServiceUnavailable(
                        f"Somebody else wrote attributes of {snapshot.channel_sid} meanwhile; trying again later.",
                        endpoint=error.endpoint,
                    ) from error
                snapshot, attributes = fresh, rebased(fresh.attributes, attributes)
            else:
                return

    async def delete(self, channel_sid: str) -> None:
        """Remove a channel; one that is gone already is as good."""
        try:
            await self._channels(channel_sid).delete_async(x_twilio_webhook_enabled="true")
        except NotFound:
            try:
                await self.fetch(channel_sid)
            except NotFound:
                return
            raise ServiceUnavailable(
                f"Twilio did not find channel {channel_sid}, and then did; trying again later."
            ) from None

    async def is_used(self, channel_sid: str) -> bool:
        """Whether anybody ever wrote in a channel, or it has had a session.

        :raises NotFound: when it is gone
        """
        channel: Any = await twice(self._channels(channel_sid).fetch_async)
        return bool(channel.messages_count) or "proxySession" in parse_attributes(channel.attributes)

    async def is_unused(self, channel_sid: str, *, since: datetime) -> bool:
        """Whether nobody ever wrote in a channel, and it was made at a moment or later.

        :raises NotFound: when it is gone
        """
        channel: Any = await self._channels(channel_sid).fetch_async()
        created_at = utc(channel.date_created)
        return not channel.messages_count and created_at is not None and created_at >= since

    async def post(self, channel_sid: str, body: str, digest: str) -> str:
        """Add a message marked with a digest; returns its SID. Proxy relays it as an SMS."""
        message = await self._channels(channel_sid).messages.create_async(
            body=body, attributes=json.dumps({DIGEST_ATTRIBUTE: digest}), x_twilio_webhook_enabled="true"
        )
        return str(message.sid)

    async def newest_text(self, channel_sid: str) -> NewestText | None:
        """The newest message of a channel."""
        return await newest_text(self._channels(channel_sid).messages, author="_from")

    async def find_post(self, channel_sid: str, digest: str, since: datetime) -> str | None:
        """Look for the message marked with a digest, newest first, no further back than ``since``."""
        return await find_marked(await self._newest(channel_sid), digest, since)

    async def has_texts_of_others(self, channel_sid: str, since: datetime) -> bool:
        """Whether anybody else has written than flexsms, a customer mostly, no longer ago than ``since``."""
        return await has_unmarked(await self._newest(channel_sid), since)

    async def _newest(self, channel_sid: str) -> Any:
        return await self._channels(channel_sid).messages.page_async(order="desc", page_size=PAGE_SIZE)


def is_inactive(attributes: Mapping[str, Any]) -> bool:
    """Whether a channel is out of use; the spelling of the value differs between Twilio's own pages."""
    return str(attributes.get("status", "")).upper() == "INACTIVE"
