"""CloudEvents 1.0, as Event Streams wraps events of TaskRouter, of Messaging and its own test event.

Source: https://www.twilio.com/docs/events/event-types.

Unverified: the values of `source` and the prefix of `id` (samples differ; nobody should parse them), whether `time` is
there (here it is, and a little later than the event happened, so that nobody takes it for that), which of TaskRouter's
numbers are numbers (those that are in the sample), and the `data` of a test event beyond `test_id`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...state.clock import iso_ms

if TYPE_CHECKING:
    from ...state.account import EmulatedAccount
    from ...state.rows.taskrouter import Event

PREFIX = "com.twilio.taskrouter."
SCHEMA = "TaskRouter.WDSEvent"
MESSAGE_PREFIX = "com.twilio.messaging.message."
MESSAGE_SCHEMA = "Messaging.MessageStatus"
INBOUND_TYPE = "com.twilio.messaging.inbound-message.received"
INBOUND_SCHEMA = "Messaging.InboundMessageV1"
TEST_TYPE = "com.twilio.eventstreams.test-event"
TEST_SCHEMA = "EventStreams.TestSink"
SCHEMAS_URL = "https://events-schemas.twilio.com"
NOTICED_AFTER_S = 0.213


def _date(milliseconds: str) -> str:
    return iso_ms(int(milliseconds) / 1000)


# What `event_data` has as a string and the payload as something else.
CONVERTED: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("task_age", "task_priority", "task_version", "reservation_version"), int),
    **dict.fromkeys(("task_date_created", "task_queue_entered_date"), _date),
}


def cloud_event_id(account: EmulatedAccount, sid: str) -> str:
    """The same for every delivery of an event, to whatever sink."""
    return "EZ" + account.sids.token(f"cloud event {sid}")


def cloud_event(account: EmulatedAccount, queued: list[Any]) -> dict[str, Any]:
    """An event in its envelope.

    Parameters
    ----------
    queued: the event's SID and the schema version that was subscribed to; or the ID of a test event.
    """
    sid, version = queued
    source = f"/2010-04-01/Accounts/{account.account_sid}"
    if told := account.store.message_events.get(sid):
        schema = INBOUND_SCHEMA if told.type == INBOUND_TYPE else MESSAGE_SCHEMA
        noticed = iso_ms(told.created + NOTICED_AFTER_S)
        return _envelope(account, sid, told.type, source, f"{schema}/{version}", noticed, told.data)
    event = account.store.events.get(sid)
    if event is None:
        now = iso_ms(account.clock.present())
        data = {"test_id": sid, "test_timestamp": now}
        return _envelope(account, sid, TEST_TYPE, "Sink", f"{TEST_SCHEMA}/{version}.json", now, data)
    noticed = iso_ms(event.ms / 1000 + NOTICED_AFTER_S)
    data = _data(account, event)
    return _envelope(account, sid, PREFIX + event.type, source, f"{SCHEMA}/{version}", noticed, data)


def _envelope(
    account: EmulatedAccount, sid: str, kind: str, source: str, schema: str, time: str, data: dict[str, Any]
) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": kind,
        "source": source,
        "id": cloud_event_id(account, sid),
        "dataschema": f"{SCHEMAS_URL}/{schema}",
        "datacontenttype": "application/json",
        "time": time,
        "data": data,
    }


def _data(account: EmulatedAccount, event: Event) -> dict[str, Any]:
    group, _, action = event.type.partition(".")
    happened = iso_ms(event.ms / 1000)
    return {
        "sid": event.sid,
        "name": group.title() + action.title().replace("-", ""),
        "account_sid": account.account_sid,
        "account_friendly_name": "Sandbox",
        "parent_account_sid": account.account_sid,
        "parent_friendly_name": "Sandbox",
        "timestamp": happened,
        "level": "INFO",
        "group": group,
        "product_name": "TaskRouter",
        "publisher": "Flex Task Assignment",
        "publisher_metadata": "{}",
        "payload_type": "application/json",
        "payload": _payload(account, event, happened),
    }


def _payload(account: EmulatedAccount, event: Event, happened: str) -> Any:
    if not isinstance(event.data, dict):  # injected as malformed: passed on as it is
        return event.data
    payload = {
        "sid": event.sid,
        "eventtype": event.type,
        "timestamp": happened,
        "account_sid": account.account_sid,
        "workspace_sid": event.parent,
        "event_description": event.description,
        "resource_type": event.resource_type,
        "resource_sid": event.resource_sid,
    }
    for name, value in event.data.items():
        if value is not None:  # absent rather than null (https://www.twilio.com/docs/events/event-types)
            convert = CONVERTED.get(name)
            payload[name] = (
                convert(value) if convert and isinstance(value, str) and value.isdigit() else value
            )
    return payload
