"""Flex's behaviour around chat channels: reuse, opening tasks, the janitor, and what becomes an SMS.

Sources: https://www.twilio.com/docs/flex/developer/messaging/chat-channel (what if a channel already exists) and
https://www.twilio.com/docs/flex/developer/messaging/manage-flows#channel-janitor (janitor, long-lived). The trap of an
INACTIVE channel whose session is still open is unverified.
"""

from __future__ import annotations

from typing import Any

import orjson

from ...http import Problem
from ...state.account import EmulatedAccount, after_task, timer
from ...state.rows.chat import Channel, Message
from ...state.rows.flex import FlexFlow
from ...state.rows.taskrouter import Task
from ..proxy import sessions
from ..taskrouter import tasks


def find(account: EmulatedAccount, flow: FlexFlow, customer: str) -> Channel | None:
    """The ACTIVE channel between the flow's number and this customer, for this flow."""
    sids = account.active.get((flow.sid, customer, flow.contact_identity or ""), {})
    return account.store.channels.get(next(reversed(sids), None))


def find_any(account: EmulatedAccount, customer: str, number: str) -> Channel | None:
    """The newest ACTIVE channel of the pair, whatever the flow."""
    flows = [flow for flow in account.store.flows if flow.contact_identity == number]
    found = [channel for flow in flows if (channel := find(account, flow, customer))]
    return max(found, key=lambda channel: channel.seq, default=None)


def start(
    account: EmulatedAccount,
    flow: FlexFlow,
    customer: str | None,
    name: str,
    *,
    friendly_name: str,
    unique_name: str | None = None,
    long_lived: bool | None = None,
    pre_engagement: str | None = None,
) -> Channel:
    """A new channel of a flow.

    Parameters
    ----------
    customer: the customer's number.
    name: how the customer is called in the chat (`from` of the attributes).
    long_lived: overrides the flow's own setting (that it does is unverified).
    """
    if unique_name and (taken := account.store.channels.named(flow.chat_service_sid, unique_name)):
        if taken.active:
            raise Problem(409, 45208, f"Channel with unique name {unique_name} already exists and is active")
        account.store.channels.rename(taken, None)
    attributes: dict[str, Any] = {
        "status": "ACTIVE",
        "long_lived": flow.long_lived if long_lived is None else long_lived,
        "from": name,
        "channel_type": flow.channel_type,
        # Proxy's integration wants them (https://www.twilio.com/docs/api/errors/80619). Which number is which is
        # not documented.
        "twilioNumber": flow.contact_identity,
        "serviceNumber": customer,
    }
    if pre_engagement:
        attributes["pre_engagement_data"] = pre_engagement
    channel = Channel(
        *account.stamp("CH"),
        parent=flow.chat_service_sid,
        name=unique_name,
        friendly_name=friendly_name,
        attributes=orjson.dumps(attributes).decode(),
        type="private",
        created_by="system",
        flow_sid=flow.sid,
        user_sid=account.sids.new("US"),
        customer=customer,
        number=flow.contact_identity,
        customer_name=name,
    )
    account.store.channels.add(channel)
    account.index_channel(channel)
    return channel


def ensure_task(
    account: EmulatedAccount, channel: Channel, direction: str, given: dict[str, Any] | None = None
) -> Task:
    """The channel's open task, or a new one in the flow's workflow."""
    if task := tasks.open_task(account, channel.sid):
        return task
    flow = account.store.flows.get(channel.flow_sid)
    integration = flow.integration if flow and flow.integration_type == "task" else {}
    ends = (
        (channel.customer, channel.number) if direction == "inbound" else (channel.number, channel.customer)
    )
    attributes = {
        "name": channel.customer_name,
        "from": ends[0],
        "to": ends[1],
        "direction": direction,
        **(given or {}),
        "channelSid": channel.sid,
        **tasks.channel_type(account, flow.channel_type if flow else "sms"),
    }
    task = tasks.create(
        account,
        orjson.dumps(attributes).decode(),
        workflow_sid=integration.get("workflow_sid"),
        channel_name=integration.get("channel", "sms"),
        priority=integration.get("priority", 0),
        timeout=integration.get("timeout", 86_400),
    )
    channel.task_sid = task.sid
    return task


def set_attributes(
    account: EmulatedAccount, channel: Channel, attributes: str, *, webhook: bool = True
) -> None:
    """New attributes, which Flex notices at once, or (`inactive_needs_webhook`) only by a webhook."""
    channel.attributes = attributes
    channel.updated = account.clock.now()
    if webhook or not account.settings.inactive_needs_webhook:
        account.index_channel(channel)


def merge_attributes(account: EmulatedAccount, channel: Channel, **values: Any) -> None:
    set_attributes(account, channel, orjson.dumps({**channel.parsed_attributes(), **values}).decode())


def drop(account: EmulatedAccount, channel: Channel) -> None:
    """Delete a channel with its messages. Its Proxy session stays, as nothing says that it goes."""
    account.store.channels.drop(channel)
    account.store.messages.drop_under(channel.sid)
    account.index_channel(channel)


def janitor(account: EmulatedAccount, channel_sid: str | None, *, from_ui: bool) -> None:
    """After a task: a channel that is not long-lived becomes INACTIVE and its session goes (https://www.twilio.com/docs/flex/developer/messaging/manage-flows#channel-janitor).

    Flex's UI always does so; for a task that ended outside it, the flow's `janitor_enabled` decides (A.2).
    """
    channel = account.store.channels.get(channel_sid)
    if channel is None or not channel.flow_sid or tasks.open_task(account, channel.sid):
        return
    flow = account.store.flows.get(channel.flow_sid)
    if channel.parsed_attributes().get("long_lived") is True or not (
        from_ui or (flow and flow.janitor_enabled)
    ):
        return
    if session := sessions.of_channel(account, channel):
        sessions.drop(account, session)
    merge_attributes(account, channel, status="INACTIVE")


@after_task
def _after_task(account: EmulatedAccount, channel_sid: str | None) -> None:
    janitor(account, channel_sid, from_ui=False)


@timer("task.timeout")
def _task_timeout(account: EmulatedAccount, sid: str) -> None:
    """A task outlived its timeout: nobody took it (canceled), or an agent kept it (removed by the system)."""
    task = account.store.tasks.get(sid)
    if task is None or task.status not in tasks.OPEN:
        return
    if task.status in ("pending", "reserved"):
        tasks.finish(account, task, "canceled", "Task TTL Exceeded", ("workspace", task.parent))
    else:
        tasks.delete(account, task, by_system=True)
    janitor(account, task.channel_sid, from_ui=False)


def post(
    account: EmulatedAccount,
    channel: Channel,
    author: str,
    body: str | None,
    attributes: str = "{}",
    *,
    relay: bool = True,
) -> Message:
    """Append a message; unless the customer wrote it, Proxy relays it to the handset if the session is open."""
    message = Message(*account.stamp("IM"), channel.sid, author, body, attributes, channel.messages)
    channel.messages += 1
    if account.settings.message_moves_date:
        channel.updated = message.created
    account.store.messages.add(message)
    if relay and body and author != channel.customer:
        sessions.relay(account, channel, message)
    return message
