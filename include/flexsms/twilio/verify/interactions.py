"""Experiments with interactions, each about a conversation of its own.

Source: https://www.twilio.com/docs/flex/developer/conversations/interactions-api
"""

from __future__ import annotations

from functools import partial
from typing import Any

from flexsms.core.attributes import channel_type_of
from flexsms.core.redaction import mask_number
from flexsms.core.stack_name import StackName
from flexsms.twilio.taskrouter.task_list import OPEN_STATUSES, attributes_of
from flexsms.twilio.verify.experiment import Note, experiment
from flexsms.twilio.verify.own import NotPossible, Own, refusal
from flexsms.twilio.verify.own_conversations import OwnConversations

STACK = StackName.CONVERSATIONS
PAIR = ("number", "handset")
RESERVED = "reservation.created"


@experiment(
    "second-interaction",
    "closing-interaction",
    "closed-invite",
    stack=STACK,
    needs=PAIR,
    fields=("workspace_sid",),
    tasks=2,
)
async def lives(own: Own, note: Note) -> None:
    """An interaction, another one beside it, and its end."""
    conversations = OwnConversations(own)
    sid = await conversations.make(with_handset=True)
    interaction, channel, task = await conversations.start_interaction(sid)
    await conversations.wait_for(interaction, channel)
    refused = await refusal(conversations.start_interaction(sid))
    if refused is None:
        note("second-interaction", "opened")
    else:
        named = "names the channel" if channel in refused.detail else "names none"
        note("second-interaction", f"refused with {refused.code}, {named}")

    await conversations.close_interaction(interaction, channel)

    async def closed() -> bool | None:
        return await conversations.state(sid) == "closed" or None

    ends = {"task": await own.poll(partial(_is_over, own, task)), "conversation": await own.poll(closed)}
    note("closing-interaction", " and ".join(what for what, is_over in ends.items() if is_over) or "nothing")
    invites = conversations.interactions(interaction).channels(channel).invites
    refused = await refusal(invites.create_async(routing={"properties": conversations.routing()}))
    note("closed-invite", f"refused with {refused.code}" if refused else "opened")


@experiment(
    "interaction-worker",
    stack=STACK,
    needs=(*PAIR, "worker_sid"),
    fields=("workspace_sid", "queue_sid"),
    tasks=1,
)
async def workers(own: Own, note: Note) -> None:
    """An interaction whose routing names a worker."""
    conversations, wanted = OwnConversations(own), own.wishes.worker_sid
    sid = await conversations.make(with_handset=True)
    _, _, task = await conversations.start_interaction(
        sid, queue_sid=own.settings.need("queue_sid"), worker_sid=wanted
    )

    async def offered() -> str | None:
        found = await own.workspace.events.list_async(task_sid=task, event_type=RESERVED)
        return next((str(one.event_data.get("worker_sid")) for one in found), None)

    got = await own.poll(offered)
    if got is None:
        raise NotPossible("nobody was offered the task; make the agent available, and try again")
    note("interaction-worker", "yes" if got == wanted else "no, another one")


@experiment("agent-completes", stack=STACK, needs=PAIR, fields=("workspace_sid",), tasks=1, requests=1)
async def agents(own: Own, note: Note) -> None:
    """What an agent leaves behind."""
    conversations = OwnConversations(own)
    sid = await conversations.make(with_handset=True)
    interaction, channel, task = await conversations.start_interaction(sid)
    await conversations.wait_for(interaction, channel)

    async def closed() -> bool | None:
        return await conversations.state(sid) == "closed" or None

    request = "Accept the task of 'flexsms verify' in Flex, and leave it the way your agents do."
    await own.ask(request, partial(_is_over, own, task))
    note("agent-completes", "is closed" if await own.poll(closed, own.patience.ended) else "stays open")


@experiment(
    "late-text",
    "late-text-task",
    "task-channel-type",
    stack=STACK,
    needs=PAIR,
    fields=("workspace_sid",),
    tasks=1,
    requests=1,
)
async def late_texts(own: Own, note: Note) -> None:
    """A text into a conversation that a cleanup has just made inactive."""
    conversations = OwnConversations(own)
    sid = await conversations.make(with_handset=True)
    await conversations(sid).update_async(state="inactive")
    before = await conversations.of_the_pair()

    async def arrived() -> str | None:
        if await conversations.has_messages(sid):
            return sid
        return next((one for one in await conversations.of_the_pair() if one not in before), None)

    number = mask_number(own.wishes.number)
    where = await own.ask(f"Write any text from the handset to the number {number}.", arrived)
    if where != sid:
        conversations.adopt(where)
        note("late-text", "starts another conversation")
    else:
        is_awake = await conversations.state(sid) == "active"
        note("late-text", "wakes the conversation" if is_awake else "stays in the inactive conversation")

    async def opened() -> Any:
        found = await own.tasks("conversationSid", where, assignment_status=OPEN_STATUSES)
        return found[0] if found else None

    task = await own.poll(opened)
    note("late-text-task", "no" if task is None else "yes")
    if task is not None:
        note("task-channel-type", channel_type_of(await attributes_of(task) or {}) or "none")


async def _is_over(own: Own, task_sid: str) -> bool | None:
    """True when a task of ours has ended, None before."""
    tasks = await own.tasks(assignment_status=OPEN_STATUSES)
    return all(str(task.sid) != task_sid for task in tasks) or None
