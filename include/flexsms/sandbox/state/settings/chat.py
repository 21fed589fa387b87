"""Switches of Programmable Chat and Proxy."""

from __future__ import annotations

from dataclasses import dataclass

from ..switches import ERRORS, NOBODY, switch


@dataclass
class ChatSettings:
    """What Twilio leaves open there."""

    # Programmable Chat and Proxy.
    channel_reuse_opens_task: bool = switch(
        True,
        "Whether POST /Channels on a long-lived channel whose task has ended opens a task. Otherwise the answer names "
        "the old one, and the customer's next text opens one.",
        source=NOBODY,
    )
    dead_session_captures: bool = switch(
        True,
        "Whether an open session of a channel that is INACTIVE or deleted keeps the customer's texts. Otherwise it is "
        "closed, and the text starts afresh.",
        source=NOBODY,
    )
    stamp_proxy_session: bool = switch(
        True,
        "Whether a session named after a channel is written into its attribute proxySession.",
        source=ERRORS + "80619",
    )
    inactive_needs_webhook: bool = switch(
        False,
        "Whether Flex only notices that a channel is INACTIVE when the update had X-Twilio-Webhook-Enabled.",
        source=NOBODY,
    )
    channel_matches_identity: bool = switch(
        False,
        "Whether Flex finds the active channel of a customer by the chat identity as well as by the numbers.",
        source=NOBODY,
    )
    session_by_name: bool = switch(
        True, "Whether a session can be fetched by its unique name.", source=ERRORS + "80308"
    )
    relay_names_message: bool = switch(
        True, "Whether an interaction names the chat message that it relays.", source=NOBODY
    )
    pair_taken_names_session: bool = switch(
        False, "Whether the refusal of a pair that is taken names the session that holds it.", source=NOBODY
    )
    pair_taken_code: int = switch(
        80604,
        "Code for a new participant whose pair another open session holds.",
        values=(80604, 80103),
        source=ERRORS + "80604",
    )
    reopen_taken_code: int = switch(
        80801,
        "Code for reopening a session whose pair another open session holds.",
        values=(80801, 80604),
        source=ERRORS + "80801",
    )
    same_moment_code: int = switch(
        80623,
        "Code (409) while another request for the same participant is still under way: see latency_ms.",
        values=(80623, 80802),
        source=ERRORS + "80623",
    )
