"""Switches of the sandbox itself and of what every product has, of Sync and of TaskRouter."""

# ruff: noqa: RUF009 (`switch` makes a field)

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..switches import ERRORS, NOBODY, switch


@dataclass
class CommonSettings:
    """In groups."""

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
    voice_only: list[str] = switch(
        [], "Numbers of the account that cannot send SMS.", source=ERRORS + "21606"
    )
    sms_filters: list[dict[str, Any]] = switch(
        [],
        'Rules by which texts are held back: [{"code": 30007, "body": "(?i)free", "every": 50}] is each 50th text of '
        'that pattern. "share" is of recipients, "to" a pattern of them; {"code": 30610, "hours": "21:00-08:00", '
        '"zone": "America/New_York"} are quiet hours. "status" is undelivered, of 30610 failed.',
        source=ERRORS + "30610",
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
