"""What else happens at a moment that a test chooses: a customer writes, an agent acts, time passes."""

from __future__ import annotations

from typing import Any, cast

from ..http import Invalid
from ..products.chat import channels
from ..products.conversations import behaviour as conversations
from ..products.flex import interactions
from ..state.account import EmulatedAccount
from . import simulate


def perform(account: EmulatedAccount, actions: list[dict[str, Any]]) -> list[Any]:
    """Run control actions now, each named by its key.

    {"customer": {"from", "to", "body"}}, {"agent": {"action", …}}, {"advance_s": 60},
    {"channel_attributes" or "conversation_attributes": {"channel_sid", "attributes": merged}},
    {"conversation_state": {"channel_sid", "state"}},
    {"interaction": {"status": "active" or "failed", "error_code"?, "error_message"?, "interaction_channel_sid"?}}:
    the end of a channel's `setup`, of the newest one if none is named.
    """
    results: list[Any] = []
    for one in actions:
        for kind, value in one.items():
            results.append(_perform(account, kind, value))
    return results


def _perform(account: EmulatedAccount, kind: str, value: Any) -> Any:
    if kind == "customer":
        return simulate.customer(account, value["from"], value["to"], value["body"])
    if kind == "agent":
        return simulate.agent(account, **cast("dict[str, Any]", value))
    if kind == "advance_s":
        account.clock.advance(float(value))
        account.run_due_timers()
        return account.clock.now()
    if kind == "interaction":
        return _interaction(account, **value)
    if kind == "conversation_state":
        conversations.close(account, account.store.conversations.get(value["channel_sid"]), value["state"])
        return value
    if kind == "conversation_attributes":
        conversation = account.store.conversations.get(value["channel_sid"])
        if conversation is None:
            raise Invalid(f"conversation_attributes: no conversation {value['channel_sid']}")
        conversations.merge_attributes(account, conversation, **value["attributes"])
        return conversation.parsed_attributes()
    if kind == "channel_attributes":
        channel = account.store.channels.get(value["channel_sid"])
        if channel is None:
            raise Invalid(f"channel_attributes: no channel {value['channel_sid']}")
        channels.merge_attributes(account, channel, **value["attributes"])
        return channel.parsed_attributes()
    raise Invalid(f"unknown action {kind!r}")


def _interaction(
    account: EmulatedAccount,
    status: str,
    interaction_channel_sid: str | None = None,
    error_code: int | None = None,
    error_message: str | None = None,
) -> dict[str, Any]:
    rows = account.store.flex_channels
    found = [one for one in rows if interaction_channel_sid in (None, one.sid) and one.status == "setup"]
    if not found:
        raise Invalid(f"interaction: no channel {interaction_channel_sid or ''} in setup")
    if status == "active":
        interactions.activate(account, found[-1])
    elif status == "failed":
        interactions.fail(account, found[-1], error_code, error_message)
    else:
        raise Invalid(f"interaction: status {status!r} is neither active nor failed")
    return {"interaction_channel_sid": found[-1].sid, "status": found[-1].status}
