"""Proxy sessions: what carries texts between a chat channel and the customer's handset.

Flex names a session after its channel. Source: https://www.twilio.com/docs/proxy/api/session
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flexsms.core.errors import AlreadyExists, NotFound, TwilioRefused
from flexsms.core.message import OutboundMessage
from flexsms.twilio.stacks.chat_services import ServiceCheck

if TYPE_CHECKING:
    from twilio.rest import Client

OPEN = ("open", "in-progress")
ALREADY_CLOSED = 80607
PAIR_TAKEN = (80103, 80604)


class PairTaken(Exception):
    """The customer sits in another session of the same Twilio number; Proxy allows one per pair.

    :param session_sid: that session
    :param channel_sid: the channel it leads to
    """

    def __init__(self, session_sid: str, channel_sid: str) -> None:
        super().__init__(f"the pair is in session {session_sid} of channel {channel_sid}")
        self.session_sid = session_sid
        self.channel_sid = channel_sid


class ChatSessions:
    """The sessions of one Proxy service."""

    def __init__(self, client: Client, service_sid: str) -> None:
        service = client.proxy.v1.services(service_sid)
        self._sessions = service.sessions
        self._check = ServiceCheck(service, "session_service_sid")

    async def open(self, channel_sid: str, message: OutboundMessage) -> str:
        """Make sure that the channel has an open session; returns its SID.

        :raises PairTaken: when the customer is in a session of another channel
        """
        session: Any
        try:
            session = await self._sessions(channel_sid).fetch_async()
        except NotFound:
            try:
                session = await self._create(channel_sid, message)
            except AlreadyExists:
                session = await self._sessions(channel_sid).fetch_async()
        if session.status not in OPEN:
            try:
                await self.reopen(channel_sid, str(session.sid))
            except TwilioRefused as error:
                raise await self._holder(error, own=str(session.sid)) from error
        return str(session.sid)

    async def reopen(self, channel_sid: str, session_sid: str | None) -> None:
        """Let texts through again; a session that is open already is as good, and where there is none, none is made.

        :param session_sid: where nobody knows it, it is looked up by its name, the channel's SID
        """
        given = session_sid
        try:
            if session_sid is None:
                session_sid = str((await self._sessions(channel_sid).fetch_async()).sid)
            await self._sessions(session_sid).update_async(status="in-progress")
        except NotFound as error:
            await self._check.confirm(error)
            if given:  # the channel may be in another one since
                await self.reopen(channel_sid, None)
        except TwilioRefused:
            session: Any = await self._sessions(str(session_sid)).fetch_async()
            if session.status not in OPEN:
                raise

    async def is_closed(self, channel_sid: str) -> bool:
        """Whether the channel has a session, and that is closed."""
        try:
            session: Any = await self._sessions(channel_sid).fetch_async()
        except NotFound as error:
            await self._check.confirm(error)
            return False
        return session.status not in OPEN

    async def close(self, channel_sid: str, session_sid: str | None) -> str | None:
        """Let no more texts through.

        :param session_sid: where nobody knows it, it is looked up by its name, the channel's SID
        :return: the session that was closed, None when none was open
        """
        given = session_sid
        try:
            if session_sid is None:
                session_sid = str((await self._sessions(channel_sid).fetch_async()).sid)
            await self._sessions(session_sid).update_async(status="closed")
        except NotFound as error:
            await self._check.confirm(error)
            # The channel may be in another one since, which would swallow the customer's next text.
            return await self.close(channel_sid, None) if given else None
        except TwilioRefused as error:
            if error.code == ALREADY_CLOSED:
                return None
            raise
        return session_sid

    async def _create(self, channel_sid: str, message: OutboundMessage) -> Any:
        customer = {
            "Identifier": message.to_number,
            "ProxyIdentifier": message.from_number,
            "FriendlyName": message.name,
        }
        flex = {"Identifier": channel_sid, "ProxyIdentifier": message.from_number, "FriendlyName": "Flex"}
        try:
            return await self._sessions.create_async(
                unique_name=channel_sid,
                mode="message-only",
                # Two of Twilio's pages disagree on the default; 0 is "until closed".
                ttl=0,
                participants=[customer, flex],
            )
        except TwilioRefused as error:
            raise await self._holder(error) from error

    async def _holder(self, error: TwilioRefused, own: str = "") -> Exception:
        """Who holds the pair, if that is what is wrong and Twilio's sentence names the session.

        :param own: the session that was to be opened, which the sentence names as well
        """
        others = [sid for sid in re.findall(r"KC[0-9a-fA-F]{32}", str(error)) if sid != own]
        if error.code not in PAIR_TAKEN or not others:
            return error
        session: Any = await self._sessions(others[0]).fetch_async()
        name = str(session.unique_name)
        return PairTaken(str(session.sid), name) if name.startswith("CH") else error
