"""Programmable Chat and Proxy: the generation that the original recipes were written for.

A text is a chat message on a channel with an open Proxy session; Proxy relays it to the handset. Sources:
https://www.twilio.com/docs/flex/developer/messaging/chat-channel, https://www.twilio.com/docs/proxy/api/session
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from twilio.rest import Client

from flexsms.core.errors import (
    AlreadyExists,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    ServiceUnavailable,
    TwilioRefused,
)
from flexsms.core.events import StackName
from flexsms.core.message import OutboundMessage, Route
from flexsms.core.redaction import mask_number
from flexsms.twilio.config import TwilioSettings
from flexsms.twilio.stacks.protocol import ChannelSnapshot, OpenConversation

INTEGRATION = {Route.AGENT: "task", Route.STUDIO: "studio"}
RETIRED = {"long_lived": False, "status": "INACTIVE"}
KEY_ATTRIBUTE = "flexsms_key"
SESSION_CLOSED = 80607
PAIR_TAKEN = (80103, 80604)
OPEN_SESSION = ("open", "in-progress")
PAGE_SIZE = 100


class ChatStack:
    """Flex over Programmable Chat.

    :param settings: needs ``chat_service_sid`` and ``session_service_sid``
    """

    name = StackName.CHAT

    def __init__(self, client: Client, settings: TwilioSettings) -> None:
        self._client = client
        self._settings = settings
        self._chat = client.chat.v2.services(settings.need("chat_service_sid"))
        self._sessions = client.proxy.v1.services(settings.need("session_service_sid")).sessions
        self._flows: dict[tuple[Route, str], str] = {}

    async def check(self, message: OutboundMessage) -> None:
        """Make sure that the number has a flow of the route, and that the worker exists."""
        await self._flow_sid(message)
        if message.target_worker_sid:
            workspace = self._client.taskrouter.v1.workspaces(self._settings.need("workspace_sid"))
            try:
                await workspace.workers(message.target_worker_sid).fetch_async()
            except NotFound:
                raise InvalidInput(
                    "target_worker_sid",
                    f"{message.target_worker_sid} is no worker of the workspace",
                    "copy the SID of an agent from TaskRouter, or leave it empty",
                ) from None

    async def open(self, message: OutboundMessage) -> OpenConversation:
        """Get the active channel of the two numbers, or a new one, with an open session."""
        channel: Any = await self._client.flex_api.v1.channel.create_async(
            flex_flow_sid=await self._flow_sid(message),
            identity=uuid.uuid4().hex,
            chat_user_friendly_name=message.to_name or mask_number(message.to_number),
            chat_friendly_name=f"SMS{message.to_number}",
            target=message.to_number,
            task_attributes=json.dumps(_task_attributes(message)) if message.route is Route.AGENT else None,
        )
        session_sid = await self._open_session(channel.sid, message)
        return OpenConversation(
            channel_sid=channel.sid,
            created_at=_utc(channel.date_created),
            task_sid=channel.task_sid,
            session_sid=session_sid,
        )

    async def post(self, conversation: OpenConversation, body: str, key: str) -> str:
        """Post the chat message that Proxy relays as an SMS."""
        message = await self._chat.channels(conversation.channel_sid).messages.create_async(
            body=body, attributes=json.dumps({KEY_ATTRIBUTE: key}), x_twilio_webhook_enabled="true"
        )
        return str(message.sid)

    async def find_post(self, channel_sid: str, key: str, since: datetime) -> str | None:
        """Look through the channel's messages, newest first, down to the moment the key was taken."""
        page: Any = await self._chat.channels(channel_sid).messages.page_async(
            order="desc", page_size=PAGE_SIZE
        )
        while page is not None:
            for message in page:
                if _parse(message.attributes).get(KEY_ATTRIBUTE) == key:
                    return str(message.sid)
                posted_at = _utc(message.date_created)
                if posted_at and posted_at < since:
                    return None
            page = await page.next_page_async()
        return None

    async def fetch(self, channel_sid: str) -> ChannelSnapshot:
        """The chat channel with its attributes."""
        channel = await self._chat.channels(channel_sid).fetch_async()
        attributes = _parse(channel.attributes)
        session_sid = attributes.get("proxySession")
        return ChannelSnapshot(
            channel_sid=channel_sid,
            attributes=attributes,
            session_sid=session_sid
            if isinstance(session_sid, str) and session_sid.startswith("KC")
            else None,
        )

    async def disconnect(self, snapshot: ChannelSnapshot, known_session_sid: str | None) -> str | None:
        """Close the Proxy session. Where nobody names it, it is looked up by its unique name, the channel SID."""
        session_sid = snapshot.session_sid or known_session_sid
        try:
            if session_sid is None:
                session_sid = (await self._sessions(snapshot.channel_sid).fetch_async()).sid
            await self._sessions(str(session_sid)).update_async(status="closed")
        except NotFound:
            return None
        except TwilioRefused as error:
            if error.code == SESSION_CLOSED:
                return None
            raise
        return session_sid

    async def deactivate(self, snapshot: ChannelSnapshot) -> None:
        """Make the channel short-lived, merging into the attributes that were fetched."""
        await self._write_attributes(snapshot, RETIRED)

    async def restore(self, channel_sid: str, previous: Mapping[str, Any], session_sid: str | None) -> None:
        """Put the two attributes back as they were and let texts through again."""
        current = await self.fetch(channel_sid)
        if any(
            current.attributes.get(name) == value != previous.get(name) for name, value in RETIRED.items()
        ):
            await self._write_attributes(current, previous)
        if session_sid:
            await self._reopen(session_sid)

    async def delete(self, channel_sid: str) -> None:
        """Remove the chat channel; one that is gone already is as good."""
        try:
            await self._chat.channels(channel_sid).delete_async(x_twilio_webhook_enabled="true")
        except NotFound:
            return

    async def _flow_sid(self, message: OutboundMessage) -> str:
        wanted = (message.route, message.from_number)
        if wanted not in self._flows:
            integration = INTEGRATION[message.route]
            async for flow in await self._client.flex_api.v1.flex_flow.stream_async(page_size=1000):
                if str(flow.integration_type) == integration and flow.contact_identity == message.from_number:
                    self._flows[wanted] = str(flow.sid)
                    break
            else:
                raise InvalidInput(
                    "from_number",
                    f"{mask_number(message.from_number)} has no Flex Flow of integration type "
                    f"'{integration}', which route '{message.route}' needs",
                    "create the flow or choose another number",
                )
        return self._flows[wanted]

    async def _open_session(self, channel_sid: str, message: OutboundMessage) -> str:
        session: Any
        try:
            session = await self._sessions(channel_sid).fetch_async()
        except NotFound:
            try:
                session = await self._new_session(channel_sid, message)
            except AlreadyExists:
                session = await self._sessions(channel_sid).fetch_async()
            except TwilioRefused as error:
                if error.code not in PAIR_TAKEN:
                    raise
                await self._make_way(error, channel_sid, message)
                session = await self._new_session(channel_sid, message)
        if session.status not in OPEN_SESSION:
            await self._reopen(str(session.sid))
        return str(session.sid)

    async def _new_session(self, channel_sid: str, message: OutboundMessage) -> Any:
        return await self._sessions.create_async(
            unique_name=channel_sid,
            mode="message-only",
            # Two of Twilio's pages disagree on the default; 0 is "until closed".
            ttl=0,
            participants=_participants(channel_sid, message),
        )

    async def _make_way(self, error: TwilioRefused, channel_sid: str, message: OutboundMessage) -> None:
        """The customer sits in another session of the number: close it if it leads to a retired channel.

        Such sessions are what clean-ups leave behind that only write the attributes; they swallow the customer's
        texts. One that leads to an active channel is a conversation of another flow, and stays.
        """
        named = re.search(r"KC[0-9a-fA-F]{32}", str(error))
        other: Any = await self._sessions(named.group()).fetch_async() if named else None
        if other is None or not str(other.unique_name).startswith("CH"):
            raise error
        try:
            stale = (await self.fetch(str(other.unique_name))).is_retired
        except NotFound:
            stale = True
        if stale:
            await self._sessions(str(other.sid)).update_async(status="closed")
            return
        await self._discard_if_empty(channel_sid)
        raise InvalidInput(
            "to_number",
            f"{mask_number(message.to_number)} is in conversation {other.unique_name}, which another Flex Flow opened",
            "use the route of that conversation, or clean it up first",
        )

    async def _discard_if_empty(self, channel_sid: str) -> None:
        """Take back a channel that was only just made, with its task."""
        channel = self._client.flex_api.v1.channel(channel_sid)
        if (await self._chat.channels(channel_sid).fetch_async()).messages_count:
            return
        task_sid = (await channel.fetch_async()).task_sid
        if task_sid:
            tasks = self._client.taskrouter.v1.workspaces(self._settings.need("workspace_sid")).tasks
            await tasks(task_sid).update_async(
                assignment_status="canceled", reason="the customer is in another channel"
            )
        await channel.delete_async()

    async def _reopen(self, session_sid: str) -> None:
        try:
            await self._sessions(session_sid).update_async(status="in-progress")
        except TwilioRefused:
            session: Any = await self._sessions(session_sid).fetch_async()
            if session.status not in OPEN_SESSION:
                raise

    async def _write_attributes(self, snapshot: ChannelSnapshot, changes: Mapping[str, Any]) -> None:
        """Read-modify-write: Chat has no conditional update, so a lost answer is followed by a fresh read."""
        for attempt in range(3):
            merged = {**snapshot.attributes, **changes}
            for name in RETIRED:
                if name not in changes:
                    merged.pop(name, None)
            if merged == snapshot.attributes:
                return
            try:
                await self._chat.channels(snapshot.channel_sid).update_async(
                    attributes=json.dumps(merged, ensure_ascii=False), x_twilio_webhook_enabled="true"
                )
            except OutcomeUnknown as error:
                if attempt == 2:
                    raise ServiceUnavailable(str(error), endpoint=error.endpoint) from error
                snapshot = await self.fetch(snapshot.channel_sid)
            else:
                return


def _participants(channel_sid: str, message: OutboundMessage) -> list[object]:
    return [
        {
            "Identifier": message.to_number,
            "ProxyIdentifier": message.from_number,
            "FriendlyName": message.to_name or mask_number(message.to_number),
        },
        {"Identifier": channel_sid, "ProxyIdentifier": message.from_number, "FriendlyName": "Flex"},
    ]


def _task_attributes(message: OutboundMessage) -> dict[str, Any]:
    attributes = {
        **message.task_attributes,
        "to": message.to_number,
        "from": message.from_number,
        "direction": "outbound",
        "name": message.to_name or message.to_number,
    }
    if message.source_channel_sid:
        attributes["sourceChatChannelSid"] = message.source_channel_sid
    if message.target_worker_sid:
        attributes["targetWorkerSid"] = message.target_worker_sid
    return attributes


def _parse(attributes: object) -> dict[str, Any]:
    try:
        parsed = json.loads(attributes) if isinstance(attributes, str) else None
    except ValueError:
        parsed = None
    return parsed if isinstance(parsed, dict) else {}


def _utc(moment: object) -> datetime | None:
    """A date as the SDK gives it: with milliseconds it stays a text, because the SDK knows seconds only."""
    if isinstance(moment, str) and re.match(r"\d{4}-", moment):
        moment = datetime.fromisoformat(moment)
    if not isinstance(moment, datetime):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
