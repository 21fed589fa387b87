"""What arrives at a webhook sink, and when."""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import pytest

from flexsms.sandbox.client import ControlError
from tests.sandbox.conftest import Account
from tests.sandbox.products.test_event_streams import COMPLETED, CREATED, make_sink, subscribe
from tests.support.webhook_receiver import Answering, Receiver, eventually

TASKS = [f"com.twilio.taskrouter.task.{name}" for name in ("created", "wrapup", "completed", "canceled")]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def stream(
    account: Account, receiver: Receiver, *types: str, path: str = "/hook", **configuration: Any
) -> str:
    """A sink that gets these events, and its SID."""
    where = {"destination": receiver.base_url + path, "method": "POST", "batch_events": True, **configuration}
    sid = str(make_sink(account, configuration=where).sid)
    subscribe(account, sid, *(types or TASKS))
    return sid


def a_task(account: Account, number: int = 0) -> str:
    """A task that was served, and its SID: created, wrapped up and completed."""
    task = account.workspace.tasks.create(
        attributes=json.dumps({"channelSid": f"CH{number:032x}"}), task_channel="sms"
    )
    account.control.agent("wrap", task_sid=task.sid)
    account.control.agent("complete", task_sid=task.sid, reason="agent ended chat")
    return str(task.sid)


def is_delivered(account: Account, events: int) -> bool:
    return bool(account.control.deliveries()["delivered"] == events)


def ids(receiver: Receiver) -> list[str]:
    return [event["id"] for event in receiver.events]


def test_an_event_has_the_documented_envelope(account: Account, receiver: Receiver) -> None:
    stream(account, receiver, COMPLETED)
    task_sid = a_task(account)
    account.control.delivered()
    (event,) = receiver.events
    (listed,) = account.workspace.events.list(event_type="task.completed")
    data, payload = event["data"], event["data"]["payload"]
    assert set(event) == {
        "specversion", "type", "source", "id", "dataschema", "datacontenttype", "time", "data",
    }  # fmt: skip
    assert (event["specversion"], event["type"]) == ("1.0", COMPLETED)
    assert event["dataschema"] == "https://events-schemas.twilio.com/TaskRouter.WDSEvent/4"
    assert set(data) == {
        "sid", "name", "account_sid", "account_friendly_name", "parent_account_sid", "parent_friendly_name",
        "timestamp", "level", "group", "product_name", "publisher", "publisher_metadata", "payload_type", "payload",
    }  # fmt: skip
    assert (data["sid"], data["name"], data["group"]) == (listed.sid, "TaskCompleted", "task")
    assert data["timestamp"] == payload["timestamp"] < event["time"]
    assert data["timestamp"].endswith(f".{listed.event_date_ms % 1000:03d}Z")
    assert payload["eventtype"] == "task.completed"
    assert payload["task_sid"] == payload["resource_sid"] == task_sid
    assert payload["task_assignment_status"] == "completed"
    assert payload["task_completed_reason"] == "agent ended chat"
    assert json.loads(payload["task_attributes"])["channelSid"] == "CH" + "0" * 32
    assert (payload["task_age"], payload["task_priority"]) == (0, 0)
    assert payload["task_date_created"].endswith("Z")


def test_only_what_was_subscribed_to_is_sent(account: Account, receiver: Receiver) -> None:
    sid = stream(account, receiver, CREATED)
    a_task(account)
    account.control.delivered()
    assert [event["type"] for event in receiver.events] == [CREATED]
    (subscription,) = account.events.subscriptions.list(sink_sid=sid)
    events = account.events.subscriptions(subscription.sid).subscribed_events
    events.create(type=COMPLETED, schema_version=1)
    events(CREATED).delete()
    a_task(account)
    account.control.delivered()
    assert [event["type"] for event in receiver.events] == [CREATED, COMPLETED]
    assert receiver.events[-1]["dataschema"].endswith("/1")
    account.events.subscriptions(subscription.sid).delete()
    a_task(account)
    assert account.control.delivered()["enqueued"] == 2


@pytest.mark.parametrize("path", ["", "/hook", "/hook?a=1&b=%2F+%C3%A4", "/a%20b//c?"])
def test_requests_are_signed(account: Account, receiver: Receiver, path: str) -> None:
    stream(account, receiver, path=path)
    a_task(account)
    account.control.delivered()
    token = account.settings["auth_token"]
    for delivery in receiver.deliveries:
        assert delivery.headers["Content-Type"] == "application/json"
        assert "bodySHA256=" in urlsplit(delivery.target).query
        assert receiver.is_signed(delivery, token)
        assert not receiver.is_signed(delivery, token[::-1])
        assert not receiver.is_signed(delivery, token, delivery.body.decode().replace("1.0", "1.1"))


def test_credentials_of_the_url_are_sent_as_basic_authentication(
    account: Account, receiver: Receiver
) -> None:
    with_them = receiver.base_url.replace("//", "//flex:s%40cret@")
    stream(account, receiver, destination=f"{with_them}/hook")
    a_task(account)
    account.control.delivered()
    scheme, _, given = receiver.deliveries[0].headers["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(given)) == ("Basic", b"flex:s@cret")
    assert receiver.is_signed(receiver.deliveries[0], account.settings["auth_token"])


@pytest.mark.parametrize("method", ["POST", "post", "GET"])
def test_the_method_is_the_one_of_the_sink(account: Account, receiver: Receiver, method: str) -> None:
    stream(account, receiver, COMPLETED, method=method)
    a_task(account)
    account.control.delivered()
    (delivery,) = receiver.deliveries
    assert (delivery.method, len(delivery.events)) == (method.upper(), 1)


@pytest.mark.parametrize(
    ("batch_events", "single", "bodies"),
    [
        (True, "documented", [list]), (True, "object", [list]), (True, "array", [list]),
        (False, "documented", [list] * 3), (False, "array", [list] * 3), (False, "object", [dict] * 3),
        ("false", "object", [dict] * 3), (None, "object", [dict] * 3),
    ],
)  # fmt: skip
def test_arrays_and_objects(
    account: Account, receiver: Receiver, batch_events: Any, single: str, bodies: list[type]
) -> None:
    account.control.settings(stream_single=single, stream_paused=True)
    stream(account, receiver, batch_events=batch_events)
    a_task(account)
    account.control.settings(stream_paused=False)
    account.control.delivered()
    assert [type(json.loads(delivery.body)) for delivery in receiver.deliveries] == bodies
    assert len(set(ids(receiver))) == 3


@pytest.mark.parametrize(
    ("status", "code"), [(429, 91302), (500, 91306), (503, 91306), (307, 91300), (200, None)]
)
def test_what_did_not_arrive_is_sent_again(account: Account, status: int, code: int | None) -> None:
    answer: Answering = lambda n, _: 200 if n else status  # noqa: E731
    with Receiver(answer) as receiver:
        stream(account, receiver, COMPLETED)
        a_task(account)
        account.control.advance(1)
        assert account.control.delivered()["delivered"] == 1
        again = 2 if code else 1
        assert [delivery.body for delivery in receiver.deliveries] == [receiver.deliveries[0].body] * again
    attempts = account.control.deliveries()["attempts"]
    assert [(one["status"], one["code"]) for one in attempts] == [(status, code), (200, None)][:again]
    assert attempts[0]["outcome"] == ("retry" if code else "delivered")
    assert attempts[-1]["attempt"] == again


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413])
def test_what_is_refused_is_discarded(account: Account, status: int) -> None:
    with Receiver(lambda _n, _delivery: status) as receiver:
        stream(account, receiver)
        a_task(account)
        found = account.control.delivered()
        assert (found["discarded"], found["delivered"], found["lost"]) == (3, 0, 0)
        account.control.advance(4 * 3600)
        time.sleep(0.1)
        assert len(ids(receiver)) == 3
    assert {one["code"] for one in account.control.deliveries()["attempts"]} == {91305}


def test_after_four_hours_events_are_lost(account: Account) -> None:
    with Receiver(lambda _n, _delivery: 503) as receiver:
        stream(account, receiver, COMPLETED)
        a_task(account)
        with pytest.raises(ControlError, match="1 events are still"):
            account.control.delivered(0.2)
        account.control.advance(4 * 3600 - 60)
        with pytest.raises(ControlError, match="1 events are still"):
            account.control.delivered(0.5)
        account.control.advance(120)
        assert account.control.delivered()["lost"] == 1
        assert len(receiver.deliveries) > 10
    attempts = account.control.deliveries()["attempts"]
    assert [one["attempt"] for one in attempts] == list(range(1, len(attempts) + 1))
    assert {one["outcome"] for one in attempts[:-1]} == {"retry"}
    assert (attempts[-1]["outcome"], attempts[-1]["next_at"]) == ("lost", None)
    pauses = [one["next_at"] for one in attempts[:-1]]
    assert pauses == sorted(pauses)
    assert [one["at"] for one in attempts[1:]] == pauses


def test_a_receiver_that_comes_back_within_four_hours_misses_nothing(account: Account) -> None:
    down = [True]
    with Receiver(lambda _n, _delivery: 503 if down else 200) as receiver:
        stream(account, receiver)
        for number in range(3):
            a_task(account, number)
        account.control.advance(3 * 3600)
        time.sleep(0.3)
        down.clear()
        account.control.advance(3600)
        assert account.control.delivered()["delivered"] == 9
        assert len(set(ids(receiver))) == 9


def test_no_connection_and_no_answer_are_retried(account: Account) -> None:
    account.control.settings(stream_timeout_s=0.2)
    with Receiver(hang_s=0.5) as receiver:
        stream(account, receiver, COMPLETED)
        a_task(account)
        eventually(lambda: bool(account.control.deliveries()["attempts"]))
    attempt = account.control.deliveries()["attempts"][0]
    assert (attempt["status"], attempt["code"], attempt["outcome"]) == (None, 91308, "retry")
    account.control.advance(4 * 3600)
    assert account.control.delivered()["lost"] == 1
    attempt = account.control.deliveries()["attempts"][-1]
    assert (attempt["status"], attempt["code"]) == (None, 91307)


def test_a_slow_receiver_holds_up_nobody(account: Account) -> None:
    gate = Event()
    account.control.settings(stream_timeout_s=30.0)
    with Receiver(lambda _n, _delivery: 200 if gate.wait(20) else 500) as slow, Receiver() as quick:
        stream(account, slow)
        stream(account, quick)
        for number in range(10):
            a_task(account, number)
        eventually(partial(is_delivered, account, 30))
        found = account.control.deliveries()
        assert (found["delivered"], found["waiting"] + found["under_way"]) == (30, 30)
        gate.set()
        assert account.control.delivered()["delivered"] == 60
        assert len(set(ids(slow))) == 30


def test_the_switches_for_losing_doubling_and_mixing(account: Account, receiver: Receiver) -> None:
    account.control.settings(
        stream_duplicates=0.2,
        stream_drops=0.1,
        stream_jitter_s=600.0,
        stream_batch=[1, 20],
        stream_paused=True,
    )
    stream(account, receiver)
    happened = account.control.events(channels=50, events=7000)["events"]
    wanted = happened * 3 // 7
    account.control.advance(600)
    assert account.control.deliveries()["waiting"] > wanted
    assert receiver.deliveries == []
    account.control.settings(stream_paused=False)
    found = account.control.delivered()
    copies = Counter(ids(receiver))
    assert found["dropped"] + len(copies) == wanted
    assert found["delivered"] == sum(copies.values()) == found["enqueued"] - found["dropped"]
    assert 0.08 < found["dropped"] / wanted < 0.12
    assert set(copies.values()) == {1, 2}
    assert 0.17 < Counter(copies.values())[2] / len(copies) < 0.23
    stamps = [event["data"]["timestamp"] for event in receiver.events]
    late = sum(first > second for first, second in pairwise(stamps))
    assert late > len(stamps) / 4
    sizes = Counter(len(delivery.events) for delivery in receiver.deliveries)
    assert set(range(1, 21)) >= set(sizes) >= set(range(2, 20))
    twice = Counter(copies.values())[2]
    at_once = sum(
        len(delivery.events) - len({one["id"] for one in delivery.events}) for delivery in receiver.deliveries
    )
    assert at_once < twice / 10
    dropped = [one for one in account.control.deliveries()["attempts"] if one["outcome"] == "dropped"]
    assert {one["code"] for one in dropped} == {91303}
    assert not {one["events"][0] for one in dropped} & set(copies)


def test_the_same_seed_loses_and_doubles_the_same(account: Account, receiver: Receiver) -> None:
    found = []
    for late in (100.0, 0.0):
        account.control.reset(stream_duplicates=0.3, stream_drops=0.3, stream_jitter_s=late)
        receiver.deliveries.clear()
        stream(account, receiver)
        account.control.events(channels=5, events=70)
        account.control.advance(100)
        account.control.delivered()
        found.append(Counter((one["data"]["payload"]["task_sid"], one["type"]) for one in receiver.events))
    assert found[0] == found[1]
    assert {1, 2} == set(found[0].values())
    assert len(found[0]) < 30


def test_delay_and_rate_count_in_virtual_seconds(account: Account, receiver: Receiver) -> None:
    account.control.settings(stream_delay_s=60.0, stream_rate=0.01, stream_batch=[1, 1])
    stream(account, receiver)
    a_task(account)
    account.control.advance(50)
    time.sleep(0.1)
    assert account.control.deliveries()["waiting"] == 3
    for arrived in (1, 2, 3):
        account.control.advance(100)
        eventually(partial(is_delivered, account, arrived))
        time.sleep(0.1)
        assert len(ids(receiver)) == arrived


def test_what_happens_by_itself_is_delivered_without_being_asked(
    account: Account, receiver: Receiver
) -> None:
    stream(
        account, receiver, "com.twilio.taskrouter.task.system-deleted", "com.twilio.taskrouter.task.canceled"
    )
    account.control.run_clock()
    account.workspace.tasks.create(attributes="{}", timeout=1)
    eventually(lambda: bool(receiver.deliveries))
    assert receiver.events[0]["data"]["payload"]["task_attributes"] == "{}"


def test_malformed_events_are_passed_on_as_they_are(account: Account, receiver: Receiver) -> None:
    stream(account, receiver, COMPLETED)
    data: list[Any] = [None, "text", {"task_age": "old", "task_attributes": "{", "worker_sid": None}]
    account.control.events(raw=[{"type": "task.completed", "data": one} for one in data])
    account.control.delivered()
    payloads = [event["data"]["payload"] for event in receiver.events]
    assert payloads[:2] == [None, "text"]
    assert (payloads[2]["task_age"], payloads[2]["task_attributes"]) == ("old", "{")
    assert "worker_sid" not in payloads[2]


def test_a_test_event(account: Account, receiver: Receiver) -> None:
    sink = account.events.sinks(stream(account, receiver))
    sink.sink_test.create()
    account.control.delivered()
    (event,) = receiver.events
    assert (event["type"], event["source"]) == ("com.twilio.eventstreams.test-event", "Sink")
    assert event["dataschema"].endswith("EventStreams.TestSink/1.json")
    assert sink.sink_validate.create(test_id=event["data"]["test_id"]).result == "valid"


def test_a_sink_that_is_deleted_gets_nothing_more(account: Account, receiver: Receiver) -> None:
    sid = stream(account, receiver)
    account.control.settings(stream_paused=True)
    a_task(account)
    (subscription,) = account.events.subscriptions.list()
    account.events.subscriptions(subscription.sid).delete()
    account.events.sinks(sid).delete()
    account.control.settings(stream_paused=False)
    assert account.control.delivered()["lost"] == 3
    assert receiver.deliveries == []


def test_a_request_under_way_is_the_last_of_a_deleted_sink(account: Account) -> None:
    gate = Event()
    with Receiver(lambda _n, _delivery: 503 if gate.wait(20) else 200) as receiver:
        sink = account.events.sinks(stream(account, receiver, COMPLETED))
        a_task(account)
        eventually(lambda: bool(receiver.deliveries))
        account.events.subscriptions(account.events.subscriptions.list()[0].sid).delete()
        sink.delete()
        gate.set()
        assert account.control.delivered()["lost"] == 1
        assert len(receiver.deliveries) == 1


@pytest.mark.parametrize("under_way", [True, False])
def test_a_snapshot_keeps_what_is_on_its_way(account: Account, under_way: bool) -> None:
    """What is under way counts as not sent: it may come twice, but not never."""
    gate = Event()
    with Receiver(lambda _n, _delivery: 200 if gate.wait(20) else 500) as receiver:
        account.control.settings(stream_paused=not under_way, stream_timeout_s=30.0)
        stream(account, receiver)
        a_task(account)
        if under_way:
            eventually(lambda: account.control.deliveries()["under_way"] == 3)
        state = account.control.state()
        account.control.reset()
        account.control.restore(state)
        if not under_way:
            assert account.control.state() == state
        gate.set()
        account.control.settings(stream_paused=False)
        assert account.control.delivered()["delivered"] == 3
        assert len(set(ids(receiver))) == 3


def test_what_is_sent_again_is_not_put_together_with_new_events(account: Account) -> None:
    with Receiver(lambda n, _: 200 if n else 503) as receiver:
        stream(account, receiver, CREATED)
        a_task(account)
        eventually(lambda: bool(account.control.deliveries()["attempts"]))
        account.control.settings(stream_paused=True)
        a_task(account)
        account.control.advance(60)
        account.control.settings(stream_paused=False)
        assert account.control.delivered()["delivered"] == 2
        assert [len(delivery.events) for delivery in receiver.deliveries] == [1, 1, 1]
        assert len(set(ids(receiver))) == 2


def test_many(account: Account, receiver: Receiver) -> None:
    stream(account, receiver)
    account.control.events(channels=100, events=14_000)
    assert account.control.delivered()["delivered"] == 6_000
    assert len(set(ids(receiver))) == 6_000
