"""Posts of Event Streams, and the task events in them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flexsms.core.cloud_events import Home, envelopes, from_cloud_event
from flexsms.core.exceptions import InvalidInput
from flexsms.core.stack_name import StackName
from flexsms.core.task_events import Ignored, TaskEvent, TaskEventType, Unplaced, from_taskrouter, to_ms

CHANNEL = "CH" + "a1" * 16
TASK = "WT" + "5f" * 16
HOME, THEIRS = Home("AC" + "0a" * 16, "WS" + "0b" * 16), "WS" + "0c" * 16
# The same event, as TaskRouter lists it.
RECORD = {
    "sid": "EV" + "3b" * 16,
    "event_type": "task.completed",
    "event_date_ms": 1795020127105,
    "resource_sid": TASK,
    "event_data": {"task_sid": TASK, "task_attributes": json.dumps({"channelSid": CHANNEL})},
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
    listed, streamed = from_taskrouter(RECORD), from_cloud_event(envelope())
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
