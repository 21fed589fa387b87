"""Nobody takes the task of a text: its customer's answer comes to somebody all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.exceptions import InvalidInput
from flexsms.core.stack_name import StackName
from flexsms.twilio.cleanup.outcomes import Outcome
from tests.support.cleanup_scenarios import HOUSES, House
from tests.support.send_scenarios import CUSTOMER, Desk

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess
    from tests.twilio.conftest import Clock

pytestmark = pytest.mark.anyio

OPEN = ("pending", "reserved", "assigned", "wrapping")


@pytest.fixture
def desk(house: House, sandbox: SandboxProcess, clock: Clock) -> Desk:
    return Desk(house.stack, sandbox, clock)


def tasks(house: House, *statuses: str) -> list[dict[str, Any]]:
    return [row for row in house.control.state()["tables"]["tasks"] if row["status"] in (statuses or OPEN)]


def answers(house: House) -> dict[str, Any]:
    """The customer of the text writes back."""
    return house.control.customer(CUSTOMER, house.number, "Yes, please!")


async def test_the_task_of_a_named_agent_who_declines_goes_to_the_others(house: House, desk: Desk) -> None:
    worker, other = desk.sandbox.settings["worker_sids"][:2]
    sent = await desk.send(target_worker_sid=worker)
    house.control.agent("decline", channel_sid=sent.channel_sid)
    assert answers(house)["task_sid"] == sent.task_sid
    house.control.agent("accept", channel_sid=sent.channel_sid, worker_sid=other)
    (task,) = tasks(house)
    assert (task["sid"], task["status"], task["worker_sid"]) == (sent.task_sid, "assigned", other)


@pytest.mark.parametrize("house", [HOUSES[1]], indirect=True)
async def test_a_task_for_one_agent_alone_ends_when_they_decline_and_cleanup_looks_after_the_answer(
    house: House, desk: Desk
) -> None:
    worker = desk.sandbox.settings["worker_sids"][1]
    sent = await desk.send(target_worker_sid=worker, worker_only=True)
    assert [(task["status"], task["worker_sid"]) for task in tasks(house)] == [("reserved", worker)]
    house.clock.advance(seconds=5)
    house.control.agent("decline", channel_sid=sent.channel_sid)
    assert [task["sid"] for task in tasks(house, "canceled")] == [sent.task_sid]
    house.control.settings(late_text_opens_task=False)
    house.clock.advance(hours=1)
    assert answers(house)["task_sid"] is None
    report = await house.clean()
    assert (report.outcomes, report.unanswered) == (
        {sent.channel_sid: Outcome.SKIPPED_OPEN_TASK},
        [sent.channel_sid],
    )
    (task,) = tasks(house)
    assert (task["status"], task["conversation_sid"]) == ("pending", sent.channel_sid)


@pytest.mark.parametrize("answered", [True, False])
async def test_a_task_that_nobody_takes_times_out_and_cleanup_looks_after_the_answer(
    house: House, desk: Desk, *, answered: bool
) -> None:
    """Friday evening a text, Saturday evening its task is over, Sunday the customer answers."""
    sent = await desk.send()
    house.clock.advance(days=1, seconds=10)
    assert [(task["sid"], task["reason"]) for task in tasks(house, "canceled")] == [
        (sent.task_sid, "Task TTL Exceeded")
    ]
    house.control.settings(late_text_opens_task=False)
    house.clock.advance(hours=12)
    if answered:
        assert answers(house)["task_sid"] is None
    report = await house.clean()
    if answered:
        assert report.outcomes == {sent.channel_sid: Outcome.SKIPPED_OPEN_TASK}
        assert len(tasks(house)) == 1
    else:
        assert report.outcomes == {sent.channel_sid: Outcome.DEACTIVATED}
        assert tasks(house) == []


@pytest.mark.parametrize("house", [HOUSES[0]], indirect=True)
async def test_on_chat_only_the_workflow_routes(house: House, desk: Desk) -> None:
    worker = desk.sandbox.settings["worker_sids"][0]
    with pytest.raises(InvalidInput, match="worker_only: is on, and on stack 'chat' only your workflow"):
        await desk.send(target_worker_sid=worker, worker_only=True)
    assert house.stack is StackName.CHAT


async def test_only_whom(desk: Desk) -> None:
    with pytest.raises(InvalidInput, match="worker_only: is on, and no agent is named"):
        await desk.send(worker_only=True)
