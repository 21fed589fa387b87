"""From a sink of Event Streams through a Kinesis stream into Sync."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from flexsms.core.channel_state import ChannelState
from flexsms.core.exceptions import MissingSetting, PermanentError
from flexsms.hooks.twilio import TwilioHook
from flexsms.operators.track import FlexTrackOperator
from flexsms.sandbox.client import SandboxProcess
from flexsms.twilio.account import Account
from flexsms.twilio.setup.run import Wishes, set_up
from tests.support.kinesis_server import KinesisServer

from .conftest import FakeContext, taskrouter_cursor

pytestmark = pytest.mark.anyio


@pytest.fixture
def stream(
    connection: Callable[..., None], context: FakeContext, kinesis: KinesisServer, sandbox: SandboxProcess
) -> Iterator[KinesisServer]:
    """The account's task events go to a stream of two shards, some of them twice, and TaskRouter was just asked."""
    arn = kinesis.create(shards=2)
    connection(kinesis_stream=arn)
    sandbox.control.settings(
        kinesis_endpoint=kinesis.url, sinks_to_validate=[], stream_duplicates=0.2, stream_batch=[1, 50]
    )
    sink = {"arn": arn, "role_arn": "arn:aws:iam::123456789012:role/Twilio", "external_id": "1"}
    TwilioHook().run(lambda account: set_up(account, Wishes(kinesis=sink)))
    context.cursors[taskrouter_cursor(sandbox)] = datetime.now(UTC).isoformat()
    yield kinesis
    sandbox.control.settings(kinesis_endpoint="")


async def track(context: FakeContext) -> dict[str, Any]:
    return await FlexTrackOperator(task_id="track", source="kinesis").aexecute(context)  # type: ignore[arg-type]


async def test_who_sends_stop_is_learnt_and_neither_number_nor_text_is_left_anywhere(
    stream: KinesisServer, context: FakeContext, sandbox: SandboxProcess
) -> None:
    customer, number = "+14155550199", sandbox.settings["numbers"]["conversations"]

    async def is_out() -> bool:
        async with TwilioHook().account() as account:
            return await account.suppressions().is_out(customer)

    for words, expected in ((["Hello?", "STOP"], True), (["Start", "and more"], False)):
        for body in words:
            sandbox.control.customer(customer, number, body)
            sandbox.control.advance(60)
        sandbox.control.delivered()
        report = await track(context)
        assert report["opt_outs"] >= 1
        assert report["rejected"] == 0
        assert await is_out() is expected
        assert customer not in json.dumps([report, dict(context.cursors)])


async def folded(account: Account) -> tuple[int, dict[str, ChannelState]]:
    """How many events TaskRouter's own list has, and what they say of every channel."""
    count, states = 0, dict[str, ChannelState]()
    async for page in account.taskrouter().read(None):
        count += len(page.events)
        for event in page.events:
            learnt, known = ChannelState.of(event), states.get(event.channel_sid)
            states[event.channel_sid] = learnt if known is None else known.merge(learnt)
    return count, states


async def test_sync_becomes_what_taskrouter_says_while_shards_merge_and_split(
    stream: KinesisServer, context: FakeContext, sandbox: SandboxProcess
) -> None:
    control, report, seen = sandbox.control, {}, 0
    channels = control.events(channels=9, events=54, hours=1)["channels"]
    for reshard in (None, stream.merge, stream.split):
        # Some are in the shards before they split or merge, some come after.
        control.events(channel_sids=channels[:4], events=24, hours=1)
        control.delivered()
        if reshard is not None:
            reshard()
            control.events(channel_sids=channels[2:5], events=18, hours=1)
            control.delivered()
        report = await track(context)
        seen += report["events"]
        assert report["rejected"] == 0
        assert [value for key, value in context.cursors.items() if key.startswith("cursor.kinesis.")] == [
            report["cursor"]
        ]
    assert len(json.loads(report["cursor"])["shards"]) == 3
    async with TwilioHook().account() as account:
        count, expected = await folded(account)
        assert set(expected) == set(channels)
        for channel_sid, state in expected.items():
            stored = await account.store.load(channel_sid)
            assert stored is not None
            assert stored.state == state
    assert seen > count  # some came twice
    # Nothing new, and nothing is written again.
    control.clear_journal()
    again = await track(context)
    assert (again["events"], again["channels"], again["cursor"]) == (0, 0, report["cursor"])
    assert [entry for entry in control.journal() if entry["method"] != "GET"] == []


async def test_without_a_stream_its_setting_is_named(
    connection: Callable[..., None], context: FakeContext, kinesis: KinesisServer
) -> None:
    of = r"\(Airflow connection 'twilio_default'\)"
    with pytest.raises(
        MissingSetting, match=f"kinesis_stream: is empty; give the stream's name, or its ARN.*{of}"
    ):
        await track(context)
    connection(kinesis_stream="nowhere")
    with pytest.raises(MissingSetting, match=f"kinesis_stream: names no stream of this AWS account.*{of}"):
        await track(context)
    assert [key for key in context.cursors if "kinesis" in key] == []


async def test_without_a_login_the_connection_is_named(
    connection: Callable[..., None], context: FakeContext, kinesis: KinesisServer
) -> None:
    connection(kinesis_stream="events", kinesis_conn_id="of_the_stream")
    with pytest.raises(
        PermanentError, match="Airflow connection 'of_the_stream', stream events: names no region"
    ):
        await track(context)
