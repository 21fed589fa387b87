"""Experiments with Programmable Chat and Proxy, over channels and sessions of their own.

Sources: https://www.twilio.com/docs/flex/developer/messaging/chat-channel, https://www.twilio.com/docs/proxy/api
"""

from __future__ import annotations

from typing import Any

from flexsms.core.exceptions import NotFound, TwilioError
from flexsms.core.redaction import mask_number
from flexsms.core.stack_name import StackName
from flexsms.twilio.stacks.short_lived import RETIRED
from flexsms.twilio.taskrouter.task_list import OPEN_STATUSES, attributes_of
from flexsms.twilio.verify.experiment import Note, experiment
from flexsms.twilio.verify.own import Own, refusal
from flexsms.twilio.verify.own_channels import OwnChannels

STACK = StackName.CHAT
SERVICES = ("chat_service_sid", "session_service_sid")
FIELDS = (*SERVICES, "workspace_sid")
PAIR = ("number", "handset")
BODY = "A test of flexsms verify, please ignore it."


@experiment("chat-served", stack=STACK, fields=SERVICES)
async def products(own: Own, note: Note) -> None:
    """Whether Twilio still has the products."""
    chat = own.client.chat.v2.services(own.settings.chat_service_sid)
    proxy = own.client.proxy.v1.services(own.settings.session_service_sid)
    refused = [await refusal(ask.fetch_async()) for ask in (chat, proxy)]
    note("chat-served", ", ".join(dict.fromkeys(_said(one) for one in refused)))


@experiment(
    "channel-matching",
    "channel-reuse-task",
    "inactive-header",
    stack=STACK,
    needs=PAIR,
    fields=FIELDS,
    tasks=4,
)
async def channels(own: Own, note: Note) -> None:
    """What Flex gives to whoever asks for the channel of two numbers."""
    ours = OwnChannels(own)
    first = await ours.make()
    again = await ours.make()
    note("channel-matching", "the numbers" if again.sid == first.sid else "more than the numbers")
    if again.sid != first.sid:
        return
    await own.end_tasks()
    later = await ours.make()
    if later.sid == first.sid:
        is_new = later.task_sid and later.task_sid != first.task_sid
        note("channel-reuse-task", "a new task" if is_new else "no new task")
    sid = str(later.sid)
    await own.end_tasks()
    await ours.write(sid, RETIRED, header=False)
    if (await ours.make()).sid != sid:
        note("inactive-header", "not needed")
        return
    await own.end_tasks()
    await ours.write(sid, {"status": "ACTIVE"}, header=True)
    await ours.write(sid, RETIRED, header=True)
    note("inactive-header", "needed" if (await ours.make()).sid != sid else "not even with it")


@experiment(
    "session-by-name",
    "session-stamped",
    "pair-taken",
    "relay-named",
    "reopen-taken",
    stack=STACK,
    needs=PAIR,
    fields=FIELDS,
    tasks=1,
    texts=1,
)
async def sessions(own: Own, note: Note) -> None:
    """A session, another one that wants its pair, and a text through the first."""
    ours = OwnChannels(own)
    channel_sid = str((await ours.make()).sid)
    session_sid = await ours.open_first_session(channel_sid)
    refused = await refusal(ours.sessions(channel_sid).fetch_async())
    note("session-by-name", "no" if refused else "yes")

    async def stamped() -> bool | None:
        return (await ours.attributes(channel_sid)).get("proxySession") == session_sid or None

    note("session-stamped", "yes" if await own.poll(stamped) else "no")
    other = f"{own.mark}.other"
    note("pair-taken", _pair_refusal(await refusal(ours.open_session(other))))
    if own.wishes.wants("relay-named"):  # a text costs money
        note("relay-named", await _relayed(own, ours, channel_sid, session_sid))

    session = ours.sessions(session_sid)
    await session.update_async(status="closed")
    if await refusal(ours.open_session(f"{other}.2")) is None:
        note("reopen-taken", _pair_refusal(await refusal(session.update_async(status="in-progress"))))


@experiment("inactive-captures", stack=STACK, needs=PAIR, fields=FIELDS, tasks=2, requests=1)
async def late_texts(own: Own, note: Note) -> None:
    """A text to a channel that was made inactive by somebody who left its session open."""
    ours = OwnChannels(own)
    sid = str((await ours.make()).sid)
    session_sid = await ours.open_first_session(sid)
    await own.end_tasks()
    await ours.write(sid, RETIRED, header=True)
    count = (await ours(sid).fetch_async()).messages_count
    before = await _channels_of_the_pair(own)

    async def arrived() -> str | None:
        if (await ours(sid).fetch_async()).messages_count > count:
            return sid
        return next(iter(await _channels_of_the_pair(own) - before), None)

    number = mask_number(own.wishes.number)
    where = await own.ask(f"Write any text from the handset to the number {number}.", arrived)
    if where != sid:
        ours.adopt(where)
    note("inactive-captures", "yes" if where == sid else "no, it starts another channel")
    with_session = ours.sessions(session_sid)
    if str((await with_session.fetch_async()).status) != "closed":
        await with_session.update_async(status="closed")


async def _relayed(own: Own, ours: OwnChannels, channel_sid: str, session_sid: str) -> str:
    """Whether Proxy says by which chat message a text came in."""
    message = await ours(channel_sid).messages.create_async(body=BODY)

    async def shown() -> list[Any] | None:
        return await ours.sessions(session_sid).interactions.list_async(limit=20) or None

    found = await own.poll(shown)
    if found is None:
        return "nothing is relayed"
    return "yes" if any(one.inbound_resource_sid == message.sid for one in found) else "no"


async def _channels_of_the_pair(own: Own) -> set[str]:
    """The channels of open tasks of the two numbers. They are compared here: an expression is part of a URL."""
    found = set()
    for task in await own.workspace.tasks.list_async(assignment_status=OPEN_STATUSES, page_size=1000):
        attributes = await attributes_of(task) or {}
        if {attributes.get("from"), attributes.get("to")} == {own.wishes.handset, own.wishes.number}:
            found.add(str(attributes.get("channelSid")))
    return found


def _pair_refusal(refused: TwilioError | None) -> str:
    if refused is None:
        return "none"
    return f"{refused.code}, {'names the session' if 'KC' in refused.detail else 'names none'}"


def _said(refused: TwilioError | None) -> str:
    if refused is None:
        return "yes"
    return "no, 404" if isinstance(refused, NotFound) else f"no, {refused.status}"
