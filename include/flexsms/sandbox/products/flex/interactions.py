"""Flex's behaviour around interactions: their channels, the agents in them, and how they end.

Sources: https://www.twilio.com/docs/flex/developer/conversations/interactions-api (statuses, closing) and
https://www.twilio.com/docs/flex/developer/conversations/park-an-interaction (park). Unverified there and decided here:
a new interaction has its conversation and its task at once, and half a second later (`interaction_setup_s`) its
customer, or it has `failed`: then its task is canceled and the conversation it made is closed. The task of
`initiated_by` agent is reserved for the worker until somebody accepts it; who accepts is in the conversation by name
until the task ends. Closing a channel cancels tasks that nobody accepted. `inactive` makes the conversation inactive.
A task that is canceled or deleted through TaskRouter leaves the channel and the conversation as they are: the orphans
that Twilio's page warns of.
"""

from __future__ import annotations

from typing import Any

import orjson

from ...http import Problem
from ...state.account import EmulatedAccount, timer
from ...state.rows.conversations import Conversation, FlexChannel, FlexInteraction, FlexParticipant
from ...state.rows.taskrouter import Task
from ..conversations import behaviour as conversations
from ..taskrouter import tasks
from .invites import Routing, invite

# Twilio's page on interactions: a channel is deleted after 180 days in which nothing happened to it.
FORGOTTEN_AFTER_S = 180 * 86400
USABLE = ("setup", "active", "inactive")


def start(
    account: EmulatedAccount,
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
    interaction = FlexInteraction(*account.stamp("KD"), "interactions", kind, **values)
    own = conversation is None
    if conversation is None:
        conversation = conversations.start(account, friendly_name=customer)
    elif member := conversations.handset(account, conversation):
        customer, number = member.address, member.proxy_address
    sid, seq, now, _ = account.stamp("UO")
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
    account.store.flex_interactions.add(interaction)
    account.store.flex_channels.add(channel)
    account.index_flex_channel(channel)
    interaction.invite_sid = invite(account, channel, routing).sid
    account.schedule(now + account.settings.interaction_setup_s, "interaction.setup", channel.sid)
    return interaction


@timer("interaction.setup")
def _setup(account: EmulatedAccount, sid: str) -> None:
    if (channel := account.store.flex_channels.get(sid)) and channel.status == "setup":
        activate(account, channel)


def activate(account: EmulatedAccount, channel: FlexChannel) -> None:
    """The customer joins and the channel is active, or it has failed and says why."""
    failures = account.settings.interaction_failures
    failure = failures.get(channel.customer or "") or failures.get("*")
    if failure:
        fail(account, channel, failure.get("error_code"), failure.get("error_message"))
        return
    conversation = account.store.conversations.get(channel.conversation_sid)
    try:
        if conversation is None:
            raise Problem(404, 20404, f"Conversation {channel.conversation_sid} was not found")
        conversations.check_open(conversation)
        if channel.own and channel.customer:
            conversations.add_member(
                account, conversation, address=channel.customer, proxy_address=channel.number
            )
    except Problem as problem:
        if problem.code != 50416 or account.settings.interaction_conflict_fails:
            fail(account, channel, problem.code, problem.message)
            return
    _set_status(account, channel, "active")
    account.store.flex_participants.add(FlexParticipant(*account.stamp("UT"), channel.sid, "customer"))


def fail(
    account: EmulatedAccount, channel: FlexChannel, code: int | None = None, message: str | None = None
) -> None:
    channel.error_code, channel.error_message = code or 19025, message or "Channel validation error"
    _end_tasks(account, channel, "closed", channel.error_message)
    _set_status(account, channel, "failed")
    if channel.own:
        conversations.close(account, account.store.conversations.get(channel.conversation_sid))


def close(
    account: EmulatedAccount, channel: FlexChannel, status: str = "closed", routing: str = "closed"
) -> None:
    """`closed` or `inactive`, its tasks `closed` or in `wrapup`; closing it again only logs a warning (80906)."""
    if channel.status not in USABLE:
        return
    _end_tasks(account, channel, routing, "interaction channel closed")
    _set_status(account, channel, status)
    if status != "closed" or account.settings.closing_ends_conversation:
        conversations.close(account, account.store.conversations.get(channel.conversation_sid), status)


def _end_tasks(account: EmulatedAccount, channel: FlexChannel, routing: str, reason: str) -> None:
    for _, one in account.store.invites.under(channel.sid).forward():
        task = account.store.tasks.get(one.task_sid)
        if task is not None and task.status in tasks.OPEN:
            end_task(account, task, routing, reason)


def end_task(account: EmulatedAccount, task: Task, routing: str, reason: str) -> None:
    """`closed` completes, `wrapup` starts wrapping; a task that nobody accepted is canceled."""
    if task.status in ("pending", "reserved"):
        tasks.finish(account, task, "canceled", reason, tasks.by_account(account))
    elif routing == "closed":
        tasks.finish(account, task, "completed", reason)
    elif task.status == "assigned":
        tasks.wrap(account, task)
    if task.status in tasks.FINISHED:
        _leave(account, task)


def _set_status(account: EmulatedAccount, channel: FlexChannel, status: str) -> None:
    channel.status, channel.updated = status, account.clock.now()
    channel.used = channel.updated


# Agents


def accept(account: EmulatedAccount, task: Task, worker_sid: str | None = None) -> None:
    """An agent takes the task and joins the channel and the conversation."""
    tasks.accept(account, task, worker_sid)
    channel, conversation = _places(account, task)
    if channel is not None:
        routing = {"task_sid": task.sid, "worker_sid": task.worker_sid}
        routing["reservation_sid"] = task.reservation_sid
        account.store.flex_participants.add(
            FlexParticipant(*account.stamp("UT"), channel.sid, "agent", routing)
        )
    name = tasks.fixture_name(account, task.worker_sid)
    if conversation is not None and conversation.open and name not in _identities(account, conversation):
        conversations.add_member(account, conversation, identity=name)


def ended(account: EmulatedAccount, task: Task, *, from_ui: bool) -> None:
    """After an agent's task: they leave. `keep_conversations_open` says whether that ends the conversation, too."""
    _leave(account, task)
    channel, conversation = _places(account, task)
    if not from_ui or account.settings.keep_conversations_open:
        return
    if channel is not None:
        close(account, channel)
    else:
        conversations.close(account, conversation)


def leave(account: EmulatedAccount, channel: FlexChannel, one: FlexParticipant, status: str) -> None:
    """Park: the agent's task ends (`closed`) or wraps up, the channel and the conversation stay
    (https://www.twilio.com/docs/flex/developer/conversations/interactions-api)."""
    channel.used = one.updated = account.clock.now()
    task = account.store.tasks.get(one.routing["task_sid"]) if one.routing else None
    if task is not None and task.status in tasks.OPEN:
        end_task(account, task, status, "agent left")
    elif status == "closed":
        one.left = True


def _leave(account: EmulatedAccount, task: Task) -> None:
    channel, conversation = _places(account, task)
    for _, one in account.store.flex_participants.under(channel.sid).forward() if channel else ():
        if one.routing and one.routing["task_sid"] == task.sid:
            one.left, one.updated = True, account.clock.now()
    name = tasks.fixture_name(account, task.worker_sid)
    for member in conversations.members(account, conversation) if conversation else []:
        if name and member.identity == name and conversation:
            conversations.remove_member(account, conversation, member)


def _identities(account: EmulatedAccount, conversation: Conversation) -> set[str | None]:
    return {member.identity for member in conversations.members(account, conversation)}


def _places(account: EmulatedAccount, task: Task) -> tuple[FlexChannel | None, Conversation | None]:
    """The interaction channel and the conversation that a task is about."""
    sid = orjson.loads(task.attributes).get("flexInteractionChannelSid")
    return account.store.flex_channels.get(sid), account.store.conversations.get(task.conversation_sid)


def open_now(account: EmulatedAccount, customer: str, number: str, routing: Routing) -> Conversation:
    """A routed interaction whose setup is over at once: for histories and bulk, not for requests."""
    interaction = start(account, "api", routing, customer=customer, number=number)
    channel = account.store.flex_channels.get(interaction.channel_sid)
    assert channel is not None  # noqa: S101 (made by start)
    activate(account, channel)
    conversation = account.store.conversations.get(channel.conversation_sid)
    assert conversation is not None  # noqa: S101 (made by start)
    return conversation


# Finding, and going on


def wake(account: EmulatedAccount, channel: FlexChannel) -> None:
    """Somebody was invited: an inactive channel is active again."""
    if channel.status == "inactive":
        _set_status(account, channel, "active")


def forgotten(account: EmulatedAccount, channel: FlexChannel) -> bool:
    return account.clock.now() - channel.used > FORGOTTEN_AFTER_S


def of_conversation(account: EmulatedAccount, conversation_sid: str) -> FlexChannel | None:
    """The newest channel of a conversation."""
    return account.store.flex_channels.get(
        next(reversed(account.flex_channels.get(conversation_sid, {})), None)
    )


def live(account: EmulatedAccount, conversation: Conversation) -> FlexChannel | None:
    """The interaction channel of a conversation, unless it has ended or Flex has forgotten it."""
    channel = of_conversation(account, conversation.sid)
    if channel is None or channel.status not in USABLE or forgotten(account, channel):
        return None
    return channel


def check_single(account: EmulatedAccount, conversation: Conversation) -> None:
    """A conversation has one interaction channel: Flex drops the request for another one (45353)."""
    channel = live(account, conversation)
    if channel is not None and account.settings.second_interaction == "refused":
        named = f" sid {channel.sid}" if account.settings.refusal_names_channel else ""
        sentence = f"The Conversation sid {conversation.sid} already has a mapped Channel{named}."
        raise Problem(409, 45353, sentence)


def ensure_task(
    account: EmulatedAccount, conversation: Conversation, given: dict[str, Any] | None = None
) -> Task:
    """The conversation's open task, or a new one: an invite on its interaction channel, else a new interaction.

    Nothing says which of the two Flex does for a parked conversation; Flex's own template invites
    (https://www.twilio.com/docs/flex/developer/conversations/park-an-interaction).
    """
    return tasks.open_task(account, conversation.sid) or invite_again(account, conversation, given)


def invite_again(
    account: EmulatedAccount, conversation: Conversation, given: dict[str, Any] | None = None
) -> Task:
    """One more task, whether there is one or not."""
    routing = Routing(attributes=given or {})
    channel = live(account, conversation)
    if channel is not None:
        task_sid = invite(account, channel, routing).task_sid
        wake(account, channel)
    else:
        customer = conversations.handset(account, conversation)
        kind = conversations.binding_type(customer) if customer else "web"
        interaction = start(account, "customer", routing, conversation=conversation, kind=kind)
        row = account.store.invites.get(interaction.invite_sid)
        assert row is not None  # noqa: S101 (made by start)
        task_sid = row.task_sid
    found = account.store.tasks.get(task_sid)
    assert found is not None  # noqa: S101 (made by invite)
    return found
