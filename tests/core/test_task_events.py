"""Task events from both of Twilio's shapes."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from flexsms.core.exceptions import InvalidInput
from flexsms.core.task_events import (
    Home,
    Ignored,
    StackName,
    TaskEvent,
    TaskEventType,
    Unplaced,
    envelopes,
    from_cloud_event,
    from_taskrouter,
    parse_attributes,
    to_ms,
    write_attributes,
)

CHANNEL = "CH" + "a1" * 16
TASK = "WT" + "5f" * 16
HOME, THEIRS = Home("AC" + "0a" * 16, "WS" + "0b" * 16), "WS" + "0c" * 16


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
    assert isinstance(listed, TaskEvent)
    assert isinstance(streamed, TaskEvent)
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
    assert isinstance(event, TaskEvent)
    assert event.stack is StackName.CONVERSATIONS
    assert event.links == {"interaction": "KD" + "1" * 32, "interaction_channel": "UO" + "2" * 32}


def test_without_milliseconds_the_date_counts() -> None:
    event = from_taskrouter(record(event_date_ms=None))
    assert isinstance(event, TaskEvent)
    assert event.at_ms == 1795020127000


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({"event_type": "worker.activity.update"}, Ignored.OTHER_TYPE, id="not about a task"),
        pytest.param({"event_type": "task.updated"}, Ignored.OTHER_TYPE, id="neither beginning nor end"),
    ],
)
def test_what_is_no_beginning_or_end_is_left_out(changes: dict[str, Any], why: Ignored) -> None:
    assert from_taskrouter(record(**changes)) == Unplaced(why)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param({"task_attributes": "{}"}, Ignored.NO_CHANNEL, id="no attributes"),
        pytest.param({"task_attributes": '{"channelSid": null}'}, Ignored.NO_CHANNEL, id="transferred"),
        pytest.param({"task_attributes": '{"taskType": "callback"}'}, Ignored.NO_CHANNEL, id="a callback"),
        pytest.param({"task_attributes": '{"call_sid": "CA1"}'}, Ignored.VOICE, id="a call"),
        pytest.param(
            {"task_attributes": None, "task_channel_unique_name": "voice"},
            Ignored.VOICE,
            id="a redacted call",
        ),
        pytest.param({}, Ignored.REDACTED, id="attributes taken away"),
        pytest.param({"task_attributes": '{"channelSid": "[REDACTED]"}'}, Ignored.REDACTED, id="placeholder"),
        pytest.param({"task_attributes": "redacted"}, Ignored.UNREADABLE, id="no JSON"),
        pytest.param({"task_attributes": "[1]"}, Ignored.UNREADABLE, id="no object"),
    ],
)
def test_an_end_that_names_no_channel_says_why_and_keeps_its_task(data: dict[str, Any], why: Ignored) -> None:
    ended = from_taskrouter(record(event_data={"task_sid": TASK, **data}))
    assert ended == Unplaced(why, TASK, 1795020127105)
    begun = from_taskrouter(record(event_type="task.created", event_data={"task_sid": TASK, **data}))
    assert begun == Unplaced(why)
    assert from_taskrouter(record(resource_sid="WT1", event_data=data)) == Unplaced(why)


@pytest.mark.parametrize(
    ("named", "origin"),
    [
        pytest.param({"workspace_sid": HOME.workspace_sid, "account_sid": "AC" + "9" * 32}, "", id="ours"),
        pytest.param({"account_sid": HOME.account_sid}, "", id="our account"),
        pytest.param({}, "", id="nobody knows"),
        pytest.param({"workspace_sid": "WS1", "account_sid": "ACxxx"}, "", id="placeholders"),
        pytest.param({"workspace_sid": THEIRS, "account_sid": HOME.account_sid}, THEIRS, id="workspace"),
        pytest.param({"account_sid": "AC" + "9" * 32}, "AC" + "9" * 32, id="account"),
    ],
)
def test_events_of_another_workspace_or_account_are_not_ours(named: dict[str, Any], origin: str) -> None:
    event = envelope()
    event["data"]["payload"] |= named
    read = from_cloud_event(event, HOME)
    if origin:
        assert read == Unplaced(Ignored.FOREIGN, origin=origin)
    else:
        assert isinstance(read, TaskEvent)
    assert isinstance(from_cloud_event(event), TaskEvent)


def test_an_event_tells_the_kind_of_channel_and_the_workspace() -> None:
    attributes = {"channelSid": CHANNEL, "channelType": "WhatsApp"}
    data = {"task_sid": TASK, "task_attributes": attributes}
    event = from_taskrouter(record(event_data=data, workspace_sid=HOME.workspace_sid))
    assert isinstance(event, TaskEvent)
    assert event.links == {"type": "whatsapp", "workspace": HOME.workspace_sid}
    for odd in ("a text of somebody's", "", 7, None, {"a": 1}):
        data = {"task_sid": TASK, "task_attributes": {**attributes, "channelType": odd}}
        event = from_taskrouter(record(event_data=data))
        assert isinstance(event, TaskEvent)
        assert event.links == {}


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
    assert isinstance(event, TaskEvent)
    assert event.at_ms == to_ms("time", "2026-11-18T16:42:09.000Z")


def test_a_cloud_event_of_another_product_is_left_out() -> None:
    sent = envelope(type="com.twilio.messaging.message.sent", data="anything")
    assert from_cloud_event(sent) == Unplaced(Ignored.OTHER_TYPE)


@pytest.mark.parametrize("type_", [None, "", 7])
def test_what_does_not_say_its_type_is_told_apart(type_: object) -> None:
    assert from_cloud_event(envelope(type=type_)) == Unplaced(Ignored.NO_TYPE)


def test_a_time_as_a_number_is_called_one() -> None:
    data = {**envelope()["data"], "timestamp": 1795020127105}
    with pytest.raises(InvalidInput, match=r"data\.timestamp: is a number; expected ISO 8601"):
        from_cloud_event(envelope(data=data))


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
    assert isinstance(from_cloud_event(half), TaskEvent)


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
