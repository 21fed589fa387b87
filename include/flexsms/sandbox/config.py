"""The switches of an emulated account, all of them: POST /_sandbox/settings or `--set NAME=VALUE` changes them, GET
/_sandbox/switches tells them with their meaning and their source.

Where Twilio's pages say what happens, the default is what they say. Where they leave it open, the default is what most
pages suggest, and a client should be tried with the other value, too.
"""

# ruff: noqa: RUF009 (`switch` makes a field)

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .switches import ERRORS, NOBODY, Switches, switch


@dataclass(slots=True)
class Config(Switches):
    """The switches, in groups; `switch` has the meaning of each."""

    # The sandbox itself.
    latency_ms: float = switch(0.0, "Added to every API answer, half before and half after it is applied.")
    rate_limits: str = switch("off", "Whether the documented limits hold.", values=("documented", "off"))
    forbidden_hosts: list[str] = switch(
        ["*"], "Hosts that the restricted API key may not use; * is everything."
    )
    sms_step_s: float = switch(1.0, "Virtual seconds from queued to sent, and from sent to delivered.")
    sms_outcomes: dict[str, dict[str, Any]] = switch(
        {}, 'Number -> {"status": "undelivered", "error_code": 30003}, for handsets that are not reached.'
    )

    # Programmable Chat and Proxy.
    stamp_proxy_session: bool = switch(
        True,
        "Whether a session named after a channel is written into its attribute proxySession.",
        source=ERRORS + "80619",
    )
    pair_taken_names_session: bool = switch(
        True, "Whether the refusal of a pair that is taken names the session that holds it.", source=NOBODY
    )
    pair_taken_code: int = switch(
        80604,
        "Code for a new participant whose pair another open session holds.",
        values=(80604, 80103),
        source=ERRORS + "80604",
    )
    reopen_taken_code: int = switch(
        80604,
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

    # Conversations and Interactions.
    keep_conversations_open: bool = switch(
        True,
        "Whether a conversation outlives the task that an agent completes in the UI, as with Flex's Leave and Pause. "
        "Otherwise completing closes the interaction channel and the conversation.",
        source="https://www.twilio.com/docs/flex/admin-guide/setup/conversations/leave-and-pause-for-conversations",
    )
    second_interaction: str = switch(
        "opened",
        "What becomes of an interaction on a conversation that has a live interaction channel: refused is 45353 and "
        "names that channel, opened gives the conversation another one.",
        values=("refused", "opened"),
        source=ERRORS + "45353",
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

    # Event Streams.
    sinks_to_validate: list[str] = switch(
        ["kinesis", "segment", "email"],
        "Sink types that are initialized until their test event was validated. Webhooks never were; Twilio's page on "
        "validating says now that no sink needs it: an empty list.",
        source="https://www.twilio.com/docs/events/event-streams/sink-resource",
    )
    sink_setup_s: float = switch(0.0, "Virtual seconds until a sink that needs no validation is active.")
    sink_failures: list[str] = switch([], 'Destinations or ARNs, or "*", whose sinks end as failed.')
    stream_paused: bool = switch(False, "Whether nothing is sent and everything waits.")
    stream_delay_s: float = switch(0.0, "Virtual seconds from an event to its delivery.")
    stream_jitter_s: float = switch(
        0.0, "At most so many more, each event its own: events arrive in another order than they happened in."
    )
    stream_duplicates: float = switch(0.0, "The share of events that is sent twice.")
    stream_drops: float = switch(0.0, "The share of events that is never sent.", source=ERRORS + "91303")
    stream_batch: list[int] = switch(
        [100, 100], "At least and at most so many events in a request, as far as they are due."
    )
    stream_single: str = switch(
        "documented",
        "A request (or Kinesis record) with one unbatched event is an array or an object; documented is an array for "
        "webhooks and an object for Kinesis.",
        values=("documented", "array", "object"),
        source="https://www.twilio.com/docs/events/event-delivery-and-duplication",
    )
    stream_rate: float = switch(0.0, "Events per virtual second and sink, 0 for no limit.")
    stream_concurrency: int = switch(8, "Requests at a time and webhook sink.")
    stream_timeout_s: float = switch(5.0, "Seconds that a sink has to answer.")
    kinesis_endpoint: str = switch("", "Where Kinesis is, for all sinks of that type: http://127.0.0.1:5000.")

    def change(self, values: dict[str, Any]) -> None:
        least, most = values.get("stream_batch", (1, 1))
        if not 1 <= least <= most:
            raise ValueError("stream_batch is the least and the most events of a request")
        Switches.change(self, values)
