"""The task by which an agent looks after a conversation.

An interaction channel is the one channel of its conversation, so a second task is an invite on it. Sources:
https://www.twilio.com/docs/flex/developer/conversations/interactions-api/invites-subresource,
https://www.twilio.com/docs/api/errors/45353
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flexsms.core.attributes import parse_attributes
from flexsms.core.exceptions import InvalidInput, NotAuthorized, ServiceUnavailable, TwilioRefused
from flexsms.core.outbound_message import DIGEST_ATTRIBUTE, OutboundMessage
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.stacks.conversations.services import in_service
from flexsms.twilio.sync.channel_states import SyncStore
from flexsms.twilio.taskrouter.task_list import attributes_of
from flexsms.twilio.taskrouter.tasks import end_task, find_open_task, find_tasks, open_tasks

if TYPE_CHECKING:
    from twilio.rest import Client

logger = logging.getLogger(__name__)

TASK_CHANNEL = "chat"
ALREADY_MAPPED = 45353
# Interaction and interaction channel, as a pair of SIDs.
Mapped = tuple[str, str]


@dataclass(frozen=True, slots=True)
class OpenTask:
    """A task that is not over, with the interaction that it belongs to, if Flex wrote it down.

    :param is_new: this send has started the interaction
    :param is_invited: it is an invite to an interaction that was set up before
    :param replaces_flow: this send has taken the Studio flow away for it
    """

    task_sid: str | None
    interaction_sid: str | None
    interaction_channel_sid: str | None
    is_new: bool = False
    is_invited: bool = False
    replaces_flow: bool = False


class ConversationTasks:
    """Finds and opens tasks of conversations; belongs to the opening."""

    def __init__(self, client: Client, settings: TwilioSettings) -> None:
        self._interaction = client.flex_api.v1.interaction
        self._conversations = in_service(client, settings).conversations
        self._taskrouter = client.taskrouter.v1
        self._settings = settings
        self._store = SyncStore(client, settings.need("sync_service_sid"))

    async def find(self, channel_sid: str) -> OpenTask | None:
        """The conversation's open task."""
        task = await find_open_task(self._workspace(), "conversationSid", channel_sid)
        return None if task is None else OpenTask(str(task.sid), *await _mapped(task))

    async def make(
        self, channel_sid: str, message: OutboundMessage, digest: str, *, is_fresh: bool
    ) -> OpenTask:
        """Open a task on the conversation, for one agent or by the workflow.

        Neither request may be repeated blindly.

        :param digest: that of the send's idempotency key, which its task bears
        :param is_fresh: the conversation was only just made, so that there is no earlier interaction
        """
        known = None if is_fresh else await self._known(channel_sid)
        if known is not None:
            # Nothing refuses a second invite, so a customer who has just written must not be overlooked.
            found = await self.find(channel_sid)
            if found is not None:
                return found
            try:
                return await self._invite(channel_sid, known, message, digest)
            except NotAuthorized:
                raise
            except TwilioRefused as error:
                logger.info("The interaction of %s takes no invite (%s); starting one.", channel_sid, error)
        try:
            return await self._start(channel_sid, message, digest)
        except TwilioRefused as error:
            if error.code != ALREADY_MAPPED:
                raise
            # Either somebody was quicker in this moment, or the interaction was one that we did not know.
            found = await self.find(channel_sid)
            if found is not None:
                return found
            mapped = await self._look_up(channel_sid, error, known)
        return await self._invite(channel_sid, mapped, message, digest)

    async def keep_one(self, channel_sid: str, found: OpenTask, digest: str) -> OpenTask:
        """The conversation's one task: the customer may have written right before our invite, and opened another.

        One call; one more to end ours when there is another.

        :param found: one of its tasks
        :param digest: that of the send's idempotency key, which its task bears
        """
        tasks = await open_tasks(self._workspace(), "conversationSid", channel_sid)
        own = [task for task in tasks if (await attributes_of(task) or {}).get(DIGEST_ATTRIBUTE) == digest]
        others = [task for task in tasks if task not in own]
        if not others or not own:
            return found
        await end_task(self._workspace(), own[0], "the customer wrote at the same moment, and has a task")
        return OpenTask(str(others[0].sid), *await _mapped(others[0]))

    async def _look_up(self, channel_sid: str, refusal: TwilioRefused, known: Mapped | None) -> Mapped:
        """The interaction that a conversation has already: Twilio's refusal names its channel at most."""
        named = re.search(r"UO[0-9a-fA-F]{32}", refusal.detail)
        for mapped in (known, *await self._remembered(channel_sid)):
            if mapped is not None and (named is None or mapped[1] == named[0]):
                return mapped
        raise ServiceUnavailable(
            f"{refusal} Which interaction {channel_sid} has is not in Sync yet; trying again once flexsms_track has "
            "read of it.",
            status=refusal.status,
            code=refusal.code,
            endpoint=refusal.endpoint,
        ) from refusal

    async def _known(self, channel_sid: str) -> Mapped | None:
        """What the events of the conversation's tasks have told."""
        try:
            stored = await self._store.load(channel_sid)
        except InvalidInput:  # cleaning up says what is wrong with the document
            return None
        if stored is None:
            return None
        interaction, channel = stored.state.link("interaction"), stored.state.link("interaction_channel")
        return (interaction, channel) if interaction and channel else None

    async def _remembered(self, channel_sid: str) -> list[Mapped]:
        """What the conversation's tasks tell, which TaskRouter keeps for minutes, and the attributes of a parked one.

        Those are written by Twilio's template: https://github.com/twilio-professional-services/flex-project-template
        """
        tasks = await find_tasks(self._workspace(), "conversationSid", channel_sid)
        found = [await _mapped(task) for task in tasks]
        conversation: Any = await self._conversations(channel_sid).fetch_async()
        attributes = parse_attributes(conversation.attributes)
        found.append((attributes.get("interactionSid"), attributes.get("channelSid")))
        return [(str(interaction), str(channel)) for interaction, channel in found if interaction and channel]

    async def _invite(
        self, channel_sid: str, mapped: Mapped, message: OutboundMessage, digest: str
    ) -> OpenTask:
        interaction, channel = mapped
        sids = {
            "conversationSid": channel_sid,
            "flexInteractionSid": interaction,
            "flexInteractionChannelSid": channel,
            DIGEST_ATTRIBUTE: digest,
        }
        invites = self._interaction(interaction).channels(channel).invites
        invite: Any = await invites.create_async(
            routing={"properties": self._routing(message, {**sids, DIGEST_ATTRIBUTE: digest})}
        )
        routed = (invite.routing or {}).get("properties") or {}
        return OpenTask(routed.get("sid"), interaction, channel, is_invited=True)

    async def _start(self, channel_sid: str, message: OutboundMessage, digest: str) -> OpenTask:
        """Start an interaction, always on a conversation that is there.

        One that makes its own has no natural key, so a lost answer would leave a second one.
        """
        interaction: Any = await self._interaction.create_async(
            channel={
                "type": message.channel_type,
                "initiated_by": "api",
                "properties": {"media_channel_sid": channel_sid},
            },
            routing={"properties": self._routing(message, {DIGEST_ATTRIBUTE: digest})},
        )
        routed = (interaction.routing or {}).get("properties") or {}
        return OpenTask(routed.get("sid"), str(interaction.sid), str(interaction.channel["sid"]), is_new=True)

    def _routing(self, message: OutboundMessage, more: dict[str, str]) -> dict[str, Any]:
        routing: dict[str, Any] = {
            "workspace_sid": self._settings.need("workspace_sid"),
            "task_channel_unique_name": TASK_CHANNEL,
            "attributes": {
                **message.routing_attributes(),
                "channelType": message.channel_type,
                "customerAddress": message.to_number,
                "customerName": message.name,
                **more,
            },
        }
        if self._settings.workflow_sid:
            routing["workflow_sid"] = self._settings.workflow_sid
        if message.worker_only:
            # One who declines has canceled the task, and no workflow asks anybody else:
            # https://www.twilio.com/docs/flex/developer/conversations/best-practices
            routing |= {
                "queue_sid": self._settings.need("queue_sid"),
                "worker_sid": message.target_worker_sid,
            }
        return routing

    def _workspace(self) -> Any:
        return self._taskrouter.workspaces(self._settings.need("workspace_sid"))


async def _mapped(task: Any) -> tuple[str | None, str | None]:
    attributes = await attributes_of(task) or {}
    return attributes.get("flexInteractionSid"), attributes.get("flexInteractionChannelSid")
