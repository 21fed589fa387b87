"""In one conversation either an agent or the Studio flow answers: never both, never neither."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.channel_state import ChannelState
from flexsms.core.exceptions import InteractionFailed, ServiceUnavailable, TwilioRefused
from flexsms.core.stack_name import StackName
from flexsms.twilio.account import Account
from flexsms.twilio.cleanup.outcomes import Action
from flexsms.twilio.sending.progress import SendResult
from flexsms.twilio.stacks.conversations.stack import ConversationsStack
from flexsms.twilio.sync.channel_states import SyncStore
from flexsms.twilio.sync.lock import SyncLock
from tests.support.cleanup_scenarios import ConversationsHouse
from tests.support.send_scenarios import CONVERSATIONS, CUSTOMER, FLEX, OPEN, Desk

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio

WEBHOOKS = {"host": CONVERSATIONS, "path": "/Webhooks"}


@pytest.fixture
def desk(sandbox: SandboxProcess, clock: Any) -> Desk:
    sandbox.control.settings(interaction_setup_s=0, second_interaction="refused")
    return Desk(StackName.CONVERSATIONS, sandbox, clock)


def wrote(desk: Desk) -> dict[str, Any]:
    return {"customer": {"from": CUSTOMER, "to": desk.number, "body": "Hello?"}}


def flows(desk: Desk, channel_sid: str) -> int:
    """How many Studio flows are on the conversation."""
    hooks = desk.sandbox.control.state()["tables"]["webhooks"]
    return sum(hook["target"] == "studio" and hook["parent"] == channel_sid for hook in hooks)


def tasks_opened(desk: Desk) -> int:
    return len(desk.sandbox.control.state()["tables"]["tasks"])


async def parked(desk: Desk) -> str:
    """The customer's own conversation, which an agent has left."""
    came = desk.answers("Hello?")
    desk.sandbox.control.agent("accept", channel_sid=came["channel_sid"])
    desk.sandbox.control.agent("park", channel_sid=came["channel_sid"])
    desk.clock.advance(seconds=2)
    return str(came["channel_sid"])


async def learn(desk: Desk, channel_sid: str) -> None:
    """Tracking has seen the conversation's task."""
    (channel,) = (
        row
        for row in desk.sandbox.control.state()["tables"]["flex_channels"]
        if row["conversation_sid"] == channel_sid
    )
    links = {"interaction": (1, channel["parent"]), "interaction_channel": (1, channel["sid"])}
    async with desk.account() as account:
        await account.store.merge(ChannelState(channel_sid, StackName.CONVERSATIONS, links=links))


def at_the_turn(monkeypatch: pytest.MonkeyPatch, other: Callable[[], Awaitable[Any]]) -> None:
    """Let another send go through right before the next one asks for the lock."""
    once: Any = SyncLock.once

    async def after_the_other(self: SyncLock, *args: Any, **more: Any) -> Any:
        monkeypatch.setattr(SyncLock, "once", once)
        await other()
        return await once(self, *args, **more)

    monkeypatch.setattr(SyncLock, "once", after_the_other)


async def test_a_flow_is_not_attached_beside_a_task_of_the_same_moment(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    sid = await parked(desk)
    at_the_turn(monkeypatch, lambda: desk.send("From an agent.", key="k2", owner="k2"))
    sent = await desk.send("Fire and forget.", route="studio")
    assert sent.channel_sid == sid
    assert (len(desk.open_tasks()), flows(desk, sid)) == (1, 0)
    assert sorted(desk.texts()) == ["Fire and forget.", "From an agent."]


async def test_a_fresh_conversation_that_got_a_flow_meanwhile_loses_it_to_the_agent(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_the_turn(monkeypatch, lambda: desk.send("Fire and forget.", key="k2", owner="k2", route="studio"))
    sent = await desk.send("From an agent.")
    assert desk.open_tasks() == [sent.task_sid]
    assert flows(desk, sent.channel_sid) == 0
    assert len(desk.channels()) == 1


async def test_a_customer_who_writes_right_before_the_flow_is_there_gets_the_agent(desk: Desk) -> None:
    sid = await parked(desk)
    desk.fault(CONVERSATIONS, "/Webhooks$", before=[wrote(desk)])
    sent = await desk.send(route="studio")
    assert desk.open_tasks() == [sent.task_sid]
    assert flows(desk, sid) == 0


async def test_a_new_conversation_has_its_flow_before_the_customer_is_in_it(desk: Desk) -> None:
    desk.sandbox.control.clear_journal()
    await desk.send(route="studio")
    paths = [entry["path"] for entry in desk.sandbox.control.journal() if entry["method"] == "POST"]
    (flow,) = (index for index, path in enumerate(paths) if path.endswith("/Webhooks"))
    (customer,) = (index for index, path in enumerate(paths) if path.endswith("/Participants"))
    assert flow < customer


@pytest.mark.parametrize("action", ["drop_after", "drop_before"])
async def test_a_new_conversation_whose_flow_is_in_doubt_gets_one(desk: Desk, action: str) -> None:
    desk.fault(CONVERSATIONS, "/Webhooks$", action=action)
    sent = await desk.send_until_done(route="studio")
    assert flows(desk, sent.channel_sid) == 1
    assert desk.texts() == ["Your results are in."]


async def killed(desk: Desk, seconds: float = 0.8, **text: Any) -> None:
    """A send whose worker dies while it waits for an answer."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await desk.send(**text)
    desk.sandbox.control.clear_faults()


@pytest.mark.usefixtures("long_pauses")
async def test_a_retry_takes_the_flow_away_that_its_dead_try_has_left_beside_the_task(desk: Desk) -> None:
    first = await desk.send("Fire and forget.", key="k0", route="studio")
    desk.sandbox.control.fault(match={"method": "GET", **WEBHOOKS}, action="drop_before")
    await killed(desk)
    assert (len(desk.open_tasks()), flows(desk, first.channel_sid)) == (1, 1)
    sent = await desk.send_until_done()
    assert desk.open_tasks() == [sent.task_sid]
    assert flows(desk, first.channel_sid) == 0


@pytest.mark.usefixtures("long_pauses")
async def test_a_retry_takes_the_flow_away_that_its_dead_try_attached_beside_the_customers_task(
    desk: Desk,
) -> None:
    sid = await parked(desk)
    desk.fault(CONVERSATIONS, "/Webhooks$", before=[wrote(desk)])
    # The look for a task behind the flow is where the worker dies.
    tasks = {"method": "GET", "host": "taskrouter.twilio.com", "path": "/Tasks$"}
    desk.sandbox.control.fault(match=tasks, skip=1, action="drop_before")
    await killed(desk, route="studio")
    assert (len(desk.open_tasks()), flows(desk, sid)) == (1, 1)
    sent = await desk.send_until_done(route="studio")
    assert desk.open_tasks() == [sent.task_sid]
    assert flows(desk, sid) == 0


async def test_a_task_whose_setup_fails_gives_the_flow_back(desk: Desk) -> None:
    first = await desk.send("Fire and forget.", key="k0", route="studio")
    busy = {"error_code": 45780, "error_message": "Too many concurrent requests"}
    desk.sandbox.control.settings(interaction_failures={CUSTOMER: busy}, interaction_setup_s=0.3)
    with pytest.raises(InteractionFailed):
        await desk.send()
    assert desk.open_tasks() == []
    assert flows(desk, first.channel_sid) == 1


async def interactions(desk: Desk, sent: SendResult) -> tuple[int, int]:
    """How many interactions and how many open tasks the conversation has."""
    rows = desk.sandbox.control.state()["tables"]["flex_channels"]
    return sum(row["conversation_sid"] == sent.channel_sid for row in rows), len(desk.open_tasks())


async def test_a_second_task_is_an_invite_on_the_interaction_that_tracking_knows(desk: Desk) -> None:
    await learn(desk, await parked(desk))
    desk.sandbox.control.clear_journal()
    sent = await desk.send()
    assert not [e for e in desk.sandbox.control.journal() if e["path"].endswith("/Interactions")]
    assert await interactions(desk, sent) == (1, 1)
    assert desk.texts() == ["Your results are in."]
    assert desk.answers()["task_sid"] == sent.task_sid
    async with desk.account() as account:
        assert await account.taskrouter().open_channels() == {sent.channel_sid}


async def test_a_customer_who_writes_right_before_the_invite_has_one_task(desk: Desk) -> None:
    sid = await parked(desk)
    await learn(desk, sid)
    writes = {"customer": {"from": CUSTOMER, "to": desk.number, "body": "Me again"}}
    desk.fault(FLEX, "/Invites$", before=[writes])
    sent = await desk.send()
    assert desk.open_tasks() == [sent.task_sid]
    assert desk.texts() == ["Your results are in."]


async def test_a_look_behind_the_invite_that_is_refused_is_made_up_for_by_the_next_try(desk: Desk) -> None:
    sid = await parked(desk)
    await learn(desk, sid)
    writes = {"customer": {"from": CUSTOMER, "to": desk.number, "body": "Me again"}}
    desk.fault(FLEX, "/Invites$", before=[writes])
    look = {"method": "GET", "host": "taskrouter.twilio.com", "path": "/Tasks$"}
    # Two looks come before the invite.
    desk.sandbox.control.fault(match=look, skip=2, times=1, action="status", status=400, code=20001)
    with pytest.raises(TwilioRefused):
        await desk.send()
    sent = await desk.send()
    assert desk.open_tasks() == [sent.task_sid]
    assert desk.texts() == ["Your results are in."]


async def test_a_second_interaction_that_twilio_refuses_becomes_an_invite(desk: Desk) -> None:
    await parked(desk)
    sent = await desk.send()
    assert await interactions(desk, sent) == (1, 1)
    assert desk.texts() == ["Your results are in."]


async def test_an_interaction_that_takes_an_invite_after_all_gets_it(desk: Desk) -> None:
    await learn(desk, await parked(desk))
    desk.fault(FLEX, "/Invites$", action="status", status=404, code=20404, message="Not found")
    sent = await desk.send()
    assert await interactions(desk, sent) == (1, 1)
    assert desk.texts() == ["Your results are in."]


async def test_the_attributes_of_a_parked_conversation_tell_of_its_interaction(desk: Desk) -> None:
    sid = await parked(desk)
    (channel,) = desk.sandbox.control.state()["tables"]["flex_channels"]
    async with desk.account() as account:
        await account.client.conversations.v1.conversations(sid).update_async(
            attributes=json.dumps({"interactionSid": channel["parent"], "channelSid": channel["sid"]})
        )
    desk.clock.advance(hours=1)  # TaskRouter has forgotten the task
    sent = await desk.send()
    assert await interactions(desk, sent) == (1, 1)


async def test_where_nobody_knows_the_interaction_tracking_is_waited_for(desk: Desk) -> None:
    sid = await parked(desk)
    desk.clock.advance(hours=1)
    with pytest.raises(
        ServiceUnavailable, match=rf"\(45353\).*Which interaction {sid} has is not in Sync yet"
    ):
        await desk.send()
    assert desk.texts() == []
    await learn(desk, sid)
    sent = await desk.send()
    assert await interactions(desk, sent) == (1, 1)


async def test_a_customer_who_was_quicker_than_the_interaction_has_the_task(desk: Desk) -> None:
    await parked(desk)
    desk.fault(FLEX, "/Interactions$", before=[wrote(desk)])
    sent = await desk.send()
    assert desk.open_tasks() == [sent.task_sid]
    assert tasks_opened(desk) == 2


@pytest.mark.parametrize(("status", "code"), [(404, 20404), (400, 45376), (400, 20001)])
async def test_an_interaction_that_takes_no_invite_is_followed_by_another(
    desk: Desk, status: int, code: int
) -> None:
    await learn(desk, await parked(desk))
    desk.sandbox.control.settings(second_interaction="opened")
    desk.fault(FLEX, "/Invites$", action="status", status=status, code=code, message="Over")
    sent = await desk.send()
    assert await interactions(desk, sent) == (2, 1)
    assert desk.texts() == ["Your results are in."]


@pytest.mark.parametrize("action", ["drop_after", "drop_before"])
async def test_a_lost_invite_leaves_one_task(desk: Desk, action: str) -> None:
    await learn(desk, await parked(desk))
    desk.fault(FLEX, "/Invites$", action=action)
    sent = await desk.send_until_done()
    assert desk.open_tasks() == [sent.task_sid]
    assert tasks_opened(desk) == 2
    assert desk.texts() == ["Your results are in."]


async def test_a_customer_who_was_added_by_a_request_that_seemed_refused_is_texted(desk: Desk) -> None:
    # The answer is lost, and the repetition is refused in words that say nothing.
    desk.fault(CONVERSATIONS, "/Participants$", action="drop_after")
    desk.fault(CONVERSATIONS, "/Participants$", action="status", status=400, code=20001, message="No")
    sent = await desk.send()
    assert desk.texts() == ["Your results are in."]
    assert [channel["sid"] for channel in desk.channels()] == [sent.channel_sid]
    assert desk.open_tasks() == [sent.task_sid]


@pytest.mark.parametrize("route", ["agent", "studio"])
@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize(
    ("kind", "step"),
    [
        (ConversationsStack, "suspend"),
        (SyncStore, "mark_retired"),
        (ConversationsStack, "close"),
        (ConversationsStack, "delete"),
    ],
    ids=["suspend", "mark_retired", "close", "delete"],
)
async def test_a_send_at_any_step_of_a_cleanup_ends_where_somebody_answers(
    desk: Desk,
    account: Account,
    monkeypatch: pytest.MonkeyPatch,
    route: str,
    action: Action,
    kind: Any,
    step: str,
) -> None:
    first = await desk.send("First.", key="k0", owner="k0")
    desk.sandbox.control.agent("accept", task_sid=first.task_sid)
    desk.sandbox.control.agent("park", channel_sid=first.channel_sid)
    house = ConversationsHouse(account, desk.sandbox, desk.clock)
    due = await house.due()
    method = getattr(kind, step)

    async def with_company(self: Any, *args: Any, **more: Any) -> Any:
        monkeypatch.setattr(kind, step, method)
        await desk.send_until_done("For you.", route=route)
        return await method(self, *args, **more)

    monkeypatch.setattr(kind, step, with_company)
    report = await house.retire(due, action)
    assert report.errors == {}
    if step != "delete" or action is Action.DELETE:
        assert desk.texts() == ["First.", "For you."]
    state = desk.sandbox.control.state()["tables"]
    alive = {row["sid"] for row in state["conversations"] if row["state"] == "active"}
    waiting = {
        json.loads(row["attributes"])["conversationSid"] for row in state["tasks"] if row["status"] in OPEN
    }
    assert waiting <= alive
    answer = desk.answers()
    assert answer["task_sid"]
    assert len(desk.open_tasks()) == 1
