"""A cleanup puts back what an earlier one left out of use although it is live, by Twilio and Sync alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from flexsms.core.exceptions import FlexSmsError
from flexsms.core.stack_name import StackName
from flexsms.hooks.twilio import TwilioHook
from flexsms.operators.cleanup import FlexCleanupOperator
from flexsms.operators.cleanup_plan import FlexCleanupPlanOperator
from flexsms.sandbox.client import SandboxProcess
from flexsms.twilio.account import Account, connect
from flexsms.twilio.client.clock import utc_now

from .conftest import FakeContext

CUSTOMER = "+14155550143"
MARK = {"long_lived": False, "status": "INACTIVE"}
NUMBERS = {StackName.CHAT: "twilio", StackName.CONVERSATIONS: "conversations"}
OPEN = ("pending", "reserved", "assigned", "wrapping")


class Centre:
    """A contact centre with one channel, whose customer comes back after some days."""

    def __init__(self, sandbox: SandboxProcess, stack: str, account: Account) -> None:
        self.control = sandbox.control
        self.account = account
        self.stack = StackName(stack)
        self.number = sandbox.settings["numbers"][NUMBERS[self.stack]]
        self.sid = self.writes()["channel_sid"]
        self.control.advance(2)
        self.control.agent("complete", channel_sid=self.sid)

    def writes(self) -> dict[str, Any]:
        return self.control.customer(CUSTOMER, self.number, "Hello")

    async def attributes(self, **changes: Any) -> dict[str, Any]:
        """The channel's attributes, after some changes."""
        channel: Any
        if self.stack is StackName.CHAT:
            service = self.account.client.chat.v2.services(self.account.settings.chat_service_sid)
            channel = service.channels(self.sid)
        else:
            channel = self.account.client.conversations.v1.conversations(self.sid)
        found: dict[str, Any] = json.loads((await channel.fetch_async()).attributes)
        if changes:
            await channel.update_async(attributes=json.dumps({**found, **changes}))
        return {**found, **changes}

    async def take_down(self) -> None:
        """What an earlier cleanup did to the channel, without seeing that it was live."""
        stack = self.account.retiring_stacks[self.stack]
        await stack.suspend(await stack.fetch(self.sid), {})

    def open_tasks(self) -> list[dict[str, Any]]:
        tasks = self.control.state()["tables"]["tasks"]
        return [json.loads(task["attributes"]) for task in tasks if task["status"] in OPEN]


@pytest.fixture
async def centre(sandbox: SandboxProcess, stack: str) -> AsyncIterator[Centre]:
    settings = TwilioHook().settings
    async with connect(settings) as account:
        yield Centre(sandbox, stack, account)


async def clean(sandbox: SandboxProcess, **arguments: Any) -> dict[str, Any]:
    """A whole cleanup that remembers nothing of any before it."""
    context: Any = FakeContext()
    batches = await FlexCleanupPlanOperator(task_id="plan", retention_days=0.5, **arguments).aexecute(context)
    plan = context.pushed["plan"]
    for batch in batches:
        await FlexCleanupOperator(task_id="retire", batch=batch).aexecute(context)
        plan = {**plan, **context.pushed.get("report", {})}
    return dict(plan)


@pytest.fixture
def days_ago(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let days go by, for the sandbox and for us."""
    ahead = timedelta()

    def advance(days: float) -> None:
        nonlocal ahead
        ahead += timedelta(days=days)
        sandbox.control.advance(timedelta(days=days).total_seconds())
        monkeypatch.setattr("flexsms.twilio.client.clock.utc_now", lambda: utc_now() + ahead)

    return advance


@pytest.mark.anyio
async def test_a_live_channel_that_was_taken_down_is_put_back(
    centre: Centre, sandbox: SandboxProcess, days_ago: Any
) -> None:
    await centre.attributes(customer={"id": 7})
    before = await centre.attributes()
    days_ago(3)
    centre.writes()
    await centre.take_down()
    assert (await clean(sandbox))["restored"] == 1
    assert await centre.attributes() == before
    arrived = centre.writes()
    assert (arrived["channel_sid"], len(centre.open_tasks())) == (centre.sid, 1)
    assert (await clean(sandbox))["restored"] == 0


@pytest.mark.anyio
async def test_what_was_unusual_is_put_back_as_it_was(
    centre: Centre, sandbox: SandboxProcess, days_ago: Any
) -> None:
    before = await centre.attributes(long_lived=False, status="ACTIVE")
    days_ago(3)
    centre.writes()
    await centre.take_down()
    assert (await clean(sandbox))["restored"] == 1
    assert await centre.attributes() == before


@pytest.mark.anyio
async def test_a_dry_run_puts_nothing_back(centre: Centre, sandbox: SandboxProcess, days_ago: Any) -> None:
    days_ago(3)
    centre.writes()
    await centre.take_down()
    sandbox.control.clear_journal()
    context: Any = FakeContext()
    await FlexCleanupPlanOperator(task_id="plan", retention_days=0.5, preview=True).aexecute(context)
    assert [entry["path"] for entry in sandbox.control.journal() if entry["method"] != "GET"] == []


@pytest.mark.anyio
async def test_what_somebody_else_made_of_a_live_channel_stays(
    centre: Centre, sandbox: SandboxProcess, days_ago: Any
) -> None:
    days_ago(3)
    centre.writes()
    theirs = await centre.attributes(long_lived=False, status="ACTIVE")
    assert (await clean(sandbox))["restored"] == 0
    assert await centre.attributes() == theirs


@pytest.mark.anyio
@pytest.mark.parametrize("stack", [StackName.CONVERSATIONS], indirect=True)
async def test_a_task_that_comes_after_the_close_moves_to_a_fresh_conversation(
    centre: Centre, sandbox: SandboxProcess, days_ago: Any
) -> None:
    """A text came right before the close, and the flow that opens its task took its time."""
    days_ago(3)
    assert (await clean(sandbox))["deactivated"] == 1
    workspace = centre.account.client.taskrouter.v1.workspaces(centre.account.settings.workspace_sid)
    await workspace.tasks.create_async(
        attributes=json.dumps({"conversationSid": centre.sid, "channelType": "sms"}),
        workflow_sid=sandbox.settings["workflow_sid"],
        task_channel="chat",
    )
    assert (await clean(sandbox))["restored"] == 1
    (task,) = centre.open_tasks()
    assert (task["conversationSid"] != centre.sid, task["sourceChatChannelSid"]) == (True, centre.sid)
    assert (await clean(sandbox))["restored"] == 0
    assert len(centre.open_tasks()) == 1


async def die(
    context: Any, batch: dict[str, Any], sandbox: SandboxProcess, match: Any, **arguments: Any
) -> None:
    """A batch is stopped at a request, and no other try of it comes: somebody has marked it failed."""
    sandbox.control.fault(match=match, action="delay", delay_ms=100, times=1, skip=arguments.pop("skip", 0))
    running = asyncio.create_task(
        FlexCleanupOperator(task_id="retire", batch=batch, **arguments).aexecute(context)
    )
    while not sandbox.control.faults()[0]["hits"]:  # noqa: ASYNC110  # another process knows
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.sleep(0.2)


@pytest.mark.anyio
async def test_what_a_batch_had_suspended_is_put_back_although_nothing_is_live_any_more(
    centre: Centre, sandbox: SandboxProcess, days_ago: Any
) -> None:
    """An agent wrote in it, was answered and is done, so the channel is not due for a while."""
    before = await centre.attributes()
    days_ago(3)
    context: Any = FakeContext()
    (batch,) = await FlexCleanupPlanOperator(task_id="plan", retention_days=0.5).aexecute(context)
    look = {"host": "taskrouter.twilio.com", "path": "/Tasks$", "form": {"AssignmentStatus": "pending"}}
    await die(context, batch, sandbox, look, skip=1)
    assert (await centre.attributes())["status"] == "INACTIVE"
    workspace = centre.account.client.taskrouter.v1.workspaces(centre.account.settings.workspace_sid)
    name = "channelSid" if centre.stack is StackName.CHAT else "conversationSid"
    task = await workspace.tasks.create_async(
        attributes=json.dumps({name: centre.sid, "channelType": "sms"}),
        workflow_sid=sandbox.settings["workflow_sid"],
        task_channel="chat",
    )
    sandbox.control.agent("complete", task_sid=str(task.sid))
    assert (await clean(sandbox))["restored"] == 1
    assert await centre.attributes() == before
    assert (await clean(sandbox))["restored"] == 0


@pytest.mark.anyio
@pytest.mark.parametrize("stack", [StackName.CONVERSATIONS], indirect=True)
@pytest.mark.parametrize("action", ["deactivate", "delete"])
@pytest.mark.parametrize("writes", [False, True], ids=["quiet", "the customer writes"])
async def test_what_a_batch_had_retired_and_not_closed_is_finished_by_the_next_run(
    centre: Centre, sandbox: SandboxProcess, days_ago: Any, action: str, *, writes: bool
) -> None:
    """Somebody marked it failed in this moment, so no other try of it came."""
    days_ago(3)
    context: Any = FakeContext()
    (batch,) = await FlexCleanupPlanOperator(task_id="plan", retention_days=0.5, action=action).aexecute(
        context
    )
    mark = {"method": "POST", "host": "sync.twilio.com", "path": "/Documents/"}
    await die(context, batch, sandbox, mark, action=action)
    if writes:
        centre.writes()
    found = await clean(sandbox)
    assert (found["restored"], found["finished"]) == ((1, 0) if writes else (0, 1))
    (conversation, *others) = sandbox.control.state()["tables"]["conversations"] or [{}]
    assert others == []
    expected = "active" if writes else "closed" if action == "deactivate" else None
    assert conversation.get("state") == expected
    assert (centre.writes()["channel_sid"] == centre.sid) is writes
    again = await clean(sandbox)
    assert (again["restored"], again["finished"]) == (0, 0)


@pytest.mark.anyio
@pytest.mark.parametrize("stack", [StackName.CONVERSATIONS], indirect=True)
async def test_a_late_text_whose_task_ended_with_the_close_is_found_by_the_next_run(
    centre: Centre, sandbox: SandboxProcess, days_ago: Any
) -> None:
    """Twilio did not tell the batch what is live, so nobody looked after the close."""
    days_ago(3)
    context: Any = FakeContext()
    (batch,) = await FlexCleanupPlanOperator(task_id="plan", retention_days=0.5).aexecute(context)
    close = {"method": "POST", "host": "flex-api.twilio.com", "path": "/Channels/UO"}
    text = {"customer": {"from": CUSTOMER, "to": centre.number, "body": "One more thing"}}
    sandbox.control.fault(match=close, before=[text], times=1)
    look = {"host": "taskrouter.twilio.com", "path": "/Tasks$", "form": {"AssignmentStatus": "pending"}}
    sandbox.control.fault(match=look, skip=2, times=1, action="status", status=400, code=20001)
    with pytest.raises(FlexSmsError):
        await FlexCleanupOperator(task_id="retire", batch=batch).aexecute(context)
    assert centre.open_tasks() == []
    assert (await clean(sandbox))["restored"] == 1
    (task,) = centre.open_tasks()
    assert (task["conversationSid"] != centre.sid, task["sourceChatChannelSid"]) == (True, centre.sid)
    sandbox.control.agent("complete", channel_sid=task["conversationSid"])
    assert (await clean(sandbox))["restored"] == 0
    assert centre.open_tasks() == []


@pytest.mark.anyio
async def test_a_run_whose_window_is_short_writes_nothing_the_second_time(
    centre: Centre, sandbox: SandboxProcess, days_ago: Any
) -> None:
    """What the plan reads again, a day of it, is known to the retired states."""
    days_ago(0.6)
    assert (await clean(sandbox))["deactivated"] == 1
    sandbox.control.clear_journal()
    assert (await clean(sandbox))["due"] == 0
    assert [entry["path"] for entry in sandbox.control.journal() if entry["method"] != "GET"] == []
