"""Chat channels and Proxy sessions of our own."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from flexsms.core.attributes import parse_attributes, write_attributes
from flexsms.core.exceptions import NotFound
from flexsms.twilio.stacks.chat.proxy_sessions import PAIR_TAKEN
from flexsms.twilio.stacks.own_numbers import TASK, sms_flows
from flexsms.twilio.verify.own import NotPossible, Own, refusal

BUSY = "the handset is in a Proxy session of the number; end its conversation, or use another handset"


class OwnChannels:
    """Makes chat channels that are marked as ours, by the number's flow for agents.

    :param own: remembers what has to go
    """

    def __init__(self, own: Own) -> None:
        self._own = own
        self._wishes = own.wishes
        self._flex = own.client.flex_api.v1
        self._chat = own.client.chat.v2.services(own.settings.need("chat_service_sid")).channels
        service = own.client.proxy.v1.services(own.settings.need("session_service_sid"))
        self.sessions: Any = service.sessions
        self._flow_sid = ""

    def __call__(self, sid: str) -> Any:
        """The SDK's context of a chat channel."""
        return self._chat(sid)

    async def make(self) -> Any:
        """Ask Flex for the channel of the handset and the number: a new one, or the one we have made.

        :raises NotPossible: when Flex gives one that is not ours
        """
        if not self._flow_sid:
            self._flow_sid = await self._flow()
        self._own.remove_later("tasks of flexsms verify", self._own.end_tasks)
        attributes = {**self._own.attributes, "to": self._wishes.handset, "from": self._wishes.number}
        channel: Any = await self._flex.channel.create_async(
            flex_flow_sid=self._flow_sid,
            identity=uuid.uuid4().hex,
            chat_user_friendly_name="flexsms verify",
            chat_friendly_name=self._own.mark,
            target=self._wishes.handset,
            task_attributes=json.dumps(attributes),
        )
        sid = str(channel.sid)
        if sid not in self._own.sids:
            # An older one keeps the name that it was given then.
            if (await self._chat(sid).fetch_async()).friendly_name != self._own.mark:
                raise NotPossible("the handset has a chat channel already; retire it, or use another handset")
            self.adopt(sid)
        return channel

    def adopt(self, sid: str) -> None:
        """Take over a channel, to be removed with its session and its tasks."""
        self._own.sids.add(sid)

        async def remove() -> None:
            await self._own.end_tasks("channelSid", sid)
            with suppress(NotFound):
                session: Any = await self.sessions(sid).fetch_async()
                await self.sessions(str(session.sid)).delete_async()
            await self._flex.channel(sid).delete_async()

        self._own.remove_later(f"chat channel {sid}", remove)

    async def attributes(self, sid: str) -> Mapping[str, Any]:
        """A channel's attributes."""
        return parse_attributes((await self._chat(sid).fetch_async()).attributes)

    async def write(self, sid: str, changes: Mapping[str, Any], *, header: bool) -> None:
        """Merge changes into a channel's attributes.

        :param header: whether webhooks are told
        """
        merged = write_attributes({**await self.attributes(sid), **changes})
        await self._chat(sid).update_async(
            attributes=merged, x_twilio_webhook_enabled="true" if header else "false"
        )

    async def open_session(self, name: str, *identifiers: str) -> str:
        """A session of the handset and others; returns its SID.

        :raises NotPossible: when the handset is in one that is not ours
        """
        found: list[str] = []

        async def remove() -> None:
            sid = found[0] if found else str((await self.sessions(name).fetch_async()).sid)
            await self.sessions(sid).delete_async()

        self._own.remove_later(f"Proxy session {name}", remove)
        people = [
            {"Identifier": one, "ProxyIdentifier": self._wishes.number, "FriendlyName": "flexsms verify"}
            for one in (self._wishes.handset, *identifiers)
        ]
        session: Any = await self.sessions.create_async(
            unique_name=name, mode="message-only", ttl=0, participants=people
        )
        found.append(str(session.sid))
        self._own.sids.add(found[0])
        return found[0]

    async def open_first_session(self, channel_sid: str) -> str:
        """The session of a channel, as a send opens it; returns its SID.

        :raises NotPossible: when the handset is in another one
        """
        sids: list[str] = []

        async def opened() -> None:
            sids.append(await self.open_session(channel_sid, channel_sid))

        refused = await refusal(opened())
        if refused is not None and refused.code in PAIR_TAKEN:
            raise NotPossible(BUSY) from refused
        if refused is not None:
            raise refused
        return sids[0]

    async def _flow(self) -> str:
        """The number's flow that opens tasks."""
        for flow in await sms_flows(self._own.client):
            if (flow.contact_identity, flow.integration_type) == (self._wishes.number, TASK):
                return str(flow.sid)
        raise NotPossible(f"the number has no Flex Flow of type {TASK}; run flexsms setup --number … --write")
