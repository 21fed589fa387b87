"""What sending meets on Programmable Chat alone: Proxy's sessions, and flows that share a number."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.errors import InvalidInput, TwilioRefused
from flexsms.core.events import StackName

from .texting import CUSTOMER, Desk

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio


@pytest.fixture
def desk(sandbox: SandboxProcess, clock: Any) -> Desk:
    return Desk(StackName.CHAT, sandbox, clock)


async def test_a_session_left_behind_by_another_cleanup_makes_way(desk: Desk) -> None:
    desk.sandbox.control.settings(pair_taken_names_session=True)
    first = await desk.send()
    desk.sandbox.control.agent("complete", task_sid=first.task_sid)
    # What the original recipe does: the attributes are written, the session stays open.
    retired = {"status": "INACTIVE", "long_lived": False}
    desk.sandbox.control.play(
        {"channel_attributes": {"channel_sid": first.channel_sid, "attributes": retired}}
    )
    second = await desk.send("Hello again.", key="k2")
    assert second.channel_sid != first.channel_sid
    assert desk.texts() == ["Your results are in.", "Hello again."]
    assert desk.answers()["channel_sid"] == second.channel_sid


async def test_a_stale_session_of_a_channel_that_is_gone_makes_way(desk: Desk) -> None:
    desk.sandbox.control.settings(pair_taken_names_session=True)
    first = await desk.send()
    desk.sandbox.control.agent("complete", task_sid=first.task_sid)
    async with desk.account() as account:
        await account.retiring_stacks[desk.stack].delete(first.channel_sid, {})
    second = await desk.send("Hello again.", key="k2")
    assert second.channel_sid != first.channel_sid
    assert desk.texts() == ["Your results are in.", "Hello again."]


@pytest.mark.parametrize("busy", [True, False], ids=["an agent has it", "no agent has it"])
async def test_a_conversation_that_another_flow_opened_is_continued(desk: Desk, busy: bool) -> None:
    # The customer wrote first, which opens a channel of the number's Studio flow.
    came = desk.answers("Hello?")
    if not busy:
        desk.sandbox.control.agent("complete", task_sid=came["task_sid"])
    desk.clock.advance(seconds=2)
    sent = await desk.send(route="agent")
    assert (sent.channel_sid, sent.session_sid) == (came["channel_sid"], came["session_sid"])
    assert sent.reused_channel
    assert (sent.task_sid == came["task_sid"]) is busy
    assert desk.texts() == ["Your results are in."]
    assert desk.open_tasks() == [sent.task_sid]
    assert [channel["sid"] for channel in desk.channels()] == [came["channel_sid"]]
    again = await desk.send("And this.", key="k2", route="studio")
    assert again.channel_sid == came["channel_sid"]
    answer = desk.answers()
    assert (answer["channel_sid"], answer["task_sid"]) == (came["channel_sid"], sent.task_sid)


async def test_a_lost_answer_while_continuing_leaves_one_task(desk: Desk) -> None:
    came = desk.answers("Hello?")
    desk.sandbox.control.agent("complete", task_sid=came["task_sid"])
    desk.fault("taskrouter.twilio.com", "/Tasks$", action="drop_after")
    await desk.send()
    assert len(desk.open_tasks()) == 1
    assert desk.texts() == ["Your results are in."]


async def test_a_lost_answer_while_taking_back_the_empty_channel_takes_it_back(desk: Desk) -> None:
    """B2: the send failed for good, because the DELETE that had worked was repeated."""
    came = desk.answers("Hello?")
    lost = {"method": "DELETE", "host": "flex-api.twilio.com"}
    desk.sandbox.control.fault(match=lost, times=1, action="drop_after")
    sent = await desk.send()
    assert sent.channel_sid == came["channel_sid"]
    assert desk.texts() == ["Your results are in."]
    assert [channel["sid"] for channel in desk.channels()] == [came["channel_sid"]]


async def test_two_sends_that_continue_at_once_leave_one_task(
    desk: Desk,
) -> None:
    came = desk.answers("Hello?")
    desk.sandbox.control.agent("complete", task_sid=came["task_sid"])
    # Both have looked for a task when the first one makes it.
    desk.fault("taskrouter.twilio.com", "/Tasks$", action="delay", delay_ms=300)
    sent = await asyncio.gather(*(desk.send(f"Text {n}", key=f"k{n}", owner=f"k{n}") for n in range(2)))
    assert desk.open_tasks() == [sent[0].task_sid]
    assert sorted(desk.texts()) == ["Text 0", "Text 1"]


async def test_a_customer_who_writes_before_the_task_is_made_has_one(desk: Desk) -> None:
    came = desk.answers("Hello?")
    desk.sandbox.control.agent("complete", task_sid=came["task_sid"])
    wrote = {"customer": {"from": CUSTOMER, "to": desk.number, "body": "Still there?"}}
    desk.fault("taskrouter.twilio.com", "/Tasks$", before=[wrote])
    sent = await desk.send()
    assert desk.open_tasks() == [sent.task_sid]
    assert desk.texts() == ["Your results are in."]


async def test_a_closed_session_of_an_active_channel_is_opened_again(desk: Desk) -> None:
    first = await desk.send()
    async with desk.account() as account:
        sessions = account.client.proxy.v1.services(account.settings.session_service_sid).sessions
        await sessions(str(first.session_sid)).update_async(status="closed")
    await desk.send("Still there?", key="k2")
    assert desk.texts() == ["Your results are in.", "Still there?"]


async def test_a_refusal_that_names_no_session_is_told_as_it_is(desk: Desk) -> None:
    desk.fault(
        "proxy.twilio.com",
        "/Sessions$",
        times=None,
        action="status",
        status=400,
        code=80103,
        message="Participant is in another session",
    )
    with pytest.raises(TwilioRefused, match=r"\(80103\); the customer is still in another Proxy session"):
        await desk.send()


async def test_a_number_without_a_flow_is_named_before_anything_is_written(desk: Desk) -> None:
    with pytest.raises(InvalidInput, match=r"…0199 has no Flex Flow of integration type 'task'"):
        await desk.send(from_number="+14155550199")
    assert [entry["method"] for entry in desk.sandbox.control.journal() if entry["method"] != "GET"] == []


async def test_the_channel_remembers_its_session(desk: Desk) -> None:
    result = await desk.send()
    async with desk.account() as account:
        stored = await account.store.load(result.channel_sid)
    assert stored is not None
    assert stored.state.link("session") == result.session_sid
