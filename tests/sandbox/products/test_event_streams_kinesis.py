"""What a Kinesis sink writes, to an endpoint that answers like AWS."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.sandbox.conftest import Account
from tests.sandbox.products.test_event_streams import COMPLETED, CREATED, KINESIS, make_sink, subscribe
from tests.support.webhook_receiver import Delivery, Receiver

Refusing = Callable[[int, int], bool]  # the request and the record, both from 0


def records(delivery: Delivery) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(delivery.body)["Records"]
    return found


def data_of(record: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(record["Data"]))


def put_records(refuses: Refusing = lambda _request, _record: False) -> Receiver:
    """PutRecords as AWS documents it: a record that was not written has an ErrorCode."""

    def answer(n: int, delivery: Delivery) -> tuple[int, Any]:
        done = {"SequenceNumber": "1", "ShardId": "shardId-000000000000"}
        failed = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"}
        results = [failed if refuses(n, place) else done for place in range(len(records(delivery)))]
        return 200, {"FailedRecordCount": results.count(failed), "Records": results}

    return Receiver(answer)


def stream(account: Account, endpoint: str, **configuration: str) -> None:
    account.control.settings(kinesis_endpoint=endpoint, sinks_to_validate=[])
    sink = make_sink(account, "kinesis", {**KINESIS, **configuration})
    subscribe(account, sink.sid, CREATED, COMPLETED)


def create_tasks(account: Account, number: int) -> None:
    account.control.settings(stream_paused=True)
    for _ in range(number):
        account.workspace.tasks.create(attributes="{}")
    account.control.settings(stream_paused=False)


@pytest.mark.parametrize(("single", "kind"), [("documented", dict), ("object", dict), ("array", list)])
def test_an_event_is_a_record(account: Account, single: str, kind: type) -> None:
    with put_records() as kinesis:
        account.control.settings(stream_single=single)
        stream(account, kinesis.base_url)
        create_tasks(account, 3)
        assert account.control.delivered()["delivered"] == 3
        (put,) = kinesis.deliveries
    assert put.headers["X-Amz-Target"] == "Kinesis_20131202.PutRecords"
    assert put.headers["Content-Type"] == "application/x-amz-json-1.1"
    assert re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=\w{20}/\d{8}/us-east-1/kinesis/aws4_request, "
        r"SignedHeaders=[a-z;-]+, Signature=[0-9a-f]{64}",
        put.headers["Authorization"],
    )
    assert json.loads(put.body)["StreamName"] == "events"
    found = [data_of(record) for record in records(put)]
    assert {type(one) for one in found} == {kind}
    events = [one[0] if kind is list else one for one in found]
    assert [event["type"] for event in events] == [CREATED] * 3
    assert [record["PartitionKey"] for record in records(put)] == [event["id"] for event in events]


def test_what_one_shard_refused_is_put_again_alone(account: Account) -> None:
    with put_records(lambda request, record: request == 0 and record in (1, 3)) as kinesis:
        stream(account, kinesis.base_url)
        create_tasks(account, 5)
        account.control.advance(1)
        found = account.control.delivered()
        first, second = kinesis.deliveries
        assert (found["delivered"], found["lost"]) == (5, 0)
        assert records(second) == [records(first)[place] for place in (1, 3)]


@pytest.mark.parametrize("answer", [400, 500, (200, {}), (200, {"Records": []})])
def test_errors_of_kinesis_are_retried_for_four_hours(account: Account, answer: Any) -> None:
    with Receiver(lambda _n, _delivery: answer) as kinesis:
        stream(account, kinesis.base_url)
        create_tasks(account, 1)
        account.control.advance(4 * 3600)
        assert account.control.delivered()["lost"] == 1
        assert len(kinesis.deliveries) > 10
    assert {one["code"] for one in account.control.deliveries()["attempts"]} == {91300}


@pytest.mark.parametrize("endpoint", ["", "http://127.0.0.1:9"])
def test_without_an_endpoint_nothing_arrives(account: Account, endpoint: str) -> None:
    stream(account, endpoint)
    create_tasks(account, 1)
    account.control.advance(4 * 3600)
    assert account.control.delivered()["lost"] == 1


@pytest.mark.parametrize(
    "arn", ["events", "arn:aws:sqs:us-east-1:1:stream/x", "arn:aws:kinesis:us-east-1:1:events"]
)
def test_an_arn_that_names_no_stream_discards(account: Account, arn: str) -> None:
    with put_records() as kinesis:
        stream(account, kinesis.base_url, arn=arn)
        create_tasks(account, 1)
        assert account.control.delivered()["discarded"] == 1
        assert kinesis.deliveries == []
    assert account.control.deliveries()["attempts"][0]["code"] == 93104


def test_at_most_500_records_at_a_time(account: Account) -> None:
    with put_records() as kinesis:
        account.control.settings(stream_batch=[2000, 2000], stream_paused=True)
        stream(account, kinesis.base_url)
        account.control.events(channels=10, events=5_600)
        account.control.settings(stream_paused=False)
        assert account.control.delivered()["delivered"] == 1_600
        assert max(len(records(put)) for put in kinesis.deliveries) == 500


def test_the_test_event_that_validates_a_sink(account: Account) -> None:
    with put_records() as kinesis:
        account.control.settings(kinesis_endpoint=kinesis.base_url)
        sink = account.events.sinks(make_sink(account, "kinesis").sid)
        sink.sink_test.create()
        account.control.delivered()
        event = data_of(records(kinesis.deliveries[0])[0])
        assert event["type"] == "com.twilio.eventstreams.test-event"
        assert sink.sink_validate.create(test_id=event["data"]["test_id"]).result == "valid"
        assert sink.fetch().status == "active"
