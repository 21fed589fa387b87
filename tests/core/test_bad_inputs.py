"""Forty bad inputs, each with one clear sentence: which field, what is wrong, what to do.

What only Twilio can find out (401, 403, unknown SIDs) is in tests/twilio/client/test_bad_responses.py.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from flexsms.core.cloud_events import from_cloud_event
from flexsms.core.exceptions import InvalidInput, MissingSetting, PermanentError
from flexsms.core.outbound_message import OutboundMessage
from flexsms.core.retention import window_ms
from flexsms.core.task_events import from_taskrouter
from flexsms.twilio.client.settings import TwilioSettings

FROM, TO = "+14155550102", "+14155550101"
ACCOUNT, KEY = "AC" + "1" * 32, "SK" + "2" * 32
CHANNEL, TASK = "CH" + "a" * 32, "WT" + "b" * 32

MESSAGES: list[tuple[str, dict[str, Any], str]] = [
    ("no sender", {"from_number": ""}, "from_number: is empty; give a number in E.164"),
    ("no recipient", {"to_number": None}, "to_number: is empty"),
    ("letters", {"to_number": "+abc"}, "to_number: … is not a phone number; write it in E.164"),
    ("no country code", {"to_number": "4155550101"}, "to_number: has no country code; write it in E.164"),
    (
        "too short",
        {"to_number": "+1415555"},
        "to_number: …5555 has too few digits for a number of \\+1; check for",
    ),
    (
        "too long",
        {"to_number": "+1415555010101"},
        "to_number: …0101 has too many digits for a number of \\+1",
    ),
    ("no such country", {"to_number": "+9991234567"}, "to_number: …4567 is not a phone number"),
    ("an extension", {"to_number": "+14155550101;ext=5"}, "to_number: .* has an extension"),
    ("a number, not a text", {"to_number": 14155550101}, "to_number: is int, not text; write it in quotes"),
    ("to ourselves", {"to_number": FROM}, "to_number: is the same as from_number"),
    ("no such route", {"route": "fax"}, "route: 'fax' is not a route; choose 'agent' or 'studio'"),
    ("nothing to say", {"route": "studio", "body": "  "}, "body: is empty; write a text"),
    ("too much to say", {"body": "x" * 1601}, "body: has 1601 characters; shorten it to 1600"),
    ("a body that is a list", {"body": ["x"]}, "body: is list, not text"),
    ("a worker's name", {"target_worker_sid": "Alice"}, "target_worker_sid: is not a Twilio SID"),
    ("a task for a channel", {"source_channel_sid": TASK}, "source_channel_sid: is not a Twilio SID"),
    (
        "a worker without a task",
        {"route": "studio", "target_worker_sid": "WK" + "1" * 32},
        "target_worker_sid: has no",
    ),
    ("attributes as a list", {"task_attributes": [1]}, "task_attributes: is list, not an object"),
    ("attributes of Flex", {"task_attributes": {"to": "x"}}, "task_attributes: to belong to Flex"),
    (
        "attributes no JSON knows",
        {"task_attributes": {"x": {1}}},
        "task_attributes: cannot be written as JSON",
    ),
    ("attributes without end", {"task_attributes": {"x": "y" * 5000}}, "task_attributes: has 50.. bytes"),
]

CONNECTIONS: list[tuple[str, dict[str, Any], str]] = [
    ("no login", {"login": None}, "login: is empty; give AC… or SK…"),
    ("an e-mail address", {"login": "me@example.org"}, "login: is not an Account SID"),
    ("no password", {"password": ""}, "password: is empty; give the Auth Token"),
    ("a key without its account", {"login": KEY}, "account_sid: is empty; give AC"),
    ("an account that is none", {"extra": {"account_sid": "ACME"}}, "account_sid: is not a SID of this kind"),
    (
        "a map for a service",
        {"extra": {"sync_service_sid": "MP" + "1" * 32}},
        "sync_service_sid: is not a SID",
    ),
    ("a number for a SID", {"extra": {"workspace_sid": 5}}, "workspace_sid: is int, not text"),
    ("no such stack", {"extra": {"stack": "flex"}}, "stack: is 'flex'; choose 'conversations' or 'chat'"),
    ("an edge alone", {"extra": {"edge": "dublin"}}, "region: is empty; give edge and region together"),
    ("a region alone", {"extra": {"region": "ie1"}}, "edge: is empty; give edge and region together"),
    (
        "an edge that is a host",
        {"extra": {"edge": "dublin@evil.example/", "region": "ie1"}},
        "edge: is no name of Twilio's; give it like dublin and ie1",
    ),
    (
        "a region that is a host",
        {"extra": {"edge": "dublin", "region": "ie1.evil.example#"}},
        "region: is no name of Twilio's",
    ),
    ("half a base URL", {"extra": {"base_url": "http://[::1"}}, "base_url: is not a URL; leave it empty"),
    ("a base URL without a host", {"extra": {"base_url": "http://:80"}}, "base_url: is not a URL"),
    ("a port that is none", {"extra": {"base_url": "http://x:99999"}}, "base_url: is not a URL"),
    (
        "a collector's connection that leads elsewhere",
        {"extra": {"events_conn_id": "../variables/canary"}},
        "events_conn_id: is no connection's name",
    ),
    (
        "an AWS connection that leads elsewhere",
        {"extra": {"kinesis_conn_id": "a?b"}},
        "kinesis_conn_id: is no connection's name",
    ),
    ("a timeout of zero", {"extra": {"timeout_s": 0}}, "timeout_s: is 0; give a number between 0.1 and 600"),
    ("a timeout in words", {"extra": {"timeout_s": "long"}}, "timeout_s: is 'long'; give a number"),
    (
        "nothing in flight",
        {"extra": {"max_in_flight": 0}},
        "max_in_flight: is 0; give a whole number between 1",
    ),
    ("half a request", {"extra": {"max_in_flight": "7.5"}}, "max_in_flight: is '7.5'; give a whole number"),
    ("yes in flight", {"extra": {"max_in_flight": True}}, "max_in_flight: is True; give a whole number"),
    ("a timeout without end", {"extra": {"timeout_s": "inf"}}, "timeout_s: is 'inf'; give a number between"),
    (
        "an events_url with a port that is none",
        {"extra": {"events_url": "https://airflow.example.com:99999/flexsms/events"}},
        "events_url: is not a URL; give https://host/flexsms/events",
    ),
    (
        "no days to close after",
        {"extra": {"close_after_days": 0}},
        "close_after_days: is 0; give a whole number",
    ),
    (
        "half a day to close after",
        {"extra": {"close_after_days": 2.5}},
        "close_after_days: is 2.5; give a whole number between 1 and 3650",
    ),
    ("limits in words", {"extra": {"rate_limits": "slow"}}, "rate_limits: is not understood"),
    (
        "a limit of nothing",
        {"extra": {"rate_limits": {"x": 0}}},
        "rate_limits: holds a limit that is not above 0",
    ),
    ("a base_url without scheme", {"extra": {"base_url": "localhost:99"}}, "base_url: is not a URL"),
    (
        "a path for an inbox",
        {"extra": {"inbox_path": "/var/inbox"}},
        "inbox_path: is not a URL; give a URL like",
    ),
    *(
        (
            f"a secret in {url}",
            {"extra": {"inbox_path": url}},
            "inbox_path: holds more than the ID of a connection before the @; put credentials into an Airflow "
            "connection and name that, like s3://conn_id@bucket/path",
        )
        for url in (
            "ftp://user:hunter2@files.example.com/inbox",
            "s3://KEY:hunter2@bucket/flexsms",
            "s3://:hunter2@bucket/flexsms",
            "sftp://a@b:hunter2@files.example.com/inbox",
            "s3://KEY%3Ahunter2@bucket",
        )
    ),
    (
        "an events_url without a path",
        {"extra": {"events_url": "https://airflow.example.com"}},
        "events_url: is not a URL; give https://host/flexsms/events",
    ),
    (
        "an events_url with a login",
        {"extra": {"events_url": "https://me:word@airflow.example.com/flexsms/events"}},
        "events_url: is not a URL",
    ),
    (
        "an events_url with a query",
        {"extra": {"events_url": "https://airflow.example.com/flexsms/events?a=b"}},
        "events_url: is not a URL",
    ),
    (
        "no days to keep posts",
        {"extra": {"inbox_keep_days": 0}},
        "inbox_keep_days: is 0; give a whole number",
    ),
    (
        "a URL for a stream",
        {"extra": {"kinesis_stream": "https://kinesis.example.com/events"}},
        "kinesis_stream: is neither a stream's name nor its ARN; give the stream's name, or its ARN like arn:aws:",
    ),
]

EVENTS: list[tuple[str, Any, dict[str, Any], str]] = [
    (
        "no data",
        from_taskrouter,
        {"event_type": "task.created", "event_data": None},
        "event_data: is not a JSON object",
    ),
    (
        "no time",
        from_taskrouter,
        {
            "event_type": "task.created",
            "event_data": {"task_attributes": json.dumps({"channelSid": CHANNEL})},
        },
        "event_date: is missing",
    ),
    (
        "no task",
        from_taskrouter,
        {
            "event_type": "task.created",
            "event_date_ms": 5,
            "event_data": {"task_attributes": json.dumps({"channelSid": CHANNEL})},
        },
        "task_sid: is missing",
    ),
    (
        "a time that is none",
        from_taskrouter,
        {"event_type": "task.created", "event_date_ms": "noon", "event_data": {}},
        "event_date_ms: is not a number; expected milliseconds",
    ),
    (
        "a far date",
        from_taskrouter,
        {
            "sid": "EV1",
            "event_type": "task.created",
            "event_date_ms": 4_102_444_800_000,
            "event_data": {"task_sid": TASK, "task_attributes": json.dumps({"channelSid": CHANNEL})},
        },
        "timestamp: of event EV1 is not after 2014 and before 2100; expected UTC",
    ),
    (
        "a payload of nothing",
        from_cloud_event,
        {"type": "com.twilio.taskrouter.task.created", "data": {"payload": "]"}},
        "data.payload: is not a JSON object",
    ),
]

WINDOWS: list[tuple[str, Any, str]] = [
    ("no window", 0, "retention_days: is 0; give days"),
    ("a negative one", -1, "retention_days: is -1; give days"),
    ("a text", "two", "retention_days: is not a number"),
    ("yes", True, "retention_days: is not a number"),
]


def one_sentence(error: PermanentError) -> str:
    text = str(error)
    assert "\n" not in text
    assert text.endswith(".")
    assert "4155550101" not in text
    assert "4155550102" not in text
    return text


@pytest.mark.parametrize(("changes", "says"), [pytest.param(c, s, id=name) for name, c, s in MESSAGES])
def test_a_message(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        OutboundMessage.parse(**{"from_number": FROM, "to_number": TO, "body": "Hi", **changes})
    assert re.search(f"^{says}", one_sentence(caught.value))


@pytest.mark.parametrize(("changes", "says"), [pytest.param(c, s, id=name) for name, c, s in CONNECTIONS])
def test_a_connection(changes: dict[str, Any], says: str) -> None:
    fields = {"login": ACCOUNT, "password": "geheim", "extra": {}, **changes}
    with pytest.raises(MissingSetting) as caught:
        TwilioSettings.from_connection(**fields)
    assert re.search(f"^Connection field {says}", one_sentence(caught.value))
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("read", "event", "says"), [pytest.param(r, e, s, id=name) for name, r, e, s in EVENTS]
)
def test_an_event(read: Any, event: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(event)
    assert re.search(f"^{says}", one_sentence(caught.value))


@pytest.mark.parametrize(("days", "says"), [pytest.param(d, s, id=name) for name, d, s in WINDOWS])
def test_a_retention_window(days: Any, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        window_ms(days)
    assert re.search(f"^{says}", one_sentence(caught.value))


def test_there_are_forty_of_them() -> None:
    assert len(MESSAGES) + len(CONNECTIONS) + len(EVENTS) + len(WINDOWS) >= 40
