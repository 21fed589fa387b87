"""Switches of Event Streams."""

# ruff: noqa: RUF009 (`switch` makes a field)

from __future__ import annotations

from dataclasses import dataclass

from ..switches import ERRORS, NOBODY, switch


@dataclass
class EventStreamsSettings:
    """What Twilio leaves open there, and how deliveries go."""

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
