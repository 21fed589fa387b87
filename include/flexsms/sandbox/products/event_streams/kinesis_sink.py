"""Records for Kinesis sinks: `PutRecords` in AWS' JSON protocol, to the endpoint that a setting names.

One CloudEvent is one record, as Twilio's quickstart shows. The partition key is the event's `id`, so that events
spread over the shards; Twilio documents none, nor whether a record ever has several events.

The Authorization header has the form of AWS' signature version 4 but is not signed: the sink's role belongs to AWS,
and an emulator of Kinesis reads no more than the region from it.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson

from ...state.delivery_queue import Delivery
from ...state.rows.event_streams import Sink
from .cloud_events import cloud_event
from .publisher import Answer

if TYPE_CHECKING:
    from ...state.account import EmulatedAccount

# https://www.twilio.com/docs/events/event-delivery-and-duplication: errors of Kinesis are retried, an ARN that names
# no stream is not.
FAILED, NO_STREAM = 91300, 93104


def stream_of(arn: str) -> tuple[str, str] | None:
    """Region and stream of `arn:aws:kinesis:us-east-1:111111111:stream/test`."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[2] != "kinesis" or not parts[5].startswith("stream/"):
        return None
    return parts[3], parts[5].removeprefix("stream/")


def headers_for(region: str, now: datetime) -> dict[str, str]:
    scope = f"{now:%Y%m%d}/{region}/kinesis/aws4_request"
    return {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "Kinesis_20131202.PutRecords",
        "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}",
        "Authorization": f"AWS4-HMAC-SHA256 Credential=AKIAFLEXSMSSANDBOX00/{scope}, "
        f"SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature={'0' * 64}",
    }


def record_of(account: EmulatedAccount, event: dict[str, Any]) -> dict[str, str]:
    data = [event] if account.settings.stream_single == "array" else event
    return {"Data": b64encode(orjson.dumps(data)).decode(), "PartitionKey": event["id"]}


async def send(
    http: aiohttp.ClientSession, account: EmulatedAccount, sink: Sink, delivery: Delivery
) -> Answer:
    """Put a delivery's events into the stream; those that Kinesis refuses one by one are sent again."""
    stream = stream_of(sink.target)
    if stream is None:
        return Answer(None, NO_STREAM, discard=delivery.events)
    region, name = stream
    records = [record_of(account, cloud_event(account, event)) for event in delivery.events]
    try:
        async with http.post(
            account.settings.kinesis_endpoint,
            data=orjson.dumps({"StreamName": name, "Records": records}),
            headers=headers_for(region, datetime.now(UTC)),
            timeout=aiohttp.ClientTimeout(total=account.settings.stream_timeout_s),
        ) as response:
            if response.status != 200:
                return Answer(response.status, FAILED, retry=delivery.events)
            results = orjson.loads(await response.read())["Records"]
            pairs = list(zip(delivery.events, results, strict=True))
    except (aiohttp.ClientError, OSError, ValueError, KeyError):
        return Answer(None, FAILED, retry=delivery.events)
    failed = [event for event, result in pairs if result.get("ErrorCode")]
    return Answer(200, FAILED if failed else None, retry=failed)
