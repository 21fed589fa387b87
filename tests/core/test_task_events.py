"""Task events as TaskRouter lists them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from flexsms.core.exceptions import InvalidInput
from flexsms.core.stack_name import StackName
from flexsms.core.task_events import Ignored, TaskEvent, Unplaced, from_taskrouter, to_ms

CHANNEL = "CH" + "a1" * 16
TASK = "WT" + "5f" * 16
WORKSPACE = "WS" + "0b" * 16


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


def test_an_event_tells_the_kind_of_channel_and_the_workspace() -> None:
    attributes = {"channelSid": CHANNEL, "channelType": "WhatsApp"}
    data = {"task_sid": TASK, "task_attributes": attributes}
    event = from_taskrouter(record(event_data=data, workspace_sid=WORKSPACE))
    assert isinstance(event, TaskEvent)
    assert event.links == {"type": "whatsapp", "workspace": WORKSPACE}
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


def test_moments_are_utc_whatever_their_offset() -> None:
    east = datetime(2026, 11, 18, 21, 42, 7, tzinfo=timezone(timedelta(hours=5)))
    assert to_ms("at", east) == to_ms("at", "2026-11-18T16:42:07Z") == to_ms("at", "2026-11-18T16:42:07")
