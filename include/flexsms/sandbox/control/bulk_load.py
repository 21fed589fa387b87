"""Much at once, for benchmarks: documents, channels, sessions, tasks and events without an API call each.

Channels, sessions and tasks still go through the sandbox's own behaviour, so that they agree with each other.
"""

from __future__ import annotations

from typing import Any

import orjson

from ..http import Invalid
from ..products.chat import channels
from ..products.flex import interactions
from ..products.proxy import sessions as proxy
from ..products.sync import routes as sync
from ..products.taskrouter import tasks
from ..state.account import EmulatedAccount
from ..state.rows.chat import Channel
from ..state.rows.flex import FlexFlow
from ..state.rows.taskrouter import Task
from . import bulk_conversations, simulate

# task created, reservation created and accepted, both wrapped up, both completed
EVENTS_OF_A_LIFE = 7

AREAS = (415, 212, 206, 312, 617, 305, 503, 646, 718, 213)


def customer_number(n: int) -> str:
    """The n-th made-up customer: valid for `phonenumbers`, and in the 555 exchange, which belongs to nobody."""
    return f"+1{AREAS[n // 8000 % len(AREAS)]}555{1000 + n % 8000:04d}"


def flow_of(account: EmulatedAccount, name: str) -> FlexFlow:
    flow = account.store.flows.get(account.flow_sids.get(name, name))
    if flow is None:
        raise Invalid(f"no flex flow {name}")
    return flow


def load(
    account: EmulatedAccount,
    documents: list[dict[str, Any]] | None = None,
    channels: list[dict[str, Any]] | None = None,
    sessions: list[dict[str, Any]] | None = None,
    conversations: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Create many rows.

    Parameters
    ----------
    documents: {"unique_name", "data", "ttl"?, "service_sid"?} each.
    channels: {"customer", "name"?, "flow"?: a key of flex_flow_sids, "attributes"?: merged over Flex's own,
        "session"?: true, "text"?: of an agent, "age_s"?: how many seconds ago it was made and last changed} each; the
        answer has their SIDs in the same order.
    sessions: {"channel_sid", "status"?} each: the session Flex would make.
    conversations: {"customer", "number"?: the migrated one if not given, "name"?, "attributes"?, "unique_name"?,
        "state"?, "inactive_s"?, "closed_s"?: its timers, "interaction"?: true for a task and an interaction
        channel, "parked"?: true for one whose agent left} each, with the customer in it.
    """
    found = {
        "documents": [_document(account, one) for one in documents or []],
        "channels": [_channel(account, one).sid for one in channels or []],
        "conversations": [bulk_conversations.load(account, one).sid for one in conversations or []],
    }
    made = []
    for one in sessions or []:
        channel = account.store.channels.get(one["channel_sid"])
        if channel is None:
            raise Invalid(f"no channel {one['channel_sid']}")
        made.append(_session(account, channel, one.get("status")))
    return {**found, "sessions": made}


def _document(account: EmulatedAccount, one: dict[str, Any]) -> str:
    values = {"UniqueName": one.get("unique_name"), "Data": one.get("data", {})}
    if one.get("ttl"):
        values["Ttl"] = one["ttl"]
    return sync.new_object(
        account, sync.DOCUMENT, one.get("service_sid") or account.sync_service_sid, values
    ).sid


def _channel(account: EmulatedAccount, one: dict[str, Any]) -> Channel:
    customer = one["customer"]
    flow = flow_of(account, one.get("flow", "task"))
    with account.clock.at(account.clock.now() - one.get("age_s", 0)):
        channel = channels.start(
            account, flow, customer, one.get("name", customer), friendly_name=f"SMS{customer}"
        )
        if one.get("session"):
            simulate.ensure_session(account, channel)
        if one.get("attributes"):
            channels.merge_attributes(account, channel, **one["attributes"])
        if one.get("text"):
            channels.post(account, channel, "agent", one["text"], relay=False)
    return channel


def _session(account: EmulatedAccount, channel: Channel, status: str | None) -> str:
    session = simulate.ensure_session(account, channel)
    if status == "closed":
        proxy.change_status(account, session, "closed")
    return session.sid


def open_tasks(
    account: EmulatedAccount, channel_sids: list[str], status: str = "assigned", age_s: float = 0
) -> dict[str, Any]:
    """An open task on each channel or conversation, pending or assigned, made so many seconds ago."""
    made = []
    with account.clock.at(account.clock.now() - age_s):
        for sid in channel_sids:
            task = _open_task(account, sid)
            if status == "assigned" and task.status == "pending":
                accept = interactions.accept if task.conversation_sid else tasks.accept
                accept(account, task)
            made.append(task.sid)
    return {"tasks": made}


def _open_task(account: EmulatedAccount, sid: str) -> Task:
    if conversation := account.store.conversations.get(sid):
        return interactions.ensure_task(account, conversation, {"direction": "outbound"})
    if channel := account.store.channels.get(sid):
        return channels.ensure_task(account, channel, "outbound")
    raise Invalid(f"no channel {sid}")


def events(
    account: EmulatedAccount,
    channels: int = 0,
    events: int = 0,
    hours: float = 24.0,
    channel_sids: list[str] | None = None,
    raw: list[dict[str, Any]] | None = None,
    stack: str = "chat",
) -> dict[str, Any]:
    """At least `events` events over new (or the given) channels, by playing whole task lives within the last
    `hours`.

    New ones are of `stack`, the given ones of either.

    `raw` adds single events as they are, well formed or not: {"type", "data", "at_ms"?, "resource_sid"?}.
    """
    before = len(account.store.events)
    sids = channel_sids or [_fresh(account, stack, customer_number(40_000 + n)) for n in range(channels)]
    now, each = account.clock.now(), max(-(-events // (len(sids) or 1)), EVENTS_OF_A_LIFE)
    lives = each // EVENTS_OF_A_LIFE
    for place, sid in enumerate(sids if events else []):
        for history in range(lives):
            ago = hours * 3600 * (1 - (history + place / len(sids)) / lives) * 0.99 + 30
            _life(account, sid, now - ago, updates=each % EVENTS_OF_A_LIFE if history == 0 else 0)
    for one in raw or []:
        at = one["at_ms"] / 1000 if "at_ms" in one else now
        resource = ("task", one.get("resource_sid") or account.sids.new("WT"))
        actor = ("workspace", account.workspace_sid)
        tasks.add_event(account, one["type"], resource, actor, "injected", one.get("data"), at)
    return {"channels": sids, "events": len(account.store.events) - before}


def _fresh(account: EmulatedAccount, stack: str, customer: str) -> str:
    if stack == "conversations":
        return bulk_conversations.load(account, {"customer": customer}).sid
    return _channel(account, {"customer": customer, "session": True}).sid


def _life(account: EmulatedAccount, channel_sid: str, start: float, updates: int) -> None:
    """Created, accepted, updated, wrapped and completed within 20 seconds."""
    place = bulk_conversations.place(account, channel_sid) or {"channelSid": channel_sid}
    attributes = orjson.dumps({**place, "channelType": "sms", "direction": "inbound"}).decode()
    clock = account.clock
    with clock.at(start):
        task = tasks.create(account, attributes, channel_name="sms")
    with clock.at(start + 5):
        tasks.accept(account, task)
    for n in range(updates):
        with clock.at(start + 6 + n):
            tasks.change(account, task, priority=n + 1)
    with clock.at(start + 15):
        tasks.wrap(account, task)
    with clock.at(start + 20):
        tasks.finish(account, task, "completed", "agent ended chat")
