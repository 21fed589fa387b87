"""A Kinesis that answers like AWS, and what happens to a stream in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import boto3
import requests  # noqa: TID251

from bench.processes import Server, kinesis

REGION = "us-east-1"
LOGIN, PASSWORD = "AKIAEXAMPLE000000000", "of-nobody-at-all"


class KinesisServer(Server):
    """moto, from ``with`` to its end.

    It splits and merges in its own way (5.2.5): what is in the shards comes a second time, with new sequence numbers,
    and later records go to the parents, which never end. What AWS does is in ``tests/sources/test_kinesis.py``.
    """

    def __init__(self) -> None:
        super().__init__(kinesis)
        self.client = boto3.client(
            "kinesis",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=LOGIN,
            aws_secret_access_key=PASSWORD,
        )

    def __exit__(self, *end: Any) -> None:
        self.client.close()
        super().__exit__(*end)

    def reset(self) -> None:
        """Nothing is in it any more."""
        requests.post(f"{self.url}/moto-api/reset", timeout=30).raise_for_status()

    def connection(self, **extra: Any) -> dict[str, Any]:
        """An Airflow connection to it."""
        extra = {"region_name": REGION, "endpoint_url": self.url, **extra}
        return {"conn_type": "aws", "login": LOGIN, "password": PASSWORD, "extra": extra}

    # A stream

    def create(self, name: str = "events", shards: int = 1) -> str:
        """Make a stream.

        :return: its ARN
        """
        self.client.create_stream(StreamName=name, ShardCount=shards)
        found = self.client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        return str(found["StreamARN"])

    def put(self, *data: bytes, name: str = "events") -> None:
        """A record each, spread over the shards."""
        records = [{"Data": one, "PartitionKey": f"key-{place}"} for place, one in enumerate(data)]
        self.client.put_records(StreamName=name, Records=records)

    def opened(self, name: str = "events") -> list[Mapping[str, Any]]:
        """The shards that take records, by their hash keys."""
        shards = self.client.list_shards(StreamName=name)["Shards"]
        opened = [one for one in shards if "EndingSequenceNumber" not in one["SequenceNumberRange"]]
        return sorted(opened, key=lambda one: int(one["HashKeyRange"]["StartingHashKey"]))

    def split(self, name: str = "events") -> None:
        """Split the first open shard in the middle."""
        shard = self.opened(name)[0]
        first, last = (int(shard["HashKeyRange"][f"{end}HashKey"]) for end in ("Starting", "Ending"))
        self.client.split_shard(
            StreamName=name, ShardToSplit=shard["ShardId"], NewStartingHashKey=str((first + last) // 2)
        )

    def merge(self, name: str = "events") -> None:
        """Merge the first two open shards."""
        one, other = self.opened(name)[:2]
        self.client.merge_shards(
            StreamName=name, ShardToMerge=one["ShardId"], AdjacentShardToMerge=other["ShardId"]
        )
