"""A Kinesis that answers like AWS: moto as a process of its own, and what happens to a stream in it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import IO, Any, Self

import boto3
import requests  # noqa: TID251

REGION = "us-east-1"
STARTS_WITHIN_S = 60
LOGIN, PASSWORD = "AKIAEXAMPLE000000000", "of-nobody-at-all"


class KinesisServer:
    """``python -m moto.server`` on a free port, from ``with`` to its end.

    It splits and merges in its own way (5.2.5): what is in the shards comes a second time, with new sequence numbers,
    and later records go to the parents, which never end. What AWS does is in ``tests/twilio/test_kinesis_source.py``.
    """

    def __init__(self) -> None:
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with tempfile.TemporaryFile() as said:
            command = [sys.executable, "-m", "moto.server", "-p", "0"]
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
            self.url = self._address(said)
        self.client = boto3.client(
            "kinesis",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=LOGIN,
            aws_secret_access_key=PASSWORD,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        if self.url:
            self.client.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _address(self, said: IO[bytes]) -> str:
        assert self._process is not None
        deadline = time.monotonic() + STARTS_WITHIN_S
        while self._process.poll() is None and time.monotonic() < deadline:
            said.seek(0)
            for line in said.read().decode().splitlines():
                if "Running on http" in line:
                    return line.split()[-1]
            time.sleep(0.05)
        said.seek(0)
        problem = said.read().decode()[-2000:]
        self.__exit__()
        raise RuntimeError(f"moto did not start: {problem}")

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
