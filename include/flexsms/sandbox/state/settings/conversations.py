"""Switches of messages, Conversations and Interactions."""

# ruff: noqa: RUF009 (`switch` makes a field)

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..switches import ERRORS, NOBODY, switch


@dataclass
class ConversationsSettings:
    """In groups."""

    # Messages of either generation.
    empty_message_code: int = switch(
        50503,
        "Code for a message without a body.",
        values=(50503, 20001),
        source=ERRORS + "50503",
    )

    message_moves_date: bool = switch(
        True, "Whether a message changes the date_updated of its channel or conversation.", source=NOBODY
    )
    late_text_opens_task: bool = switch(
        True,
        "Whether a customer's text opens a task in a channel or conversation whose tasks have ended, by the number's "
        "flow. Otherwise it is in there, and nobody is told: that is up to the flow, and to how agents park.",
        source="https://www.twilio.com/docs/flex/developer/conversations/park-an-interaction",
    )
    stop_reaches_conversation: bool = switch(
        True,
        "Whether STOP and its like are messages of the open conversation, as they go to a number's webhook. Proxy "
        "keeps them from its sessions in any case.",
        source=NOBODY,
    )
    message_list_attributes: bool = switch(
        True, "Whether lists of messages have the attributes, as a single message has.", source=NOBODY
    )

    # Conversations and Interactions.
    default_conversations_service: str = switch(
        "",
        "SID of the account's default Conversations service, which paths without a service mean; empty: the one that "
        "Flex uses, as Twilio wants it.",
        source="https://www.twilio.com/docs/flex/developer/conversations/best-practices",
    )
    inactive_holds_pair: bool = switch(
        True,
        "Whether an inactive conversation holds its pair of numbers. Twilio's pages on Flex say so, those on errors "
        "and on inbound messages speak of active ones only.",
        source="https://www.twilio.com/docs/flex/developer/conversations/best-practices",
    )
    pair_refusal_names_conversation: bool = switch(
        True,
        "Whether the refusal of a pair that is taken names the conversation that holds it.",
        source=ERRORS + "50416",
    )
    closed_keeps_name: bool = switch(
        True, "Whether a closed conversation keeps its unique name.", source=NOBODY
    )
    longest_timer_days: float = switch(0.0, "The longest timer of a conversation, 0 for any.", source=NOBODY)
    message_reactivates: bool = switch(
        True, "Whether a message makes an inactive conversation active again.", source=NOBODY
    )
    one_address_per_number: bool = switch(
        True,
        "Whether a number has one address configuration at most; of several, the first that is enabled counts.",
        source="https://www.twilio.com/docs/conversations-classic/api/address-configuration-resource",
    )
    keep_conversations_open: bool = switch(
        True,
        "Whether a conversation outlives the task that an agent completes in the UI, as with Flex's Leave and Pause. "
        "Otherwise completing closes the interaction channel and the conversation.",
        source="https://www.twilio.com/docs/flex/admin-guide/setup/conversations/leave-and-pause-for-conversations",
    )
    second_interaction: str = switch(
        "refused",
        "What becomes of an interaction on a conversation that has a live interaction channel: refused is 45353 and "
        "names that channel, opened gives the conversation another one.",
        values=("refused", "opened"),
        source=ERRORS + "45353",
    )
    refusal_names_channel: bool = switch(
        True,
        "Whether the refusal of a second interaction names the channel of the first one.",
        source=ERRORS + "45353",
    )
    api_interaction_heeds_worker: bool = switch(
        True,
        "Whether an interaction by API goes to the worker that its routing names. Otherwise another one is offered it.",
        source="https://www.twilio.com/docs/flex/developer/conversations/interactions-api/interactions",
    )
    closing_ends_conversation: bool = switch(
        True,
        "Whether closing an interaction channel closes its conversation.",
        source="https://www.twilio.com/docs/flex/developer/conversations/interactions-api/channels-subresource",
    )
    closed_invite_code: int = switch(
        45376,
        "Code for an invite on an interaction channel that is closed or failed.",
        values=(45376, 45008),
        source=ERRORS + "45376",
    )
    interaction_setup_s: float = switch(
        0.5, "Virtual seconds until an interaction channel is active or failed."
    )
    interaction_conflict_fails: bool = switch(
        True,
        "Whether a channel fails whose pair has an open conversation already. Otherwise it is active without its "
        "customer, as Twilio's list of known issues has it.",
        source=NOBODY,
    )
    interaction_failures: dict[str, dict[str, Any]] = switch(
        {}, 'Customer, or "*" -> {"error_code": 45780, "error_message": "…"}: channels that fail.'
    )
