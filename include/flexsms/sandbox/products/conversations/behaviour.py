"""Conversations' behaviour: who is in one, what is said, when it ends.

Sources: https://www.twilio.com/docs/conversations-classic/states-timers (states, timers) and
https://www.twilio.com/docs/api/errors/50416 (one open conversation per pair of numbers). Unverified there and decided
here: both timers count from the last message, the last change of participants or the last reactivation, as the dates
in Twilio's example do. The codes 50353 and 50433 are in no page that was found. Of `inactive` ones the switches
`inactive_holds_pair` and `message_reactivates` decide.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import orjson

from ...http import Invalid, Problem
from ...state.account import NUMBER, NUMBER_CONVERSATIONS, NUMBER_SHORT_LIVED, EmulatedAccount, timer
from ...state.rows.chat import Message
from ...state.rows.conversations import Conversation, Member, Receipt
from ..messaging import outbox

HANDSET = re.compile(r"(whatsapp:)?\+[1-9]\d{1,14}")


def start(account: EmulatedAccount, service_sid: str | None = None, **values: Any) -> Conversation:
    """A new conversation; `values` are fields of its row."""
    name = values.get("name")
    if name and account.store.conversations.named(service_sid or account.chat_service_sid, name):
        raise Problem(409, 50353, "Conversation with provided unique name already exists")
    conversation = Conversation(*account.stamp("CH"), parent=service_sid or account.chat_service_sid)
    conversation.active_at = conversation.created
    for field, value in values.items():
        setattr(conversation, field, value)
    account.store.conversations.add(conversation)
    _schedule(account, conversation)
    return conversation


def check_open(conversation: Conversation) -> None:
    """`closed` is final (https://www.twilio.com/docs/api/errors/50377), for its messages and participants too."""
    if not conversation.open:
        raise Problem(400, 50377, f"Conversation {conversation.sid} is closed and cannot be updated")


def change(account: EmulatedAccount, conversation: Conversation, **values: Any) -> None:
    """New values; a new state or new timers start the timers again."""
    check_open(conversation)
    name = values.pop("name", conversation.name)
    if name != conversation.name:
        if name and account.store.conversations.named(conversation.parent, name):
            raise Problem(409, 50353, "Conversation with provided unique name already exists")
        account.store.conversations.rename(conversation, name)
    if values.get("state") == "active":
        check_pairs(account, conversation)
    conversation.updated = account.clock.now()
    if values.keys() & {"state", "inactive_after", "closed_after"}:
        conversation.active_at = conversation.updated
    for field, value in values.items():
        setattr(conversation, field, value)
    if "state" in values:
        _changed_state(account, conversation)
    _schedule(account, conversation)


def _changed_state(account: EmulatedAccount, conversation: Conversation) -> None:
    account.index_conversation(conversation)
    if not conversation.open and not account.settings.closed_keeps_name:
        account.store.conversations.rename(conversation, None)


def check_pairs(account: EmulatedAccount, conversation: Conversation) -> None:
    """One that does not hold its pairs becomes active only if nobody else has got one of them meanwhile (50416)."""
    for member in members(account, conversation):
        holder = account.bound.get((member.address or "", member.proxy_address or ""))
        if holder not in (None, conversation.sid):
            raise _taken(account, str(holder))


def merge_attributes(account: EmulatedAccount, conversation: Conversation, **values: Any) -> None:
    attributes = orjson.dumps({**conversation.parsed_attributes(), **values}).decode()
    change(account, conversation, attributes=attributes)


def close(account: EmulatedAccount, conversation: Conversation | None, state: str = "closed") -> None:
    """`closed`, or `inactive`; nothing for one that is gone or closed already."""
    if conversation is not None and conversation.open:
        change(account, conversation, state=state)


def drop(account: EmulatedAccount, conversation: Conversation) -> None:
    """Delete it with its history. The pair is free; tasks and interaction channels stay behind as orphans."""
    for _, member in list(account.store.members.under(conversation.sid).forward()):
        account.index_member(member, present=False)
    for _, message in list(account.store.messages.under(conversation.sid).forward()):
        account.store.receipts.drop_under(message.sid)
    for table in (account.store.members, account.store.messages, account.store.webhooks):
        table.drop_under(conversation.sid)
    account.store.conversations.drop(conversation)


# Participants


def of_pair(account: EmulatedAccount, address: str, proxy_address: str) -> Conversation | None:
    """The conversation, active or inactive, in which this customer and this number meet."""
    return account.store.conversations.get(account.bound.get((address, proxy_address)))


def members(account: EmulatedAccount, conversation: Conversation) -> list[Member]:
    return [member for _, member in account.store.members.under(conversation.sid).forward()]


def handset(account: EmulatedAccount, conversation: Conversation) -> Member | None:
    """The customer: the first participant that has an address."""
    return next((one for one in members(account, conversation) if one.address), None)


def binding_type(member: Member) -> str:
    """What kind of address a customer has."""
    return "whatsapp" if (member.address or "").startswith("whatsapp:") else "sms"


def check_binding(
    account: EmulatedAccount, address: str, proxy_address: str | None, *, code: int = 50416
) -> None:
    """Refuse a binding (https://www.twilio.com/docs/api/errors/50407 and the next); `code` is the one for a pair that
    is taken."""
    if not HANDSET.fullmatch(address):
        raise Problem(400, 50407, f"Invalid messaging binding address: {address}")
    if not proxy_address:
        raise Problem(400, 50412, "Messaging binding proxy address is required")
    if proxy_address == address:
        raise Problem(400, 50409, "Messaging binding address and proxy address must differ")
    if not is_ours(account, proxy_address):
        raise Problem(400, 50408, f"Invalid messaging binding proxy address: {proxy_address}")
    if (taken := account.bound.get((address, proxy_address))) is not None:
        raise _taken(account, taken, code)


def _taken(account: EmulatedAccount, holder: str, code: int = 50416) -> Problem:
    sentence = "A binding for this participant and proxy address already exists in Conversation"
    named = f" {holder}" if account.settings.pair_refusal_names_conversation else ""
    return Problem(409, code, f"{sentence}{named}")


def is_ours(account: EmulatedAccount, number: str) -> bool:
    """Whether the account has this number: those it was born with, and whatever has an address configuration."""
    mine = (
        NUMBER,
        NUMBER_SHORT_LIVED,
        NUMBER_CONVERSATIONS,
        *(one.address for one in account.store.addresses),
    )
    return number.removeprefix("whatsapp:") in mine or number in mine


def add_member(account: EmulatedAccount, conversation: Conversation, **values: Any) -> Member:
    """A handset or a chat user joins; `values` are fields of its row."""
    check_open(conversation)
    address, identity = values.get("address"), values.get("identity")
    if address:
        check_binding(account, address, values.get("proxy_address"))
    elif not identity:
        raise Invalid("Identity not provided")
    if identity and any(one.identity == identity for one in members(account, conversation)):
        raise Problem(409, 50433, f"Participant {identity} already exists")
    member = Member(*account.stamp("MB"), parent=conversation.sid)
    member.role_sid = "RL" + account.sids.token("channel role")
    for field, value in values.items():
        setattr(member, field, value)
    account.store.members.add(member)
    account.index_member(member)
    touch(account, conversation)
    return member


def remove_member(account: EmulatedAccount, conversation: Conversation, member: Member) -> None:
    account.store.members.drop(member)
    account.index_member(member, present=False)
    touch(account, conversation)


# Messages


def post(
    account: EmulatedAccount,
    conversation: Conversation,
    author: str,
    body: str | None,
    attributes: str = "{}",
) -> Message:
    """Append a message, and text it to every handset in the conversation but its author's."""
    check_open(conversation)
    people = members(account, conversation)
    writer = next((one for one in people if author in (one.address, one.identity)), None)
    message = Message(
        *account.stamp("IM"),
        conversation.sid,
        author,
        body,
        attributes,
        conversation.messages,
        writer.sid if writer else None,
    )
    conversation.messages += 1
    if account.settings.message_moves_date:
        conversation.updated = message.created
    account.store.messages.add(message)
    if conversation.state == "inactive" and account.settings.message_reactivates:
        _reactivate(account, conversation)
    touch(account, conversation)
    for one in people:
        if one.address and one is not writer:
            _text(account, conversation, message, one)
    return message


def _reactivate(account: EmulatedAccount, conversation: Conversation) -> None:
    with suppress(Problem):  # its pair is in another one by now: it stays as it is
        check_pairs(account, conversation)
        conversation.state, conversation.updated = "active", account.clock.now()
        account.index_conversation(conversation)


def _text(account: EmulatedAccount, conversation: Conversation, message: Message, to: Member) -> None:
    sms = outbox.dispatch(
        account,
        conversation.sid,
        to.address or "",
        to.proxy_address or "",
        message.body or "",
        channel_sid=conversation.sid,
        message_sid=message.sid,
    )
    account.store.receipts.add(Receipt(*account.stamp("DY"), message.sid, sms.sid, to.sid))


# Timers


def touch(account: EmulatedAccount, conversation: Conversation) -> None:
    """Something happened: the timers start again."""
    conversation.active_at = account.clock.now()
    _schedule(account, conversation)


def _schedule(account: EmulatedAccount, conversation: Conversation) -> None:
    for due in (conversation.date_inactive, conversation.date_closed):
        if due is not None:
            account.schedule(due, "conversation.timer", conversation.sid)


@timer("conversation.timer")
def _due(account: EmulatedAccount, sid: str) -> None:
    conversation = account.store.conversations.get(sid)
    if conversation is None:
        return
    now = account.clock.now()
    for state, due in (("closed", conversation.date_closed), ("inactive", conversation.date_inactive)):
        if due is not None and due <= now:
            conversation.state, conversation.updated = state, now
            _changed_state(account, conversation)
            return
