"""What is in use, by lists that lack pages or attributes: all of it is found, or nothing is retired."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.exceptions import InUseUnknown, TwilioRefused
from flexsms.twilio.account import Account
from flexsms.twilio.cleanup.outcomes import Outcome
from flexsms.twilio.taskrouter import task_list
from tests.support.cleanup_scenarios import OTHER, House

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxControl, SandboxProcess
    from tests.twilio.conftest import Clock

pytestmark = pytest.mark.anyio

Calls = Callable[[], Counter[str]]
Open = Callable[..., Awaitable[set[str]]]
TASKS = "GET taskrouter.twilio.com/v1/Workspaces/{id}/Tasks"
ONE_TASK = "GET taskrouter.twilio.com/v1/Workspaces/{id}/Tasks/{id}"
PAGES = ("linked", "unlinked", "refused")


@pytest.fixture
def control(sandbox: SandboxProcess) -> SandboxControl:
    return sandbox.control


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand tasks are many; ten are as good."""
    monkeypatch.setattr(task_list, "PAGE_SIZE", 10)
    monkeypatch.setattr(task_list, "RECENT_PAGE_SIZE", 4)


async def opens(account: Account, channel_sid: str) -> str:
    """A task on a channel that only the task knows."""
    workspace: Any = account.client.taskrouter.v1.workspaces(account.settings.workspace_sid)
    task = await workspace.tasks.create_async(attributes=json.dumps({"conversationSid": channel_sid}))
    return str(task.sid)


@pytest.fixture
def open_tasks(account: Account, control: SandboxControl, clock: Clock) -> Open:
    """Makes open tasks on channels of their own, each a second after the other."""

    async def make(count: int, *, are_assigned: bool = True) -> set[str]:
        sids = [f"CH{int(are_assigned)}{number:031x}" for number in range(count)]
        for sid in sids:
            task_sid = await opens(account, sid)
            if are_assigned:
                control.agent("accept", task_sid=task_sid)
            clock.advance(seconds=1)
        control.clear_journal()
        return set(sids)

    return make


# Lists without attributes


async def test_a_task_that_is_listed_without_attributes_keeps_its_channel(house: House) -> None:
    """Its creation was never heard of, so that only TaskRouter knows that the channel is in use."""
    live, quiet = house.conversation(), house.conversation(OTHER)
    due = await house.due()
    house.scanned_at = house.clock() + timedelta(hours=1)  # nothing is read from the events
    before = await house.attributes(live)
    house.control.perform(house.writes())
    house.clock.advance(minutes=10)
    house.control.settings(task_list_attributes=False)
    report = await house.retire(due)
    assert report.outcomes == {live: Outcome.SKIPPED_OPEN_TASK, quiet: Outcome.DEACTIVATED}
    await house.assert_live(live, before)


async def test_what_single_tasks_are_fetched_for_is_remembered_until_they_change(
    account: Account, control: SandboxControl, clock: Clock, open_tasks: Open, calls: Calls
) -> None:
    control.settings(task_list_attributes=False)
    channels = await open_tasks(5)
    clock.advance(minutes=2)
    tasks = account.taskrouter()
    for _ in range(3):
        assert await tasks.open_channels() == channels
    assert calls() == {TASKS: 3, ONE_TASK: 5}
    control.agent("wrap", channel_sid=sorted(channels)[0])
    assert await tasks.open_channels() == channels
    assert calls()[ONE_TASK] == 6


async def test_a_task_that_is_gone_before_it_can_be_fetched_is_over(
    account: Account, control: SandboxControl, clock: Clock, open_tasks: Open
) -> None:
    control.settings(task_list_attributes=False)
    over, *others = sorted(await open_tasks(3))
    control.fault(
        match={"host": "taskrouter.twilio.com", "path": "/Tasks/WT"},
        before=[{"agent": {"action": "delete", "channel_sid": over}}],
        action="none",
        times=1,
    )
    assert await account.taskrouter().open_channels() == set(others)


@pytest.mark.parametrize("attributes", ["null", "[]"])
async def test_nothing_is_retired_while_a_task_cannot_be_told(house: House, attributes: str) -> None:
    house.conversation()
    due = await house.due()
    await opens(house.account, "CH" + "5" * 32)
    house.control.settings(task_list_attributes=False)
    one_task = {"method": "GET", "host": "taskrouter.twilio.com", "path": "/Tasks/WT"}
    house.control.fault(
        match=one_task,
        action="mangle",
        put={"attributes": None if attributes == "null" else attributes},
        times=99,
    )
    with pytest.raises(InUseUnknown, match="nobody can tell which channel it is about and what is in use"):
        await house.retire(due)
    assert house.touched() == []


async def test_tasks_of_today_are_found_without_their_attributes_as_well(
    account: Account, control: SandboxControl, clock: Clock, open_tasks: Open
) -> None:
    await open_tasks(3)
    clock.advance(minutes=4)
    since = clock()
    await opens(account, "CH" + "7" * 32)
    control.settings(task_list_attributes=False)
    assert await account.taskrouter().recent_channels(since - timedelta(seconds=1)) == {"CH" + "7" * 32}


# Lists without pages


@pytest.mark.parametrize("pages", PAGES)
@pytest.mark.usefixtures("small_pages")
async def test_every_open_task_is_found_on_however_few_pages(
    account: Account, control: SandboxControl, clock: Clock, open_tasks: Open, pages: str
) -> None:
    control.settings(task_pages=pages)
    channels = await open_tasks(18) | await open_tasks(15, are_assigned=False)
    assert await account.taskrouter().open_channels() == channels


@pytest.mark.usefixtures("small_pages")
async def test_the_pages_of_a_list_that_has_some_are_all_that_is_asked_for(
    account: Account, control: SandboxControl, clock: Clock, open_tasks: Open, calls: Calls
) -> None:
    channels = await open_tasks(25)
    assert await account.taskrouter().open_channels() == channels
    assert calls() == {TASKS: 3}


@pytest.mark.usefixtures("small_pages")
async def test_a_list_that_fits_on_a_page_is_one_call(
    account: Account, control: SandboxControl, clock: Clock, open_tasks: Open, calls: Calls
) -> None:
    control.settings(task_pages="unlinked")
    channels = await open_tasks(9)
    assert await account.taskrouter().open_channels() == channels
    assert calls() == {TASKS: 1}


@pytest.mark.parametrize("pages", ["unlinked", "refused"])
@pytest.mark.usefixtures("small_pages")
async def test_nothing_is_retired_when_there_are_more_tasks_than_can_be_listed(
    house: House, clock: Clock, open_tasks: Open, pages: str
) -> None:
    house.conversation()
    due = await house.due()
    await open_tasks(25)
    house.control.settings(task_pages=pages)
    with pytest.raises(InUseUnknown, match="over 20 tasks that are assigned and does not list them all"):
        await house.retire(due)
    assert house.touched() == []


@pytest.mark.usefixtures("small_pages")
async def test_an_order_that_is_not_heeded_proves_nothing(
    account: Account, control: SandboxControl, clock: Clock, open_tasks: Open
) -> None:
    """The same ten tasks twice are not the oldest and the newest."""
    control.settings(task_pages="unlinked")
    await open_tasks(15)
    newest_first = {
        "host": "taskrouter.twilio.com",
        "path": "/Tasks$",
        "form": {"Ordering": "DateCreated:desc"},
    }
    oldest: Any = await account.client.taskrouter.v1.workspaces(
        account.settings.workspace_sid
    ).tasks.page_async(page_size=10)
    control.fault(match=newest_first, action="answer", status=200, body=json.dumps(oldest._payload), times=99)
    with pytest.raises(InUseUnknown):
        await account.taskrouter().open_channels()


@pytest.mark.usefixtures("small_pages")
async def test_any_other_refusal_of_a_page_is_one(
    account: Account, control: SandboxControl, clock: Clock, open_tasks: Open
) -> None:
    await open_tasks(15)
    control.fault(
        match={"host": "taskrouter.twilio.com", "path": "/Tasks$", "form": {"Page": "1"}},
        action="status",
        status=400,
        code=20006,
        times=1,
    )
    with pytest.raises(TwilioRefused):
        await account.taskrouter().open_channels()


@pytest.mark.parametrize("pages", PAGES)
@pytest.mark.usefixtures("small_pages")
async def test_every_new_task_is_found_on_however_few_pages(
    account: Account, control: SandboxControl, clock: Clock, open_tasks: Open, pages: str
) -> None:
    await open_tasks(12)
    clock.advance(minutes=4)
    since = clock() - timedelta(seconds=1)
    fresh = await open_tasks(7, are_assigned=False)
    control.settings(task_pages=pages)
    assert await account.taskrouter().recent_channels(since) == fresh


@pytest.mark.usefixtures("small_pages")
async def test_more_new_tasks_than_fit_on_a_page(
    account: Account, control: SandboxControl, clock: Clock, open_tasks: Open
) -> None:
    since = clock() - timedelta(seconds=1)
    fresh = await open_tasks(12) | await open_tasks(6, are_assigned=False)
    control.agent("cancel", channel_sid=min(fresh))
    control.settings(task_pages="unlinked")
    assert await account.taskrouter().recent_channels(since) == fresh
