"""Many events over three sources at once, with the receivers killed on the way: is anything lost or doubled?

Event Streams posts every event to three sinks, some of them twice, in random order and in batches of random size: the
receiver of an inbox, the receiver of another Airflow that is pulled from over HTTP, and a Kinesis stream. All three
sources are tracked at the same time into the same Sync service.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import boto3

from bench.processes import Server, kinesis, receiver
from bench.stories import Load, Outcome, Recorded, Story, clean, fold
from bench.world import CHUNK, chunks, event_lives
from flexsms.core.cloud_events import CLOUD_EVENT_PREFIX
from flexsms.core.event_source import EventSource
from flexsms.core.exceptions import RetryableError
from flexsms.core.task_events import TaskEventType
from flexsms.sandbox.client import NO_ATTEMPTS, SandboxProcess, connection_extra
from flexsms.sources.http import HttpSource
from flexsms.sources.http_collector import HttpCollector
from flexsms.sources.inbox import InboxSource
from flexsms.sources.kinesis import KinesisSource
from flexsms.sources.kinesis_stream import KinesisStream
from flexsms.sources.object_storage import ObjectStorageInbox
from flexsms.twilio.account import Account, connect
from flexsms.twilio.client.concurrency import for_each
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.tracking.tracker import track

NAMES = ("inbox", "http", "kinesis")
DUPLICATES = 0.2
# Virtual seconds over which the deliveries are spread at random, and so put out of order.
SPREAD_S = 600.0
# Virtual seconds: more than Twilio waits before it tries again.
LONGEST_PAUSE_S = 1000.0
PULL_DELAY_S = 11.0  # what is pulled over HTTP has to be ten seconds old
PAUSE_S, POLL_S = 1.0, 0.01
AT_ONCE = 64
STREAM, REGION, SHARDS = "flexsms", "us-east-1", 3
HTTP_CONN, AWS_CONN = "bench_collector", "bench_aws"


def run(load: Load, say: Callable[[str], None]) -> Outcome:
    """Play it once, in processes of its own.

    :param say: told how far it has come
    """
    with ExitStack() as running:
        folder = Path(running.enter_context(TemporaryDirectory()))
        # Recording every exchange would slow it down.
        running.enter_context(mock.patch.dict(os.environ))
        os.environ.pop("FLEXSMS_SANDBOX_RECORD", None)
        sandbox = running.enter_context(SandboxProcess())
        peers = _start(running, folder, sandbox)
        return asyncio.run(_Play(sandbox, peers, load, say).play())


@dataclass(frozen=True, slots=True)
class Peers:
    """Who takes the events in, and where they are read again."""

    receivers: tuple[Server, Server]
    kinesis: Server
    inbox_url: str


def _start(running: ExitStack, folder: Path, sandbox: SandboxProcess) -> Peers:
    """Both receivers and a Kinesis, with the Airflow connections that lead to them in the environment."""
    peers = Peers((Server(receiver), Server(receiver)), Server(kinesis), f"file://{folder}/inbox")
    for name, one in zip(("inbox", "other"), peers.receivers, strict=True):
        connection = {
            "conn_type": "twilio",
            "login": sandbox.settings["account_sid"],
            "password": sandbox.settings["auth_token"],
            "extra": {"inbox_path": f"file://{folder}/{name}", "events_url": f"{one.url}/events"},
        }
        one.environment["AIRFLOW_CONN_TWILIO_DEFAULT"] = json.dumps(connection)
    for server in (*peers.receivers, peers.kinesis):
        running.enter_context(server)
    aws = {"endpoint_url": peers.kinesis.url, "region_name": REGION}
    connections = {
        HTTP_CONN: {"conn_type": "http", "host": peers.receivers[1].url},
        AWS_CONN: {"conn_type": "aws", "login": "testing", "password": "testing", "extra": aws},
    }
    os.environ.update(
        {f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in connections.items()}
    )
    return peers


class _Play:
    """One run. The sandbox delivers and is read from at the same time, so what blocks goes to a thread."""

    def __init__(self, sandbox: SandboxProcess, peers: Peers, load: Load, say: Callable[[str], None]) -> None:
        self._control = sandbox.control
        self._settings = TwilioSettings.from_connection(
            sandbox.settings["account_sid"],
            sandbox.settings["auth_token"],
            {**connection_extra(sandbox.settings), "rate_limits": "off", "max_in_flight": AT_ONCE},
        )
        self._peers, self._load, self._say = peers, load, say
        self._outcome = Outcome(load, {name: Story() for name in NAMES})
        self._sinks: dict[str, str] = {}
        self._began = time.monotonic()
        self._all_delivered = False

    async def play(self) -> Outcome:
        outcome = self._outcome
        async with connect(self._settings) as account:
            await self._subscribe(account)
            raw = list(event_lives(self._load.channels, self._load.events))
            workspace_sid = self._settings.need("workspace_sid")
            fold((clean(one, workspace_sid) for one in raw), outcome.expected)
            for part in chunks(raw, CHUNK):
                await asyncio.to_thread(self._control.events, raw=part)
            self._say(f"{len(raw):,} events of {self._load.channels:,} channels for {len(NAMES)} sinks")
            self._began = time.monotonic()
            async with asyncio.TaskGroup() as group:
                for name, source in self._sources(account).items():
                    group.create_task(
                        self._follow(account, Recorded(source, outcome.stories[name], self._clock))
                    )
                await self._deliver()
                await asyncio.sleep(PULL_DELAY_S)
                self._all_delivered = True
            outcome.seconds = self._clock()
            await self._audit(account)
        return outcome

    def _clock(self) -> float:
        return time.monotonic() - self._began

    def _sources(self, account: Account) -> dict[str, EventSource]:
        return {
            "inbox": InboxSource(ObjectStorageInbox(self._peers.inbox_url)),
            "http": HttpSource(HttpCollector(HTTP_CONN, "events")),
            "kinesis": KinesisSource(KinesisStream(AWS_CONN, STREAM), now=account.now),
        }

    async def _subscribe(self, account: Account) -> None:
        """Every task event to all three sinks, some twice, each at a random moment of the next minutes."""
        settings = {
            "stream_paused": True,
            "stream_duplicates": DUPLICATES,
            "stream_jitter_s": SPREAD_S,
            "stream_batch": [1, 100],
            "kinesis_endpoint": self._peers.kinesis.url,
            "sinks_to_validate": [],
        }
        await asyncio.to_thread(self._control.settings, **settings)
        await asyncio.to_thread(_make_stream, self._peers.kinesis.url)
        webhooks = (
            {"destination": f"{one.url}/events", "method": "POST", "batch_events": True}
            for one in self._peers.receivers
        )
        arn = f"arn:aws:kinesis:{REGION}:123456789012:stream/{STREAM}"
        kinesis = {"arn": arn, "role_arn": "arn:aws:iam::123456789012:role/flexsms", "external_id": "flexsms"}
        events: Any = account.client.events.v1
        types = [{"type": CLOUD_EVENT_PREFIX + name, "schema_version": 4} for name in TaskEventType]
        for name, configuration in zip(NAMES, (*webhooks, kinesis), strict=True):
            sink = await events.sinks.create_async(
                description=name,
                sink_configuration=configuration,
                sink_type="kinesis" if name == "kinesis" else "webhook",
            )
            await events.subscriptions.create_async(description=name, sink_sid=sink.sid, types=types)
            self._sinks[sink.sid] = name

    async def _follow(self, account: Account, source: EventSource) -> None:
        """Track a source again and again, as Airflow would, until everything has been delivered and is read."""
        cursor: str | None = None

        async def save(reached: str) -> None:
            nonlocal cursor
            cursor = reached

        while True:
            last_time = self._all_delivered
            try:
                await track(source, account.store, cursor=cursor, save_cursor=save, at_once=AT_ONCE)
            except RetryableError:  # its receiver is down
                last_time = False
            if last_time:
                return
            await asyncio.sleep(PAUSE_S)

    async def _deliver(self) -> None:
        """Let the events out in steps, and kill both receivers in the middle of each step but the last."""
        steps = self._load.kills + 1
        posted = await self._count("enqueued")
        await asyncio.to_thread(self._control.settings, stream_paused=False)
        for step in range(1, steps):
            before = await self._count("delivered")
            await asyncio.to_thread(self._control.advance, SPREAD_S / steps)
            # Of what is due now, the receivers get two thirds: the kill comes while they are at it.
            goal = before + posted / steps / 3
            while (delivered := await self._count("delivered")) < goal:  # noqa: ASYNC110  # nobody tells us
                await asyncio.sleep(POLL_S)
            for one in self._peers.receivers:
                one.kill()
            self._outcome.killed_at.append(self._clock())
            self._say(
                f"{delivered:,} of {posted:,} delivered, receivers killed ({step} of {self._load.kills})"
            )
            for one in self._peers.receivers:
                await asyncio.to_thread(one.start)
        # What met a dead receiver comes again, later each time.
        while await self._count("waiting") + await self._count("under_way"):
            await asyncio.to_thread(self._control.advance, LONGEST_PAUSE_S)
            await asyncio.sleep(PAUSE_S)

    async def _count(self, what: str) -> int:
        found = await asyncio.to_thread(self._control.deliveries, NO_ATTEMPTS)
        return int(found[what])

    async def _audit(self, account: Account) -> None:
        """What every sink confirmed, and what is in Sync."""
        outcome = self._outcome
        found = await asyncio.to_thread(self._control.deliveries)
        outcome.delivered, outcome.attempts = found["delivered"], found["count"]
        for attempt in found["attempts"]:
            if attempt["outcome"] == "delivered":
                outcome.stories[self._sinks[attempt["sink_sid"]]].confirmed.update(attempt["events"])
            else:
                outcome.failed_attempts += 1

        async def load(channel_sid: str) -> None:
            stored = await account.store.load(channel_sid)
            outcome.stored[channel_sid] = None if stored is None else stored.state

        await for_each(list(outcome.expected), load, at_once=AT_ONCE)


def _make_stream(endpoint_url: str) -> None:
    client = boto3.client(
        "kinesis",
        region_name=REGION,
        endpoint_url=endpoint_url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_stream(StreamName=STREAM, ShardCount=SHARDS)
