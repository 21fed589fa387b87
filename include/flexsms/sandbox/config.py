"""The switches of an emulated account."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(slots=True)
class Config:
    """Switches, changed through POST /_sandbox/settings.

    latency_ms: added to every API answer, half before and half after it is applied.
    rate_limits: `documented` or `off`.
    stamp_proxy_session: whether a session named after a channel is written into its attribute `proxySession`.
    sms_step_s: virtual seconds from queued to sent, and from sent to delivered.
    sms_outcomes: number -> {"status": "undelivered", "error_code": 30003} for handsets that are not reached.
    keep_conversations_open: whether a conversation outlives the task that an agent completes in the UI, as with
        Flex's Leave and Pause. Otherwise completing closes the interaction channel and the conversation.
    interaction_setup_s: virtual seconds until a new interaction channel is active or failed.
    interaction_conflict_fails: whether a channel fails whose pair has an open conversation already. Otherwise it
        is active without its customer, as Twilio's list of known issues has it (facts B.1).
    interaction_failures: customer, or "*" -> {"error_code": 45780, "error_message": "…"}: channels that fail.
    forbidden_hosts: what the restricted key may not use; "*" is everything.

    Of Event Streams:

    sinks_to_validate: sink types that are `initialized` until their test event was validated. Webhooks never were;
        Twilio's page on validating says now that no sink needs it: an empty list.
    sink_setup_s: virtual seconds until a sink that needs no validation is active.
    sink_failures: destinations or ARNs, or "*", whose sinks end as `failed`.
    stream_paused: nothing is sent, everything waits.
    stream_delay_s, stream_jitter_s: virtual seconds from an event to its delivery, and at most so many more, each
        event its own: with jitter, events arrive in another order than they happened in.
    stream_duplicates, stream_drops: the share of events that is sent twice, or never (91303).
    stream_batch: at least and at most so many events in a request, as far as they are due.
    stream_single: a request (or Kinesis record) with one unbatched event is an `array` or an `object`; `documented`
        is an array for webhooks and an object for Kinesis.
    stream_rate: events per virtual second and sink, 0 for no limit.
    stream_concurrency: requests at a time and webhook sink.
    stream_timeout_s: seconds that a sink has to answer.
    kinesis_endpoint: where Kinesis is, for all sinks of that type: `http://127.0.0.1:5000`.
    """

    latency_ms: float = 0.0
    rate_limits: str = "off"
    stamp_proxy_session: bool = True
    sms_step_s: float = 1.0
    sms_outcomes: dict[str, dict[str, Any]] = field(default_factory=dict)
    keep_conversations_open: bool = True
    interaction_setup_s: float = 0.5
    interaction_conflict_fails: bool = True
    interaction_failures: dict[str, dict[str, Any]] = field(default_factory=dict)
    forbidden_hosts: list[str] = field(default_factory=lambda: ["*"])
    sinks_to_validate: list[str] = field(default_factory=lambda: ["kinesis", "segment", "email"])
    sink_setup_s: float = 0.0
    sink_failures: list[str] = field(default_factory=list)
    stream_paused: bool = False
    stream_delay_s: float = 0.0
    stream_jitter_s: float = 0.0
    stream_duplicates: float = 0.0
    stream_drops: float = 0.0
    stream_batch: list[int] = field(default_factory=lambda: [100, 100])
    stream_single: str = "documented"
    stream_rate: float = 0.0
    stream_concurrency: int = 8
    stream_timeout_s: float = 5.0
    kinesis_endpoint: str = ""

    def change(self, values: dict[str, Any]) -> None:
        unknown = values.keys() - {f.name for f in fields(self)}
        if unknown:
            raise ValueError(f"unknown setting {', '.join(sorted(unknown))}")
        if values.get("rate_limits", "off") not in ("documented", "off"):
            raise ValueError("rate_limits is documented or off")
        if values.get("stream_single", "array") not in ("documented", "array", "object"):
            raise ValueError("stream_single is documented, array or object")
        least, most = values.get("stream_batch", (1, 1))
        if not 1 <= least <= most:
            raise ValueError("stream_batch is the least and the most events of a request")
        for name, value in values.items():
            setattr(self, name, value)
