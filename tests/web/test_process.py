"""Airflow's API server as a process, with real sockets: killed while it writes, lied to, and hurried."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from flexsms.core.event_source import EventSource
from flexsms.core.task_events import TaskEventType
from flexsms.sandbox.client import SandboxProcess
from flexsms.sources.http_collector import HttpCollector
from flexsms.sources.inbox import InboxSource
from flexsms.sources.object_storage import ObjectStorageInbox
from flexsms.twilio.account import connect
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.tracking.tracker import TrackReport, track
from tests.support.api_server import ApiServer

from .conftest import PATH, event

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture
def receiver(airflow_db: Path, connection: Callable[..., None]) -> Iterator[ApiServer]:
    with ApiServer() as receiver:
        yield receiver


async def test_killed_while_it_writes_it_keeps_what_it_confirmed_and_nothing_half(
    receiver: ApiServer, inbox: ObjectStorageInbox
) -> None:
    sent: set[bytes] = set()
    confirmed: set[bytes] = set()

    async def post(client: httpx.AsyncClient, number: int) -> None:
        # Some of them large, so that the kill finds one that is half written.
        body = json.dumps([event(number, padding="x" * (number % 7) * 100_000)]).encode()
        sent.add(body)
        with suppress(httpx.HTTPError):
            if (await client.post(content=body, **receiver.request(body))).status_code == 204:
                confirmed.add(body)

    for attempt in range(3):
        before = len(confirmed)
        async with httpx.AsyncClient(timeout=20) as client, asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(post(client, attempt * 1000 + number))
            while len(confirmed) < before + 20:  # noqa: ASYNC110  # a count, not an event
                await asyncio.sleep(0.005)
            receiver.kill()
        receiver.start()
    assert len(confirmed) < len(sent)
    kept = {await inbox.read(name) for name in await inbox.names()}
    assert confirmed <= kept <= sent


async def test_many_at_a_time_are_all_kept(receiver: ApiServer, inbox: ObjectStorageInbox) -> None:
    """How fast, `make bench` tells."""

    # aiohttp, because httpx with hundreds of requests waiting is slow itself.
    async def post(client: aiohttp.ClientSession, number: int) -> int:
        body = json.dumps([event(number)]).encode()
        async with client.post(data=body, **receiver.request(body)) as answer:
            return answer.status

    async with aiohttp.ClientSession() as client:
        answers = await asyncio.gather(*(post(client, number) for number in range(300)))
    assert set(answers) == {204}
    assert len(await inbox.names()) == 300


async def test_another_airflow_pulls_with_a_login(
    airflow_db: Path, connection: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "passwords.json").write_text(json.dumps({"puller": "secret of a puller"}))
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "puller:user")
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", str(tmp_path / "passwords.json"))
    with ApiServer() as server:
        login = {"conn_type": "http", "host": server.url, "login": "puller", "password": "secret of a puller"}
        monkeypatch.setenv("AIRFLOW_CONN_FLEXSMS_EVENTS", json.dumps(login))
        assert await HttpCollector("flexsms_events", PATH).fetch(None, 7) == {"events": [], "next": None}


async def test_a_refused_post_is_told_to_the_metrics_that_airflow_is_configured_with(
    airflow_db: Path, connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the API server, Airflow sets up another copy of its metrics than in tasks."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        statsd.bind(("127.0.0.1", 0))
        statsd.settimeout(60)
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "True")
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_HOST", "127.0.0.1")
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_PORT", str(statsd.getsockname()[1]))
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED", "True")
        # Airflow sets its metrics up once per process, when it is imported.
        with ApiServer(is_forked=False) as server:
            async with httpx.AsyncClient(timeout=20) as client:
                assert (await client.post(f"{server.url}{PATH}", content=b"[]")).status_code == 403
            while "flexsms" not in (line := statsd.recv(65_536).decode()):
                pass
    assert line == "airflow.flexsms.inbox.refused,reason=signature:1|c"


async def test_two_replicas_share_an_inbox(receiver: ApiServer, inbox: ObjectStorageInbox) -> None:
    with ApiServer() as other:
        async with httpx.AsyncClient(timeout=20) as client:
            bodies = [json.dumps([event(number)]).encode() for number in range(100)]
            answers = await asyncio.gather(
                *(
                    client.post(content=body, **(receiver, other)[number % 2].request(body))
                    for number, body in enumerate(bodies)
                )
            )
    assert {answer.status_code for answer in answers} == {204}
    assert sorted([await inbox.read(name) or b"" for name in await inbox.names()]) == sorted(bodies)


async def test_from_twilio_to_the_state_with_the_receiver_killed_on_the_way(
    receiver: ApiServer,
    inbox: ObjectStorageInbox,
    sandbox: SandboxProcess,
    connection: Callable[..., None],
    connection_extra: dict[str, Any],
) -> None:
    """Sink, signature, receiver, inbox, source and store: what the stream brings is what TaskRouter's list says."""
    settings = TwilioSettings.from_connection(
        sandbox.settings["account_sid"],
        sandbox.settings["auth_token"],
        {**connection_extra, "rate_limits": "off"},
    )
    destination = f"{receiver.url}{PATH}"
    receiver.kill()
    connection(auth_token=sandbox.settings["auth_token"], events_url=destination)
    receiver.start()
    async with connect(settings) as account:
        events: Any = account.client.events.v1
        sink = await events.sinks.create_async(
            description="inbox",
            sink_configuration={"destination": destination, "method": "POST", "batch_events": True},
            sink_type="webhook",
        )
        types = [f"com.twilio.taskrouter.{name}" for name in TaskEventType]
        await events.subscriptions.create_async(
            description="tasks",
            sink_sid=sink.sid,
            types=[{"type": name, "schema_version": 4} for name in types],
        )
        tasks = account.client.taskrouter.v1.workspaces(settings.workspace_sid).tasks
        for number in range(30):
            channel = f"CH{number % 7:032x}"
            made = await tasks.create_async(
                attributes=json.dumps({"channelSid": channel}), task_channel="sms"
            )
            if number % 2:
                sandbox.control.agent("wrap", task_sid=made.sid)
                sandbox.control.agent("complete", task_sid=made.sid)
            if number % 10 == 9:
                receiver.kill()
                receiver.start()
        sandbox.control.advance(timedelta(minutes=10).total_seconds())  # what met a dead receiver comes again
        assert await asyncio.to_thread(sandbox.control.delivered)
        assert await inbox.names()

        async def save(_: str) -> None:
            pass

        async def run(source: EventSource) -> TrackReport:
            return await track(source, account.store, cursor=None, save_cursor=save, at_once=8)

        streamed = await run(InboxSource(inbox))
        assert (streamed.channels, streamed.rejected, await inbox.names()) == (7, 0, [])
        # Nothing is missing: TaskRouter's own list has nothing to add.
        listed = await run(account.taskrouter())
        assert (listed.channels, listed.unchanged) == (7, 7)


def chunked(*bodies: bytes) -> list[bytes]:
    return [b"%x\r\n%b\r\n" % (len(body), body) for body in bodies]


async def test_lengths_are_not_believed(receiver: ApiServer, tmp_path: Path) -> None:
    mib = b"1" * 1024 * 1024
    assert receiver.raw(["content-length: 3"], b"[1]") == 204
    assert receiver.raw(["transfer-encoding: chunked"], *chunked(b"[", b"1]", b"")) == 204
    # Too long, announced or not.
    assert receiver.raw([f"content-length: {len(mib) + 1}"]) == 413
    assert receiver.raw(["transfer-encoding: chunked"], *chunked(*[mib[:65536]] * 40)) in (413, 0)
    # Less announced than sent: only what was announced counts. More: there is no end of it.
    assert receiver.raw(["content-length: 2"], b"[1]") in (400, 403)
    assert receiver.raw(["content-length: 500"], b"[1]", hang_up=True) in (400, 0)
    assert receiver.raw(["content-length: -3"], b"[1]") in (400, 0)
    assert receiver.raw(["content-length: 3", "transfer-encoding: chunked"], b"[1]") != 204
    assert len(list((tmp_path / "inbox" / "new").iterdir())) == 1  # the same post twice
    # And it is still there for the next one.
    assert receiver.raw(["content-length: 3"], b"[1]") == 204


async def test_a_body_that_never_comes_is_not_waited_for(receiver: ApiServer) -> None:
    """The line is closed, too: who has seen one signed URL could hold as many as he likes."""
    answer = receiver.until_closed(["content-length: 100"], b"[")
    assert answer.startswith(b"HTTP/1.1 503 ")
    answer = receiver.until_closed(["transfer-encoding: chunked"], *chunked(b"["))
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert receiver.raw(["content-length: 3"], b"[1]") == 204


@pytest.mark.parametrize("host", ["inside", "evil.example"])
async def test_behind_a_proxy_only_what_twilio_calls_counts(
    airflow_db: Path, connection: Callable[..., None], host: str
) -> None:
    public = "https://airflow.example.com/team/airflow/flexsms/events"
    connection(events_url=public)
    body = json.dumps([event()]).encode()
    called = {
        public: 204,
        f"http://{host}{PATH}": 403,
        f"https://{host}{PATH}": 403,
        f"https://{host}/team/airflow{PATH}": 403,
        f"https://airflow.example.com{PATH}": 403,
    }
    with ApiServer() as server:
        for url, status in called.items():
            request = server.request(body, url=url)
            request["headers"] |= {"host": host, "x-forwarded-host": host, "x-forwarded-proto": "https"}
            async with httpx.AsyncClient(timeout=60) as client:
                assert (await client.post(content=body, **request)).status_code == status
