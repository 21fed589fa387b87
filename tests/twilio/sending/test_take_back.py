"""A send that is refused for good, at whichever of its calls, leaves nothing behind, and its key works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.exceptions import FlexSmsError, PermanentError
from flexsms.core.stack_name import StackName
from tests.support.send_scenarios import CONVERSATIONS, CUSTOMER, Desk

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio

TEXT = "Your results are in."
# More than any of the sends below takes.
MOST_CALLS = 18
REFUSALS = ((400, 20001), (403, 20003))
FOR_GOOD = {"action": "status", "status": 400, "code": 20001, "message": "No"}


@pytest.fixture(params=list(StackName), ids=str)
def desk(request: pytest.FixtureRequest, sandbox: SandboxProcess, clock: Any) -> Desk:
    sandbox.control.settings(interaction_setup_s=0)
    return Desk(request.param, sandbox, clock)


def open_sessions(desk: Desk) -> int:
    rows = desk.sandbox.control.state()["tables"]["sessions"]
    return sum(row["status"] in ("open", "in-progress") for row in rows)


@pytest.mark.parametrize("call", range(MOST_CALLS))
@pytest.mark.parametrize("route", ["agent", "studio"])
@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
async def test_whichever_call_is_refused(desk: Desk, known: bool, route: str, call: int) -> None:
    texts = [TEXT]
    if known:  # a customer whose conversation has no task just now
        earlier = await desk.send("Earlier.", key="k0")
        desk.sandbox.control.agent("complete", task_sid=earlier.task_sid)
        texts = ["Earlier.", TEXT]
    before = [row["sid"] for row in desk.channels()]
    status, code = REFUSALS[call % 2]
    refusal = {"action": "status", "status": status, "code": code, "message": "No"}
    desk.sandbox.control.fault(match={}, skip=call, times=1, **refusal)

    told, sent = "", None
    try:
        sent = await desk.send(route=route)
    except PermanentError as refused:
        told = str(refused)
    desk.sandbox.control.clear_faults()
    if told and not told.startswith(("The text has left", "Whether the text has left")):
        assert desk.texts() == texts[:-1]
        assert desk.open_tasks() == []
        assert [row["sid"] for row in desk.channels()] == before
        if desk.stack is StackName.CHAT:
            assert open_sessions(desk) == len(before)
    sent = sent or await desk.send(route=route)
    assert desk.texts() == texts
    assert len(desk.channels()) == 1
    # A studio send that is kept from seeing whether its customer waits lets an agent look.
    assert len(desk.open_tasks()) in ([1] if route == "agent" else [0, 1])
    assert (await desk.send(route=route)).message_sid == sent.message_sid
    answered = desk.answers()
    assert answered["channel_sid"] == sent.channel_sid


@pytest.mark.parametrize("code", [21610, 21211])
async def test_no_agent_waits_for_a_text_that_was_refused(desk: Desk, code: int) -> None:
    desk.fault_post(action="status", status=400, code=code, message="Cannot be texted")
    with pytest.raises(PermanentError, match=r"Nothing was sent\.$"):
        await desk.send()
    assert (desk.channels(), desk.open_tasks()) == ([], [])


async def test_the_task_of_another_send_stays(desk: Desk) -> None:
    """Somebody else's task came in between: theirs is the conversation now."""
    desk.fault_post(**FOR_GOOD)
    other = await desk.send("", key="k0", owner="somebody else")
    with pytest.raises(PermanentError):
        await desk.send()
    assert desk.open_tasks() == [other.task_sid]
    assert [row["sid"] for row in desk.channels()] == [other.channel_sid]


@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
async def test_a_customer_who_writes_meanwhile_keeps_the_task(desk: Desk, known: bool) -> None:
    if known:
        earlier = await desk.send("Earlier.", key="k0")
        desk.sandbox.control.agent("complete", task_sid=earlier.task_sid)
    wrote = {"customer": {"from": CUSTOMER, "to": desk.number, "body": "Hello?"}}
    desk.fault_post(before=[wrote], **FOR_GOOD)
    with pytest.raises(PermanentError):
        await desk.send()
    (channel,) = desk.channels()
    assert len(desk.open_tasks()) == 1
    answered = desk.answers("Is anybody there?")
    assert answered["channel_sid"] == channel["sid"]
    assert [answered["task_sid"]] == desk.open_tasks()


async def test_what_cannot_be_taken_back_is_told(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.fault_post(**FOR_GOOD)
    tasks = {
        "method": "GET",
        "host": "taskrouter.twilio.com",
        "path": "/Tasks$",
        "form": {"EvaluateTaskAttributes": "key"},
    }
    desk.sandbox.control.fault(match=tasks, action="status", status=403, code=20003, message="Not allowed")
    if (
        desk.stack is StackName.CONVERSATIONS
    ):  # without a look at its tasks the conversation is closed all the same
        conversations = {"method": "POST", "host": CONVERSATIONS, "path": "/Conversations/CH[^/]*$"}
        desk.sandbox.control.fault(match=conversations, **{**FOR_GOOD, "message": "Not allowed"})
    with pytest.raises(FlexSmsError, match=r": No \(20001\)") as caught:
        await desk.send()
    assert "Not allowed" not in str(caught.value)
    assert "could not be taken back" in caplog.text
