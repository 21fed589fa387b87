"""A Kinesis stream behind an Airflow connection of type ``aws``.

Its provider is the optional extra ``[kinesis]``: nothing of it, nor of boto, is imported before a stream is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from flexsms.core.event_source import scope_of
from flexsms.core.exceptions import (
    ExpiredIterator,
    FlexSmsError,
    MissingSetting,
    PermanentError,
    ServiceUnavailable,
    ShardGone,
    UnknownPosition,
)

# boto's own retries wait for up to 20 seconds each. What the connection sets in its config_kwargs outranks these.
CLIENT = {
    "connect_timeout": 10,
    "read_timeout": 30,
    "retries": {"mode": "standard", "total_max_attempts": 8},
}

# https://docs.aws.amazon.com/kinesis/latest/APIReference/CommonErrors.html, and those of STS where a role is assumed
_WRONG_LOGIN = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
_BUSY = frozenset(
    {
        "KMSThrottlingException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "ResourceInUseException",
        "ThrottlingException",
    }
)


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a stream.

    :param arrived: ``ApproximateArrivalTimestamp``, aware
    """

    sequence_number: str
    data: bytes
    arrived: datetime


@dataclass(frozen=True, slots=True)
class Batch:
    """The answer to one ``GetRecords``, often without records in the middle of a shard.

    :param following: ``NextShardIterator``; None: the shard is closed, and this was its end
    :param behind_ms: ``MillisBehindLatest``; 0: nothing more has come so far
    """

    records: Sequence[Record]
    following: str | None
    behind_ms: int


class KinesisStream:
    """Asks AWS for the records of a stream, over the Amazon provider's hook.

    Every method waits in a thread, never in the event loop, and raises

    - :class:`~flexsms.core.exceptions.MissingSetting` when there is no such stream,
    - :class:`~flexsms.core.exceptions.PermanentError` when AWS refuses, or the Amazon provider is not installed,
    - :class:`~flexsms.core.exceptions.ServiceUnavailable` when there is no useful answer; asking again is harmless.

    :param aws_conn_id: the Airflow connection; its extra may hold ``region_name``, ``role_arn``, ``endpoint_url``
    :param stream: name or ARN; an ARN names the region too
    """

    def __init__(self, aws_conn_id: str, stream: str) -> None:
        self.scope = scope_of(aws_conn_id, stream)
        self._conn_id = aws_conn_id
        self._name = stream
        is_arn = stream.startswith("arn:")
        self._region = stream.split(":")[3] if is_arn else None
        self._which = {"StreamARN" if is_arn else "StreamName": stream}

    async def created(self) -> str:
        """When the stream was made, ISO 8601 UTC."""
        answer = await self._call("describe_stream_summary", **self._which)
        moment = answer["StreamDescriptionSummary"]["StreamCreationTimestamp"]
        return str(moment.astimezone(UTC).isoformat())

    async def shards(self) -> list[str]:
        """The IDs of all shards that may hold records, closed ones included."""
        answer = await self._call("list_shards", **self._which)
        found = list(answer["Shards"])
        while answer.get("NextToken"):
            # Without the stream, whose name Kinesis refuses beside a token. boto's paginator repeats it.
            answer = await self._call("list_shards", NextToken=answer["NextToken"])
            found += answer["Shards"]
        return [shard["ShardId"] for shard in found]

    async def iterator(self, shard_id: str, after: str | None) -> str:
        """Where to begin in a shard: see :class:`flexsms.sources.kinesis.Stream`."""
        begin = (
            {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": after}
            if after
            else {"ShardIteratorType": "TRIM_HORIZON"}
        )
        answer = await self._call("get_shard_iterator", ShardId=shard_id, **begin, **self._which)
        return str(answer["ShardIterator"])

    async def records(self, iterator: str, limit: int) -> Batch:
        """The next records: see :class:`flexsms.sources.kinesis.Stream`."""
        arn = {name: value for name, value in self._which.items() if name == "StreamARN"}
        answer = await self._call("get_records", ShardIterator=iterator, Limit=limit, **arn)
        return Batch(
            records=[
                Record(one["SequenceNumber"], one["Data"], one["ApproximateArrivalTimestamp"])
                for one in answer["Records"]
            ],
            following=answer.get("NextShardIterator"),
            behind_ms=answer.get("MillisBehindLatest", 0),
        )

    @cached_property
    def _client(self) -> Any:
        try:
            from airflow.providers.amazon.aws.hooks.kinesis import KinesisHook
            from botocore.config import Config
        except ImportError:
            raise PermanentError(
                "Source kinesis needs apache-airflow-providers-amazon; install flexsms with the extra [kinesis] where "
                "tasks run."
            ) from None
        hook = KinesisHook(aws_conn_id=self._conn_id, region_name=self._region)
        return hook.get_client_type(region_name=hook.region_name, config=Config(**CLIENT).merge(hook.config))

    async def _call(self, operation: str, **arguments: Any) -> Mapping[str, Any]:
        def call() -> Mapping[str, Any]:
            try:
                answer: Mapping[str, Any] = getattr(self._client, operation)(**arguments)
            except FlexSmsError:
                raise
            except Exception as error:
                translated = self._translated(error)
                if translated is None:
                    raise
                raise translated from None
            return answer

        return await asyncio.to_thread(call)

    def _translated(self, error: Exception) -> FlexSmsError | None:
        """One of boto's errors as one of ours. What AWS says is left out: it may quote the request, token included."""
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, ClientError):
            code = str(error.response.get("Error", {}).get("Code", ""))
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            return self._refused(error.operation_name, code, status)
        return self._unanswered(error) if isinstance(error, BotoCoreError) else None

    def _refused(self, operation: str, code: str, status: int) -> FlexSmsError:
        said = f"{self._where}: AWS answers {operation} with {code or status}"
        if code == "ExpiredIteratorException":
            return ExpiredIterator(f"{said}; trying again later.")
        if code == "InvalidArgumentException" and operation == "GetShardIterator":
            return UnknownPosition(f"{said}; check kinesis_stream of the Twilio connection.")
        if code == "ResourceNotFoundException":
            if operation in ("GetShardIterator", "GetRecords"):
                return ShardGone(f"{said}; check that the stream is still there.")
            return MissingSetting(
                "kinesis_stream",
                "names no stream of this AWS account and region",
                f"check it, and login and region_name of Airflow connection '{self._conn_id}'",
            )
        if code in _WRONG_LOGIN:
            return PermanentError(f"{said}; check its access key, secret and session token.")
        if code in _DENIED:
            return PermanentError(f"{said}; allow this login kinesis:{operation} on the stream.")
        if code in _BUSY or status >= 500:
            return ServiceUnavailable(f"{said}; trying again later.", status=status)
        if code.startswith("KMS"):
            return PermanentError(f"{said}; allow this login kms:Decrypt with the stream's key.")
        return PermanentError(f"{said}; check kinesis_stream of the Twilio connection.")

    def _unanswered(self, error: Exception) -> FlexSmsError:
        from botocore import exceptions as boto

        if isinstance(error, boto.NoRegionError):
            return PermanentError(
                f"{self._where}: names no region; give region_name in its extra, or the stream's ARN."
            )
        if isinstance(
            error,
            boto.HTTPClientError
            | boto.ConnectionError
            | boto.IncompleteReadError
            | boto.CredentialRetrievalError
            | boto.MetadataRetrievalError,
        ):
            return ServiceUnavailable(
                f"{self._where}: no answer ({type(error).__name__}); trying again later."
            )
        if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError):
            return PermanentError(
                f"{self._where}: has no access key and secret, and this machine no role; give one or the other."
            )
        return PermanentError(f"{self._where}: does not work ({type(error).__name__}); check its fields.")

    @property
    def _where(self) -> str:
        return f"Airflow connection '{self._conn_id}', stream {self._name}"
