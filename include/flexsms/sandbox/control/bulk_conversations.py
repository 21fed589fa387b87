"""Conversations in bulk: see bulk.load."""

from __future__ import annotations

from typing import Any

from ..http import Invalid
from ..products.conversations import behaviour as conversations
from ..products.flex import interactions
from ..products.flex.invites import Routing
from ..products.taskrouter import tasks
from ..state.account import NUMBER_CONVERSATIONS, EmulatedAccount
from ..state.rows.conversations import Conversation
from . import simulate

KNOWN = {
    "customer",
    "number",
    "name",
    "attributes",
    "unique_name",
    "state",
    "inactive_s",
    "closed_s",
    "interaction",
    "parked",
}


def load(account: EmulatedAccount, one: dict[str, Any]) -> Conversation:
    """One conversation with its customer in it."""
    if unknown := one.keys() - KNOWN:
        raise Invalid(f"conversations: unknown field {min(unknown)}")
    customer, number = one["customer"], one.get("number", NUMBER_CONVERSATIONS)
    if one.get("interaction") or one.get("parked"):
        routing = Routing(attributes={"customerName": one.get("name", customer)})
        conversation = interactions.open_now(account, customer, number, routing)
    else:
        conversation = conversations.start(account, friendly_name=one.get("name", customer))
        conversations.add_member(account, conversation, address=customer, proxy_address=number)
    if one.get("parked") and (task := tasks.open_task(account, conversation.sid)):
        simulate.agent(account, "park", task_sid=task.sid)
    if one.get("attributes"):
        conversations.merge_attributes(account, conversation, **one["attributes"])
    names = {
        "unique_name": "name",
        "inactive_s": "inactive_after",
        "closed_s": "closed_after",
        "state": "state",
    }
    if values := {field: one[name] for name, field in names.items() if name in one}:
        conversations.change(account, conversation, **values)
    return conversation


def place(account: EmulatedAccount, sid: str) -> dict[str, Any] | None:
    """What the attributes of a task on this conversation name; None for what is none."""
    if account.store.conversations.get(sid) is None:
        return None
    channel = interactions.of_conversation(account, sid)
    links = (
        {"flexInteractionSid": channel.parent, "flexInteractionChannelSid": channel.sid} if channel else {}
    )
    return {"conversationSid": sid, **links}
