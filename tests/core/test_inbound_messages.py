"""What is kept of what customers write."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexsms.core.cloud_events import Home, from_cloud_event
from flexsms.core.exceptions import InvalidInput
from flexsms.core.inbound_messages import RECEIVED, OptOutWord, keepable, word_of
from flexsms.core.task_events import Ignored, Unplaced

ACCOUNT, MESSAGE = "AC" + "a" * 32, "SM" + "1" * 32
NUMBER, OURS = "+14155550199", "+14155550100"
AT = "2026-11-30T12:00:00.000Z"
AT_MS = 1_796_040_000_000


def message(body: object = "STOP", **changes: Any) -> dict[str, Any]:
    data = {
        "messageSid": MESSAGE,
        "timestamp": AT,
        "accountSid": ACCOUNT,
        "eventName": RECEIVED,
        "from": NUMBER,
        "to": OURS,
        "body": body,
        "fromZip": "94105",
    }
    return {
        "specversion": "1.0",
        "type": RECEIVED,
        "source": f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{MESSAGE}.json",
        "id": "EZ1",
        "time": AT,
        "data": {**data, **changes},
    }


@pytest.mark.parametrize(
    ("event", "out"),
    [
        (message(" stop "), True),
        (message("START"), False),
        (message("Hello"), None),
        (message(None), None),
        (message(["STOP"]), None),
        (message("STOP", **{"from": f"whatsapp:{NUMBER}"}), None),
        (message("STOP", **{"from": None}), None),
    ],
)
def test_the_word_of_a_message(event: dict[str, Any], out: bool | None) -> None:
    expected = None if out is None else OptOutWord(MESSAGE, AT_MS, out)
    assert word_of(event) == expected
    kept, problems = keepable([event])
    assert [word_of(one) for one in kept] == ([] if expected is None else [expected])
    assert problems == []


def test_data_may_be_a_text() -> None:
    event = message()
    assert word_of({**event, "data": json.dumps(event["data"])}) == OptOutWord(MESSAGE, AT_MS, True)


def test_without_its_own_time_that_of_the_event_counts() -> None:
    [kept], _ = keepable([message(timestamp=None)])
    assert word_of(kept) == OptOutWord(MESSAGE, AT_MS, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"messageSid": None},
        {"messageSid": NUMBER},
        {"timestamp": NUMBER},
        {"timestamp": 5},
        {"timestamp": "1999-01-01"},
    ],
)
def test_a_word_that_cannot_be_read_is_dropped_and_named_without_a_number(changes: dict[str, Any]) -> None:
    kept, [problem] = keepable([message(**changes)])
    assert kept == []
    assert problem
    assert NUMBER not in problem


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(NUMBER) | st.just("STOP"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(
    ["messageSid", "timestamp", "accountSid", "from", "to", "body", "optsOut", "fromZip", "recipients"]
)


@given(st.dictionaries(fields, values), st.sampled_from(["id", "time", "source", "data", "subject"]), values)
def test_nothing_else_of_a_message_is_ever_kept(changes: dict[str, Any], field: str, value: Any) -> None:
    kept, problems = keepable([{**message(**changes), field: value}])
    for one in kept:
        assert set(one) == {"specversion", "type", "id", "data"}
        assert set(one["data"]) == {"messageSid", "accountSid", "timestamp", "optsOut"}
        told = json.dumps(one["data"])
        assert NUMBER not in told
        assert OURS not in told
    assert NUMBER not in "".join(problems)


def test_other_messages_are_dropped_and_all_else_stays() -> None:
    task = {"type": "com.twilio.taskrouter.task.created", "data": {}}
    status = {"type": "com.twilio.messaging.message.delivered", "data": {"to": NUMBER, "body": "Hi"}}
    events = [task, status, message("Hello"), 5, None, {"type": None}, {}]
    assert keepable(events) == ([task, 5, None, {"type": None}, {}], [])


def test_what_is_kept_is_kept_again() -> None:
    """Another Airflow may pull it, and store it."""
    kept, _ = keepable([message()])
    assert keepable(kept) == (kept, [])


def test_an_event_is_an_opt_out_of_ours_another_ones_or_nothing() -> None:
    ours, other = Home(ACCOUNT, "WS" + "b" * 32), Home("AC" + "c" * 32, "WS" + "b" * 32)
    assert from_cloud_event(message(), ours) == OptOutWord(MESSAGE, AT_MS, True)
    assert from_cloud_event(message(), None) == OptOutWord(MESSAGE, AT_MS, True)
    assert from_cloud_event(message(), other) == Unplaced(Ignored.FOREIGN, origin=ACCOUNT)
    assert from_cloud_event(message("Hello"), ours) == Unplaced(Ignored.OTHER_TYPE)
    with pytest.raises(InvalidInput):
        from_cloud_event(message(messageSid=""), ours)
