"""Experiments with conversations; none of them sends a text.

Source: https://www.twilio.com/docs/conversations-classic/api
"""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

from flexsms.core.outbound_message import DIGEST_ATTRIBUTE
from flexsms.core.stack_name import StackName
from flexsms.twilio.client.dates import utc
from flexsms.twilio.stacks.conversations.address_pairs import PAIR_TAKEN
from flexsms.twilio.verify.experiment import Note, experiment
from flexsms.twilio.verify.own import Own, refusal
from flexsms.twilio.verify.own_conversations import OwnConversations

STACK = StackName.CONVERSATIONS
# Dates are in whole seconds.
A_SECOND = timedelta(seconds=1.1)
# The longest that close_after_days may be, and shorter ones.
LIVES = (timedelta(days=3650), timedelta(days=365), timedelta(days=90), timedelta(days=30))


@experiment("pair-refusal", "inactive-holds-pair", stack=STACK, needs=("number", "handset"))
async def pairs(own: Own, note: Note) -> None:
    """Two conversations that want one pair of numbers."""
    conversations = OwnConversations(own)
    first, second = await conversations.make(with_handset=True), await conversations.make()
    refused = await refusal(conversations.add_handset(second))
    if refused is None:
        note("pair-refusal", "none")
        return
    is_named = first in refused.detail
    note("pair-refusal", f"{refused.code}, {'names the conversation' if is_named else 'names none'}")
    await conversations(first).update_async(state="inactive")
    refused = await refusal(conversations.add_handset(second))
    note("inactive-holds-pair", "yes" if refused and refused.code == PAIR_TAKEN else "no")


@experiment("message-reactivates", "message-list-attributes", stack=STACK)
async def messages(own: Own, note: Note) -> None:
    """A message in an inactive conversation in which nobody is."""
    conversations = OwnConversations(own)
    sid = await conversations.make()
    await conversations(sid).update_async(state="inactive")
    posted = conversations(sid).messages
    await posted.create_async(body="flexsms verify", attributes=json.dumps({DIGEST_ATTRIBUTE: own.mark}))
    note("message-reactivates", "yes" if await conversations.state(sid) == "active" else "no")
    listed = await posted.list_async(limit=1)
    note("message-list-attributes", "yes" if own.mark in str(listed[0].attributes) else "no")


@experiment("message-date", stack=STACK)
async def dates(own: Own, note: Note) -> None:
    """A message in a conversation that was made in an earlier second."""
    conversations = OwnConversations(own)
    sid = await conversations.make()
    await asyncio.sleep(A_SECOND.total_seconds())
    message = await conversations(sid).messages.create_async(body="flexsms verify")
    conversation = await conversations(sid).fetch_async()
    posted_at, updated_at = utc(message.date_created), utc(conversation.date_updated)
    is_moved = posted_at is not None and updated_at is not None and updated_at >= posted_at
    note("message-date", "yes" if is_moved else "no")


@experiment("closed-name", "longest-timer", stack=STACK)
async def lives(own: Own, note: Note) -> None:
    """How long a conversation may live, and what is left of it."""
    conversations = OwnConversations(own)
    name = f"{own.mark}.name"
    sid = await conversations.make(unique_name=name)
    await conversations(sid).update_async(state="closed")
    refused = await refusal(conversations.make(unique_name=name))
    note("closed-name", f"yes, refused with {refused.code}" if refused else "no")
    for life in LIVES:
        made = conversations.make(state="active", timers_closed=f"P{life.days}D")
        if await refusal(made) is None:
            note("longest-timer", f"{life.days} days")
            return
    note("longest-timer", "less than 30 days")
