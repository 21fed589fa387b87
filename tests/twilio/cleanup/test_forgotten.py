"""A batch died, and what Airflow remembered of it is gone: cleared with its task state, expired, or another Airflow's.

What was suspended is put back if it is in use, and finished if it is not, by what Twilio and Sync tell.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from flexsms.core.stack_name import StackName
from flexsms.twilio.cleanup.outcomes import Outcome
from flexsms.twilio.cleanup.scan import DueChannel
from tests.support.cleanup_scenarios import HOUSES, OPEN_TASKS, House, Match, Memory

pytestmark = pytest.mark.anyio

# How a person or the next night goes on: the same batch, or a plan that is made anew, which looks for what is left.
FORMS = ("retire is cleared", "plan and retire are cleared")


async def dies(house: House, match: Match, **rule: Any) -> list[DueChannel]:
    """The batch dies while a request is under way, which Twilio then applies, and nothing is remembered of it."""
    due = await house.dies(match, **rule)
    house.memory = Memory()
    return due


async def go_on(house: House, due: list[DueChannel], form: str) -> None:
    if form != FORMS[0]:
        house.clock.advance(minutes=1)
        await house.heal()
        due = await house.scan()
    assert not (await house.retire(due)).errors


async def gets_a_task(house: House, channel_sid: str) -> None:
    """An agent opens a task on the channel, whatever state that is in."""
    workspace: Any = house.account.client.taskrouter.v1.workspaces(house.account.settings.workspace_sid)
    name = "channelSid" if house.stack is StackName.CHAT else "conversationSid"
    await workspace.tasks.create_async(attributes=json.dumps({name: channel_sid, "channelType": "sms"}))


of_each_step = pytest.mark.parametrize(
    ("house", "step"),
    [
        pytest.param(house, step, id=f"{house.stack}-{step['method']} {step['path']}")
        for house in HOUSES
        for step in house.steps
    ],
    indirect=["house"],
)


@of_each_step
@pytest.mark.parametrize("form", FORMS)
async def test_what_is_quiet_is_finished(house: House, step: Match, form: str) -> None:
    sid = house.conversation()
    await go_on(house, await dies(house, step), form)
    await house.assert_retired(sid)
    assert (await house.heal()).errors == {}


@pytest.mark.parametrize("form", FORMS)
async def test_what_got_a_task_meanwhile_is_put_back(house: House, form: str) -> None:
    sid = house.conversation()
    before = await house.attributes(sid)
    due = await dies(house, house.mark)
    await gets_a_task(house, sid)
    await go_on(house, due, form)
    await house.assert_live(sid, before)


@pytest.mark.parametrize("form", FORMS)
async def test_what_gets_a_task_between_the_looks_is_put_back(house: House, form: str) -> None:
    """It was suspended when this batch came to it, and by whom nobody remembers."""
    sid = house.conversation()
    before = await house.attributes(sid)
    due = await dies(house, house.mark)
    # A new plan that finds something unfinished looks as well.
    house.fault(OPEN_TASKS, action="delay", delay_ms=1000, skip=1 if form == FORMS[0] else 2)
    going_on = asyncio.create_task(go_on(house, due, form))
    while not house.control.faults()[-1]["hits"]:  # noqa: ASYNC110  # another process knows
        await asyncio.sleep(0.01)
    await gets_a_task(house, sid)
    await going_on
    await house.assert_live(sid, before)


@pytest.mark.parametrize("house", [HOUSES[1]], indirect=True)
@pytest.mark.parametrize("form", FORMS)
async def test_a_text_that_came_as_it_was_closed_gets_its_task(house: House, form: str) -> None:
    """Closing is final, and the look after it was never had."""
    sid = house.conversation()
    due = await dies(house, house.last, before=[house.writes()])
    await go_on(house, due, form)
    await house.heal()
    (task,) = [
        json.loads(row["attributes"])
        for row in house.control.state()["tables"]["tasks"]
        if row["status"] in ("pending", "reserved", "assigned")
    ]
    assert task["conversationSid"] != sid
    assert task["sourceChatChannelSid"] == sid


async def test_what_came_and_went_meanwhile_is_put_back_by_the_next_plan(house: House) -> None:
    sid = house.conversation()
    before = await house.attributes(sid)
    due = await dies(house, house.mark)
    await gets_a_task(house, sid)
    house.control.agent("complete", channel_sid=sid)
    assert (await house.retire(due)).outcomes == {sid: Outcome.SKIPPED_CHANGED}
    house.clock.advance(minutes=1)
    await house.heal()
    assert await house.attributes(sid) == before
    assert await house.is_open(sid)
