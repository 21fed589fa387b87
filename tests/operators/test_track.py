"""FlexTrackOperator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flexsms.core.errors import InvalidInput
from flexsms.operators.track import FlexTrackOperator
from flexsms.sandbox.client import SandboxProcess

from .conftest import FakeContext

REPORT = [
    "events",
    "ignored",
    "rejected",
    "rejects",
    "channels",
    "created",
    "updated",
    "unchanged",
    "cursor",
    "api_calls",
    "duration_s",
]


async def test_it_reports_and_moves_the_cursor(
    stack: str, context: FakeContext, sandbox: SandboxProcess
) -> None:
    sandbox.control.seed(channels=3, stack=stack)
    report = await FlexTrackOperator(task_id="track").aexecute(context)  # type: ignore[arg-type]
    assert list(report) == REPORT
    assert report["created"] == 3
    assert context.cursors == {"cursor.taskrouter": report["cursor"]}
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
        ({"source": "kinesis"}, "source: 'kinesis' does not exist yet; choose 'taskrouter' or 'inbox'"),
    ],
)
async def test_bad_arguments_are_named(
    arguments: dict[str, Any], sentence: str, context: FakeContext
) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        await FlexTrackOperator(task_id="track", **arguments).aexecute(context)  # type: ignore[arg-type]
