"""An agent is invited to an interaction: the task that this is, its attributes and how `routing` shows it.

Source: https://www.twilio.com/docs/flex/developer/conversations/interactions-api/invites-subresource.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from ...state.account import EmulatedAccount
from ...state.rows.conversations import FlexChannel, Invite
from ...state.rows.taskrouter import Task
from ..taskrouter import tasks


@dataclass(frozen=True, slots=True)
class Routing:
    """Where an invite's task goes; a worker that is named has it reserved."""

    workflow_sid: str | None = None
    queue_sid: str | None = None
    worker_sid: str | None = None
    channel_name: str = "chat"
    priority: int = 0
    timeout: int = 86_400
    attributes: dict[str, Any] = field(default_factory=dict)


def invite(account: EmulatedAccount, channel: FlexChannel, routing: Routing) -> Invite:
    """A task on the channel, with the attributes that Flex writes around the given ones."""
    sid, seq, now, _ = account.stamp("KG")
    attributes = orjson.dumps(attributes_of(account, channel, sid, routing.attributes)).decode()
    task = tasks.create(
        account,
        attributes,
        workflow_sid=routing.workflow_sid,
        queue_sid=routing.queue_sid,
        channel_name=routing.channel_name,
        priority=routing.priority,
        timeout=routing.timeout,
        routing_target=routing.worker_sid,
    )
    if routing.worker_sid:
        tasks.reserve(account, task, routing.worker_sid)
    channel.used = now
    return account.store.invites.add(
        Invite(sid, seq, now, now, channel.sid, task.sid, properties_of(account, task))
    )


def attributes_of(
    account: EmulatedAccount, channel: FlexChannel, invite_sid: str, given: dict[str, Any]
) -> dict[str, Any]:
    direction = "outbound" if channel.initiated_by == "agent" else "inbound"
    name = given.get("customerName") or channel.customer
    media = {"type": "ChatTranscript", "sid": channel.conversation_sid}
    ours = {
        **tasks.channel_type(account, channel.type),
        "customerAddress": channel.customer,
        "customerName": name,
        "from": name,
        "direction": direction,
        "initiatedBy": channel.initiated_by,
        "customers": {"name": name, "phone": channel.customer},
        "conversations": {
            "initiated_by": channel.initiated_by,
            "conversation_id": channel.parent,
            "communication_channel": channel.type,
            "direction": direction,
            "media": [{**media, "conversation_sid": channel.conversation_sid}],
        },
    }
    sids = {
        "conversationSid": channel.conversation_sid,
        "flexInteractionSid": channel.parent,
        "flexInteractionChannelSid": channel.sid,
        "flexChannelInviteSid": invite_sid,
    }
    return {**ours, **given, **sids}


def properties_of(account: EmulatedAccount, task: Task) -> dict[str, Any]:
    """`routing.properties`: the task in words of its own, dates as seconds (the document's example)."""
    return {
        "sid": task.sid,
        "account_sid": account.account_sid,
        "workspace_sid": task.parent,
        "workflow_sid": task.workflow_sid,
        "workflow_name": tasks.fixture_name(account, task.workflow_sid),
        "queue_sid": task.queue_sid,
        "queue_name": tasks.fixture_name(account, task.queue_sid),
        "task_channel_sid": account.task_channel_sids[task.channel_name],
        "task_channel_unique_name": task.channel_name,
        "routing_target": task.routing_target,
        "assignment_status": task.status,
        "assignmentCounter": 0,
        "attributes": task.attributes,
        "priority": task.priority,
        "timeout": task.timeout,
        "reason": "",
        "addons": "{}",
        "age": 0,
        "age_in_queue": 0,
        "date_created": int(task.created),
        "date_updated": int(task.updated),
        "task_queue_entered_date": int(task.created),
    }


def routing_json(account: EmulatedAccount, one: Invite | None) -> dict[str, Any] | None:
    """The task as it is, or as it was made once it is gone."""
    if one is None:
        return None
    task = account.store.tasks.get(one.task_sid)
    return {"reservation": None, "properties": properties_of(account, task) if task else one.properties}
