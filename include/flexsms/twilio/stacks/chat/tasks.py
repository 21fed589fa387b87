"""The task by which an agent looks after a chat channel."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flexsms.core.attributes import parse_attributes
from flexsms.core.exceptions import NotFound, TwilioRefused
from flexsms.core.outbound_message import DIGEST_ATTRIBUTE, OutboundMessage, Route
from flexsms.twilio.client.dates import utc
from flexsms.twilio.stacks.own_numbers import sms_flows
from flexsms.twilio.sync.lock import SyncLock
from flexsms.twilio.taskrouter.task_list import OPEN_STATUSES, attributes_of
from flexsms.twilio.taskrouter.tasks import end_task, find_open_task, find_tasks, open_tasks

if TYPE_CHECKING:
    from twilio.rest import Client

ELSEWHERE = "the customer is in another channel"


class ChatTasks:
    """Finds, opens and ends tasks of chat channels.

    :param workspace: the SDK's context of the workspace
    """

    def __init__(self, client: Client, workspace: Any, lock: SyncLock) -> None:
        self._client = client
        self.workspace = workspace
        self._lock = lock

    async def is_open(self, task_sid: str) -> bool:
        """Whether a task is not over."""
        return await self._unfinished(task_sid) is not None

    async def end(self, task_sid: str) -> bool:
        """End the task of a channel over which nobody can be reached; an agent may have been quicker, and have it.

        :return: whether it was open
        """
        try:
            await self.workspace.tasks(task_sid).update_async(assignment_status="canceled", reason=ELSEWHERE)
        except TwilioRefused:
            task = await self._unfinished(task_sid)
            if task is None:
                return False
            await end_task(self.workspace, task, ELSEWHERE)
        return True

    async def _unfinished(self, task_sid: str) -> Any:
        try:
            task: Any = await self.workspace.tasks(task_sid).fetch_async()
        except NotFound:
            return None
        return task if str(task.assignment_status) in OPEN_STATUSES else None

    async def ensure(
        self, channel_sid: str, message: OutboundMessage, flow: Any, digest: str, *, is_own: bool = True
    ) -> str:
        """The open task of a channel, or a new one by the flow's routing.

        :param digest: that of the send's idempotency key
        :param is_own: whether the task goes with the send, and bears its mark
        """

        async def find() -> str | None:
            found = await find_open_task(self.workspace, "channelSid", channel_sid)
            return None if found is None else str(found.sid)

        async def make() -> str:
            routing: Mapping[str, Any] = flow.integration or {}
            task_attributes = marked(message, digest) if is_own else message.routing_attributes()
            attributes = {**task_attributes, "channelSid": channel_sid, "channelType": "sms"}
            task = await self.workspace.tasks.create_async(
                attributes=json.dumps(attributes),
                workflow_sid=routing.get("workflow_sid"),
                task_channel=routing.get("channel"),
            )
            return await self._prefer_another(channel_sid, str(task.sid))

        found = await find()
        if found is not None:
            return found
        return await self._lock.once(channel_sid, digest, find, make, just_searched=True)

    async def _prefer_another(self, channel_sid: str, task_sid: str) -> str:
        """The task of a customer who has just written, if there is one, and else the one that was just made."""
        for task in await open_tasks(self.workspace, "channelSid", channel_sid):
            if str(task.sid) != task_sid:
                await self.end(task_sid)
                return str(task.sid)
        return task_sid

    async def end_marked(self, task_sid: str, mark: Mapping[str, str]) -> datetime | None:
        """End the task that the search has opened, and tell when it was opened; any other stays."""
        task = await self._unfinished(task_sid)
        if task is None or not mark.items() <= parse_attributes(task.attributes).items():
            return None
        if str(task.assignment_status) not in ("pending", "reserved"):
            return None  # an agent is at work on it
        await end_task(self.workspace, task, ELSEWHERE)
        return utc(task.date_created)

    async def message_like_the_last(self, channel_sid: str) -> OutboundMessage | None:
        """An empty message to the customer of a channel, by the numbers that its newest task names; two calls.

        :return: None where no task tells any more, or the channel is of no SMS number
        """
        ours = {str(flow.contact_identity) for flow in await sms_flows(self._client)}
        for task in await find_tasks(self.workspace, "channelSid", channel_sid):
            attributes = await attributes_of(task) or {}
            both = {str(attributes[name]) for name in ("from", "to") if attributes.get(name)}
            numbers, customers = both & ours, both - ours
            if numbers and customers:
                return OutboundMessage(
                    Route.AGENT, from_number=numbers.pop(), to_number=customers.pop(), body=""
                )
        return None


def marked(message: OutboundMessage, digest: str) -> dict[str, Any]:
    """The attributes of a send's task, by which its next try finds the task again."""
    return {**message.routing_attributes(), DIGEST_ATTRIBUTE: digest}
