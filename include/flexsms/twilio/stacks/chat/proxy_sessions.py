"""Proxy sessions: what carries texts between a chat channel and the customer's handset.

Flex names a session after its channel. Source: https://www.twilio.com/docs/proxy/api/session
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flexsms.core.exceptions import (
    AlreadyExists,
    NotFound,
    ServiceUnavailable,
    TwilioRefused,
)
from flexsms.core.outbound_message import OutboundMessage
from flexsms.twilio.client.dates import utc
from flexsms.twilio.stacks.chat.channels import ChatChannels
from flexsms.twilio.stacks.chat.proxy_participants import both_sides, number_problem
from flexsms.twilio.stacks.chat.service_check import ServiceCheck

if TYPE_CHECKING:
    from twilio.rest import Client

OPEN = ("open", "in-progress")
ALREADY_CLOSED = 80607
NO_SUCH_NAME = 80308
# https://www.twilio.com/docs/api/errors/80103, /80604, /80801
PAIR_TAKEN = (80103, 80604, 80801)


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that lets texts through.

    :param updated_at: when it last changed, UTC
    :param was_closed: this send has opened it again
    :param is_open: False when it was left closed, because its channel is inactive
    """

    sid: str
    updated_at: datetime | None
    was_closed: bool = False
    is_open: bool = True


class PairTaken(Exception):
    """The customer sits in another session of the same Twilio number; Proxy allows one per pair.

    :param refusal: what Proxy said
    :param channel_sid: the channel that has the customer, None where Proxy does not name it
    :param session: its session, None where that was closed in this very moment although the channel has a task
    """

    def __init__(
        self, refusal: TwilioRefused, channel_sid: str | None = None, session: OpenSession | None = None
    ) -> None:
        super().__init__(f"the pair is in channel {channel_sid}")
        self.refusal = refusal
        self.channel_sid = channel_sid
        self.session = session


class ChatSessions:
    """The sessions of one Proxy service.

    :param channels: what the sessions are of
    """

    def __init__(self, client: Client, service_sid: str, channels: ChatChannels) -> None:
        self._channels = channels
        service = client.proxy.v1.services(service_sid)
        self._service_sid = service_sid
        self._sessions = service.sessions
        self._check = ServiceCheck(service, "session_service_sid")

    async def open_session(self, channel_sid: str, message: OutboundMessage) -> OpenSession:
        """Make sure that the channel has an open session with its customer in it.

        :raises PairTaken: when the customer is in a session of another channel
        :raises InvalidInput: when Proxy does not take one of the numbers
        """
        session: Any
        is_ours = False
        try:
            session = await self._of(channel_sid)
        except NotFound:
            session, is_ours = await self._create(channel_sid, message)
        if session.status not in OPEN:
            # A send that dies behind this would leave the customer in an inactive channel, where nobody finds them.
            if not await self._channels.is_live(channel_sid):
                return OpenSession(str(session.sid), updated_at=None, was_closed=True, is_open=False)
            try:
                await self.reopen(channel_sid, str(session.sid))
            except TwilioRefused as error:
                if error.code not in PAIR_TAKEN:
                    raise
                await self._named(error, channel_sid)
                raise PairTaken(error) from error
            # By now it has changed, and when is not known.
            opened = OpenSession(str(session.sid), updated_at=None, was_closed=True)
        else:
            opened = _read(session)
        # Through a session without its customer a text goes nowhere. Who has texted through it was in it.
        if not is_ours and session.date_last_interaction is None:
            await self._complete(opened.sid, channel_sid, message)
        return opened

    async def find(self, channel_sid: str) -> OpenSession | None:
        """The open session of a channel."""
        try:
            session: Any = await self._of(channel_sid)
        except NotFound:
            return None
        return _read(session) if session.status in OPEN else None

    async def is_open(self, session_sid: str) -> bool:
        """Whether a session is open.

        :raises NotFound: when it is gone
        """
        try:
            session: Any = await self._sessions(session_sid).fetch_async()
        except NotFound as error:
            await self._check.confirm(error)
            raise
        return session.status in OPEN

    async def reopen(self, channel_sid: str, session_sid: str | None) -> None:
        """Open the session again, unless it is open already or there is none.

        :param session_sid: where nobody knows it, it is looked up by its name, the channel's SID
        """
        given = session_sid
        try:
            if session_sid is None:
                session_sid = str((await self._of(channel_sid)).sid)
            await self._sessions(session_sid).update_async(status="in-progress")
        except NotFound as error:
            await self._check.confirm(error)
            if given:  # the channel may be in another one since
                await self.reopen(channel_sid, None)
            else:
                _refuse_contradiction(session_sid)
        except TwilioRefused:
            session: Any = await self._sessions(str(session_sid)).fetch_async()
            if session.status not in OPEN:
                raise

    async def is_closed(self, channel_sid: str) -> bool | None:
        """Whether the channel's session is closed, None when it has none."""
        try:
            session: Any = await self._of(channel_sid)
        except NotFound as error:
            await self._check.confirm(error)
            return None
        return session.status not in OPEN

    async def customers(self, channel_sid: str) -> dict[str, str]:
        """The customers in the channel's session, each with the Twilio number that they text with; two calls."""
        try:
            session: Any = await self._of(channel_sid)
            members = await self._sessions(str(session.sid)).participants.list_async()
        except NotFound as error:
            await self._check.confirm(error)
            return {}
        numbers = {str(member.identifier): str(member.proxy_identifier) for member in members}
        return {customer: number for customer, number in numbers.items() if customer != channel_sid}

    async def close(self, channel_sid: str, session_sid: str | None) -> str | None:
        """Let no more texts through.

        :param session_sid: where nobody knows it, it is looked up by its name, the channel's SID
        :return: the session that was closed, None when none was open
        """
        given = session_sid
        try:
            if session_sid is None:
                session_sid = str((await self._of(channel_sid)).sid)
            await self._sessions(session_sid).update_async(status="closed")
        except NotFound as error:
            await self._check.confirm(error)
            if given:
                # The channel may be in another one since, which would swallow the customer's next text.
                return await self.close(channel_sid, None)
            _refuse_contradiction(session_sid)
            return None
        except TwilioRefused as error:
            if error.code == ALREADY_CLOSED:
                return None
            raise
        return session_sid

    async def _of(self, channel_sid: str) -> Any:
        """The session of a channel, which Flex names after it and writes into its attributes.

        One call. Two more where Proxy does not say that there is none of this name: whether it finds sessions by their
        names at all, only its error code 80308 suggests.

        :raises NotFound: when nobody names it
        """
        try:
            return await self._sessions(channel_sid).fetch_async()
        except NotFound as error:
            if error.code == NO_SUCH_NAME:
                raise
            try:
                named = (await self._channels.fetch(channel_sid)).session_sid
            except NotFound:
                named = None
            session: Any = await self._sessions(named).fetch_async() if named else None
            if session is None or str(session.unique_name) != channel_sid:
                raise
            return session

    async def _create(self, channel_sid: str, message: OutboundMessage) -> tuple[Any, bool]:
        """A new session and True, or the channel's own that is there already and False."""
        try:
            session = await self._sessions.create_async(
                unique_name=channel_sid,
                mode="message-only",
                # Two of Twilio's pages disagree on the default; 0 is "until closed".
                ttl=0,
                participants=both_sides(channel_sid, message),
            )
        except TwilioRefused as error:
            if error.code not in PAIR_TAKEN and not isinstance(error, AlreadyExists):
                raise number_problem(error, self._service_sid) from error
            # Which of name and participants Proxy checks first is not documented: it may be our own request, repeated.
            own = await self._named(error, channel_sid) if error.code in PAIR_TAKEN else None
            try:
                return own or await self._of(channel_sid), False
            except NotFound:
                raise (PairTaken(error) if error.code in PAIR_TAKEN else error) from error
        return session, True

    async def _complete(self, session_sid: str, channel_sid: str, message: OutboundMessage) -> None:
        """Add who is missing in a session: somebody else may be about to, or has died before that.

        One call, and one for each who is missing.

        :raises PairTaken: when the customer is in another session
        """
        participants = self._sessions(session_sid).participants
        inside = {str(one.identifier) for one in await participants.list_async()}
        for one in both_sides(channel_sid, message):
            if one["Identifier"] in inside:
                continue
            try:
                await participants.create_async(
                    identifier=one["Identifier"],
                    proxy_identifier=one["ProxyIdentifier"],
                    friendly_name=one["FriendlyName"],
                )
            except TwilioRefused as error:
                inside = {str(one.identifier) for one in await participants.list_async()}
                if one["Identifier"] in inside:
                    continue
                if error.code in PAIR_TAKEN:
                    await self._named(error, channel_sid)
                    raise PairTaken(error) from error
                raise number_problem(error, self._service_sid) from error

    async def _named(self, error: TwilioRefused, channel_sid: str) -> Any:
        """The channel's own session, if Twilio's sentence names it.

        :raises PairTaken: when it names that of another channel, or names none and the channel has none
        """
        for sid in re.findall(r"KC[0-9a-fA-F]{32}", error.detail):
            session: Any = await self._sessions(sid).fetch_async()
            name = str(session.unique_name)
            if name == channel_sid:
                return session
            if name.startswith("CH"):
                raise PairTaken(error, name, _read(session)) from error
        return None


def _refuse_contradiction(session_sid: str | None) -> None:
    """A session that was found and then was not is not gone: a replica of Twilio's may be behind.

    :param session_sid: None when it was not found in the first place
    """
    if session_sid is not None:
        raise ServiceUnavailable(
            f"Twilio found Proxy session {session_sid}, and then did not; trying again later."
        )


def _read(session: Any) -> OpenSession:
    return OpenSession(str(session.sid), utc(session.date_updated))
