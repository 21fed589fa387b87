"""FlexTrackOperator."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from airflow.sdk import Asset

from flexsms.assets import CHANNEL_STATE, cursor_key
from flexsms.core.event_source import EventSource
from flexsms.core.exceptions import (
    InvalidInput,
    MissingSetting,
    PermanentError,
    ServiceUnavailable,
    UnreadableState,
)
from flexsms.hooks.twilio import TwilioHook
from flexsms.operators.track import FlexTrackOperator
from flexsms.sandbox.client import SandboxProcess, connection_extra
from flexsms.sources.http import HttpSource
from flexsms.sources.http_collector import HttpCollector
from flexsms.sources.inbox import InboxSource
from flexsms.sources.kinesis import KinesisSource
from flexsms.sources.kinesis_stream import KinesisStream
from flexsms.sources.object_storage import ObjectStorageInbox
from flexsms.twilio.client.clock import utc_now
from flexsms.twilio.tracking.tracker import TrackReport

from .conftest import FakeContext, taskrouter_cursor

EVENTS_URL = "https://airflow.example.com/flexsms/events"
REPORT = [
    "kind",
    "source",
    "read_up_to",
    "events",
    "ignored",
    "ignored_by",
    "foreign",
    "placed",
    "rejected",
    "rejects",
    "channels",
    "created",
    "updated",
    "unchanged",
    "parked",
    "opt_outs",
    "cursor",
    "behind_s",
    "latency_s",
    "api_calls",
    "calls",
    "duration_s",
]


async def test_it_reports_and_moves_the_cursor(
    stack: str, context: FakeContext, sandbox: SandboxProcess
) -> None:
    sandbox.control.seed(channels=3, stack=stack)
    report = await FlexTrackOperator(task_id="track").aexecute(context)  # type: ignore[arg-type]
    assert list(report) == REPORT
    assert report["created"] == 3
    assert context.cursors == {taskrouter_cursor(sandbox): report["cursor"]}
    assert context.event.extra == report


async def test_events_that_cannot_be_read_are_left_out_and_named(
    connection: Callable[..., None], context: FakeContext, sandbox: SandboxProcess
) -> None:
    attributes = f'{{"channelSid": "CH{"a" * 32}"}}'
    data = {"task_attributes": attributes, "task_sid": "nonsense"}
    sandbox.control.events(raw=[{"type": "task.created", "data": data}])
    report = await FlexTrackOperator(task_id="track").aexecute(context)  # type: ignore[arg-type]
    assert (report["rejected"], report["channels"]) == (1, 0)
    assert "task_sid: is missing" in report["rejects"][0]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"lookback_minutes": "soon"}, "lookback_minutes: is 'soon'; give a number between 0 and 43200"),
        ({"lookback_minutes": -1}, "lookback_minutes: is -1"),
        ({"since": "monday"}, "since: is 'monday'; give a moment in ISO 8601"),
        ({"until": "2026-11-18T16:00:00Z"}, "since: is empty; say where the range up to `until` begins"),
        (
            {"since": "2026-11-18T16:00:00Z", "source": "inbox"},
            "since: cannot go with source inbox; choose source taskrouter",
        ),
        ({"source": "pigeon"}, "source: is 'pigeon'; choose one of taskrouter, inbox, http, kinesis"),
    ],
)
async def test_bad_arguments_are_named(
    arguments: dict[str, Any], sentence: str, context: FakeContext
) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        await FlexTrackOperator(task_id="track", **arguments).aexecute(context)  # type: ignore[arg-type]


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, str, str]]:
    """Another Airflow's inbox with nothing new in it; who asked for what."""
    asked: list[tuple[str | None, str, str]] = []

    async def fetch(self: HttpCollector, after: str | None, limit: int) -> dict[str, Any]:
        asked.append((after, self._conn_id, self._endpoint))
        return {"events": [], "next": None if after else "b"}

    monkeypatch.setattr(HttpCollector, "fetch", fetch)
    return asked


async def test_a_collector_is_pulled_from_its_cursor(
    connection: Callable[..., None], context: FakeContext, collector: list[Any]
) -> None:
    connection(events_conn_id="our_collector", events_endpoint="/v2/events")
    report = await FlexTrackOperator(task_id="track", source="http").aexecute(context)  # type: ignore[arg-type]
    assert collector == [(None, "our_collector", "/v2/events"), ("b", "our_collector", "/v2/events")]
    assert report["cursor"] == "b"
    assert context.cursors[cursor_key(HttpSource(HttpCollector("our_collector", "/v2/events")))] == "b"


async def test_each_account_has_a_cursor_of_its_own(
    connection: Callable[..., None],
    context: FakeContext,
    sandbox: SandboxProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with SandboxProcess(random_seed=2) as other:
        values = {
            "conn_type": "twilio",
            "login": other.settings["account_sid"],
            "password": other.settings["auth_token"],
            "extra": connection_extra(other.settings),
        }
        monkeypatch.setenv("AIRFLOW_CONN_TWILIO_OTHER", json.dumps(values))
        for one in (sandbox, other):
            one.control.seed(channels=3)
        # What the first account has is read up to now; that says nothing of the other one.
        for conn_id in ("twilio_default", "twilio_other"):
            task = FlexTrackOperator(task_id="track", twilio_conn_id=conn_id)
            assert (await task.aexecute(context))["created"] == 3  # type: ignore[arg-type]
        cursors = {key for key in context.cursors if key.startswith("cursor.")}
        assert cursors == {taskrouter_cursor(sandbox), taskrouter_cursor(other)}
        # The same connection, moved to the other account.
        monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", json.dumps(values))
        first = context.cursors[taskrouter_cursor(sandbox)]
        before = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        context.cursors[taskrouter_cursor(other)] = before
        await FlexTrackOperator(task_id="track").aexecute(context)  # type: ignore[arg-type]
        assert context.cursors[taskrouter_cursor(sandbox)] == first
        assert context.cursors[taskrouter_cursor(other)] > before


async def test_no_key_gives_away_where_events_come_from(tmp_path: Path) -> None:
    sources: list[EventSource] = [
        InboxSource(ObjectStorageInbox(url)) for url in (f"file://{tmp_path}", "s3://key:secret@bucket/in")
    ]
    sources += [HttpSource(HttpCollector("collector", endpoint)) for endpoint in ("/a?key=secret", "/b")]
    streams = [
        ("aws_default", "tasks"),
        ("aws_default", "arn:aws:kinesis:us-east-1:123456789012:stream/tasks"),
        ("aws_other", "tasks"),
    ]
    sources += [KinesisSource(KinesisStream(*which), now=utc_now) for which in streams]
    keys = {cursor_key(source) for source in sources}
    assert len(keys) == len(sources)
    assert all(re.fullmatch("cursor\\.(inbox|http|kinesis)\\.[0-9a-f]{16}", key) for key in keys)


@pytest.mark.parametrize(("hours", "asks"), [(2.9, False), (3.1, True)])
async def test_what_a_stream_lost_is_fetched_from_taskrouter_after_three_hours(
    hours: float,
    asks: bool,
    connection: Callable[..., None],
    context: FakeContext,
    sandbox: SandboxProcess,
    collector: list[Any],
) -> None:
    connection()
    sandbox.control.seed(channels=3)
    asked_at = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
    settings = TwilioHook().settings
    streamed = cursor_key(HttpSource(HttpCollector(settings.events_conn_id, settings.events_endpoint)))
    listed = taskrouter_cursor(sandbox)
    context.cursors.update({streamed: "b", listed: asked_at})
    task = FlexTrackOperator(task_id="track", source="http", lookback_minutes=43_200)
    report = await task.aexecute(context)  # type: ignore[arg-type]
    assert report["created"] == (3 if asks else 0)
    assert (context.cursors[listed] != asked_at) is asks
    assert context.cursors[streamed] == "b"


def post(channel_sid: str, task: int = 1) -> bytes:
    """An event of a channel, as Event Streams posts it."""
    payload = {
        "task_sid": f"WT{task:032x}",
        "task_attributes": json.dumps({"channelSid": channel_sid}),
        "timestamp": "2024-11-18T16:00:00Z",
    }
    return json.dumps(
        {"type": "com.twilio.taskrouter.task.created", "id": "EZ1", "data": {"payload": payload}}
    ).encode()


class TestAStreamInTrouble:
    """TaskRouter is asked all the same: while something keeps a stream from its end, it is all gap."""

    @pytest.fixture
    def listed(self, sandbox: SandboxProcess) -> list[str]:
        """Channels of which TaskRouter alone knows."""
        channels: list[str] = sandbox.control.events(channels=3, events=12, hours=24)["channels"]
        return channels

    async def fails(
        self,
        source: str,
        error: type[Exception],
        says: str,
        context: FakeContext,
        sandbox: SandboxProcess,
        listed: list[str],
    ) -> None:
        task = FlexTrackOperator(task_id="track", source=source)
        with pytest.raises(error, match=says):
            await task.aexecute(context)  # type: ignore[arg-type]
        async with TwilioHook().account() as account:
            assert all([await account.store.load(channel) for channel in listed])
        assert taskrouter_cursor(sandbox) in context.cursors

    async def test_a_post_that_cannot_be_read(
        self,
        connection: Callable[..., None],
        context: FakeContext,
        sandbox: SandboxProcess,
        listed: list[str],
        tmp_path: Path,
    ) -> None:
        connection(inbox_path=f"file://{tmp_path}", events_url=EVENTS_URL)
        unreadable = tmp_path / "new" / "20261118T160000.000000Z-0.json"
        unreadable.parent.mkdir(parents=True)
        unreadable.symlink_to(unreadable)
        await self.fails("inbox", ServiceUnavailable, "cannot be read", context, sandbox, listed)

    async def test_a_document_that_holds_no_state(
        self,
        connection: Callable[..., None],
        context: FakeContext,
        sandbox: SandboxProcess,
        listed: list[str],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        connection(inbox_path=f"file://{tmp_path}", events_url=EVENTS_URL)
        poison = "CH" + "c" * 32
        sandbox.control.load(documents=[{"unique_name": f"flexsms.{poison}", "data": {"v": 99}}])
        await ObjectStorageInbox(f"file://{tmp_path}").put(post(poison))
        await self.fails("inbox", UnreadableState, "upgrade", context, sandbox, listed)
        assert "that failed, too" not in capsys.readouterr().out
        # What is known of it waits in the asset's state; the run after that is told so, and does not fail.
        kept = context.cursors[f"parked.{sandbox.settings['sync_service_sid']}"]
        assert list(kept) == [poison]
        sandbox.control.clear_journal()
        report = await FlexTrackOperator(task_id="track", source="inbox").aexecute(context)  # type: ignore[arg-type]
        assert (report["parked"], report["events"]) == ([poison], 0)
        asked = [one for one in sandbox.control.journal() if poison in one["path"]]
        assert len(asked) == 1

    @pytest.mark.parametrize(
        ("setting", "says"),
        [
            ({}, "inbox_path: is empty"),
            ({"inbox_path": "file:///nowhere"}, "events_url: is empty"),
            ({"inbox_path": "file:///proc/1/mem", "events_url": EVENTS_URL}, "Not a directory"),
        ],
        ids=["not configured", "nothing taken in", "no folder"],
    )
    async def test_an_inbox_that_is_not_there(
        self,
        connection: Callable[..., None],
        context: FakeContext,
        sandbox: SandboxProcess,
        listed: list[str],
        setting: dict[str, str],
        says: str,
    ) -> None:
        connection(**setting)
        error = MissingSetting if "is empty" in says else NotADirectoryError
        await self.fails("inbox", error, says, context, sandbox, listed)

    async def test_a_collector_that_refuses_for_good(
        self,
        connection: Callable[..., None],
        context: FakeContext,
        sandbox: SandboxProcess,
        listed: list[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        async def forbidden(request: web.Request) -> web.Response:
            return web.Response(status=403)

        app = web.Application()
        app.router.add_get("/{tail:.*}", forbidden)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host = {"conn_type": "http", "host": "http://127.0.0.1", "port": runner.addresses[0][1]}
        monkeypatch.setenv("AIRFLOW_CONN_FLEXSMS_EVENTS", json.dumps(host))
        try:
            await self.fails("http", PermanentError, "HTTP 403", context, sandbox, listed)
        finally:
            await runner.cleanup()

    async def test_a_stream_that_may_not_be_read(
        self,
        connection: Callable[..., None],
        context: FakeContext,
        sandbox: SandboxProcess,
        listed: list[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        connection(kinesis_stream="events")

        async def denied(self: KinesisStream) -> str:
            raise self._refused("DescribeStreamSummary", "AccessDeniedException", 400)

        monkeypatch.setattr(KinesisStream, "created", denied)
        await self.fails("kinesis", PermanentError, "allow this login kinesis:", context, sandbox, listed)

    async def test_taskrouter_in_trouble_as_well_does_not_hide_the_first_error(
        self,
        connection: Callable[..., None],
        context: FakeContext,
        sandbox: SandboxProcess,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 1)
        sandbox.control.fault(match={"host": "taskrouter.twilio.com"}, action="status", status=503)
        with pytest.raises(PermanentError, match="Airflow has no connection 'flexsms_events'"):
            await FlexTrackOperator(task_id="track", source="http").aexecute(context)  # type: ignore[arg-type]
        assert "TaskRouter was asked as well, and that failed, too: GET taskrouter" in capsys.readouterr().out

    async def test_where_sync_fails_taskrouter_is_not_asked(
        self,
        connection: Callable[..., None],
        context: FakeContext,
        sandbox: SandboxProcess,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 1)
        connection(inbox_path=f"file://{tmp_path}", events_url=EVENTS_URL)
        await ObjectStorageInbox(f"file://{tmp_path}").put(post("CH" + "c" * 32))
        sandbox.control.fault(match={"host": "sync.twilio.com"}, action="status", status=503)
        sandbox.control.clear_journal()
        with pytest.raises(ServiceUnavailable, match=r"sync\.twilio\.com"):
            await FlexTrackOperator(task_id="track", source="inbox").aexecute(context)  # type: ignore[arg-type]
        assert len(sandbox.control.journal()) == 1


async def test_the_asset_is_announced_only_when_something_changed(
    connection: Callable[..., None], context: FakeContext, sandbox: SandboxProcess
) -> None:
    mine = Asset(name="mine", uri="x-mine://asset")

    async def announces() -> bool:
        context.event.extra = {}
        task = FlexTrackOperator(task_id="track", lookback_minutes=120, outlets=[CHANNEL_STATE, mine])
        report = await task.aexecute(context)  # type: ignore[arg-type]
        assert context.event.extra in ({}, report)
        assert mine in task.outlets
        assert (CHANNEL_STATE in task.outlets) == bool(context.event.extra)
        return CHANNEL_STATE in task.outlets

    assert not await announces()
    channel = sandbox.control.events(channels=1, events=1, hours=1)["channels"]
    assert await announces()  # created
    assert not await announces()  # the same events once more
    sandbox.control.events(channel_sids=channel, events=4, hours=1)
    assert await announces()  # updated
    attributes = f'{{"channelSid": "CH{"a" * 32}"}}'
    sandbox.control.events(raw=[{"type": "task.created", "data": {"task_attributes": attributes}}])
    assert await announces()  # an event was left out


@pytest.mark.parametrize("lost", ["an outage longer than Twilio tries", "91303"])
async def test_a_gap_in_the_stream_is_filled(
    lost: str,
    connection: Callable[..., None],
    context: FakeContext,
    sandbox: SandboxProcess,
    tmp_path: Path,
) -> None:
    connection(inbox_path=f"file://{tmp_path}", events_url=EVENTS_URL)
    sandbox.control.seed(story=True)
    await FlexTrackOperator(task_id="track").aexecute(context)  # type: ignore[arg-type]
    await subscribe("http://127.0.0.1:9/events")
    if lost == "91303":
        sandbox.control.settings(stream_drops=1.0)
    ben = sandbox.control.story()["ben"]["channel_sid"]
    sandbox.control.agent("complete", channel_sid=ben)
    sandbox.control.advance(timedelta(hours=4, minutes=1).total_seconds())
    found = sandbox.control.delivered()
    assert (found["enqueued"] > 0, found["delivered"]) == (True, 0)

    stream = FlexTrackOperator(task_id="track", source="inbox")
    assert (await stream.aexecute(context))["events"] == 0  # type: ignore[arg-type]
    four_hours_ago = datetime.now(UTC) - timedelta(hours=4)
    context.cursors[taskrouter_cursor(sandbox)] = four_hours_ago.isoformat()
    report = await stream.aexecute(context)  # type: ignore[arg-type]
    assert (report["updated"], report["created"]) == (1, 0)


async def test_a_range_is_read_on_demand(stack: str, context: FakeContext, sandbox: SandboxProcess) -> None:
    context.cursors[taskrouter_cursor(sandbox)] = datetime.now(UTC).isoformat()
    before = dict(context.cursors)
    sandbox.control.seed(channels=3, stack=stack)
    since = (datetime.now(UTC) - timedelta(days=29, hours=23)).isoformat()
    report = await FlexTrackOperator(task_id="track", since=since).aexecute(context)  # type: ignore[arg-type]
    assert (report["created"], report["cursor"], report["behind_s"]) == (3, None, None)
    assert {**context.cursors, **before} == context.cursors


async def subscribe(destination: str) -> None:
    """Event Streams posts the ends of tasks there."""
    async with TwilioHook().account() as account:
        events: Any = account.client.events.v1
        sink = await events.sinks.create_async(
            description="inbox",
            sink_configuration={"destination": destination, "method": "POST", "batch_events": True},
            sink_type="webhook",
        )
        types = [{"type": "com.twilio.taskrouter.task.completed", "schema_version": 4}]
        await events.subscriptions.create_async(description="tasks", sink_sid=sink.sid, types=types)


async def test_a_cursor_that_was_swept_away_only_means_to_read_again(
    stack: str, context: FakeContext, sandbox: SandboxProcess
) -> None:
    """Airflow removes the state of an asset that no DAG has, for instance while a deploy leaves the folder empty."""
    sandbox.control.seed(channels=3, stack=stack)
    await FlexTrackOperator(task_id="track").aexecute(context)  # type: ignore[arg-type]
    context.cursors.clear()
    report = await FlexTrackOperator(task_id="track").aexecute(context)  # type: ignore[arg-type]
    assert (report["created"], report["updated"], report["unchanged"]) == (0, 0, 3)


async def test_a_hand_made_event_of_the_inbox_reads_the_source_of_the_form_where_there_is_none(
    connection: Callable[..., None], context: FakeContext, sandbox: SandboxProcess
) -> None:
    connection(inbox_path="")
    sandbox.control.seed(channels=3)
    task = FlexTrackOperator(task_id="track", source="inbox", fallback="taskrouter")
    assert (await task.aexecute(context))["created"] == 3  # type: ignore[arg-type]
    for fallback in ("", "inbox"):
        task = FlexTrackOperator(task_id="track", source="inbox", fallback=fallback)
        with pytest.raises(MissingSetting, match="inbox_path: is empty"):
            await task.aexecute(context)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="fallback: is 'pigeon'"):
        await FlexTrackOperator(task_id="track", fallback="pigeon").aexecute(context)  # type: ignore[arg-type]


async def test_who_has_opted_out_is_learnt_from_the_inbox(
    connection: Callable[..., None], context: FakeContext, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    customer, number = "+14155550199", sandbox.settings["numbers"]["conversations"]
    connection(inbox_path=f"file://{tmp_path}", events_url=EVENTS_URL)
    sandbox.control.customer(customer, number, "STOP")
    async with TwilioHook().account() as account:
        messages = account.client.api.v2010.accounts(account.settings.account_sid).messages
        [text] = await messages.list_async(from_=customer)
        data = {"messageSid": text.sid, "timestamp": account.now().isoformat(), "optsOut": True}
    kind = "com.twilio.messaging.inbound-message.received"
    inbox = ObjectStorageInbox(f"file://{tmp_path}")
    await inbox.put(json.dumps([{"type": kind, "id": "EZ1", "data": data}]).encode())
    report = await FlexTrackOperator(task_id="track", source="inbox").aexecute(context)  # type: ignore[arg-type]
    assert (report["opt_outs"], report["events"], report["rejected"]) == (1, 0, 0)
    assert await inbox.names() == []
    assert customer not in json.dumps([report, dict(context.cursors)])
    async with TwilioHook().account() as account:
        assert await account.suppressions().is_out(customer)


async def test_posts_that_come_while_the_inbox_is_read_are_counted(
    connection: Callable[..., None],
    context: FakeContext,
    sandbox: SandboxProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection(inbox_path=f"file://{tmp_path}", events_url=EVENTS_URL)

    async def one_more(inbox: ObjectStorageInbox) -> None:
        await inbox.put(post("CH" + "d" * 32))

    monkeypatch.setattr(ObjectStorageInbox, "tidy", one_more)
    report = await FlexTrackOperator(task_id="track", source="inbox").aexecute(context)  # type: ignore[arg-type]
    assert report["waiting"] == 1

    async def hangs(inbox: ObjectStorageInbox) -> list[str]:
        raise OSError("no answer")

    async def reads(*_: Any) -> Any:
        return TrackReport()

    monkeypatch.setattr(ObjectStorageInbox, "names", hangs)
    monkeypatch.setattr(FlexTrackOperator, "_track", reads)
    report = await FlexTrackOperator(task_id="track", source="inbox").aexecute(context)  # type: ignore[arg-type]
    assert "waiting" not in report
