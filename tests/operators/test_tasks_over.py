"""Tasks whose end nobody told: cleaning up asks TaskRouter which tasks are open, and never retires too early for it."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from flexsms.core.channel_state import ChannelState
from flexsms.core.task_events import to_ms
from flexsms.hooks.twilio import TwilioHook
from flexsms.operators.cleanup_plan import FlexCleanupPlanOperator
from flexsms.operators.cleanup_xcom import planned_channels
from flexsms.operators.track import FlexTrackOperator
from flexsms.sandbox.client import SandboxProcess
from flexsms.twilio.account import connect
from flexsms.twilio.client.clock import utc_now

from .conftest import FakeContext


class Centre:
    """A contact centre through the days, and its nightly plan."""

    def __init__(self, sandbox: SandboxProcess, context: FakeContext, stack: str) -> None:
        self.control, self.context = sandbox.control, context
        self.stack, self.workspace = stack, sandbox.settings["workspace_sid"]
        self.number = sandbox.settings["numbers"]["twilio" if stack == "chat" else "conversations"]
        self.ahead = timedelta()

    def now(self) -> datetime:
        return utc_now() + self.ahead

    def now_ms(self) -> int:
        return to_ms("now", self.now())

    def later(self, **by: float) -> None:
        self.control.advance(timedelta(**by).total_seconds())
        self.ahead += timedelta(**by)

    def customer_writes(self) -> str:
        sid: str = self.control.customer("+14155551001", self.number, "Hello")["channel_sid"]
        self.later(seconds=2)
        self.control.agent("accept", channel_sid=sid)
        return sid

    async def track(self) -> None:
        await FlexTrackOperator(task_id="track").aexecute(self.context)  # type: ignore[arg-type]

    async def plan(self, **arguments: Any) -> list[str]:
        """The channels that are due."""
        task = FlexCleanupPlanOperator(task_id="plan", **arguments)
        batches = await task.aexecute(self.context)  # type: ignore[arg-type]
        return [
            channel.channel_sid
            for batch in batches
            for channel in planned_channels(self.context["ti"], batch)
        ]

    @property
    def over(self) -> int:
        found: int = self.context.pushed["plan"]["tasks_over"]
        return found

    def load(self, channel_sid: str, *, workspace: str = "", **tasks: dict[str, int]) -> None:
        """A document that is there already."""
        links = {"workspace": [1, workspace]} if workspace else {}
        data = {"v": 1, "channel_sid": channel_sid, "stack": self.stack, "links": links}
        data |= {"seen": {}, "ended": {}, **tasks}
        self.control.load(documents=[{"unique_name": f"flexsms.{channel_sid}", "data": data}])

    async def state(self, channel_sid: str) -> ChannelState:
        async with TwilioHook().account() as account:
            stored = await account.store.load(channel_sid)
        assert stored is not None
        return stored.state

    async def open_tasks(self) -> list[str]:
        async with TwilioHook().account() as account:
            return [task.sid for task in await account.taskrouter().open_tasks()]

    def forget_events(self) -> None:
        """What happens from now on is told by nobody."""
        self.control.settings(event_list_delay_s=60 * 86_400)

    def lists(self) -> int:
        """How often the open tasks were asked for, since this was last asked."""
        found = [one for one in self.control.journal() if one["path"].endswith("/Tasks")]
        self.control.clear_journal()
        return len(found)


@pytest.fixture
def centre(
    stack: str, sandbox: SandboxProcess, context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> Centre:
    centre = Centre(sandbox, context, stack)
    monkeypatch.setattr("flexsms.twilio.account.connect", partial(connect, now=centre.now))
    return centre


async def test_a_task_that_ended_while_nobody_tracked_is_over_and_its_channel_due_a_window_later(
    centre: Centre,
) -> None:
    """The event of its end is over 30 days old by then, so TaskRouter lists it no longer."""
    channel = centre.customer_writes()
    await centre.track()
    centre.control.agent("complete", channel_sid=channel)
    centre.later(days=31)
    assert await centre.plan() == []
    assert centre.over == 1
    centre.later(days=1.9)
    assert await centre.plan() == []
    assert centre.over == 0
    centre.later(days=0.2)
    assert await centre.plan() == [channel]


async def test_a_task_is_asked_for_only_when_it_was_not_heard_of_for_a_day(centre: Centre) -> None:
    channel = centre.customer_writes()
    await centre.track()
    centre.forget_events()
    centre.control.agent("complete", channel_sid=channel)
    centre.later(hours=23)
    centre.lists()
    await centre.plan()
    assert (centre.over, centre.lists()) == (0, 0)
    centre.later(hours=2)
    await centre.plan(preview=True)
    assert (centre.over, centre.lists()) == (0, 0)
    await centre.plan()
    assert centre.over == 1
    centre.lists()
    await centre.plan()
    assert centre.lists() == 0


async def test_a_task_that_taskrouter_still_has_keeps_its_channel_however_old_it_is(centre: Centre) -> None:
    """An agent who closed the browser in wrap-up leaves one for days."""
    centre.forget_events()
    channel = centre.customer_writes()
    (task,) = await centre.open_tasks()
    centre.load(channel, seen={task: centre.now_ms() - 40 * 86_400_000}, workspace=centre.workspace)
    centre.lists()
    assert await centre.plan() == []
    assert (centre.over, centre.lists()) == (0, 1)
    assert (await centre.state(channel)).open_tasks == {task}


async def test_a_customer_who_writes_again_keeps_the_channel_whose_first_end_was_lost(
    centre: Centre,
) -> None:
    channel = centre.customer_writes()
    await centre.track()
    centre.forget_events()
    centre.control.agent("complete", channel_sid=channel)
    centre.later(days=1.5)
    centre.control.settings(event_list_delay_s=0)
    assert centre.customer_writes() == channel
    await centre.track()
    centre.forget_events()
    assert await centre.plan() == []
    centre.later(days=3)
    assert await centre.plan() == []  # the second task is listed


async def test_documents_of_before_wait_for_the_longest_life_of_a_task(centre: Centre) -> None:
    """They do not say which workspace the channel is of, and a list of ours says nothing of another one's tasks."""
    channel, task = "CH" + "a" * 32, "WT" + "b" * 32
    centre.load(channel, seen={task: centre.now_ms()})
    centre.later(days=14)
    await centre.plan()
    assert centre.over == 0
    centre.later(days=1.1)
    await centre.plan()
    assert centre.over == 1
    assert abs((await centre.state(channel)).ended[task] - centre.now_ms()) < 60_000


async def test_channels_of_another_workspace_are_left_to_it(centre: Centre) -> None:
    """Two connections may share a Sync service; our list of open tasks does not say what theirs would protect."""
    due, busy, task, theirs = "CH" + "c" * 32, "CH" + "d" * 32, "WT" + "e" * 32, "WS" + "9" * 32
    centre.load(due, ended={task: centre.now_ms()}, workspace=theirs)
    centre.load(busy, seen={task: centre.now_ms()}, workspace=theirs)
    centre.later(days=20)
    assert await centre.plan() == []
    assert (centre.over, centre.context.pushed["plan"]["elsewhere"]) == (0, 1)
    assert (await centre.state(busy)).open_tasks == {task}
