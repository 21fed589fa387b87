"""What sending meets on Flex Conversations alone: interactions that take a while, pairs, turns, and closing."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.exceptions import (
    ChannelInSetup,
    InteractionFailed,
    MissingSetting,
    PermanentError,
    SendInProgress,
    ServiceUnavailable,
    TwilioRefused,
)
from flexsms.core.stack_name import StackName
from flexsms.twilio.sending.progress import SendResult
from flexsms.twilio.sync.lock import MAP_PREFIX
from flexsms.twilio.sync.map import SyncMap
from tests.support.send_scenarios import CONVERSATIONS, CUSTOMER, FLEX, Desk

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio


@pytest.fixture
def desk(sandbox: SandboxProcess, clock: Any) -> Desk:
    return Desk(StackName.CONVERSATIONS, sandbox, clock)


BUSY = {"error_code": 45780, "error_message": "Too many concurrent requests"}


async def no_flow_of_the_number(desk: Desk) -> None:
    """The number's Studio flow takes care of new conversations only, as it may be with Twilio."""
    sid = desk.sandbox.settings["address_sid"]
    async with desk.account() as account:
        addresses = account.client.conversations.v1.address_configurations
        await addresses(sid).update_async(auto_creation_enabled=True, auto_creation_type="default")


def tables(desk: Desk) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = desk.sandbox.control.state()["tables"]
    return found


async def hold_turn(desk: Desk, channel_sid: str) -> None:
    """Somebody else has the conversation's turn, and keeps it for a minute."""
    async with desk.account() as account:
        turns = SyncMap(
            account.client,
            account.settings.sync_service_sid,
            MAP_PREFIX + channel_sid[-1].lower(),
            ttl=timedelta(seconds=60),
        )
        await turns.create(channel_sid, {"by": "somebody", "nonce": "0"})


async def test_the_text_waits_until_the_interaction_is_set_up(desk: Desk) -> None:
    desk.sandbox.control.settings(interaction_setup_s=3600)
    async with desk.account() as account:
        with pytest.raises(ChannelInSetup):
            await account.sender().send(desk.text(), key="k1", owner="me")
        with pytest.raises(ChannelInSetup) as caught:
            await account.sender().send(desk.text(), key="k1", owner="me")
    (channel,) = tables(desk)["flex_channels"]
    assert caught.value.interaction_channel_sid == channel["sid"]
    assert desk.texts() == []
    desk.clock.advance(hours=1)
    sent = await desk.send()
    assert sent.interaction_sid == caught.value.interaction_sid
    assert not sent.reused_channel
    assert desk.texts() == ["Your results are in."]
    assert len(tables(desk)["flex_interactions"]) == 1
    assert len(desk.channels()) == 1


@pytest.mark.parametrize(("second", "cost"), [("opened", 14), ("refused", 18)])
async def test_what_waiting_and_another_task_cost(desk: Desk, second: str, cost: int) -> None:
    """Another task costs more where Twilio refuses a second interaction, and Sync does not know the first one yet."""
    desk.sandbox.control.settings(interaction_setup_s=3600, second_interaction=second)
    await desk.make_maps()
    desk.sandbox.control.clear_journal()
    async with desk.account() as account:
        with pytest.raises(ChannelInSetup):
            await account.sender().send(desk.text(), key="k1", owner="me")
    desk.clock.advance(hours=1)
    async with desk.account() as account:
        sent = await account.sender().send(desk.text(), key="k1", owner="me")
    assert sum(desk.calls().values()) == 21, desk.calls()
    desk.sandbox.control.settings(interaction_setup_s=0)
    desk.sandbox.control.agent("complete", task_sid=sent.task_sid)
    desk.sandbox.control.clear_journal()
    await desk.send("And one more thing.", key="k2")
    assert sum(desk.calls().values()) == cost, desk.calls()


async def test_a_failed_setup_is_told_and_leaves_nothing_behind(desk: Desk) -> None:
    desk.sandbox.control.settings(interaction_failures={CUSTOMER: BUSY})
    with pytest.raises(
        InteractionFailed, match=r"UO.*: Too many concurrent requests \(45780\); nothing was sent\. Check"
    ):
        await desk.send()
    assert desk.texts() == []
    assert desk.channels() == []
    assert desk.open_tasks() == []
    # Somebody puts it right and clears the task: the key is not used up.
    desk.sandbox.control.settings(interaction_failures={})
    sent = await desk.send()
    assert not sent.duplicate
    assert desk.texts() == ["Your results are in."]


async def test_a_failed_setup_leaves_the_customers_own_conversation_alone(desk: Desk) -> None:
    came = desk.answers("Hello?")
    desk.clock.advance(seconds=2)
    desk.sandbox.control.agent("park", channel_sid=came["channel_sid"])
    desk.clock.advance(
        days=181
    )  # Flex has forgotten its interaction channel, so the next one has to be set up
    desk.sandbox.control.settings(interaction_failures={"*": {"error_code": 45780, "error_message": "Busy"}})
    with pytest.raises(InteractionFailed):
        await desk.send()
    assert [channel["sid"] for channel in desk.channels()] == [came["channel_sid"]]


async def test_a_customer_who_writes_in_between_is_not_answered_elsewhere(desk: Desk) -> None:
    wrote = {"customer": {"from": CUSTOMER, "to": desk.number, "body": "Hello?"}}
    # Between our look for the pair and the claim on it.
    desk.fault(CONVERSATIONS, "/Participants$", before=[wrote])
    sent = await desk.send()
    (channel,) = desk.channels()
    assert sent.channel_sid == channel["sid"]
    assert sent.reused_channel
    assert channel["name"] is None, "the conversation that was not needed is still there"
    assert desk.open_tasks() == [sent.task_sid]
    assert desk.texts() == ["Your results are in."]


async def test_a_refusal_that_names_nobody_leads_to_the_holder_all_the_same(desk: Desk) -> None:
    wrote = {"customer": {"from": CUSTOMER, "to": desk.number, "body": "Hello?"}}
    desk.fault(
        CONVERSATIONS,
        "/Participants$",
        before=[wrote],
        action="status",
        status=409,
        code=50416,
        message="A binding for this participant and proxy address already exists",
    )
    sent = await desk.send()
    assert [channel["sid"] for channel in desk.channels()] == [sent.channel_sid]
    assert sent.reused_channel


@pytest.mark.usefixtures("long_pauses")
async def test_a_conversation_that_a_dead_try_left_behind_makes_way(desk: Desk) -> None:
    # The worker dies when it has made the conversation and the customer is not in it; the customer writes meanwhile.
    desk.fault(CONVERSATIONS, "/Participants$", times=None, action="drop_before")
    with pytest.raises((TimeoutError, ServiceUnavailable)):
        async with asyncio.timeout(1):
            await desk.send()
    desk.sandbox.control.clear_faults()
    came = desk.answers("Hello?")
    sent = await desk.send()
    assert sent.channel_sid == came["channel_sid"]
    assert [channel["sid"] for channel in desk.channels()] == [came["channel_sid"]]
    assert desk.texts() == ["Your results are in."]


@pytest.mark.usefixtures("long_pauses")
@pytest.mark.parametrize("body", ["Your results are in.", ""], ids=["text", "agent writes first"])
async def test_a_conversation_that_a_dead_try_made_is_gone_on_with(desk: Desk, body: str) -> None:
    desk.fault(FLEX, "/Interactions$", times=None, action="drop_before")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.6):
            await desk.send(body)
    desk.sandbox.control.clear_faults()
    sent = await desk.send_until_done(body)
    assert not sent.reused_channel
    assert len(desk.channels()) == 1
    assert desk.open_tasks() == [sent.task_sid]
    assert desk.texts() == [body] * bool(body)


async def test_a_setup_that_fails_late_takes_nobody_elses_conversation(desk: Desk) -> None:
    desk.sandbox.control.settings(interaction_failures={CUSTOMER: BUSY}, interaction_setup_s=1)
    async with desk.account() as account:
        with pytest.raises(ChannelInSetup):
            await account.sender().send(desk.text(), key="k1", owner="k1")
        desk.clock.advance(seconds=2)
        desk.sandbox.control.settings(interaction_failures={}, interaction_setup_s=0.01)
        # Before the worker comes back and hears of it, somebody else's send uses the conversation.
        second = await desk.send("", key="k2", owner="k2")
        desk.sandbox.control.agent("accept", task_sid=second.task_sid)
        with pytest.raises(InteractionFailed):
            await account.sender().send(desk.text(), key="k1", owner="k1")
    assert [channel["sid"] for channel in desk.channels()] == [second.channel_sid]
    assert desk.open_tasks() == [second.task_sid]


@pytest.mark.parametrize("when", ["before", "while it is closed"])
async def test_a_text_that_came_during_a_setup_that_fails_is_told_of(desk: Desk, when: str) -> None:
    await no_flow_of_the_number(desk)
    desk.sandbox.control.settings(interaction_failures={CUSTOMER: BUSY}, interaction_setup_s=1)
    wrote = {"customer": {"from": CUSTOMER, "to": desk.number, "body": "A question"}}
    async with desk.account() as account:
        with pytest.raises(ChannelInSetup):
            await account.sender().send(desk.text(), key="k1", owner="me")
        if when == "before":
            desk.sandbox.control.perform(wrote)
        else:
            desk.fault(CONVERSATIONS, "/Conversations/CH[^/]*$", before=[wrote])
        desk.clock.advance(seconds=2)
        with pytest.raises(InteractionFailed, match=r"Somebody wrote in CH\w+ meanwhile.*look after it\."):
            await account.sender().send(desk.text(), key="k1", owner="me")
    assert [message["body"] for message in tables(desk)["messages"]] == ["A question"]


@pytest.mark.parametrize(
    ("route", "host", "path"), [("agent", FLEX, "/Interactions$"), ("studio", CONVERSATIONS, "/Webhooks$")]
)
async def test_a_refused_opening_is_no_dead_end_for_the_customer(
    desk: Desk, route: str, host: str, path: str
) -> None:
    await no_flow_of_the_number(desk)
    desk.fault(host, path, action="status", status=400, code=20001, message="Workflow not found")
    with pytest.raises(TwilioRefused, match="Workflow not found"):
        await desk.send(route=route)
    assert desk.channels() == []
    assert desk.answers("Please help")["outcome"] == "started"


async def test_a_number_in_what_flex_says_is_masked(desk: Desk) -> None:
    told = {"error_code": 45361, "error_message": f"Participant {CUSTOMER} could not be added"}
    desk.sandbox.control.settings(interaction_failures={CUSTOMER: told})
    with pytest.raises(InteractionFailed, match="Participant …0177 could not be added"):
        await desk.send()


async def test_an_interaction_that_does_not_show_yet_is_waited_for(desk: Desk) -> None:
    desk.sandbox.control.settings(interaction_setup_s=3600)
    channel = {"method": "GET", "host": FLEX, "path": "/Channels/UO"}
    desk.sandbox.control.fault(match=channel, times=1, action="status", status=404, code=20404)
    async with desk.account() as account:
        with pytest.raises(ChannelInSetup):
            await account.sender().send(desk.text(), key="k1", owner="me")
    assert desk.texts() == []


@pytest.mark.usefixtures("long_pauses")
@pytest.mark.parametrize(("status", "code"), [(409, 50433), (400, 50414)])
async def test_whoever_is_in_it_already_keeps_the_conversation(desk: Desk, status: int, code: int) -> None:
    # A dead try has made all of it; then Twilio refuses the second adding of the customer in other words.
    look = {"method": "GET", "host": FLEX, "path": "/Channels/UO"}
    desk.sandbox.control.fault(match=look, action="drop_before")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.6):
            await desk.send()
    desk.sandbox.control.clear_faults()
    assert len(desk.open_tasks()) == 1
    desk.fault(CONVERSATIONS, "/Participants$", action="status", status=status, code=code, message="Refused")
    with contextlib.suppress(TwilioRefused):
        await desk.send()
    assert [channel["sid"] for channel in desk.channels()] == [
        row["conversation_sid"] for row in tables(desk)["flex_channels"]
    ]


async def test_one_404_is_no_proof_that_a_conversation_is_over(desk: Desk) -> None:
    came = desk.answers("Hello?")
    desk.clock.advance(seconds=2)
    desk.sandbox.control.agent("accept", channel_sid=came["channel_sid"])
    desk.fault_post(action="status", status=404, code=20404, message="Not found")
    with pytest.raises(ServiceUnavailable, match="The conversation is there, though"):
        await desk.send()
    assert desk.open_tasks() == [came["task_sid"]]
    sent = await desk.send()
    assert sent.channel_sid == came["channel_sid"]
    assert desk.texts() == ["Your results are in."]


async def test_a_deleted_conversation_is_followed_by_a_fresh_one(desk: Desk) -> None:
    first = await desk.send("First.", key="k0", route="studio")
    delete = {"conversation_state": {"channel_sid": first.channel_sid, "state": "closed"}}
    desk.fault_post(before=[delete], action="status", status=404, code=20404, message="Not found")
    second = await desk.send(route="studio")
    assert second.channel_sid != first.channel_sid
    assert desk.texts() == ["First.", "Your results are in."]


async def test_the_flow_of_an_earlier_text_leaves_the_answers_to_the_agent(desk: Desk) -> None:
    first = await desk.send("Fire and forget.", key="k0", route="studio")
    assert [hook["target"] for hook in tables(desk)["webhooks"]] == ["studio"]
    second = await desk.send()
    assert second.channel_sid == first.channel_sid
    assert tables(desk)["webhooks"] == []
    assert desk.answers()["task_sid"] == second.task_sid


@pytest.mark.parametrize("route", ["agent", "studio"])
async def test_a_conversation_that_closes_under_the_text_is_followed_by_a_fresh_one(
    desk: Desk, route: str
) -> None:
    before = await desk.send("First.", key="k0", route="studio")
    close = {"conversation_state": {"channel_sid": before.channel_sid, "state": "closed"}}
    desk.fault_post(before=[close])
    desk.clock.advance(seconds=5)
    sent = await desk.send(route=route)
    assert sent.channel_sid != before.channel_sid
    assert desk.texts() == ["First.", "Your results are in."]
    assert [channel["sid"] for channel in desk.channels()] == [sent.channel_sid]
    # The task that was opened on the closed conversation does not wait for an agent.
    assert desk.open_tasks() == ([sent.task_sid] if route == "agent" else [])
    assert desk.answers()["channel_sid"] == sent.channel_sid


async def test_a_text_that_a_closed_conversation_refused_is_not_looked_for_there(desk: Desk) -> None:
    before = await desk.send("First.", key="k0", route="studio")
    close = {"conversation_state": {"channel_sid": before.channel_sid, "state": "closed"}}
    desk.fault_post(before=[close])
    desk.clock.advance(seconds=5)
    desk.sandbox.control.clear_journal()
    deleted, sent = False, None
    async with desk.account() as account:
        for _ in range(100):
            try:
                sent = await account.sender().send(desk.text(), key="k1", owner="me")
                break
            except ChannelInSetup:
                if desk.posts() and not deleted:
                    await account.client.conversations.v1.conversations(before.channel_sid).delete_async()
                    deleted = True
                await asyncio.sleep(0.1)
    assert deleted
    assert sent.channel_sid != before.channel_sid
    assert desk.texts() == ["First.", "Your results are in."]


@pytest.mark.parametrize(("status", "code"), [(400, 45354), (400, 50377), (404, 20404)])
async def test_a_conversation_that_closes_before_its_task_is_made_is_followed_by_a_fresh_one(
    desk: Desk, status: int, code: int
) -> None:
    before = await desk.send("First.", key="k0", route="studio")
    close = {"conversation_state": {"channel_sid": before.channel_sid, "state": "closed"}}
    refused = {"action": "status", "status": status, "code": code, "message": "Closed"}
    desk.fault("flex-api.twilio.com", "/Interactions$", before=[close], **refused)
    desk.clock.advance(seconds=5)
    sent = await desk.send()
    assert sent.channel_sid != before.channel_sid
    assert desk.texts() == ["First.", "Your results are in."]
    assert desk.open_tasks() == [sent.task_sid]


async def test_where_taskrouter_refuses_the_customer_is_let_go(desk: Desk) -> None:
    tasks = {"method": "GET", "host": "taskrouter.twilio.com", "path": "/Tasks$"}
    desk.sandbox.control.fault(match=tasks, action="status", status=403, code=20003, message="No")
    with pytest.raises(PermanentError):
        await desk.send()
    assert desk.channels() == []


async def test_a_parked_conversation_gets_one_webhook_however_many_texts(desk: Desk) -> None:
    came = desk.answers("Hello?")
    desk.clock.advance(seconds=2)
    desk.sandbox.control.agent("park", channel_sid=came["channel_sid"])
    await asyncio.gather(
        *(desk.send(f"Text k{n}", key=f"k{n}", owner=f"k{n}", route="studio") for n in range(3))
    )
    assert [hook["target"] for hook in tables(desk)["webhooks"]] == ["studio"]


async def test_an_agent_at_work_needs_no_webhook(desk: Desk) -> None:
    came = desk.answers("Hello?")
    sent = await desk.send(route="studio")
    assert (sent.channel_sid, sent.task_sid) == (came["channel_sid"], desk.open_tasks()[0])
    assert tables(desk)["webhooks"] == []


async def test_a_new_conversation_can_be_given_a_timer(desk: Desk) -> None:
    async with desk.account(close_after_days=9) as account:
        await account.sender().send(desk.text(route="studio"), key="k1", owner="me")
    desk.clock.advance(days=8, hours=23)
    assert len(desk.channels()) == 1
    desk.clock.advance(hours=2)
    assert desk.channels() == []
    fresh = await desk.send("Hello again.", key="k2", route="studio")
    assert not fresh.reused_channel


async def test_a_timer_that_twilio_finds_too_long_stops_the_send_before_anything_is_made(desk: Desk) -> None:
    desk.sandbox.control.settings(longest_timer_days=30.0)
    async with desk.account(close_after_days=31) as account:
        with pytest.raises(TwilioRefused, match=r"Invalid Timers\.Closed: longer than 30 days \(20001\)"):
            await account.sender().send(desk.text(route="studio"), key="k1", owner="me")
    assert (desk.channels(), desk.texts()) == ([], [])


async def test_without_the_setting_a_conversation_has_no_timer(desk: Desk) -> None:
    await desk.send(route="studio")
    desk.clock.advance(days=300)
    assert len(desk.channels()) == 1


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("studio_flow_sid", {"route": "studio"}),
        ("queue_sid", {"target_worker_sid": "WK" + "0" * 32, "worker_only": True}),
        ("workspace_sid", {}),
    ],
)
async def test_a_missing_setting_is_named_before_anything_is_written(
    desk: Desk, field: str, text: dict[str, Any]
) -> None:
    async with desk.account(**{field: ""}) as account:
        with pytest.raises(MissingSetting, match=f"Connection field {field}: is empty"):
            await account.sender().send(desk.text(**text), key="k1", owner="me")
    # One look at most: an earlier try may have kept the key.
    assert [entry["method"] for entry in desk.sandbox.control.journal()] in ([], ["GET"])


async def test_a_turn_that_somebody_else_has_is_waited_for(desk: Desk) -> None:
    first = await desk.send(route="studio")
    await hold_turn(desk, first.channel_sid)
    with pytest.raises(SendInProgress, match=rf"Another send is busy on {first.channel_sid}"):
        await desk.send("For you.", key="k2")
    assert desk.open_tasks() == []
    assert desk.texts() == ["Your results are in."]
    desk.clock.advance(minutes=2)  # somebody died, and the turn with them
    sent = await desk.send("For you.", key="k2")
    assert desk.open_tasks() == [sent.task_sid]
    assert desk.texts() == ["Your results are in.", "For you."]


async def test_an_interaction_that_twilio_forgot_does_not_keep_a_text(desk: Desk) -> None:
    first = await desk.send()
    desk.sandbox.control.fault(
        match={"method": "GET", "host": FLEX, "path": "/Channels/UO"}, action="status", status=404, code=20404
    )
    desk.clock.advance(seconds=5)
    second = await desk.send("Still there?", key="k2")
    assert second.channel_sid == first.channel_sid
    assert desk.texts() == ["Your results are in.", "Still there?"]


async def lost_interaction(desk: Desk, *, with_task: bool) -> SendResult:
    """A send whose interaction Twilio forgets while it is waited for."""
    desk.sandbox.control.settings(interaction_setup_s=3600)
    async with desk.account() as account:
        with pytest.raises(ChannelInSetup) as caught:
            await account.sender().send(desk.text(), key="k1", owner="me")
        if not with_task:
            channel = {"interaction": {"status": "failed"}}
            desk.sandbox.control.perform(channel)
        look = {
            "method": "GET",
            "host": FLEX,
            "path": f"/Channels/{caught.value.interaction_channel_sid}$",
        }
        desk.sandbox.control.fault(match=look, action="status", status=404, code=20404)
        desk.sandbox.control.settings(interaction_setup_s=0)
        return await desk.send()


async def test_an_interaction_that_is_lost_while_it_is_waited_for_does_not_keep_its_tasks_text(
    desk: Desk,
) -> None:
    sent = await lost_interaction(desk, with_task=True)
    assert desk.open_tasks() == [sent.task_sid]
    assert desk.texts() == ["Your results are in."]


async def test_an_interaction_that_is_lost_with_its_task_is_followed_by_another(desk: Desk) -> None:
    sent = await lost_interaction(desk, with_task=False)
    assert desk.open_tasks() == [sent.task_sid]
    assert desk.texts() == ["Your results are in."]


@pytest.mark.parametrize("route", ["agent", "studio"])
async def test_the_console_link_is_right_without_a_setting(desk: Desk, route: str) -> None:
    service_sid = desk.settings.chat_service_sid
    async with desk.account(chat_service_sid="") as account:
        for key in ("k1", "k2"):
            sender, sent = account.sender(), None
            while sent is None:
                with contextlib.suppress(ChannelInSetup):
                    sent = await sender.send(desk.text(route=route), key=key, owner=key)
                await asyncio.sleep(0.05)
            url = sender.console_url(sent)
            assert url.endswith(f"/services/{service_sid}/conversations/{sent.channel_sid}")
        # Nobody asks Twilio for a text that is sent already.
        again = account.sender()
        assert again.console_url(await again.send(desk.text(route=route), key="k1", owner="k1")) == ""


@pytest.mark.parametrize("status", [400, 409, 423])
@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/Conversations$", 50391),
        ("/Conversations$", 59102),
        ("/Participants$", 50391),
        ("/Messages$", 50514),
    ],
)
async def test_a_conflict_with_another_request_is_waited_for(
    desk: Desk, path: str, code: int, status: int
) -> None:
    """A conversation of that name is being removed just now, and there is none: no sign of one that exists."""
    desk.sandbox.control.settings(interaction_setup_s=0)
    desk.fault(CONVERSATIONS, path, times=2, action="status", status=status, code=code, message="Conflict")
    sent = await desk.send()
    assert desk.texts() == ["Your results are in."]
    assert [row["sid"] for row in desk.channels()] == [sent.channel_sid]
    assert desk.open_tasks() == [sent.task_sid]


async def test_a_conflict_that_lasts_is_tried_again_later(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 2)
    desk.fault(CONVERSATIONS, "/Conversations$", times=2, action="status", status=409, code=50391)
    with pytest.raises(ServiceUnavailable, match=r"\(50391\)\. Nothing was sent\.$"):
        await desk.send()
    assert (await desk.send()).message_sid


@pytest.mark.parametrize("channel", [{}, {"sid": None}, {"type": "sms"}])
async def test_an_interaction_without_a_channel_is_looked_for(desk: Desk, channel: dict[str, Any]) -> None:
    desk.sandbox.control.settings(interaction_setup_s=0)
    desk.fault(FLEX, "/Interactions$", action="mangle", put={"channel": channel})
    sent = await desk.send()
    assert len(tables(desk)["flex_interactions"]) == 1
    assert desk.open_tasks() == [sent.task_sid]
    assert desk.texts() == ["Your results are in."]


async def test_an_interaction_without_a_channel_that_nobody_finds_says_so(desk: Desk) -> None:
    body = '{"sid": "KD00000000000000000000000000000001", "channel": {}, "routing": null}'
    desk.fault(FLEX, "/Interactions$", action="answer", status=201, body=body)
    with pytest.raises(SendInProgress, match="the answer has no proper channel"):
        await desk.send()


async def test_an_interaction_is_taken_by_its_answer_whatever_its_task_says(desk: Desk) -> None:
    """Twilio has answered with another channel than it wrote into the task's attributes."""
    desk.sandbox.control.settings(interaction_setup_s=0)
    other = "UO" + "d" * 32
    desk.fault(FLEX, "/Interactions$", action="mangle", put={"channel.sid": other})
    async with desk.account() as account:
        with pytest.raises(ChannelInSetup) as caught:
            await account.sender().send(desk.text(), key="k1", owner="me")
        assert caught.value.interaction_channel_sid == other
        # Nobody knows that channel; the task is there, and so is the conversation that carries the text.
        sent = await account.sender().send(desk.text(), key="k1", owner="me")
    assert desk.open_tasks() == [sent.task_sid]
    assert desk.texts() == ["Your results are in."]
