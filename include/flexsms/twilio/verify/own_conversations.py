"""Conversations and interactions of our own."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from flexsms.core.attributes import parse_attributes
from flexsms.core.exceptions import AlreadyExists, NotFound, TwilioRefused
from flexsms.twilio.stacks.conversations.address_pairs import PAGE_SIZE, WRONG_NUMBERS
from flexsms.twilio.stacks.conversations.services import in_service
from flexsms.twilio.stacks.conversations.tasks import TASK_CHANNEL
from flexsms.twilio.verify.own import TASK_TIMEOUT_S, NotPossible, Own

OPTIONS = {"from_number": "--number", "to_number": "--handset"}
BUSY = "the handset is in an open conversation with the number; close it in Flex, or use another handset"
STATES = ("active", "inactive")


class OwnConversations:
    """Makes conversations that are marked as ours; deleting one ends its tasks.

    :param own: remembers what has to go
    """

    def __init__(self, own: Own) -> None:
        self._own = own
        self._wishes = own.wishes
        service = in_service(own.client, own.settings)
        self._conversations: Any = service.conversations
        self._pairs = service.participant_conversations
        self.interactions = own.client.flex_api.v1.interaction
        self._made = 0

    def __call__(self, sid: str) -> Any:
        """The SDK's context of a conversation."""
        return self._conversations(sid)

    async def make(self, *, with_handset: bool = False, **fields: Any) -> str:
        """A conversation; returns its SID.

        :raises NotPossible: when the handset is in another one
        """
        self._made += 1
        name = fields.pop("unique_name", f"{self._own.mark}.{self._made}")
        found: list[str] = []

        async def remove() -> None:
            await self._remove(found[0] if found else name)

        self._own.remove_later(f"conversation {name}", remove)
        conversation: Any = await self._conversations.create_async(
            unique_name=name, friendly_name="flexsms verify", **fields
        )
        sid = str(conversation.sid)
        found.append(sid)
        self._own.sids.add(sid)
        if with_handset:
            try:
                await self.add_handset(sid)
            except AlreadyExists as error:
                raise NotPossible(BUSY) from error
            except TwilioRefused as error:
                if error.code not in WRONG_NUMBERS:
                    raise
                field, problem, remedy = WRONG_NUMBERS[error.code]
                raise NotPossible(f"{OPTIONS[field]} {problem} ({error.code}); {remedy}") from error
        return sid

    async def add_handset(self, sid: str) -> None:
        """Put the handset into a conversation. No text is sent for that."""
        await self._conversations(sid).participants.create_async(
            messaging_binding_address=self._wishes.handset,
            messaging_binding_proxy_address=self._wishes.number,
        )

    async def state(self, sid: str) -> str:
        """The state of a conversation."""
        return str((await self._conversations(sid).fetch_async()).state)

    async def has_messages(self, sid: str) -> bool:
        """Whether anybody has written in a conversation."""
        return bool(await self._conversations(sid).messages.list_async(limit=1, page_size=1))

    async def of_the_pair(self) -> list[str]:
        """The open conversations in which the handset and the number are."""
        return [
            str(one.conversation_sid)
            for one in await self._pairs.list_async(address=self._wishes.handset, page_size=PAGE_SIZE)
            if str(one.conversation_state) in STATES
            and (one.participant_messaging_binding or {}).get("proxy_address") == self._wishes.number
        ]

    def adopt(self, sid: str) -> None:
        """Take over a conversation that a text has started which we asked for."""
        self._own.sids.add(sid)

        async def remove() -> None:
            await self._remove(sid)

        self._own.remove_later(f"conversation {sid}", remove)

    async def start_interaction(self, sid: str, **routing: Any) -> tuple[str, str, str]:
        """An interaction about a conversation of ours.

        :param routing: more of its routing
        :return: the SIDs of the interaction, of its channel and of its task
        """
        self._own.remove_later(f"tasks of conversation {sid}", self._own.end_tasks)
        settings = self._own.settings
        if settings.workflow_sid:
            routing["workflow_sid"] = settings.workflow_sid
        interaction: Any = await self.interactions.create_async(
            channel={"type": "sms", "initiated_by": "api", "properties": {"media_channel_sid": sid}},
            routing={"properties": {**self.routing(), **routing}},
        )
        task: Mapping[str, Any] = (interaction.routing or {}).get("properties") or {}
        found = (str(interaction.sid), str(interaction.channel["sid"]), str(task.get("sid")))
        self._own.sids.update(found)

        async def close() -> None:
            await self.close_interaction(*found[:2])

        self._own.remove_later(f"interaction {found[0]}", close)
        return found

    def routing(self) -> dict[str, Any]:
        """Where the task of an interaction goes."""
        return {
            "workspace_sid": self._own.settings.need("workspace_sid"),
            "task_channel_unique_name": TASK_CHANNEL,
            "timeout": TASK_TIMEOUT_S,
            "attributes": {**self._own.attributes, "channelType": "sms"},
        }

    async def wait_for(self, interaction_sid: str, channel_sid: str) -> None:
        """Wait until an interaction channel is set up.

        :raises NotPossible: when it fails, or takes too long
        """

        async def over() -> Any:
            channel: Any = await self.interactions(interaction_sid).channels(channel_sid).fetch_async()
            return None if str(channel.status) == "setup" else channel

        channel = await self._own.poll(over)
        if channel is None or str(channel.status) == "failed":
            code = f" ({channel.error_code})" if channel is not None else ""
            raise NotPossible(f"Flex does not set up an interaction{code}; check workflow_sid")

    async def close_interaction(self, interaction_sid: str, channel_sid: str) -> None:
        """Close an interaction channel with its tasks; one that is closed already is as good."""
        with suppress(TwilioRefused):
            await (
                self.interactions(interaction_sid)
                .channels(channel_sid)
                .update_async(
                    status="closed",  # type: ignore[arg-type]  # the SDK names a class whose members are texts
                    routing={"status": "closed"},
                )
            )

    async def _remove(self, name: str) -> None:
        """Delete a conversation, and end what opened for it."""
        try:
            sid = str((await self._conversations(name).fetch_async()).sid)
        except NotFound:
            return
        if self._own.settings.workspace_sid:
            for task in await self._own.tasks("conversationSid", sid):
                attributes = parse_attributes((await task.fetch_async()).attributes)
                mapped = [attributes.get(key) for key in ("flexInteractionSid", "flexInteractionChannelSid")]
                if all(mapped):
                    await self.close_interaction(str(mapped[0]), str(mapped[1]))
            await self._own.end_tasks("conversationSid", sid)
        await self._conversations(sid).delete_async()
