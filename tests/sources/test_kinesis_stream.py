"""A Kinesis stream behind an Airflow connection of type aws, over real HTTP."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from flexsms.core.event_source import EventPage
from flexsms.core.exceptions import (
    ExpiredIterator,
    FlexSmsError,
    MissingSetting,
    PermanentError,
    ServiceUnavailable,
    ShardGone,
    UnknownPosition,
)
from flexsms.sources.kinesis import KinesisSource
from flexsms.sources.kinesis_stream import KinesisStream
from tests.support.kinesis_server import LOGIN, PASSWORD, REGION, KinesisServer

pytestmark = pytest.mark.anyio


def event(number: int) -> bytes:
    """A CloudEvent about a task of its own."""
    payload = {
        "task_sid": f"WT{number:032x}",
        "task_attributes": json.dumps({"channelSid": f"CH{number:032x}"}),
    }
    data = {"timestamp": "2024-11-20T10:00:00.000Z", "payload": payload}
    return json.dumps(
        {"id": f"EZ{number}", "type": "com.twilio.taskrouter.task.created", "data": data}
    ).encode()


async def read(stream: str, cursor: str | None = None) -> EventPage:
    source = KinesisSource(KinesisStream("aws_default", stream), now=lambda: datetime.now(UTC))
    [page] = [page async for page in source.read(cursor)]
    return page


def ids(page: EventPage) -> set[str]:
    return {event.event_id for event in page.events}


# A whole Kinesis


async def test_a_stream_is_read_by_its_name_or_its_arn(kinesis: KinesisServer) -> None:
    arn = kinesis.create(shards=3)
    kinesis.put(*(event(number) for number in range(20)))
    by_name, by_arn = await read("events"), await read(arn)
    assert ids(by_name) == ids(by_arn) == {f"EZ{number}" for number in range(20)}
    assert by_name.cursor == by_arn.cursor
    kinesis.put(event(20), b"nonsense")
    page = await read("events", by_arn.cursor)
    assert ids(page) == {"EZ20"}
    assert [sentence.partition(": ")[2] for sentence in page.rejected] == [
        "body: is not JSON; expected what Event Streams posts."
    ]


async def test_an_arn_names_the_region_too(kinesis: KinesisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = kinesis.create()
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(kinesis.connection(region_name=None)))
    assert await KinesisStream("aws_default", arn).shards() == ["shardId-000000000000"]
    with pytest.raises(PermanentError, match="names no region; give region_name in its extra, or the stream"):
        await KinesisStream("aws_default", "events").created()


async def test_shards_that_merge_and_split_lose_nothing(kinesis: KinesisServer) -> None:
    kinesis.create(shards=2)
    found, cursor, number = set[str](), None, 0
    for reshard in (kinesis.merge, kinesis.split, kinesis.merge):
        for moment in ("read", "not read"):
            kinesis.put(*(event(number + one) for one in range(10)))
            number += 10
            if moment == "read":
                page = await read("events", cursor)
                found |= ids(page)
                cursor = page.cursor
        reshard()
    page = await read("events", cursor)
    found |= ids(page)
    assert len(json.loads(str(page.cursor))["shards"]) > 2
    assert found == {f"EZ{one}" for one in range(number)}


async def test_a_stream_made_anew_is_another_one(kinesis: KinesisServer) -> None:
    kinesis.create()
    kinesis.put(event(1), event(2))
    page = await read("events")
    kinesis.client.delete_stream(StreamName="events")
    with pytest.raises(MissingSetting, match="names no stream of this AWS account and region; check it"):
        await read("events", page.cursor)
    kinesis.create()
    kinesis.put(event(3))
    assert ids(await read("events", page.cursor)) == {"EZ3"}


# Single answers


class Aws:
    """Answers as it is told, in AWS' protocol, and writes down what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: list[tuple[int, Any]] = []
        self.asked: list[tuple[str, Any]] = []

    def refuse(self, code: str, status: int = 400, **more: Any) -> None:
        # AWS' text may quote the request; so does this one.
        self.answers.append((status, {"__type": code, "message": f"{LOGIN} {PASSWORD}", **more}))

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.headers["X-Amz-Target"].partition(".")[2], await request.json()))
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.json_response(body, status=status, content_type="application/x-amz-json-1.1")


@pytest.fixture
async def aws(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Aws]:
    """An AWS to which `aws_default` leads, and which is asked once."""
    aws = Aws()
    app = web.Application()
    app.router.add_post("/", aws.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    aws.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    connect(monkeypatch, endpoint_url=aws.url)
    yield aws
    await runner.cleanup()


ONCE = {"retries": {"mode": "standard", "total_max_attempts": 1}}


def connect(monkeypatch: pytest.MonkeyPatch, login: str = LOGIN, **extra: Any) -> None:
    value = {
        "conn_type": "aws",
        "login": login,
        "password": PASSWORD if login else "",
        "extra": {"region_name": REGION, "config_kwargs": ONCE, **extra},
    }
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(value))


STREAM = "Airflow connection 'aws_default', stream events: AWS answers"


@pytest.mark.parametrize(
    ("code", "status", "error", "sentence"),
    [
        (
            "UnrecognizedClientException",
            400,
            PermanentError,
            f"{STREAM} GetRecords with UnrecognizedClientException; check its access key, secret and session token.",
        ),
        (
            "InvalidSignatureException",
            400,
            PermanentError,
            f"{STREAM} GetRecords with InvalidSignatureException; check its access key, secret and session token.",
        ),
        (
            "AccessDeniedException",
            400,
            PermanentError,
            f"{STREAM} GetRecords with AccessDeniedException; allow this login kinesis:GetRecords on the stream.",
        ),
        (
            "KMSAccessDeniedException",
            400,
            PermanentError,
            f"{STREAM} GetRecords with KMSAccessDeniedException; allow this login kms:Decrypt with the stream's key.",
        ),
        (
            "ValidationException",
            400,
            PermanentError,
            f"{STREAM} GetRecords with ValidationException; check kinesis_stream of the Twilio connection.",
        ),
        (
            "ProvisionedThroughputExceededException",
            400,
            ServiceUnavailable,
            f"{STREAM} GetRecords with ProvisionedThroughputExceededException; trying again later.",
        ),
        (
            "KMSThrottlingException",
            400,
            ServiceUnavailable,
            f"{STREAM} GetRecords with KMSThrottlingException; trying again later.",
        ),
        (
            "InternalFailure",
            500,
            ServiceUnavailable,
            f"{STREAM} GetRecords with InternalFailure; trying again later.",
        ),
        (
            "ExpiredIteratorException",
            400,
            ExpiredIterator,
            f"{STREAM} GetRecords with ExpiredIteratorException; trying again later.",
        ),
        (
            "ResourceNotFoundException",
            400,
            ShardGone,
            f"{STREAM} GetRecords with ResourceNotFoundException; check that the stream is still there.",
        ),
    ],
)
async def test_what_aws_refuses_is_told(
    code: str, status: int, error: type[FlexSmsError], sentence: str, aws: Aws
) -> None:
    aws.refuse(code, status)
    with pytest.raises(error) as caught:
        await KinesisStream("aws_default", "events").records("an iterator", 10)
    assert str(caught.value) == sentence
    assert aws.asked == [("GetRecords", {"ShardIterator": "an iterator", "Limit": 10})]


@pytest.mark.parametrize("code", ["ResourceInUseException", "LimitExceededException"])
async def test_a_stream_that_is_being_made_is_asked_later(code: str, aws: Aws) -> None:
    aws.refuse(code)
    with pytest.raises(ServiceUnavailable, match=f"ListShards with {code}; trying again later"):
        await KinesisStream("aws_default", "events").shards()


async def test_an_iterator_behind_a_record_or_at_the_oldest_one(aws: Aws) -> None:
    aws.answers = [(200, {"ShardIterator": "x"}), (200, {"ShardIterator": "y"})]
    stream = KinesisStream("aws_default", "events")
    assert [await stream.iterator("shard", after) for after in (None, "7")] == ["x", "y"]
    which = {"StreamName": "events", "ShardId": "shard"}
    assert aws.asked == [
        ("GetShardIterator", {**which, "ShardIteratorType": "TRIM_HORIZON"}),
        (
            "GetShardIterator",
            {**which, "ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": "7"},
        ),
    ]
    aws.answers.clear()
    aws.refuse("InvalidArgumentException")
    with pytest.raises(UnknownPosition):
        await stream.iterator("shard", "7")


@pytest.mark.parametrize("which", ["events", f"arn:aws:kinesis:{REGION}:123456789012:stream/events"])
async def test_shards_are_listed_to_the_end_and_the_stream_named_once(which: str, aws: Aws) -> None:
    aws.answers = [
        (200, {"Shards": [{"ShardId": "a"}, {"ShardId": "b"}], "NextToken": "more"}),
        (200, {"Shards": [{"ShardId": "c"}], "NextToken": "and more"}),
        (200, {"Shards": [{"ShardId": "d"}]}),
    ]
    assert await KinesisStream("aws_default", which).shards() == ["a", "b", "c", "d"]
    # "NextToken and StreamName cannot be provided together."
    assert [list(body) for _, body in aws.asked][1:] == [["NextToken"], ["NextToken"]]


async def test_boto_waits_where_kinesis_asks_to_slow_down(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, endpoint_url=aws.url, config_kwargs={})
    aws.refuse("ProvisionedThroughputExceededException")
    aws.answers.append((200, {"Records": [], "NextShardIterator": "b", "MillisBehindLatest": 5}))
    batch = await KinesisStream("aws_default", "events").records("a", 10)
    assert (batch.records, batch.following, batch.behind_ms) == ([], "b", 5)
    assert len(aws.asked) == 2


@pytest.mark.parametrize(
    ("connection", "error", "sentence"),
    [
        ({"endpoint_url": "http://127.0.0.1:9"}, ServiceUnavailable, "no answer (EndpointConnectionError)"),
        ({"login": ""}, PermanentError, "has no access key and secret, and this machine no role; give one"),
        ({"profile_name": "nobody"}, PermanentError, "does not work (ProfileNotFound); check its fields."),
    ],
)
async def test_a_connection_that_leads_nowhere_is_told(
    connection: dict[str, Any],
    error: type[FlexSmsError],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect(monkeypatch, **connection)
    with pytest.raises(error) as caught:
        await KinesisStream("aws_default", "events").created()
    assert f"Airflow connection 'aws_default', stream events: {sentence}" in str(caught.value)
    assert PASSWORD not in str(caught.value)


# Without the extra


async def test_without_the_extra_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow.providers.amazon.aws.hooks.kinesis", None)
    with pytest.raises(PermanentError) as caught:
        await KinesisStream("aws_default", "events").created()
    needs = "Source kinesis needs apache-airflow-providers-amazon"
    assert str(caught.value) == f"{needs}; install flexsms with the extra [kinesis] where tasks run."


def test_everything_else_runs_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for missing in ("boto3", "botocore", "airflow.providers.amazon.aws"):
        monkeypatch.setitem(sys.modules, missing, None)
    loaded = {
        name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "flexsms"
    }
    try:
        for name in ("operators.track", "operators.setup", "cli.doctor", "provider_info", "web.app"):
            assert importlib.import_module(f"flexsms.{name}") not in loaded.values()
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "flexsms"]:
            del sys.modules[name]
        sys.modules.update(loaded)
