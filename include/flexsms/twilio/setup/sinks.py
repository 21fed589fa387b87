"""What there is of Event Streams in an account: its sinks with their subscriptions, and the types of these.

Source: https://www.twilio.com/docs/events, facts as in Twilio's OpenAPI document events_v1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flexsms.core.setup_report import EVENT_TYPES, Sink
from flexsms.twilio.client.dates import utc

if TYPE_CHECKING:
    from twilio.rest import Client

# There are at most 100 sinks and 100 subscriptions: https://www.twilio.com/docs/api/errors/91003
PAGE_SIZE = 200


async def list_sinks(client: Client) -> list[Sink]:
    """All sinks of the account."""
    of_sink: dict[str, list[str]] = {}
    for subscription in await client.events.v1.subscriptions.list_async(page_size=PAGE_SIZE):
        of_sink.setdefault(str(subscription.sink_sid), []).append(str(subscription.sid))
    return [
        as_sink(one, of_sink.get(str(one.sid), []))
        for one in await client.events.v1.sinks.list_async(page_size=PAGE_SIZE)
    ]


def as_sink(one: Any, subscriptions: list[str] | None = None) -> Sink:
    """A sink as the SDK gives it."""
    return Sink(
        sid=str(one.sid),
        description=str(one.description or ""),
        kind=str(one.sink_type),
        configuration=one.sink_configuration if isinstance(one.sink_configuration, Mapping) else {},
        status=str(one.status),
        created=utc(one.date_created),
        subscriptions=subscriptions or [],
    )


async def wrong_types(client: Client, subscription_sid: str) -> dict[str, int | None]:
    """The event types that a subscription lacks (None), or has in another schema version than ours (that version)."""
    events = client.events.v1.subscriptions(subscription_sid).subscribed_events
    has = {str(one.type): one.schema_version for one in await events.list_async(page_size=PAGE_SIZE)}
    return {kind: has.get(kind) for kind, version in EVENT_TYPES.items() if has.get(kind) != version}
