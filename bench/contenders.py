"""Three ways to clean up the same channels: flexsms, a bare loop with the same calls, and the original recipe."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import aiohttp

from bench.world import RETENTION_DAYS, chunks
from flexsms.core.retention import SMS, window_ms
from flexsms.core.task_events import ENDING, TaskEventType
from flexsms.twilio.account import Account, connect
from flexsms.twilio.cleanup.batch import groups_of
from flexsms.twilio.cleanup.ledger import LINES_PER_ITEM, MAP_NAME
from flexsms.twilio.cleanup.outcomes import Action
from flexsms.twilio.cleanup.plan import PLAN_LOOKBACK
from flexsms.twilio.cleanup.scan import Rule, Scan, find_due
from flexsms.twilio.client.clock import utc_now
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.sync.channel_states import DOCUMENT_PREFIX, RETIRED_TTL_S
from flexsms.twilio.sync.map import ONE_YEAR
from flexsms.twilio.taskrouter.task_list import OPEN_STATUSES
from flexsms.twilio.tracking.parked_states import ParkedStates
from flexsms.twilio.tracking.task_ends import TaskEnds

Json = dict[str, Any]


class Memory:
    """A checkpoint that dies with the process; Airflow's lives in its database."""

    def __init__(self) -> None:
        self._saved: Json = {}

    async def get(self, key: str) -> Any:
        """What was set."""
        return self._saved.get(key)

    async def set(self, key: str, value: Any) -> None:
        """Keep it."""
        self._saved[key] = value


async def flexsms(settings: TwilioSettings, batch_size: int, limit: int = 1_000_000) -> tuple[Scan, int]:
    """Scan, then retire batch after batch, as the DAG does.

    :return: the scan, and how many channels were retired
    """
    async with connect(settings) as account:
        began = utc_now()
        now_ms = int(began.timestamp() * 1000)
        rule = Rule(now_ms, window_ms(RETENTION_DAYS), limit, account.home.workspace_sid)
        scan = await find_due(account.store.scan(adopt=True), rule)
        return scan, await _retire_all(account, scan, batch_size, began)


async def flexsms_with_plan(settings: TwilioSettings, batch_size: int, cursor: str) -> tuple[Scan, int]:
    """A whole cleanup: plan, then retire batch after batch, as the DAG does.

    :param cursor: where the last tracking stopped
    :return: the scan, and how many channels were retired
    """

    async def forget(_cursor: str) -> None:
        pass

    async with connect(settings) as account:
        planner = account.planner(
            source=account.taskrouter(lookback=PLAN_LOOKBACK),
            parked=ParkedStates(None),
            ends=TaskEnds(None),
            run_id="bench",
        )
        plan = await planner.plan(
            window_ms=window_ms(RETENTION_DAYS),
            limit=1_000_000,
            channel_types=SMS,
            cursor=cursor,
            save_cursor=forget,
        )
        return plan.scan, await _retire_all(account, plan.scan, batch_size, plan.scanned_at)


async def _retire_all(account: Account, scan: Scan, batch_size: int, scanned_at: datetime) -> int:
    cleaner = account.cleaner(action=Action.DEACTIVATE, run_id="bench")
    retired = 0
    for batch in chunks(scan.due, batch_size):
        attempt = account.attempt(Memory(), batch="bench", number=1)
        report = await cleaner.retire(batch, scanned_at=scanned_at, attempt=attempt)
        retired += report.to_json()["deactivated"]
    return retired


class Bare:
    """The least that a client has to do: aiohttp, Basic auth, and no looking at anything that is not needed."""

    def __init__(self, settings: TwilioSettings, http: aiohttp.ClientSession) -> None:
        self.http = http
        self._base = settings.base_url
        self.sync = f"https://sync.twilio.com/v1/Services/{settings.sync_service_sid}"
        self.chat = f"https://chat.twilio.com/v2/Services/{settings.chat_service_sid}"
        self.proxy = f"https://proxy.twilio.com/v1/Services/{settings.session_service_sid}"
        self.tasks = f"https://taskrouter.twilio.com/v1/Workspaces/{settings.workspace_sid}"

    async def call(
        self,
        method: str,
        url: str,
        form: Mapping[str, str] | None = None,
        *,
        expected: int = 200,
        **more: Any,
    ) -> Json:
        """One request; anything but success, or what is expected, ends the benchmark."""
        routed = f"{self._base}/{url.removeprefix('https://')}"
        async with self.http.request(method, routed, data=form, **more) as answer:
            body: Json = json.loads(await answer.read())
            if answer.status >= 300 and answer.status != expected:
                raise RuntimeError(f"{method} {url}: {answer.status} {body}")
            return body

    async def documents(self, page_size: int) -> AsyncIterator[Json]:
        """Every document, page after page: the token of a page is only in the one before."""
        url: str | None = f"{self.sync}/Documents?PageSize={page_size}"
        while url:
            page = await self.call("GET", url)
            for document in page["documents"]:
                yield document
            url = page["meta"]["next_page_url"]

    async def retire_attributes(self, channel_sid: str) -> Json:
        """Fetch a channel and write its two attributes. Returns those from before."""
        url = f"{self.chat}/Channels/{channel_sid}"
        before: Json = json.loads((await self.call("GET", url))["attributes"])
        retired = json.dumps({**before, "long_lived": False, "status": "INACTIVE"})
        await self.call("POST", url, {"Attributes": retired}, headers={"X-Twilio-Webhook-Enabled": "true"})
        return before


@asynccontextmanager
async def bare(settings: TwilioSettings) -> AsyncIterator[Bare]:
    """A bare client with as many connections as the settings allow."""
    headers = {"Authorization": aiohttp.encode_basic_auth(settings.login, settings.password)}
    connector = aiohttp.TCPConnector(limit=settings.max_in_flight)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as http:
        yield Bare(settings, http)


async def floor(settings: TwilioSettings, batch_size: int) -> int:
    """The same calls in the same numbers as flexsms makes them, each as soon as a connection is free.

    It does not wait for a look at the open tasks before it acts, nor for the others of a batch before it marks them as
    retired: nothing that keeps a live channel safe, and so nothing that costs time. Returns how many it retired.
    """
    async with bare(settings) as client:
        due = [one async for one in client.documents(page_size=100) if one["data"]["status"] == "ended"]
        jobs: list[Callable[[], Awaitable[object]]] = []
        for batch in chunks(due, batch_size):
            for group in groups_of(batch):
                # A look before and one after; what is announced, and what became of it.
                jobs += 2 * _looks(client)
                jobs += [partial(_retire, client, document) for document in group]
                jobs += 2 * [partial(_note, client, part) for part in chunks(group, LINES_PER_ITEM)]
        await _all(jobs, settings.max_in_flight)
        return len(due)


async def tracking_floor(settings: TwilioSettings) -> int:
    """The same calls as flexsms makes to track into an empty store, and no check of anything that is read.

    Returns how many channels it wrote.
    """
    async with bare(settings) as client:
        states: dict[str, Json] = {}

        async def read(event_type: TaskEventType) -> None:
            since = f"{datetime.now(UTC) - timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}"
            query = {"EventType": str(event_type), "StartDate": since, "PageSize": "1000"}
            url: str | None = f"{client.tasks}/Events?{urlencode(query)}"
            while url:
                page = await client.call("GET", url)
                for event in page["events"]:
                    data = event["event_data"]
                    channel_sid = json.loads(data["task_attributes"])["channelSid"]
                    known = states.setdefault(
                        channel_sid, {"channel_sid": channel_sid, "seen": {}, "ended": {}}
                    )
                    known["ended" if event_type in ENDING else "seen"][data["task_sid"]] = event[
                        "event_date_ms"
                    ]
                url = page["meta"]["next_page_url"]

        async def write(state: Json) -> None:
            name = DOCUMENT_PREFIX + state["channel_sid"]
            await client.call("GET", f"{client.sync}/Documents/{name}", expected=404)
            form = {"UniqueName": name, "Data": json.dumps(state), "Ttl": "0"}
            await client.call("POST", f"{client.sync}/Documents", form)

        await asyncio.gather(*(read(event_type) for event_type in TaskEventType))
        await _all([partial(write, state) for state in states.values()], settings.max_in_flight)
        return len(states)


async def _all(jobs: Iterable[Callable[[], Awaitable[object]]], at_once: int) -> None:
    """Do the jobs in their order, so many at a time."""
    queue = iter(jobs)

    async def worker() -> None:
        for job in queue:
            await job()

    await asyncio.gather(*(worker() for _ in range(at_once)))


def _looks(client: Bare) -> list[Callable[[], Awaitable[object]]]:
    """What flexsms asks before and after each group: the events since the scan, the open tasks and the new ones."""
    since = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    events = [
        {"EventType": str(event_type), "StartDate": since, "PageSize": "1000"} for event_type in TaskEventType
    ]
    tasks: list[Json] = [
        {"AssignmentStatus": OPEN_STATUSES, "PageSize": "1000"},
        {"Ordering": "DateCreated:desc", "PageSize": "100"},
    ]
    urls = [f"{client.tasks}/Events?{urlencode(query)}" for query in events]
    urls += [f"{client.tasks}/Tasks?{urlencode(query, True)}" for query in tasks]
    return [partial(client.call, "GET", url) for url in urls]


async def _retire(client: Bare, document: Json) -> None:
    channel_sid = document["data"]["channel_sid"]
    before = await client.retire_attributes(channel_sid)
    await client.call("POST", f"{client.proxy}/Sessions/{before['proxySession']}", {"Status": "closed"})
    form = {"Data": json.dumps({**document["data"], "status": "retired"}), "Ttl": str(RETIRED_TTL_S)}
    url = f"{client.sync}/Documents/{document['unique_name']}"
    await client.call("POST", url, form, headers={"If-Match": document["revision"]})


async def _note(client: Bare, documents: list[Json]) -> None:
    lines = [[one["data"]["channel_sid"], 0, "deactivated"] for one in documents]
    form = {
        "Key": uuid4().hex,
        "Data": json.dumps({"channels": lines}),
        "ItemTtl": str(round(ONE_YEAR.total_seconds())),
    }
    await client.call("POST", f"{client.sync}/Maps/{MAP_NAME}/Items", form)


async def recipe(settings: TwilioSettings) -> int:
    """The algorithm of the original recipe, written anew: list every document, then go through them one by one.

    It closes no session, asks for no open task, and forgets nothing: two calls per channel where flexsms makes four.
    Returns how many channels it retired.
    """
    async with bare(settings) as client:
        retired = 0
        for document in [one async for one in client.documents(page_size=50)]:
            data = document["data"]
            if data["eventtype"].endswith("task.completed"):
                await client.retire_attributes(data["channelsid"])
                retired += 1
        return retired
