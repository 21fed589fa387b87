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
class Settings(Switches):
    """The switches, in groups; `switch` has the meaning of each."""

    # The sandbox itself.
    latency_ms: float = switch(0.0, "Added to every API answer, half before and half after it is applied.")
    rate_limits: str = switch("off", "Whether the documented limits hold.", values=("documented", "off"))
    forbidden_hosts: list[str] = switch(
        ["*"], "Hosts that the restricted API key may not use; * is everything."
    )
    forbidden_answer: str = switch(
        "403 20403",
        "Status and code for the restricted API key where it may not go.",
        values=("403 20403", "403 20003", "401 20003", "401 70051"),
        source=ERRORS + "20003",
    )
    sms_step_s: float = switch(1.0, "Virtual seconds from queued to sent, and from sent to delivered.")
    sms_outcomes: dict[str, dict[str, Any]] = switch(
        {}, 'Number -> {"status": "undelivered", "error_code": 30003}, for handsets that are not reached.'
    )

    # What every product has.
    page_size_out_of_bounds: str = switch(
        "refused",
        "Whether a PageSize that is too large or too small is refused (400), or the nearest one is taken.",
        values=("refused", "clamped"),
        source=NOBODY,
    )
    page_without_token: str = switch(
        "first",
        "Whether Page=1 without a PageToken is the first page all the same, or refused (400).",
        values=("first", "refused"),
        source=NOBODY,
    )
    replica_share: float = switch(
        0.0,
        "The share of reads that come from a replica which is behind. It answers 404 for what is too new for it.",
    )
    replica_lag_s: float = switch(
        1.0, "Virtual seconds that the replica is behind. With a large number it does not know anything."
    )

    # Sync and TaskRouter.
    sync_missing: str = switch(
        "unique_name",
        "Code of a document, map or list that is missing under a unique name: unique_name is 54300, object is that of "
        "its kind (54100, 54200, 54150), generic is 20404. The pages of 54200 and 54300 both claim the case.",
        values=("unique_name", "object", "generic"),
        source=NOBODY,
    )
    event_pages: bool = switch(
        True,
        "Whether the list of TaskRouter's events has further pages. One page of Twilio's says that paging is not "
        "supported, its OpenAPI document has the links.",
        source=NOBODY,
    )
    task_pages: str = switch(
        "linked",
        "Whether the list of tasks has further pages: unlinked has none, with refused they are linked and refused "
        "(20001). Its page says that paging is not supported, its OpenAPI document has the links.",
        values=("linked", "unlinked", "refused"),
        source="https://www.twilio.com/docs/taskrouter/api/task",
    )
    task_list_attributes: bool = switch(
        True,
        "Whether lists of tasks have the attributes. The SDKs say that only a single task that is fetched has them.",
        source=NOBODY,
    )
    sync_too_large_status: int = switch(
        413, "HTTP status of 54006, for data over 16 KiB.", values=(413, 400), source=NOBODY
    )
    sync_longest_name: int = switch(
        256,
        "Most characters of a unique name. The page of 54302 says 256, the parameter's description 320.",
        values=(256, 320),
        source=ERRORS + "54302",
    )
    sync_if_match: str = switch(
        "either",
        "What If-Match takes: the revision as it stands or in quotes, as the ETag is, or only in quotes.",
        values=("either", "quoted"),
        source=NOBODY,
    )
    task_channel_type: str = switch(
        "channel",
        "What a task that Flex opens says in channelType: the type of the channel, nothing, or another word.",
        values=("channel", "none", "custom"),
        source="https://www.twilio.com/docs/flex/developer/conversations/interactions-api",
    )
    task_kept_s: float = switch(
        300.0,
        "Virtual seconds that a task stays after its end. Another page of Twilio's says 15 minutes.",
        source="https://www.twilio.com/docs/taskrouter/lifecycle-task-state",
    )
    event_order: str = switch(
        "newest",
        "Which of TaskRouter's events its list has first.",
        values=("newest", "oldest"),
        source=NOBODY,
    )
    event_list_delay_s: float = switch(
        0.0,
        "Virtual seconds until TaskRouter's list of events shows one; stream_delay_s is that of Event Streams.",
    )
    event_list_jitter_s: float = switch(
        0.0, "At most so many more, each event its own: the list may show a later one before an earlier one."
    )

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

    # Event Streams.
    sinks_to_validate: list[str] = switch(
        ["kinesis", "segment", "email"],
        "Sink types that are initialized until their test event was validated. Webhooks never were; Twilio's page on "
        "validating says now that no sink needs it: an empty list.",
        source="https://www.twilio.com/docs/events/event-streams/sink-resource",
    )
    sink_list_shows_configuration: bool = switch(
        True, "Whether lists of sinks show their configuration.", source=NOBODY
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
