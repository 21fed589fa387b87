"""A customer's text finds its conversation, or makes one (https://www.twilio.com/docs/conversations/inbound-autocreation).

Whether a text that meets no open task opens one follows the number's address configuration, or a Studio webhook of
the conversation: both run a flow whose Send-to-Flex widget makes the task. `default` and `webhook` open none.

A flow that is attached to the conversation by a webhook runs for each text, whoever else is at work there. It only
stays quiet while it waits for the task that it made itself. Beside an agent's task it answers the customer, too.
"""

from __future__ import annotations

from ...state.account import EmulatedAccount
from ...state.rows.chat import Message
from ...state.rows.conversations import Address, Conversation, Webhook
from ...state.rows.taskrouter import Task
from ..conversations import behaviour as conversations
from ..taskrouter import tasks
from . import interactions

# Whoever opened the interaction, this time it was the customer.
INBOUND = {"direction": "inbound", "initiatedBy": "customer"}

Received = tuple[str, Conversation, Task | None, Message]


def address_of(account: EmulatedAccount, number: str) -> Address | None:
    """The configuration of a number that creates conversations."""
    return next(
        (
            one
            for one in account.store.addresses
            if one.address == number and one.auto_creation.get("enabled")
        ),
        None,
    )


def receive(
    account: EmulatedAccount, conversation: Conversation, frm: str, to: str, body: str, *, keyword: bool
) -> Received:
    """Into the open conversation of the pair. A keyword (STOP, START) opens no task."""
    before = conversation.state
    message = conversations.post(account, conversation, frm, body)
    outcome = "conversation" if conversation.state == before else "reactivated"
    task = tasks.open_task(account, conversation.sid)
    if keyword:
        return outcome, conversation, task, message
    flow = studio_flow(account, conversation)
    if unpark := park_webhook(account, conversation):
        # Twilio's template invites whoever parked it, and does not ask whether somebody is at work already.
        task = interactions.invite_again(account, conversation, INBOUND)
        account.store.webhooks.drop(unpark)
    elif flow and task and flow.task_sid != task.sid:
        sid = flow.configuration["flow_sid"]
        conversations.post(account, conversation, sid, f"The answer of Studio flow {sid}.")
    elif task is None and (flow or (_autocreates_studio(account, to) and _opens_task(account, conversation))):
        task = interactions.ensure_task(account, conversation, INBOUND)
        if flow:
            flow.task_sid = task.sid
    return outcome, conversation, task, message


def autocreate(account: EmulatedAccount, address: Address, frm: str, body: str) -> Received:
    """A new conversation of the service that the configuration names."""
    service_sid = address.auto_creation.get("conversation_service_sid")
    conversation = conversations.start(account, service_sid, friendly_name=frm)
    conversations.add_member(account, conversation, address=frm, proxy_address=address.address)
    _, conversation, task, message = receive(account, conversation, frm, address.address, body, keyword=False)
    return "started", conversation, task, message


def studio_flow(account: EmulatedAccount, conversation: Conversation) -> Webhook | None:
    """The Studio flow that is attached to the conversation."""
    hooks = account.store.webhooks.under(conversation.sid).forward()
    return next((hook for _, hook in hooks if hook.target == "studio"), None)


def park_webhook(account: EmulatedAccount, conversation: Conversation) -> Webhook | None:
    """The webhook of Twilio's template by which a parked conversation comes back at the customer's next text."""
    hooks = account.store.webhooks.under(conversation.sid).forward()
    urls = ((hook, str(hook.configuration.get("url"))) for _, hook in hooks if hook.target == "webhook")
    return next((hook for hook, url in urls if url.endswith("/unpark-interaction")), None)


def contested(account: EmulatedAccount) -> list[dict[str, str]]:
    """The open conversations in which an agent's task and a Studio flow both answer the customer."""
    found = []
    for conversation in account.store.conversations:
        flow = studio_flow(account, conversation) if conversation.open else None
        task = tasks.open_task(account, conversation.sid) if flow else None
        if flow and task and flow.task_sid != task.sid:
            found.append({"channel_sid": conversation.sid, "task_sid": task.sid, "webhook_sid": flow.sid})
    return found


def _opens_task(account: EmulatedAccount, conversation: Conversation) -> bool:
    """A first text always runs the number's flow; `late_text_opens_task` says what a later one does."""
    return account.settings.late_text_opens_task or conversation.messages == 1


def _autocreates_studio(account: EmulatedAccount, number: str) -> bool:
    address = address_of(account, number)
    return address is not None and address.auto_creation.get("type") == "studio"
