"""What sending meets on Flex Conversations alone: interactions that take a while, pairs, turns, and closing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.errors import (
    ChannelInSetup,
    InteractionFailed,
    MissingSetting,
    SendInProgress,
    ServiceUnavailable,
)
from flexsms.core.events import StackName
from flexsms.twilio.sync_map import SyncMap
from flexsms.twilio.turns import MAP_PREFIX

from .texting import CONVERSATIONS, CUSTOMER, FLEX, Desk

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio


@pytest.fixture
def desk(sandbox: SandboxProcess, clock: Any) -> Desk:
    return Desk(StackName.CONVERSATIONS, sandbox, clock)


def tables(desk: Desk) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = desk.sandbox.control.state()["tables"]
    return found


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


async def test_a_failed_setup_is_told_and_leaves_nothing_behind(desk: Desk) -> None:
    failure = {"error_code": 45780, "error_message": "Too many concurrent requests"}
    desk.sandbox.control.settings(interaction_failures={CUSTOMER: failure})
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


@pytest.mark.parametrize("body", ["Your results are in.", ""], ids=["text", "agent writes first"])
async def test_a_conversation_that_a_dead_try_made_is_gone_on_with(desk: Desk, body: str) -> None:
    desk.fault(FLEX, "/Interactions$", times=None, action="delay", delay_ms=60_000)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.6):
            await desk.send(body)
    desk.sandbox.control.clear_faults()
    sent = await desk.send_until_done(body)
    assert not sent.reused_channel
    assert len(desk.channels()) == 1
    assert desk.open_tasks() == [sent.task_sid]
    assert desk.texts() == [body] * bool(body)


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


async def test_without_the_setting_a_conversation_has_no_timer(desk: Desk) -> None:
    await desk.send(route="studio")
    desk.clock.advance(days=300)
    assert len(desk.channels()) == 1


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("studio_flow_sid", {"route": "studio"}),
        ("queue_sid", {"target_worker_sid": "WK" + "0" * 32}),
        ("workspace_sid", {}),
    ],
)
async def test_a_missing_setting_is_named_before_anything_is_written(
    desk: Desk, field: str, text: dict[str, Any]
) -> None:
    async with desk.account(**{field: ""}) as account:
        with pytest.raises(MissingSetting, match=f"Connection field {field}: is empty"):
            await account.sender().send(desk.text(**text), key="k1", owner="me")
    assert desk.sandbox.control.journal() == []


async def test_a_turn_that_somebody_else_has_is_waited_for(desk: Desk) -> None:
    first = await desk.send(route="studio")
    async with desk.account() as account:
        turns = SyncMap(
            account.client,
            account.settings.sync_service_sid,
            MAP_PREFIX + first.channel_sid[-1].lower(),
            ttl=timedelta(seconds=60),
        )
        held = await turns.fetch(first.channel_sid)
        await turns.update(first.channel_sid, {"by": "somebody", "nonce": "0"}, revision=held.revision)
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
