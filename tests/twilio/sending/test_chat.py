"""What sending meets on Programmable Chat alone: Proxy's sessions, and flows that share a number."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.exceptions import InvalidInput, TwilioRefused
from flexsms.core.stack_name import StackName
from flexsms.twilio.setup.numbers import NumberSetup, NumberWishes
from flexsms.twilio.setup.provisioner import Provisioner
from tests.support.send_scenarios import CONVERSATIONS, CUSTOMER, PROXY, Desk

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
    desk.sandbox.control.perform(
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


@pytest.mark.parametrize("status", [400, 409, 423])
@pytest.mark.parametrize("code", [80623, 80802])
async def test_two_requests_at_the_same_moment_are_no_sign_of_a_session(
    desk: Desk, status: int, code: int
) -> None:
    """Which status 80802 has is not documented."""
    desk.fault(PROXY, "/Sessions$", times=2, action="status", status=status, code=code, message="In progress")
    await desk.send()
    assert desk.texts() == ["Your results are in."]
    assert len(desk.open_tasks()) == 1


async def half_a_session(desk: Desk) -> str:
    """The channel of another send that died, or is still at work: its session has Flex in it, and no customer."""
    settings = desk.sandbox.settings
    async with desk.account() as account:
        channel: Any = await account.client.flex_api.v1.channel.create_async(
            flex_flow_sid=settings["flex_flow_sids"]["task"],
            identity="somebody",
            chat_user_friendly_name="Ada",
            chat_friendly_name="SMS",
            target=CUSTOMER,
        )
        sessions = account.client.proxy.v1.services(settings["session_service_sid"]).sessions
        flex = {"Identifier": channel.sid, "ProxyIdentifier": desk.number}
        await sessions.create_async(unique_name=channel.sid, participants=[flex])
    return str(channel.sid)


async def test_a_session_without_its_customer_gets_them_before_the_text(desk: Desk) -> None:
    sid = await half_a_session(desk)
    sent = await desk.send()
    assert sent.channel_sid == sid
    assert desk.texts() == ["Your results are in."]
    assert desk.answers()["channel_sid"] == sid


async def test_who_is_added_by_somebody_else_meanwhile_is_not_missing(desk: Desk) -> None:
    sid = await half_a_session(desk)
    # Our request to add them is applied, and refused when it is repeated.
    desk.fault(PROXY, "/Participants$", action="drop_after")
    sent = await desk.send()
    assert sent.channel_sid == sid
    assert desk.texts() == ["Your results are in."]


@pytest.mark.parametrize("named", [True, False])
async def test_a_customer_who_is_missing_because_they_are_elsewhere_is_texted_there(
    desk: Desk, named: bool
) -> None:
    desk.sandbox.control.settings(pair_taken_names_session=named)
    came = desk.answers("Hello?")
    await half_a_session(desk)
    sent = await desk.send()
    assert sent.channel_sid == came["channel_sid"]
    assert desk.texts() == ["Your results are in."]


async def test_whose_session_was_used_is_not_looked_at(desk: Desk) -> None:
    """Who is in it is asked for only as long as nobody has texted through it."""
    await desk.send("")
    for number in (1, 2):
        desk.sandbox.control.clear_journal()
        await desk.send(f"Text {number}", key=f"k{number + 1}")
        asked = desk.calls()["GET proxy.twilio.com/v1/Services/{id}/Sessions/{id}/Participants"]
        assert asked == (1 if number == 1 else 0)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (
            80402,
            r"^from_number: is not taken by Proxy .*\(80402\); add the number to the Proxy service KS\w{32} \(",
        ),
        (80606, r"^from_number: is no number of this Twilio account \(80606\); add the number"),
        (80404, r"^to_number: is taken by Proxy for no phone number \(80404\); check the number"),
    ],
)
@pytest.mark.parametrize("status", [400, 409])
async def test_numbers_that_proxy_refuses_are_named(
    desk: Desk, code: int, status: int, sentence: str
) -> None:
    desk.fault(PROXY, "/Sessions$", action="status", status=status, code=code, message="Invalid pair")
    with pytest.raises(InvalidInput, match=sentence):
        await desk.send()
    assert desk.channels() == []
    assert desk.open_tasks() == []
    await desk.send()
    assert desk.texts() == ["Your results are in."]


async def more_flows(desk: Desk) -> str:
    """Flows of one number as accounts collect them; returns the one that counts."""
    settings = desk.sandbox.settings
    async with desk.account() as account:
        flows = account.client.flex_api.v1.flex_flow
        await flows(settings["flex_flow_sids"]["task"]).delete_async()
        made = []
        for channel_type, is_enabled in (("custom", True), ("sms", False), ("sms", True)):
            fields: dict[str, Any] = {
                "friendly_name": "x",
                "chat_service_sid": settings["chat_service_sid"],
                "channel_type": channel_type,
                "contact_identity": desk.number,
                "enabled": is_enabled,
                "integration_type": "task",
                "integration_workspace_sid": settings["workspace_sid"],
                "integration_workflow_sid": settings["workflow_sid"],
                "integration_channel": "sms",
                "long_lived": True,
            }
            made.append(str((await flows.create_async(**fields)).sid))
    return made[-1]


async def test_of_several_flows_the_one_for_texts_that_is_enabled_counts(desk: Desk) -> None:
    sid = await more_flows(desk)
    await desk.send()
    posted = [entry for entry in desk.sandbox.control.journal() if entry["path"].endswith("/v1/Channels")]
    assert [entry["form"]["FlexFlowSid"] for entry in posted] in ([sid], [[sid]])
    async with desk.account() as account:
        provisioner = Provisioner(dry_run=True, grace=timedelta())
        wishes = NumberWishes(number=desk.number)
        await NumberSetup(account.client, provisioner, settings=account.settings, wishes=wishes).flex_flows()
    assert sid in [row.sid for row in provisioner.rows]


async def test_a_number_that_was_migrated_is_told_apart_from_one_without_a_flow(desk: Desk) -> None:
    moved = desk.sandbox.settings["numbers"]["conversations"]
    with pytest.raises(
        InvalidInput,
        match=r"…0102 was migrated to Flex Conversations: .*; use a connection with stack 'conversations'",
    ):
        await desk.send(from_number=moved)
    forbidden = {"method": "GET", "host": CONVERSATIONS}
    desk.sandbox.control.fault(match=forbidden, action="status", status=403, code=20003, message="No")
    with pytest.raises(InvalidInput, match="has no Flex Flow of integration type 'task'"):
        await desk.send(from_number=moved)
