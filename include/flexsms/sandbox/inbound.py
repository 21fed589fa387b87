"""A customer's text finds its conversation, or makes one (facts B.5).

Whether a text that meets no open task opens one follows the number's address configuration, or a Studio webhook of
the conversation: both run a flow whose Send-to-Flex widget makes the task. `default` and `webhook` open none.
"""

from __future__ import annotations

from . import conversations, interactions, tasks
from .conversation_rows import Address, Conversation
from .store import Message, Task
from .world import World

# Whoever opened the interaction, this time it was the customer.
INBOUND = {"direction": "inbound", "initiatedBy": "customer"}

Received = tuple[str, Conversation, Task | None, Message]


def address_of(world: World, number: str) -> Address | None:
    """The configuration of a number that creates conversations."""
    return next(
        (one for one in world.store.addresses if one.address == number and one.auto_creation.get("enabled")),
        None,
    )


def receive(
    world: World, conversation: Conversation, frm: str, to: str, body: str, *, keyword: bool
) -> Received:
    """Into the open conversation of the pair. A keyword (STOP, START) opens no task."""
    outcome = "reactivated" if conversation.state == "inactive" else "conversation"
    message = conversations.post(world, conversation, frm, body)
    task = tasks.open_task(world, conversation.sid)
    if task is None and not keyword and _runs_studio(world, conversation, to):
        task = interactions.ensure_task(world, conversation, INBOUND)
    return outcome, conversation, task, message


def autocreate(world: World, address: Address, frm: str, body: str) -> Received:
    """A new conversation of the service that the configuration names."""
    service_sid = address.auto_creation.get("conversation_service_sid")
    conversation = conversations.start(world, service_sid, friendly_name=frm)
    conversations.add_member(world, conversation, address=frm, proxy_address=address.address)
    _, conversation, task, message = receive(world, conversation, frm, address.address, body, keyword=False)
    return "started", conversation, task, message


def _runs_studio(world: World, conversation: Conversation, number: str) -> bool:
    address = address_of(world, number)
    if address is not None and address.auto_creation.get("type") == "studio":
        return True
    return any(hook.target == "studio" for _, hook in world.store.webhooks.under(conversation.sid).forward())
