"""Conversations' behaviour: who is in one, what is said, when it ends.

Sources: facts B.3 (states, timers), B.4 (one open conversation per pair of numbers), E.2, F. Unverified there and
decided here: both timers count from the last message, the last change of participants or the last reactivation, as
the dates in Twilio's example do. The codes 50353 and 50433 are in no
source of the facts sheet. Of `inactive` ones the switches `inactive_holds_pair` and `message_reactivates` decide (J6).
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import orjson

from ...http import Invalid, Problem
from ...state.account import NUMBER, NUMBER_CONVERSATIONS, NUMBER_SHORT_LIVED, World, timer
from ...state.rows.conversations import Conversation, Member, Receipt
from ...state.tables import Message
from ..messaging import outbox

HANDSET = re.compile(r"(whatsapp:)?\+[1-9]\d{1,14}")


def start(world: World, service_sid: str | None = None, **values: Any) -> Conversation:
    """A new conversation; `values` are fields of its row."""
    name = values.get("name")
    if name and world.store.conversations.named(service_sid or world.chat_service_sid, name):
        raise Problem(409, 50353, "Conversation with provided unique name already exists")
    conversation = Conversation(*world.stamp("CH"), parent=service_sid or world.chat_service_sid)
    conversation.active_at = conversation.created
    for field, value in values.items():
        setattr(conversation, field, value)
    world.store.conversations.add(conversation)
    _schedule(world, conversation)
    return conversation


def check_open(conversation: Conversation) -> None:
    """`closed` is final: 50377 (facts B.3), for its messages and participants too."""
    if not conversation.open:
        raise Problem(400, 50377, f"Conversation {conversation.sid} is closed and cannot be updated")


def change(world: World, conversation: Conversation, **values: Any) -> None:
    """New values; a new state or new timers start the timers again."""
    check_open(conversation)
    name = values.pop("name", conversation.name)
    if name != conversation.name:
        if name and world.store.conversations.named(conversation.parent, name):
            raise Problem(409, 50353, "Conversation with provided unique name already exists")
        world.store.conversations.rename(conversation, name)
    if values.get("state") == "active":
        check_pairs(world, conversation)
    conversation.updated = world.clock.now()
    if values.keys() & {"state", "inactive_after", "closed_after"}:
        conversation.active_at = conversation.updated
    for field, value in values.items():
        setattr(conversation, field, value)
    if "state" in values:
        _changed_state(world, conversation)
    _schedule(world, conversation)


def _changed_state(world: World, conversation: Conversation) -> None:
    world.index_conversation(conversation)
    if not conversation.open and not world.config.closed_keeps_name:
        world.store.conversations.rename(conversation, None)


def check_pairs(world: World, conversation: Conversation) -> None:
    """One that does not hold its pairs becomes active only if nobody else has got one of them meanwhile (50416)."""
    for member in members(world, conversation):
        holder = world.bound.get((member.address or "", member.proxy_address or ""))
        if holder not in (None, conversation.sid):
            raise _taken(world, str(holder))


def merge_attributes(world: World, conversation: Conversation, **values: Any) -> None:
    attributes = orjson.dumps({**conversation.facts(), **values}).decode()
    change(world, conversation, attributes=attributes)


def close(world: World, conversation: Conversation | None, state: str = "closed") -> None:
    """`closed`, or `inactive`; nothing for one that is gone or closed already."""
    if conversation is not None and conversation.open:
        change(world, conversation, state=state)


def drop(world: World, conversation: Conversation) -> None:
    """Delete it with its history. The pair is free; tasks and interaction channels stay behind as orphans."""
    for _, member in list(world.store.members.under(conversation.sid).forward()):
        world.index_member(member, present=False)
    for _, message in list(world.store.messages.under(conversation.sid).forward()):
        world.store.receipts.drop_under(message.sid)
    for table in (world.store.members, world.store.messages, world.store.webhooks):
        table.drop_under(conversation.sid)
    world.store.conversations.drop(conversation)


# Participants


def of_pair(world: World, address: str, proxy_address: str) -> Conversation | None:
    """The conversation, active or inactive, in which this customer and this number meet."""
    return world.store.conversations.get(world.bound.get((address, proxy_address)))


def members(world: World, conversation: Conversation) -> list[Member]:
    return [member for _, member in world.store.members.under(conversation.sid).forward()]


def handset(world: World, conversation: Conversation) -> Member | None:
    """The customer: the first participant that has an address."""
    return next((one for one in members(world, conversation) if one.address), None)


def binding_type(member: Member) -> str:
    """What kind of address a customer has."""
    return "whatsapp" if (member.address or "").startswith("whatsapp:") else "sms"


def check_binding(world: World, address: str, proxy_address: str | None, *, code: int = 50416) -> None:
    """The codes of facts B.4; `code` is the one for a pair that is taken."""
    if not HANDSET.fullmatch(address):
        raise Problem(400, 50407, f"Invalid messaging binding address: {address}")
    if not proxy_address:
        raise Problem(400, 50412, "Messaging binding proxy address is required")
    if proxy_address == address:
        raise Problem(400, 50409, "Messaging binding address and proxy address must differ")
    if not is_ours(world, proxy_address):
        raise Problem(400, 50408, f"Invalid messaging binding proxy address: {proxy_address}")
    if (taken := world.bound.get((address, proxy_address))) is not None:
        raise _taken(world, taken, code)


def _taken(world: World, holder: str, code: int = 50416) -> Problem:
    sentence = "A binding for this participant and proxy address already exists in Conversation"
    named = f" {holder}" if world.config.pair_refusal_names_conversation else ""
    return Problem(409, code, f"{sentence}{named}")


def is_ours(world: World, number: str) -> bool:
    """Whether the account has this number: those it was born with, and whatever has an address configuration."""
    mine = (NUMBER, NUMBER_SHORT_LIVED, NUMBER_CONVERSATIONS, *(one.address for one in world.store.addresses))
    return number.removeprefix("whatsapp:") in mine or number in mine


def add_member(world: World, conversation: Conversation, **values: Any) -> Member:
    """A handset or a chat user joins; `values` are fields of its row."""
    check_open(conversation)
    address, identity = values.get("address"), values.get("identity")
    if address:
        check_binding(world, address, values.get("proxy_address"))
    elif not identity:
        raise Invalid("Identity not provided")
    if identity and any(one.identity == identity for one in members(world, conversation)):
        raise Problem(409, 50433, f"Participant {identity} already exists")
    member = Member(*world.stamp("MB"), parent=conversation.sid)
    member.role_sid = "RL" + world.sids.token("channel role")
    for field, value in values.items():
        setattr(member, field, value)
    world.store.members.add(member)
    world.index_member(member)
    touch(world, conversation)
    return member


def remove_member(world: World, conversation: Conversation, member: Member) -> None:
    world.store.members.drop(member)
    world.index_member(member, present=False)
    touch(world, conversation)


# Messages


def post(
    world: World, conversation: Conversation, author: str, body: str | None, attributes: str = "{}"
) -> Message:
    """Append a message, and text it to every handset in the conversation but its author's."""
    check_open(conversation)
    people = members(world, conversation)
    writer = next((one for one in people if author in (one.address, one.identity)), None)
    message = Message(
        *world.stamp("IM"),
        conversation.sid,
        author,
        body,
        attributes,
        conversation.messages,
        writer.sid if writer else None,
    )
    conversation.messages += 1
    if world.config.message_moves_date:
        conversation.updated = message.created
    world.store.messages.add(message)
    if conversation.state == "inactive" and world.config.message_reactivates:
        _reactivate(world, conversation)
    touch(world, conversation)
    for one in people:
        if one.address and one is not writer:
            _text(world, conversation, message, one)
    return message


def _reactivate(world: World, conversation: Conversation) -> None:
    with suppress(Problem):  # its pair is in another one by now: it stays as it is
        check_pairs(world, conversation)
        conversation.state, conversation.updated = "active", world.clock.now()
        world.index_conversation(conversation)


def _text(world: World, conversation: Conversation, message: Message, to: Member) -> None:
    sms = outbox.dispatch(
        world,
        conversation.sid,
        to.address or "",
        to.proxy_address or "",
        message.body or "",
        channel_sid=conversation.sid,
        message_sid=message.sid,
    )
    world.store.receipts.add(Receipt(*world.stamp("DY"), message.sid, sms.sid, to.sid))


# Timers


def touch(world: World, conversation: Conversation) -> None:
    """Something happened: the timers start again."""
    conversation.active_at = world.clock.now()
    _schedule(world, conversation)


def _schedule(world: World, conversation: Conversation) -> None:
    for due in (conversation.date_inactive, conversation.date_closed):
        if due is not None:
            world.schedule(due, "conversation.timer", conversation.sid)


@timer("conversation.timer")
def _due(world: World, sid: str) -> None:
    conversation = world.store.conversations.get(sid)
    if conversation is None:
        return
    now = world.clock.now()
    for state, due in (("closed", conversation.date_closed), ("inactive", conversation.date_inactive)):
        if due is not None and due <= now:
            conversation.state, conversation.updated = state, now
            _changed_state(world, conversation)
            return
