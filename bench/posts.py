"""Two hundred posts a second to the receiver of the inbox: is each answered before Twilio gives up on it?"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
from rich.console import Console, Group

from bench.figures import Spread, Target
from bench.processes import Server, receiver
from bench.report import columns, targets_table
from flexsms.sources.object_storage import ObjectStorageInbox
from flexsms.twilio.doctor.event_streams import signed

# https://www.twilio.com/docs/events/event-streams/webhook-quickstart: a sink has five seconds to answer.
TWILIO_WAITS_S = 5.0
ACCOUNT, KEY = "AC" + "0" * 32, "0" * 32


@dataclass(frozen=True, slots=True)
class Rush:
    """How many posts, evenly spread."""

    per_second: int = 200
    seconds: int = 30

    @property
    def posts(self) -> int:
        """All of them."""
        return self.per_second * self.seconds


QUICK = Rush(seconds=5)


@dataclass(frozen=True, slots=True)
class Answers:
    """What came of the posts.

    :param waits: seconds until the answer, of every post that got a 2xx
    :param kept: how many different posts lie in the inbox
    """

    rush: Rush
    waits: list[float]
    kept: int

    @property
    def percentiles_ms(self) -> list[float]:
        """From the first to the 99th."""
        return [1000 * wait for wait in quantiles(self.waits, n=100)]

    @property
    def targets(self) -> list[Target]:
        """Each post confirmed, kept, and in time."""
        unanswered, lost = self.rush.posts - len(self.waits), len(self.waits) - self.kept
        slowest = max(self.waits, default=TWILIO_WAITS_S)
        return [
            Target("posts without a 2xx", Spread.of([unanswered]), 0, at_least=False, form=".0f"),
            Target("posts that got a 2xx and are not kept", Spread.of([lost]), 0, at_least=False, form=".0f"),
            Target("slowest answer", Spread.of([slowest]), TWILIO_WAITS_S, at_least=False, unit=" s"),
        ]

    def to_json(self) -> dict[str, Any]:
        """The figures, without every single wait."""
        return {
            "posts": self.rush.posts,
            "per_second": self.rush.per_second,
            "percentiles_ms": [round(wait, 1) for wait in self.percentiles_ms],
            "targets": [target.to_json() for target in self.targets],
        }


def run(rush: Rush, say: Callable[[str], None]) -> Answers:
    """Play it once, the receiver in a process of its own.

    :param say: told how far it has come
    """
    with TemporaryDirectory() as folder:
        inbox_url = f"file://{folder}/inbox"
        server = Server(receiver)
        extra = {"inbox_path": inbox_url, "events_url": f"{server.url}/events"}
        connection = {"conn_type": "twilio", "login": ACCOUNT, "password": KEY, "extra": extra}
        server.environment["AIRFLOW_CONN_TWILIO_DEFAULT"] = json.dumps(connection)
        with server:
            say(f"{rush.per_second} posts a second for {rush.seconds} s")
            waits = asyncio.run(_post_all(rush, f"{server.url}/events"))
            names = asyncio.run(ObjectStorageInbox(inbox_url).names())
    return Answers(rush, waits, kept=len(set(names)))


def show_posts(console: Console, answers: Answers) -> None:
    """How long Twilio waited, and the targets."""
    rush, percentiles = answers.rush, answers.percentiles_ms
    title = f"{rush.posts:,} posts, {rush.per_second} a second, until the answer"
    table = columns(title, "median", "90 %", "99 %", "slowest")
    shown = (percentiles[49], percentiles[89], percentiles[98], 1000 * max(answers.waits))
    table.add_row(*(f"{wait:.0f} ms" for wait in shown))
    console.print(Group(table, targets_table(answers.targets)))


async def _post_all(rush: Rush, url: str) -> list[float]:
    """Each at its moment, however long the ones before take; returns the seconds to each 2xx."""
    waits: list[float] = []

    async def post(client: aiohttp.ClientSession, number: int) -> None:
        await asyncio.sleep(number / rush.per_second)
        body = json.dumps([{"specversion": "1.0", "id": f"EZ{number:032x}"}]).encode()
        signed_url, headers = signed(url, KEY, body)
        began = time.monotonic()
        async with client.post(signed_url, data=body, headers=headers) as answer:
            if answer.ok:
                waits.append(time.monotonic() - began)

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as client, asyncio.TaskGroup() as group:
        for number in range(rush.posts):
            group.create_task(post(client, number))
    return waits
