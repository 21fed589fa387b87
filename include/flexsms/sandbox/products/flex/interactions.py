"""Flex's behaviour around interactions: their channels, the agents in them, and how they end.

Sources: facts B.1 (statuses, closing semantics), B.2 (park). Unverified there and decided
here: a new interaction has its conversation and its task at once, and half a second later (`interaction_setup_s`)
its customer, or it has `failed`: then its task is canceled and the conversation it made is closed. The task of
`initiated_by` agent is reserved for the worker until somebody accepts it; who accepts is in the conversation by
name until the task ends. Closing a channel cancels tasks that nobody accepted. `inactive` makes the conversation
inactive. A task that is canceled or deleted through TaskRouter
leaves the channel and the conversation as they are: the orphans that facts B.1 warns of.
"""

from __future__ import annotations

from typing import Any

import orjson

from ...http import Problem
from ...state.account import World, timer
from ...state.rows.conversations import Conversation, FlexChannel, FlexInteraction, FlexParticipant
from ...state.tables import Task
from ..conversations import behaviour as conversations
from ..taskrouter import tasks
from .invites import Routing, invite

# Facts B.1: a channel is deleted after 180 days in which nothing happened to it.
FORGOTTEN_AFTER_S = 180 * 86400
USABLE = ("setup", "active", "inactive")


def start(
    world: World,
    initiated_by: str,
    routing: Routing,
    *,
    conversation: Conversation | None = None,
    kind: str = "sms",
    customer: str | None = None,
    number: str | None = None,
    **values: Any,
) -> FlexInteraction:
    """A new interaction, its channel still in `setup`.

    Parameters
    ----------
    initiated_by: agent, customer or api.
    conversation: the existing one that it is about, or None for a new one between `customer` and `number`.
    values: more fields of its row.
    """
    interaction = FlexInteraction(*world.stamp("KD"), "interactions", kind, **values)
    own = conversation is None
    if conversation is None:
        conversation = conversations.start(world, friendly_name=customer)
    elif member := conversations.handset(world, conversation):
        customer, number = member.address, member.proxy_address
    sid, seq, now, _ = world.stamp("UO")
    channel = FlexChannel(
        sid,
        seq,
        now,
        now,
        interaction.sid,
        kind,
        "setup",
        initiated_by,
        conversation.sid,
        customer,
        number,
        own,
        used=now,
    )
    interaction.channel_sid = channel.sid
    world.store.flex_interactions.add(interaction)
    world.store.flex_channels.add(channel)
    world.index_flex_channel(channel)
    interaction.invite_sid = invite(world, channel, routing).sid
    world.schedule(now + world.config.interaction_setup_s, "interaction.setup", channel.sid)
    return interaction


@timer("interaction.setup")
def _setup(world: World, sid: str) -> None:
    if (channel := world.store.flex_channels.get(sid)) and channel.status == "setup":
        activate(world, channel)


def activate(world: World, channel: FlexChannel) -> None:
    """The customer joins and the channel is active, or it has failed and says why."""
    failures = world.config.interaction_failures
    failure = failures.get(channel.customer or "") or failures.get("*")
    if failure:
        fail(world, channel, failure.get("error_code"), failure.get("error_message"))
        return
    conversation = world.store.conversations.get(channel.conversation_sid)
    try:
        if conversation is None:
            raise Problem(404, 20404, f"Conversation {channel.conversation_sid} was not found")
        conversations.check_open(conversation)
        if channel.own and channel.customer:
            conversations.add_member(
                world, conversation, address=channel.customer, proxy_address=channel.number
            )
    except Problem as problem:
        if problem.code != 50416 or world.config.interaction_conflict_fails:
            fail(world, channel, problem.code, problem.message)
            return
    _set_status(world, channel, "active")
    world.store.flex_participants.add(FlexParticipant(*world.stamp("UT"), channel.sid, "customer"))


def fail(world: World, channel: FlexChannel, code: int | None = None, message: str | None = None) -> None:
    channel.error_code, channel.error_message = code or 19025, message or "Channel validation error"
    _end_tasks(world, channel, "closed", channel.error_message)
    _set_status(world, channel, "failed")
    if channel.own:
        conversations.close(world, world.store.conversations.get(channel.conversation_sid))


def close(world: World, channel: FlexChannel, status: str = "closed", routing: str = "closed") -> None:
    """`closed` or `inactive`, its tasks `closed` or in `wrapup`; closing it again only logs a warning (80906)."""
    if channel.status not in USABLE:
        return
    _end_tasks(world, channel, routing, "interaction channel closed")
    _set_status(world, channel, status)
    if status != "closed" or world.config.closing_ends_conversation:
        conversations.close(world, world.store.conversations.get(channel.conversation_sid), status)


def _end_tasks(world: World, channel: FlexChannel, routing: str, reason: str) -> None:
    for _, one in world.store.invites.under(channel.sid).forward():
        task = world.store.tasks.get(one.task_sid)
        if task is not None and task.status in tasks.OPEN:
            end_task(world, task, routing, reason)


def end_task(world: World, task: Task, routing: str, reason: str) -> None:
    """`closed` completes, `wrapup` starts wrapping; a task that nobody accepted is canceled."""
    if task.status in ("pending", "reserved"):
        tasks.finish(world, task, "canceled", reason, tasks.account(world))
    elif routing == "closed":
        tasks.finish(world, task, "completed", reason)
    elif task.status == "assigned":
        tasks.wrap(world, task)
    if task.status in tasks.FINISHED:
        _leave(world, task)


def _set_status(world: World, channel: FlexChannel, status: str) -> None:
    channel.status, channel.updated = status, world.clock.now()
    channel.used = channel.updated


# Agents


def accept(world: World, task: Task, worker_sid: str | None = None) -> None:
    """An agent takes the task and joins the channel and the conversation."""
    tasks.accept(world, task, worker_sid)
    channel, conversation = _places(world, task)
    if channel is not None:
        routing = {"task_sid": task.sid, "worker_sid": task.worker_sid}
        routing["reservation_sid"] = task.reservation_sid
        world.store.flex_participants.add(FlexParticipant(*world.stamp("UT"), channel.sid, "agent", routing))
    name = tasks.fixture_name(world, task.worker_sid)
    if conversation is not None and conversation.open and name not in _identities(world, conversation):
        conversations.add_member(world, conversation, identity=name)


def ended(world: World, task: Task, *, from_ui: bool) -> None:
    """After an agent's task: they leave. `keep_conversations_open` says whether that ends the conversation, too."""
    _leave(world, task)
    channel, conversation = _places(world, task)
    if not from_ui or world.config.keep_conversations_open:
        return
    if channel is not None:
        close(world, channel)
    else:
        conversations.close(world, conversation)


def leave(world: World, channel: FlexChannel, one: FlexParticipant, status: str) -> None:
    """Park: the agent's task ends (`closed`) or wraps up, the channel and the conversation stay (facts B.1)."""
    channel.used = one.updated = world.clock.now()
    task = world.store.tasks.get(one.routing["task_sid"]) if one.routing else None
    if task is not None and task.status in tasks.OPEN:
        end_task(world, task, status, "agent left")
    elif status == "closed":
        one.left = True


def _leave(world: World, task: Task) -> None:
    channel, conversation = _places(world, task)
    for _, one in world.store.flex_participants.under(channel.sid).forward() if channel else ():
        if one.routing and one.routing["task_sid"] == task.sid:
            one.left, one.updated = True, world.clock.now()
    name = tasks.fixture_name(world, task.worker_sid)
    for member in conversations.members(world, conversation) if conversation else []:
        if name and member.identity == name and conversation:
            conversations.remove_member(world, conversation, member)


def _identities(world: World, conversation: Conversation) -> set[str | None]:
    return {member.identity for member in conversations.members(world, conversation)}


def _places(world: World, task: Task) -> tuple[FlexChannel | None, Conversation | None]:
    """The interaction channel and the conversation that a task is about."""
    sid = orjson.loads(task.attributes).get("flexInteractionChannelSid")
    return world.store.flex_channels.get(sid), world.store.conversations.get(task.conversation_sid)


def open_now(world: World, customer: str, number: str, routing: Routing) -> Conversation:
    """A routed interaction whose setup is over at once: for histories and bulk, not for requests."""
    interaction = start(world, "api", routing, customer=customer, number=number)
    channel = world.store.flex_channels.get(interaction.channel_sid)
    assert channel is not None  # noqa: S101 (made by start)
    activate(world, channel)
    conversation = world.store.conversations.get(channel.conversation_sid)
    assert conversation is not None  # noqa: S101 (made by start)
    return conversation


# Finding, and going on


def wake(world: World, channel: FlexChannel) -> None:
    """Somebody was invited: an inactive channel is active again."""
    if channel.status == "inactive":
        _set_status(world, channel, "active")


def forgotten(world: World, channel: FlexChannel) -> bool:
    return world.clock.now() - channel.used > FORGOTTEN_AFTER_S


def of_conversation(world: World, conversation_sid: str) -> FlexChannel | None:
    """The newest channel of a conversation."""
    return world.store.flex_channels.get(next(reversed(world.flex_channels.get(conversation_sid, {})), None))


def live(world: World, conversation: Conversation) -> FlexChannel | None:
    """The interaction channel of a conversation, unless it has ended or Flex has forgotten it."""
    channel = of_conversation(world, conversation.sid)
    if channel is None or channel.status not in USABLE or forgotten(world, channel):
        return None
    return channel


def check_single(world: World, conversation: Conversation) -> None:
    """A conversation has one interaction channel: Flex drops the request for another one (45353)."""
    channel = live(world, conversation)
    if channel is not None and world.config.second_interaction == "refused":
        named = f" sid {channel.sid}" if world.config.refusal_names_channel else ""
        sentence = f"The Conversation sid {conversation.sid} already has a mapped Channel{named}."
        raise Problem(409, 45353, sentence)


def ensure_task(world: World, conversation: Conversation, given: dict[str, Any] | None = None) -> Task:
    """The conversation's open task, or a new one: an invite on its interaction channel, else a new interaction.

    Nothing says which of the two Flex does for a parked conversation; Flex's own template invites (facts B.2).
    """
    return tasks.open_task(world, conversation.sid) or invite_again(world, conversation, given)


def invite_again(world: World, conversation: Conversation, given: dict[str, Any] | None = None) -> Task:
    """One more task, whether there is one or not."""
    routing = Routing(attributes=given or {})
    channel = live(world, conversation)
    if channel is not None:
        task_sid = invite(world, channel, routing).task_sid
        wake(world, channel)
    else:
        customer = conversations.handset(world, conversation)
        kind = conversations.binding_type(customer) if customer else "web"
        interaction = start(world, "customer", routing, conversation=conversation, kind=kind)
        row = world.store.invites.get(interaction.invite_sid)
        assert row is not None  # noqa: S101 (made by start)
        task_sid = row.task_sid
    found = world.store.tasks.get(task_sid)
    assert found is not None  # noqa: S101 (made by invite)
    return found
