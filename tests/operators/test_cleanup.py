"""The plan of a cleanup and its batches."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import Any

import pytest

from flexsms.core.exceptions import ChannelsFailed, InvalidInput, MissingSetting, PermanentError, TryReplaced
from flexsms.core.stack_name import StackName
from flexsms.operators.cleanup import FlexCleanupOperator
from flexsms.operators.cleanup_plan import MAX_LIMIT, FlexCleanupPlanOperator
from flexsms.operators.cleanup_xcom import planned_channels
from flexsms.sandbox.client import SandboxProcess
from flexsms.twilio.account import connect
from flexsms.twilio.cleanup.plan import Plan, Planner
from flexsms.twilio.cleanup.recovery import HealReport
from flexsms.twilio.cleanup.scan import BATCH_SIZE, DueChannel, Scan, unpack
from flexsms.twilio.client.clock import utc_now

from .conftest import FakeContext, ends_of, taskrouter_cursor


async def plan(context: Any, **arguments: Any) -> list[dict[str, Any]]:
    """The batches that hold something."""
    batches = await FlexCleanupPlanOperator(task_id="plan", **arguments).aexecute(context)
    return [batch for batch in batches if batch["start"] < batch["end"]]


async def retire(context: Any, batch: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    """Run one batch; what it reported, also when it failed then."""
    await FlexCleanupOperator(task_id="retire", batch=batch, **arguments).aexecute(context)
    report: dict[str, Any] = context.pushed["report"]
    return report


def sids(context: Any, batch: dict[str, Any]) -> list[str]:
    """The channels of a batch."""
    return [channel.channel_sid for channel in planned_channels(context["ti"], batch)]


def writes(sandbox: SandboxProcess) -> list[str]:
    return [entry["path"] for entry in sandbox.control.journal() if entry["method"] != "GET"]


async def test_a_plan_cuts_what_is_due_into_batches(
    stack: str, context: FakeContext, sandbox: SandboxProcess
) -> None:
    sandbox.control.seed(channels=6, due=5, stack=stack)
    batches = await plan(context, batch_size=2)
    assert [batch["label"] for batch in batches] == [
        "channels 1 to 2 of 5",
        "channels 3 to 4 of 5",
        "channels 5 to 5 of 5",
    ]
    found = context.pushed["plan"]
    assert (found["scanned"], found["due"], found["batches"], found["failed"]) == (6, 5, [2, 2, 1], 0)
    ended = [channel.ended_ms for batch in batches for channel in planned_channels(context["ti"], batch)]
    assert ended == sorted(ended)
    assert context.cursors.keys() == {taskrouter_cursor(sandbox)}


async def test_a_dry_run_learns_in_memory_only(
    stack: str, context: FakeContext, sandbox: SandboxProcess
) -> None:
    sandbox.control.seed(channels=4, due=2, stack=stack)
    sandbox.control.clear_journal()
    [batch] = await plan(context, preview="True")
    report = await retire(context, batch, preview="True")
    due = planned_channels(context["ti"], batch)
    assert report["would"] == [[channel.channel_sid, channel.ended_ms] for channel in due]
    assert writes(sandbox) == []
    assert (context.cursors, context.tasks) == ({}, {})


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"retention_days": 0}, "retention_days: is 0.0; give days between one minute"),
        ({"retention_days": "two"}, "retention_days: is 'two'; give a number"),
        ({"limit": 0}, "limit: is 0; give a whole number between 1 and"),
        ({"limit": 1.5}, "limit: is 1.5; give a whole number"),
        ({"batch_size": 0}, "batch_size: is 0"),
        ({"channel_types": ""}, "channel_types: is empty; name the kinds of channels"),
        (
            {"action": "archive"},
            "action: 'archive' is no way to retire a channel; choose 'deactivate' or 'delete'",
        ),
        ({"preview": "maybe"}, "dry_run: is 'maybe'; give true or false"),
    ],
)
async def test_bad_arguments_are_named(
    arguments: dict[str, Any], sentence: str, context: FakeContext
) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        await plan(context, **arguments)


async def test_a_missing_setting_is_named(connection: Callable[..., None], context: FakeContext) -> None:
    connection(workspace_sid="")
    with pytest.raises(MissingSetting, match=r"workspace_sid: is empty.*'twilio_default'"):
        await plan(context)


async def test_a_clock_that_is_days_ahead_retires_nothing_early(
    stack: str, context: FakeContext, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    channels = sandbox.control.seed(channels=4, due=2, stack=stack)["channels"]

    def ahead() -> datetime:
        return utc_now() + timedelta(days=4)

    monkeypatch.setattr("flexsms.twilio.account.connect", partial(connect, now=ahead))
    [batch] = await plan(context)
    due = sids(context, batch)
    assert (len(channels), len(due)) == (4, 2)
    assert datetime.fromisoformat(batch["scanned_at"]) < utc_now() + timedelta(minutes=1)
    # What happens from the scan on counts, too.
    sandbox.control.tasks(due[:1])
    report = await retire(context, batch)
    assert (report["deactivated"], report["skipped_open_task"] + report["skipped_changed"]) == (1, 1)


@pytest.mark.parametrize("preview", [False, True])
async def test_a_plan_finds_what_taskrouter_lists_hours_late(
    preview: bool, stack: str, context: FakeContext, sandbox: SandboxProcess
) -> None:
    sandbox.control.seed(channels=2, due=2, stack=stack)
    [batch] = await plan(context)
    channel_sid = sids(context, batch)[0]
    # Long after the cursor has moved on, an end comes that is older than it.
    context.cursors[taskrouter_cursor(sandbox)] = (utc_now() - timedelta(minutes=10)).isoformat()
    attributes = json.dumps({"channelSid": channel_sid, "conversationSid": channel_sid})
    task_sid = "WT" + "f" * 32
    sandbox.control.events(
        raw=[
            {
                "type": "task.completed",
                "data": {"task_attributes": attributes, "task_sid": task_sid},
                "resource_sid": task_sid,
                "at_ms": int((utc_now() - timedelta(hours=20)).timestamp() * 1000),
            }
        ]
    )
    [again] = await plan(context, preview=preview)
    assert channel_sid not in sids(context, again)


async def test_what_a_plan_costs(
    connection: Callable[..., None], context: FakeContext, sandbox: SandboxProcess
) -> None:
    sandbox.control.events(channels=30, events=600, hours=20)
    await plan(context)
    sandbox.control.clear_journal()
    assert await plan(context) == []
    hosts = Counter(entry["host"] for entry in sandbox.control.journal())
    # The events of a day, the documents, and what the ledger has announced; no look at any channel.
    assert (hosts["taskrouter.twilio.com"], hosts["sync.twilio.com"]) == (6, 2)
    assert writes(sandbox) == []


async def test_a_batch_that_is_tried_again_does_not_redo_what_is_done(
    stack: str, context: FakeContext, sandbox: SandboxProcess
) -> None:
    sandbox.control.seed(channels=3, due=3, stack=stack)
    [batch] = await plan(context)
    assert (await retire(context, batch))["deactivated"] == 3
    sandbox.control.clear_journal()
    assert (await retire(context, batch))["deactivated"] == 3
    # A conversation is closed last, so the try before may have died right before that; closing it again is harmless.
    assert len(writes(sandbox)) == (3 if stack == "conversations" else 0)


async def test_a_batch_that_airflow_stops_starts_nothing_new(
    stack: str, context: Any, sandbox: SandboxProcess
) -> None:
    sandbox.control.seed(channels=3, due=3, stack=stack)
    [batch] = await plan(context)
    sandbox.control.clear_journal()
    task = FlexCleanupOperator(task_id="retire", batch=batch)
    sandbox.control.fault(
        match={"method": "GET", "host": "taskrouter.twilio.com"}, action="delay", delay_ms=300
    )
    running = asyncio.create_task(task.aexecute(context))
    while not any(rule["hits"] for rule in sandbox.control.faults()):  # noqa: ASYNC110  # another process knows
        await asyncio.sleep(0.01)
    task.on_kill()
    with pytest.raises(TryReplaced, match="stopped"):
        await running
    assert writes(sandbox) == []


async def test_a_plan_made_again_has_memories_of_its_own(
    stack: str, context: FakeContext, sandbox: SandboxProcess
) -> None:
    sandbox.control.seed(channels=3, due=3, stack=stack)
    first, second = [(await plan(context))[0] for _ in range(2)]
    await retire(context, first)
    await retire(context, second)
    assert context.tasks["try"]["batch"] == f"batch.{second['scanned_at']}"
    assert context.pushed["report"]["already_gone"] == 3


async def test_of_the_runs_of_a_backfill_one_retires_and_the_others_find_nothing_to_do(
    stack: str, connection: Callable[..., None], sandbox: SandboxProcess
) -> None:
    """At worst they have all planned before the first one retires; Airflow then lets one batch run at a time."""
    sandbox.control.seed(channels=3, due=3, stack=stack)
    runs = [FakeContext() for _ in range(3)]
    for day, run in enumerate(runs, 1):
        run["ti"].run_id = f"backfill__2026-10-{day:02}T03:00:00+00:00"
    planned = [(run, (await plan(run))[0]) for run in runs]
    reports = [await retire(run, batch) for run, batch in planned]
    assert [(report.get("deactivated", 0), report.get("already_gone", 0)) for report in reports] == [
        (3, 0),
        (0, 3),
        (0, 3),
    ]
    assert all(report["failed"] == 0 for report in reports)
    assert await plan(FakeContext()) == []


async def test_there_are_never_more_batches_than_airflow_maps_over(
    stack: str, context: FakeContext, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "3")
    sandbox.control.seed(channels=7, due=7, stack=stack)
    batches = await plan(context, batch_size=1)
    assert [len(sids(context, batch)) for batch in batches] == [3, 3, 1]
    assert context.pushed["plan"]["batches"] == [3, 3, 1]


@pytest.mark.parametrize("size", [98, BATCH_SIZE, 30_000])
async def test_a_proxy_that_takes_one_megabyte_lets_the_largest_plan_through(
    size: int, context: FakeContext, connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many channels as may be asked for, with all that a state may know of a channel."""
    digits = random.Random(3)
    names = ("session", "interaction", "interaction_channel", "workspace")
    due = [
        DueChannel(
            f"CH{digits.getrandbits(128):032x}",
            1_780_000_000_000 + number * 977,
            digits.choice(list(StackName)),
            f"{digits.getrandbits(32):x}",
            {"type": "sms", **{name: f"KD{digits.getrandbits(128):032x}" for name in names}},
        )
        for number in range(MAX_LIMIT)
    ]

    async def planned(*_: Any, **__: Any) -> Plan:
        return Plan(datetime.now(UTC), Scan(due=due, due_in_all=MAX_LIMIT), HealReport(), 0)

    monkeypatch.setattr(Planner, "plan", planned)
    batches = await plan(context, limit=MAX_LIMIT, batch_size=size)
    sent = [batches, *context.pushed.values()]
    # Of a thousand batches, twenty are in each part: it is unpacked once.
    monkeypatch.setattr("flexsms.operators.cleanup_xcom.unpack", cache(unpack))
    assert max(len(json.dumps(value)) for value in sent) < 500_000
    assert due == [channel for batch in batches for channel in planned_channels(context["ti"], batch)]
    assert [batch["end"] - batch["start"] for batch in batches] == context.pushed["plan"]["batches"]


async def test_a_batch_whose_channels_are_gone_says_what_to_do(
    stack: str, context: FakeContext, sandbox: SandboxProcess
) -> None:
    sandbox.control.seed(channels=1, due=1, stack=stack)
    [batch] = await plan(context)
    del context.pushed["channels.0"]
    with pytest.raises(PermanentError, match=r"left no channels under the XCom key 'channels\.0'; clear it"):
        await retire(context, batch)


async def test_a_batch_does_no_other_thing_than_was_planned(
    stack: str, context: FakeContext, sandbox: SandboxProcess
) -> None:
    """A person approves the plan's action."""
    sandbox.control.seed(channels=2, due=2, stack=stack)
    [batch] = await plan(context)
    sandbox.control.clear_journal()
    with pytest.raises(
        InvalidInput, match=r"action: is 'delete', and .* the task 'task' is 'deactivate'; give both"
    ):
        await retire(context, batch, action="delete")
    assert sandbox.control.journal() == []


@pytest.mark.parametrize("answer", ["not needed", "approved", "waiting", "rejected", None])
@pytest.mark.parametrize("same_plan", [True, False])
async def test_a_batch_is_retired_only_if_this_very_plan_is_approved(
    answer: str | None, stack: str, context: FakeContext, sandbox: SandboxProcess, *, same_plan: bool
) -> None:
    """Airflow's own order of tasks does not tell: somebody may mark one as success, or clear another one alone."""
    sandbox.control.seed(channels=2, due=2, stack=stack)
    [batch] = await plan(context)
    found = {"answer": answer, "by": "ida", "planned_at": batch["scanned_at"] if same_plan else "2026-11-01"}
    context.pulled["approve", "approval", -1] = found if answer else None
    sandbox.control.clear_journal()
    if same_plan and answer in ("not needed", "approved"):
        assert (await retire(context, batch, approval_task_id="approve"))["deactivated"] == 2
        return
    with pytest.raises(PermanentError, match="this plan is not approved; clear the task 'approve'"):
        await retire(context, batch, approval_task_id="approve")
    assert sandbox.control.journal() == []


async def test_a_batch_without_an_approval_pulls_its_channels_and_no_more(
    stack: str, context: FakeContext, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.control.seed(channels=2, due=2, stack=stack)
    [batch] = await plan(context)
    pull, keys = context["ti"].xcom_pull, []

    def count(**arguments: Any) -> Any:
        keys.append(arguments["key"])
        return pull(**arguments)

    monkeypatch.setattr(context["ti"], "xcom_pull", count)
    await retire(context, batch)
    assert keys == ["channels.0"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 403, "code": 50400, "message": "Not yours"}, PermanentError),
        ({"status": 503, "times": 3}, ChannelsFailed),
    ],
)
async def test_a_batch_reports_before_it_fails(
    fault: dict[str, Any],
    error: type[Exception],
    stack: str,
    context: FakeContext,
    sandbox: SandboxProcess,
) -> None:
    sandbox.control.seed(channels=3, due=3, stack=stack)
    [batch] = await plan(context)
    bad = sids(context, batch)[0]
    match = {"method": "POST", "path": f"/(Channels|Conversations)/{bad}$"}
    sandbox.control.fault(match=match, action="status", **fault)
    with pytest.raises(error, match=rf"^1 of 3 channels failed\. 1 × .+ \({bad}\)\.$"):
        await retire(context, batch)
    report = context.pushed["report"]
    assert (report["deactivated"], report["failed"]) == (2, 1)
    assert report["failures"][0]["channel_sid"] == bad
    assert report["api_calls"] > 0


async def test_where_nothing_is_due_there_is_one_batch_with_nothing_to_do(
    connection: Callable[..., None], context: FakeContext, sandbox: SandboxProcess
) -> None:
    """Mapped over no batch at all, the task would be skipped."""
    [batch] = await FlexCleanupPlanOperator(task_id="plan").aexecute(context)  # type: ignore[arg-type]
    assert (batch["label"], batch["start"], batch["end"]) == ("nothing is due", 0, 0)
    sandbox.control.clear_journal()
    await FlexCleanupOperator(task_id="retire", batch=batch).aexecute(context)  # type: ignore[arg-type]
    assert "report" not in context.pushed
    assert sandbox.control.journal() == []


async def test_an_unreadable_document_is_named_and_the_others_are_planned(
    stack: str, context: FakeContext, sandbox: SandboxProcess
) -> None:
    sandbox.control.seed(channels=3, due=3, stack=stack)
    number = sandbox.settings["numbers"]["twilio" if stack == "chat" else "conversations"]
    bad = sandbox.control.customer("+14155551999", number, "Hello")["channel_sid"]
    sandbox.control.load(documents=[{"unique_name": f"flexsms.{bad}", "data": {"v": 1}}])
    (batch,) = await plan(context)
    assert len(sids(context, batch)) == 3
    assert [failure["channel_sid"] for failure in context.pushed["plan"]["failures"]] == [bad]
    # What they tell of it waits until somebody repairs or deletes the document.
    parked = f"parked.{sandbox.settings['sync_service_sid']}"
    assert context.cursors.keys() == {taskrouter_cursor(sandbox), parked, ends_of(sandbox)}
    assert list(context.cursors[parked]) == [bad]


async def test_a_lost_stack_is_one_sentence_and_the_other_one_is_cleaned(
    connection: Callable[..., None], context: FakeContext, sandbox: SandboxProcess
) -> None:
    lost = sandbox.control.seed(channels=3, due=3)["channels"]
    sandbox.control.seed(channels=2, due=2, stack="conversations")
    connection(stack="conversations", session_service_sid="")
    (batch,) = await plan(context)
    sentence = r"^3 of 5 channels failed\. 3 × Connection field session_service_sid: .* migrate the"
    with pytest.raises(PermanentError, match=sentence):
        await retire(context, batch)
    report = context.pushed["report"]
    assert (report["deactivated"], report["already_gone"], report["failed"]) == (2, 0, 3)
    assert sorted(failure["channel_sid"] for failure in report["failures"]) == sorted(lost)
    assert {(failure["code"], failure["message"]) for failure in report["failures"]} == {
        (0, report["failures"][0]["message"])
    }
    # They are due until somebody decides.
    connection()
    (batch,) = await plan(context)
    assert sorted(sids(context, batch)) == sorted(lost)


async def test_kinds_of_channels_that_are_not_named_are_counted_and_left(
    stack: str, context: FakeContext, sandbox: SandboxProcess
) -> None:
    sandbox.control.seed(channels=3, due=3, stack=stack)
    assert await plan(context, channel_types="whatsapp, web") == []
    found = context.pushed["plan"]
    assert (found["due"], found["skipped_type"], found["other_types"]) == (0, 3, {"sms": 3})
    (batch,) = await plan(context, channel_types=["sms"])
    assert len(sids(context, batch)) == 3


async def test_documents_of_the_recipe_about_calls_are_named_once_and_do_not_fail(
    connection: Callable[..., None],
    context: FakeContext,
    sandbox: SandboxProcess,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The recipe built their names of an attribute that calls lack, and wrote them anew with every call."""
    channel = "CH" + "7" * 32
    ended = {"eventtype": "com.twilio.taskrouter.task.completed", "timestamp": "2026-11-01T10:00:00.000Z"}
    sandbox.control.load(
        documents=[
            {
                "unique_name": f"ChannelSIDIS{channel}",
                "data": {**ended, "channelsid": channel, "taskattributes": f'{{"channelSid": "{channel}"}}'},
            },
            {
                "unique_name": "ChannelSIDISundefined",
                "data": {**ended, "taskattributes": '{"call_sid": "CA1"}'},
            },
            {"unique_name": "ChannelSIDISnull", "data": {**ended, "taskattributes": '{"channelSid": null}'}},
        ]
    )
    for said in (1, 0):
        await plan(context)
        found = context.pushed["plan"]
        assert (found["failed"], found["failures"]) == (0, [])
        assert sorted(found["leftovers"]) == ["ChannelSIDISnull", "ChannelSIDISundefined"]
        assert capsys.readouterr().out.count("delete them") == said


async def test_a_second_plan_for_a_past_date_finds_nothing_more(
    stack: str, context: FakeContext, sandbox: SandboxProcess
) -> None:
    """A backfill starts a run per day, and all of them act on the present."""
    sandbox.control.seed(channels=3, due=2, stack=stack)
    (batch,) = await plan(context)
    assert (await retire(context, batch))["deactivated"] == 2
    assert await plan(context) == []
