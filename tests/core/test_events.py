"""Task events from both of Twilio's shapes."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from flexsms.core.errors import InvalidInput
from flexsms.core.events import (
    StackName,
    TaskEventType,
    envelopes,
    from_cloud_event,
    from_taskrouter,
    parse_attributes,
    to_ms,
    write_attributes,
)

CHANNEL = "CH" + "a1" * 16
TASK = "WT" + "5f" * 16


def record(**changes: Any) -> dict[str, Any]:
    return {
        "sid": "EV" + "3b" * 16,
        "event_type": "task.completed",
        "event_date": "2026-11-18T16:42:07Z",
        "event_date_ms": 1795020127105,
        "resource_sid": TASK,
        "event_data": {"task_sid": TASK, "task_attributes": json.dumps({"channelSid": CHANNEL})},
        **changes,
    }


def envelope(**changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": "com.twilio.taskrouter.task.completed",
        "id": "EZ1",
        "time": "2026-11-18T16:42:09.000Z",
        "data": {
            "timestamp": "2026-11-18T16:42:07.105Z",
            "payload": {"task_sid": TASK, "task_attributes": json.dumps({"channelSid": CHANNEL})},
        },
        **changes,
    }


def test_the_same_moment_from_both_shapes_is_the_same_event() -> None:
    listed, streamed = from_taskrouter(record()), from_cloud_event(envelope())
    assert listed is not None
    assert streamed is not None
    assert (listed.type, listed.task_sid, listed.channel_sid, listed.stack, listed.at_ms) == (
        TaskEventType.COMPLETED,
        TASK,
        CHANNEL,
        StackName.CHAT,
        1795020127105,
    )
    assert listed.ends_task
    assert (streamed.type, streamed.task_sid, streamed.at_ms) == (listed.type, listed.task_sid, listed.at_ms)


def test_a_conversation_is_known_by_its_own_attribute() -> None:
    attributes = {
        "conversationSid": CHANNEL,
        "flexInteractionSid": "KD" + "1" * 32,
        "flexInteractionChannelSid": "UO" + "2" * 32,
        "proxySession": "not a SID",
    }
    event = from_taskrouter(record(event_data={"task_sid": TASK, "task_attributes": attributes}))
    assert event is not None
    assert event.stack is StackName.CONVERSATIONS
    assert event.links == {"interaction": "KD" + "1" * 32, "interaction_channel": "UO" + "2" * 32}


def test_without_milliseconds_the_date_counts() -> None:
    event = from_taskrouter(record(event_date_ms=None))
    assert event is not None
    assert event.at_ms == 1795020127000


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"event_type": "worker.activity.update"}, id="not about a task"),
        pytest.param({"event_type": "task.updated"}, id="neither beginning nor end"),
        pytest.param({"event_data": {"task_sid": TASK, "task_attributes": "{}"}}, id="a voice task"),
        pytest.param({"event_data": {"task_sid": TASK, "task_attributes": "redacted"}}, id="redacted"),
        pytest.param(
            {"event_data": {"task_sid": TASK, "task_attributes": '{"channelSid": "x"}'}}, id="no channel"
        ),
        pytest.param({"event_data": {"task_sid": TASK}}, id="no attributes"),
    ],
)
def test_what_concerns_no_channel_is_left_out(changes: dict[str, Any]) -> None:
    assert from_taskrouter(record(**changes)) is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"event_data": "no json"}, "event_data: is not a JSON object", id="no data"),
        pytest.param({"event_date_ms": None, "event_date": None}, "event_date: is missing", id="no time"),
        pytest.param(
            {"event_date_ms": None, "event_date": "noon"}, "event_date: is not a date", id="strange time"
        ),
        pytest.param({"event_date_ms": 0}, "not after 2014", id="time zero"),
        pytest.param({"event_date_ms": 1_795_000_000}, "not after 2014", id="in seconds"),
        pytest.param({"event_date_ms": 4_102_444_800_000}, "not after 2014 and before 2100", id="in 2100"),
        pytest.param({"event_date_ms": "noon"}, "event_date_ms: is not a number", id="time in words"),
        pytest.param(
            {"event_date_ms": float("inf")}, "event_date_ms: is not a number", id="time without end"
        ),
        pytest.param(
            {"resource_sid": None, "event_data": {"task_attributes": json.dumps({"channelSid": CHANNEL})}},
            "task_sid: is missing",
            id="no task",
        ),
    ],
)
def test_what_should_be_readable_and_is_not_is_named(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        from_taskrouter(record(**changes))


def test_data_and_payload_may_come_as_json_texts() -> None:
    payload = json.dumps({"task_sid": TASK, "task_attributes": json.dumps({"channelSid": CHANNEL})})
    event = from_cloud_event(envelope(data=json.dumps({"payload": payload})))
    assert event is not None
    assert event.at_ms == to_ms("time", "2026-11-18T16:42:09.000Z")


def test_a_cloud_event_of_another_product_is_left_out() -> None:
    assert from_cloud_event(envelope(type="com.twilio.messaging.message.sent", data="anything")) is None


def test_a_broken_cloud_event_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"data: is not a JSON object"):
        from_cloud_event(envelope(data=None))


def test_moments_are_utc_whatever_their_offset() -> None:
    east = datetime(2026, 11, 18, 21, 42, 7, tzinfo=timezone(timedelta(hours=5)))
    assert to_ms("at", east) == to_ms("at", "2026-11-18T16:42:07Z") == to_ms("at", "2026-11-18T16:42:07")


def test_the_last_moment_of_the_calendar_is_named() -> None:
    """Rounded to milliseconds it is a date that nothing can write down."""
    data = {**envelope()["data"], "timestamp": "9999-12-31T23:59:59.9999Z"}
    with pytest.raises(InvalidInput, match="timestamp: of event EZ1 is not after 2014 and before 2100"):
        from_cloud_event(envelope(data=data))


def test_half_an_emoji_does_not_spoil_a_post() -> None:
    body = json.dumps([envelope(id="EZ\ud83d"), envelope()]).encode()
    assert rb"\ud83d" in body
    half, whole = envelopes(body)
    assert (half["id"], whole) == ("EZ?", envelope())
    assert from_cloud_event(half) is not None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'[{"type"',
        b"[NaN]",
        b'["\xed\xa0\xbd"]',
        b"\xff",
        "[1]".encode("utf-16"),
        b"[" * 200_000,
        b"[" * 2000 + b"]" * 2000,
        b"[1" + b"0" * 5000 + b"]",
    ],
    ids=["nothing", "half", "no number", "a raw surrogate", "no text", "utf-16", "deep", "closed", "long"],
)
def test_what_is_no_json_is_named(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="body: is not JSON; expected what Event Streams posts"):
        envelopes(body)


@pytest.mark.parametrize("attributes", [{"name": "Zoë 🙂"}, {"name": "Zo\ud83d"}, {}])
def test_attributes_are_written_so_that_they_come_back(attributes: dict[str, Any]) -> None:
    text = write_attributes(attributes)
    assert parse_attributes(text.encode().decode()) == attributes
