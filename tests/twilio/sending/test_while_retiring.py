"""A send to a customer whose chat channel is being retired: one text, and nobody ends up where no agent is.

Cleaning up closes the session, makes the channel inactive, looks for tasks once more, and marks the state as retired.
Each test lets a part of that happen at one instant of a send, or a send at one instant of that.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.channel_state import ChannelState
from flexsms.core.exceptions import SendInProgress, ServiceUnavailable, TwilioRefused
from flexsms.core.stack_name import StackName
from flexsms.core.task_events import to_ms
from flexsms.twilio.account import Account
from flexsms.twilio.cleanup.outcomes import Action, Outcome
from flexsms.twilio.stacks.chat.channels import ChatChannels
from flexsms.twilio.stacks.chat.delivery import ChatDelivery
from flexsms.twilio.stacks.chat.opening import ChatOpening
from flexsms.twilio.stacks.chat.proxy_sessions import ChatSessions
from flexsms.twilio.stacks.chat.tasks import ChatTasks
from flexsms.twilio.stacks.protocol import Healed
from flexsms.twilio.sync.channel_states import SyncStore
from tests.support.cleanup_scenarios import ChatHouse
from tests.support.send_scenarios import CHAT, CUSTOMER, OPEN, PROXY, Desk

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio

ROUTES = pytest.mark.parametrize("route", ["agent", "studio"])
TEXTS = ["First.", "For you."]


@pytest.fixture
def desk(sandbox: SandboxProcess, clock: Any) -> Desk:
    return Desk(StackName.CHAT, sandbox, clock)


@pytest.fixture
def house(account: Account, sandbox: SandboxProcess, clock: Any) -> ChatHouse:
    return ChatHouse(account, sandbox, clock)


def at(
    monkeypatch: pytest.MonkeyPatch,
    kind: type,
    name: str,
    *,
    before: Callable[[], Awaitable[Any]] | None = None,
    after: Callable[[], Awaitable[Any]] | None = None,
) -> None:
    """Let something else happen right before or after the next call of a method."""
    method = getattr(kind, name)

    async def with_company(self: Any, *args: Any, **more: Any) -> Any:
        monkeypatch.setattr(kind, name, method)
        if before:
            await before()
        result = await method(self, *args, **more)
        if after:
            await after()
        return result

    monkeypatch.setattr(kind, name, with_company)


async def quiet_channel(desk: Desk, route: str = "agent") -> str:
    """A channel of the route whose task is over."""
    first = await desk.send("First.", key="k0", owner="k0", route=route)
    for task_sid in desk.open_tasks():
        desk.sandbox.control.agent("complete", task_sid=task_sid)
    desk.clock.advance(seconds=5)
    return first.channel_sid


async def session(desk: Desk, channel_sid: str, status: str) -> None:
    """Close or open the channel's session."""
    (row,) = (one for one in rows(desk, "sessions") if one["name"] == channel_sid)
    async with desk.account() as account:
        sessions = account.client.proxy.v1.services(account.settings.session_service_sid).sessions
        await sessions(row["sid"]).update_async(status=status)


async def make_session(desk: Desk, channel_sid: str) -> None:
    """Open a session with the customer in it, as another send does."""
    people = [
        {"Identifier": one, "ProxyIdentifier": desk.number, "FriendlyName": "Ada"}
        for one in (CUSTOMER, channel_sid)
    ]
    async with desk.account() as account:
        sessions = account.client.proxy.v1.services(account.settings.session_service_sid).sessions
        await sessions.create_async(unique_name=channel_sid, mode="message-only", participants=people)


async def all_but_deleted(desk: Desk, channel_sid: str) -> None:
    """What cleanup does with a channel before it deletes it."""
    await desk.retire(channel_sid)
    async with desk.account() as account:
        await account.store.merge(ChannelState(channel_sid, desk.stack))
        stored = await account.store.load(channel_sid)
        assert stored
        retired = stored.state.mark_retired(to_ms("now", desk.clock()), "delete")
        await account.store.mark_retired(retired, stored.revision)


async def deleted(desk: Desk, channel_sid: str) -> None:
    await desk.retire(channel_sid)
    async with desk.account() as account:
        await account.retiring_stacks[desk.stack].delete(channel_sid, {})


def rows(desk: Desk, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = desk.sandbox.control.state()["tables"][table]
    return found


def assert_nobody_is_lost(desk: Desk) -> None:
    """Sessions that are open and tasks that wait are on active channels, and the next answer gets through to one."""
    active = {row["sid"] for row in rows(desk, "channels") if '"INACTIVE"' not in row["attributes"]}
    carried = {row["name"] for row in rows(desk, "sessions") if row["status"] in ("open", "in-progress")}
    waiting = {
        json.loads(row["attributes"])["channelSid"] for row in rows(desk, "tasks") if row["status"] in OPEN
    }
    assert carried <= active
    assert waiting <= carried
    answer = desk.answers()
    assert answer["channel_sid"] in {
        row["sid"] for row in rows(desk, "channels") if '"INACTIVE"' not in row["attributes"]
    }


@ROUTES
@pytest.mark.parametrize(
    "instant", [(ChatSessions, "open_session"), (ChatChannels, "post")], ids=["session", "text"]
)
@pytest.mark.parametrize("how", ["deactivate", "delete"])
async def test_a_channel_that_is_retired_in_the_middle_of_a_send_is_not_gone_on_with(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, route: str, instant: tuple[type, str], how: str
) -> None:
    sid = await quiet_channel(desk, route)
    retire = desk.retire if how == "deactivate" else lambda sid: deleted(desk, sid)
    at(monkeypatch, *instant, before=lambda: retire(sid))
    sent = await desk.send_until_done("For you.", route=route)
    assert desk.texts() == TEXTS
    assert desk.open_tasks() == ([sent.task_sid] if route == "agent" else [])
    assert_nobody_is_lost(desk)


@ROUTES
@pytest.mark.parametrize("how", ["deactivate", "delete"])
async def test_a_text_that_left_before_its_channel_was_retired_is_not_sent_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, route: str, how: str
) -> None:
    sid = await quiet_channel(desk, route)
    retire = desk.retire if how == "deactivate" else lambda sid: deleted(desk, sid)
    at(monkeypatch, ChatChannels, "post", after=lambda: retire(sid))
    sent = await desk.send("For you.", route=route)
    assert desk.texts() == TEXTS
    assert sent.channel_sid == sid
    assert desk.open_tasks() == ([sent.task_sid] if route == "agent" else [])
    assert_nobody_is_lost(desk)
    assert (await desk.send("For you.", route=route)).duplicate


@ROUTES
@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize(
    ("kind", "step"),
    [(ChatSessions, "close"), (ChatChannels, "write"), (SyncStore, "mark_retired")],
    ids=["close", "write", "mark_retired"],
)
async def test_a_send_at_any_step_of_a_cleanup_ends_well(
    desk: Desk,
    house: ChatHouse,
    monkeypatch: pytest.MonkeyPatch,
    route: str,
    action: Action,
    kind: type,
    step: str,
) -> None:
    sid = await quiet_channel(desk, "agent")
    if route == "studio":  # the channel of the flow that the send is for
        await desk.retire(sid)
        desk.answers("Hello?")
        (task_sid,) = desk.open_tasks()
        desk.sandbox.control.agent("complete", task_sid=task_sid)
    due = await house.due()
    at(monkeypatch, kind, step, before=lambda: desk.send_until_done("For you.", route=route))
    report = await house.retire(due, action)
    assert report.errors == {}
    assert desk.texts() == TEXTS
    assert_nobody_is_lost(desk)


async def test_a_cleanup_that_stands_between_close_and_write_gives_way(
    desk: Desk, house: ChatHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No task tells of a text to nobody's agent: only the channel's state does.
    came = desk.answers("Hello?")
    desk.sandbox.control.agent("complete", task_sid=came["task_sid"])
    due = await house.due()
    at(monkeypatch, ChatChannels, "write", before=lambda: desk.send("For you.", route="studio"))
    report = await house.retire(due)
    assert report.outcomes == {came["channel_sid"]: Outcome.SKIPPED_CHANGED}
    assert desk.texts() == ["For you."]
    assert_nobody_is_lost(desk)


async def test_a_state_that_was_retired_behind_the_opened_session_is_seen(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    sid = await quiet_channel(desk, "studio")
    await session(desk, sid, "closed")

    async def retire_the_rest() -> None:
        async with desk.account() as account:
            stack = account.retiring_stacks[desk.stack]
            await stack.suspend(await stack.fetch(sid), {})
            await session(desk, sid, "in-progress")  # as the send has left it
            stored = await account.store.load(sid)
            assert stored
            retired = stored.state.mark_retired(to_ms("now", desk.clock()), "deactivate")
            await account.store.mark_retired(retired, stored.revision)

    at(monkeypatch, SyncStore, "load", before=retire_the_rest)
    sent = await desk.send("For you.", route="studio")
    assert sent.channel_sid != sid
    assert desk.texts() == TEXTS
    assert_nobody_is_lost(desk)


@pytest.mark.parametrize("body", ["For you.", ""], ids=["a text", "no text"])
async def test_a_channel_that_is_about_to_be_deleted_is_not_taken_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    # The customer sits in a channel of the Studio flow, so the agent's task is made by the send itself.
    sid = await quiet_channel(desk, "studio")
    at(monkeypatch, ChatTasks, "ensure", before=lambda: all_but_deleted(desk, sid))
    sent = await desk.send(body)
    assert sent.channel_sid != sid
    assert desk.texts() == ["First.", *filter(None, [body])]
    assert desk.open_tasks() == [sent.task_sid]
    assert_nobody_is_lost(desk)
    async with desk.account() as account:
        await account.retiring_stacks[desk.stack].delete(sid, {})
    assert_nobody_is_lost(desk)


async def test_a_text_that_left_is_not_sent_again_where_the_next_channel_is_about_to_be_deleted_as_well(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    sid = await quiet_channel(desk)

    async def retire_the_next() -> None:
        fresh = fresh_channel(desk, sid)
        await make_session(desk, fresh)
        await all_but_deleted(desk, fresh)

    async def retire_this() -> None:
        await all_but_deleted(desk, sid)
        at(monkeypatch, ChatSessions, "open_session", before=retire_the_next)

    at(monkeypatch, ChatChannels, "post", after=retire_this)
    with pytest.raises(SendInProgress, match=r"The text has left as IM.* was retired in this very moment"):
        await desk.send("For you.")
    await desk.send_until_done("For you.")
    assert desk.texts() == TEXTS
    assert_nobody_is_lost(desk)


async def test_a_text_between_the_close_and_the_putting_back_is_sent_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    sid = await quiet_channel(desk, "studio")
    desk.answers("Anybody?")
    for task_sid in desk.open_tasks():
        desk.sandbox.control.agent("complete", task_sid=task_sid)
    desk.clock.advance(minutes=5)
    at(
        monkeypatch,
        ChatChannels,
        "post",
        before=lambda: session(desk, sid, "closed"),
        after=lambda: session(desk, sid, "in-progress"),
    )
    sent = await desk.send("For you.", route="studio")
    assert sent.channel_sid == sid
    assert desk.texts() == TEXTS
    assert_nobody_is_lost(desk)


@ROUTES
async def test_a_lost_text_is_not_posted_again_into_a_retired_channel(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    sid = await quiet_channel(desk, route)
    desk.fault_post(action="drop_before")
    at(monkeypatch, ChatChannels, "find_post", before=lambda: desk.retire(sid))
    sent = await desk.send_until_done("For you.", route=route)
    assert desk.texts() == TEXTS
    assert desk.open_tasks() == ([sent.task_sid] if route == "agent" else [])
    assert_nobody_is_lost(desk)


@pytest.mark.usefixtures("long_pauses")
@ROUTES
async def test_a_text_of_a_dead_try_that_never_left_its_channel_is_sent(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    sid = await quiet_channel(desk, route)
    at(monkeypatch, ChatChannels, "post", before=lambda: desk.retire(sid))
    desk.fault_post(action="drop_after")
    look = {"method": "GET", "host": CHAT, "path": "/Messages$"}
    desk.sandbox.control.fault(match=look, action="status", status=503)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2.5):
            await desk.send("For you.", route=route)
    desk.sandbox.control.clear_faults()
    assert desk.texts() == ["First."]
    await desk.send_until_done("For you.", route=route)
    assert desk.texts() == TEXTS
    assert_nobody_is_lost(desk)


@pytest.mark.parametrize("how", ["deactivate", "delete"])
async def test_a_task_is_not_left_on_a_channel_that_was_retired_as_it_was_made(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    # The customer sits in a channel of the Studio flow, and the send is for an agent.
    came = desk.answers("Hello?")
    desk.sandbox.control.agent("complete", task_sid=came["task_sid"])
    retire = desk.retire if how == "deactivate" else lambda sid: deleted(desk, sid)
    at(monkeypatch, ChatTasks, "ensure", before=lambda: retire(came["channel_sid"]))
    sent = await desk.send_until_done("For you.")
    assert desk.texts() == ["For you."]
    assert desk.open_tasks() == [sent.task_sid]
    assert_nobody_is_lost(desk)


@pytest.mark.parametrize("quicker", ["accept", "complete"])
async def test_a_task_that_an_agent_was_quicker_with_is_taken_back_all_the_same(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, quicker: str
) -> None:
    came = desk.answers("Hello?")
    desk.sandbox.control.agent("complete", task_sid=came["task_sid"])

    async def be_quick() -> None:
        (task_sid,) = desk.open_tasks()
        desk.sandbox.control.agent("accept", task_sid=task_sid)
        if quicker == "complete":
            desk.sandbox.control.agent("complete", task_sid=task_sid)

    at(monkeypatch, ChatChannels, "is_used", after=be_quick)
    sent = await desk.send("For you.")
    assert sent.channel_sid == came["channel_sid"]
    assert desk.texts() == ["For you."]
    assert desk.open_tasks() == [sent.task_sid]
    assert_nobody_is_lost(desk)


async def test_what_others_made_of_a_channel_stays_where_a_send_keeps_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    sid = await quiet_channel(desk)
    async with desk.account() as account:
        channel: Any = account.client.chat.v2.services(account.settings.chat_service_sid).channels(sid)
        found = json.loads((await channel.fetch_async()).attributes)
        theirs = {**found, "long_lived": False}
        await channel.update_async(attributes=json.dumps(theirs))
    at(monkeypatch, ChatSessions, "open_session", before=lambda: desk.retire(sid))
    sent = await desk.send_until_done("For you.")
    assert sent.channel_sid == sid
    (row,) = (row for row in rows(desk, "channels") if row["sid"] == sid)
    assert json.loads(row["attributes"]) == theirs


async def delete_only(desk: Desk, channel_sid: str) -> None:
    """Delete a channel as another send does that takes it back."""
    async with desk.account() as account:
        await account.client.flex_api.v1.channel(channel_sid).delete_async()


def fresh_channel(desk: Desk, old_sid: str) -> str:
    (sid,) = (row["sid"] for row in rows(desk, "channels") if row["sid"] != old_sid)
    return str(sid)


async def test_a_channel_that_another_send_has_taken_back_leaves_no_task_behind(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    came = desk.answers("Hello?")["channel_sid"]
    desk.sandbox.control.agent("complete", task_sid=desk.open_tasks()[0])
    at(monkeypatch, ChatChannels, "is_used", before=lambda: delete_only(desk, fresh_channel(desk, came)))
    sent = await desk.send("For you.")
    assert sent.channel_sid == came
    assert desk.open_tasks() == [sent.task_sid]
    assert_nobody_is_lost(desk)


async def test_a_channel_that_is_taken_back_while_another_send_opens_its_session_holds_nobody(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    came = desk.answers("Hello?")["channel_sid"]
    desk.sandbox.control.agent("complete", task_sid=desk.open_tasks()[0])

    async def another_send() -> None:
        fresh = fresh_channel(desk, came)
        await desk.retire(came)
        await make_session(desk, fresh)

    at(monkeypatch, ChatChannels, "is_used", after=another_send)
    sent = await desk.send_until_done("For you.")
    assert desk.texts() == ["For you."]
    assert desk.open_tasks() == [sent.task_sid]
    assert_nobody_is_lost(desk)


async def test_a_try_that_lands_in_another_channel_ends_the_task_of_the_one_before(desk: Desk) -> None:
    sid = await quiet_channel(desk)
    await desk.retire(sid)
    desk.fault(PROXY, "/Sessions$", action="status", status=400, code=20001, message="No")
    with pytest.raises(TwilioRefused):
        await desk.send("For you.")
    async with desk.account() as account:
        assert await account.retiring_stacks[desk.stack].resume(sid, {})
    sent = await desk.send("For you.")
    assert sent.channel_sid == sid
    assert desk.open_tasks() == [sent.task_sid]
    assert_nobody_is_lost(desk)


@ROUTES
@pytest.mark.parametrize("heals", [False, True], ids=["this cleanup", "the next cleanup"])
async def test_who_wrote_in_a_channel_and_is_taken_elsewhere_by_a_studio_send_gets_an_agent_there(
    desk: Desk, route: str, heals: bool
) -> None:
    sid = await quiet_channel(desk, route)
    desk.answers("Anybody?")
    await desk.retire(sid)
    sent = await desk.send("For you.", route="studio")
    async with desk.account() as account:
        stack = account.retiring_stacks[desk.stack]
        if heals:
            assert await stack.heal(sid, {}) is Healed.MOVED_ON
        else:
            assert not await stack.resume(sid, {})
    (task,) = (json.loads(row["attributes"]) for row in rows(desk, "tasks") if row["status"] in OPEN)
    assert (task["channelSid"], task["sourceChatChannelSid"]) == (sent.channel_sid, sid)
    assert sid != sent.channel_sid
    assert_nobody_is_lost(desk)
    assert len(desk.open_tasks()) == 1


async def test_a_channel_that_flex_has_ended_is_not_put_back(desk: Desk) -> None:
    # Where others have made it short-lived, Flex removes its session and leaves the same two attributes behind.
    sid = await quiet_channel(desk)
    await desk.retire(sid)
    (session_sid,) = (row["sid"] for row in rows(desk, "sessions") if row["name"] == sid)
    async with desk.account() as account:
        sessions = account.client.proxy.v1.services(account.settings.session_service_sid).sessions
        await sessions(session_sid).delete_async()
        assert await account.retiring_stacks[desk.stack].heal(sid, {}) is Healed.NOTHING
    (attributes,) = (row["attributes"] for row in rows(desk, "channels") if row["sid"] == sid)
    assert '"INACTIVE"' in attributes


@ROUTES
async def test_a_channel_that_is_gone_before_the_text_holds_nobody(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    sid = await quiet_channel(desk, route)
    at(monkeypatch, ChatChannels, "post", before=lambda: delete_only(desk, sid))
    sent = await desk.send_until_done("For you.", route=route)
    assert sent.channel_sid != sid
    assert desk.texts() == TEXTS
    assert desk.open_tasks() == ([sent.task_sid] if route == "agent" else [])
    assert_nobody_is_lost(desk)


async def test_one_404_is_no_proof_that_a_channel_is_gone(desk: Desk) -> None:
    sid = await quiet_channel(desk)
    desk.fault_post(action="status", status=404, code=50300, message="Channel not found")
    with pytest.raises(ServiceUnavailable, match=r"The channel is there, though.*Nothing was sent\."):
        await desk.send("For you.")
    sent = await desk.send("For you.")
    assert sent.channel_sid == sid
    assert desk.texts() == TEXTS


# Whose session is it?


@pytest.fixture(params=[80604, 80103])
def silent(desk: Desk, request: pytest.FixtureRequest) -> Desk:
    """Proxy says that the pair is taken, and not by which session."""
    desk.sandbox.control.settings(
        pair_taken_names_session=False, pair_taken_code=request.param, reopen_taken_code=80801
    )
    return desk


@pytest.mark.parametrize("busy", [True, False], ids=["an agent has it", "no agent has it"])
async def test_a_holder_that_proxy_does_not_name_is_found_by_the_studio_flow(
    silent: Desk, busy: bool
) -> None:
    came = silent.answers("Hello?")
    if not busy:
        silent.sandbox.control.agent("complete", task_sid=came["task_sid"])
    sent = await silent.send()
    assert sent.channel_sid == came["channel_sid"]
    assert silent.texts() == ["Your results are in."]
    assert silent.open_tasks() == [sent.task_sid]
    assert [channel["sid"] for channel in silent.channels()] == [came["channel_sid"]]


@pytest.mark.parametrize("busy", [True, False], ids=["an agent has it", "no agent has it"])
async def test_a_holder_that_proxy_does_not_name_is_found_by_the_agents_flow(
    silent: Desk, busy: bool
) -> None:
    first = await silent.send("First.", key="k0")
    if not busy:
        silent.sandbox.control.agent("complete", task_sid=first.task_sid)
    sent = await silent.send("For you.", route="studio")
    assert sent.channel_sid == first.channel_sid
    assert silent.texts() == TEXTS
    assert silent.open_tasks() == ([first.task_sid] if busy else [])


async def test_a_customer_who_writes_while_the_holder_is_looked_for_gets_an_agent(
    silent: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text finds the task that looking for the channel has opened, and so opens none."""
    first = await silent.send("First.", key="k0")
    silent.sandbox.control.agent("complete", task_sid=first.task_sid)

    async def write() -> None:
        silent.answers("Hello?")

    at(monkeypatch, ChatTasks, "end_marked", before=write)
    sent = await silent.send("For you.", route="studio")
    assert sent.channel_sid == first.channel_sid
    assert silent.texts() == TEXTS
    (task_sid,) = silent.open_tasks()
    assert task_sid != first.task_sid
    assert_nobody_is_lost(silent)


async def test_a_session_that_cannot_be_opened_again_leads_to_the_holder(silent: Desk) -> None:
    sid = await quiet_channel(silent)
    await session(silent, sid, "closed")
    # The customer writes, and sits in a channel of the Studio flow since.
    silent.sandbox.control.perform(
        {"channel_attributes": {"channel_sid": sid, "attributes": {"status": "INACTIVE"}}}
    )
    came = silent.answers("Hello?")
    silent.sandbox.control.perform(
        {"channel_attributes": {"channel_sid": sid, "attributes": {"status": "ACTIVE"}}}
    )
    sent = await silent.send("For you.")
    assert sent.channel_sid == came["channel_sid"] != sid
    assert silent.texts() == TEXTS


@ROUTES
async def test_a_send_that_cannot_go_on_leaves_no_channel_with_a_task_behind(
    silent: Desk, route: str
) -> None:
    first = await silent.send("First.", key="k0", route=route)
    for task_sid in silent.open_tasks():
        silent.sandbox.control.agent("complete", task_sid=task_sid)
    # Another clean-up wrote the attributes and left the session open: nobody can tell which it is.
    attributes = {"status": "INACTIVE", "long_lived": False}
    silent.sandbox.control.perform(
        {"channel_attributes": {"channel_sid": first.channel_sid, "attributes": attributes}}
    )
    with pytest.raises(Exception, match=r"Proxy session.*Nothing was sent\."):
        await silent.send("For you.", route=route)
    assert silent.open_tasks() == []
    assert silent.channels() == []
    assert silent.texts() == ["First."]


async def test_a_holder_that_is_retired_while_it_is_looked_for_makes_way(
    silent: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    came = silent.answers("Hello?")
    silent.sandbox.control.agent("complete", task_sid=came["task_sid"])
    at(monkeypatch, ChatOpening, "_search", before=lambda: silent.retire(came["channel_sid"]))
    sent = await silent.send("For you.")
    assert silent.texts() == ["For you."]
    assert [channel["sid"] for channel in silent.channels()] == [sent.channel_sid]
    assert_nobody_is_lost(silent)


async def test_a_channel_that_two_sends_got_leaves_no_task_behind(desk: Desk) -> None:
    # The first of them takes the channel back when an agent has ended its task, and the second has opened another.
    came = desk.answers("Hello?")
    desk.sandbox.control.agent("complete", task_sid=came["task_sid"])
    async with desk.account() as account:
        flows = [flow async for flow in await account.client.flex_api.v1.flex_flow.stream_async()]
        (flow,) = (
            f for f in flows if str(f.integration_type) == "task" and f.contact_identity == desk.number
        )

    async def another_send() -> None:
        (task_sid,) = desk.open_tasks()
        desk.sandbox.control.agent("complete", task_sid=task_sid)
        async with desk.account() as account:
            await account.client.flex_api.v1.channel.create_async(
                flex_flow_sid=flow.sid,
                identity="another",
                chat_user_friendly_name="Ada",
                chat_friendly_name="SMS",
                target=CUSTOMER,
            )

    with pytest.MonkeyPatch.context() as patched:
        at(patched, ChatChannels, "is_used", after=another_send)
        sent = await desk.send("For you.")
    assert desk.open_tasks() == [sent.task_sid]
    assert_nobody_is_lost(desk)


@pytest.mark.parametrize("code", [80623, 80802])
async def test_somebody_elses_request_of_the_same_moment_is_waited_for(desk: Desk, code: int) -> None:
    desk.fault(PROXY, "/Sessions$", action="status", status=409, code=code, message="In progress")
    sent = await desk.send()
    assert not sent.reused_channel
    assert desk.texts() == ["Your results are in."]


async def test_a_session_of_our_own_is_no_holder(desk: Desk) -> None:
    # The request is applied and its answer lost; what Proxy checks first when it is repeated is not documented.
    desk.fault(PROXY, "/Sessions$", action="drop_after")
    desk.fault(PROXY, "/Sessions$", action="status", status=400, code=80604, message="In use")
    sent = await desk.send()
    assert desk.texts() == ["Your results are in."]
    assert desk.open_tasks() == [sent.task_sid]


async def test_a_session_of_our_own_that_is_named_is_no_holder(desk: Desk) -> None:
    first = await desk.send("", key="k0")
    look = {"method": "GET", "host": PROXY, "path": f"/Sessions/{first.channel_sid}$"}
    desk.sandbox.control.fault(match=look, times=1, action="status", status=404, code=80308)
    named = f"Participant is already in session {first.session_sid}"
    desk.fault(PROXY, "/Sessions$", action="status", status=400, code=80103, message=named)
    sent = await desk.send()
    assert sent.channel_sid == first.channel_sid
    assert desk.open_tasks() == [first.task_sid]
    assert desk.texts() == ["Your results are in."]


@ROUTES
@pytest.mark.parametrize("names", ["nothing", "something else"])
async def test_where_proxy_does_not_name_the_message_no_text_is_sent_twice(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, route: str, names: str
) -> None:
    """Nobody documents that it does; what cannot be told apart from our text counts as our text."""
    interactions = ChatDelivery._interactions

    async def unnamed(self: ChatDelivery, channel_sid: str, session_sid: str | None) -> Any:
        async for interaction in interactions(self, channel_sid, session_sid):
            if str(interaction.inbound_resource_sid).startswith("IM"):
                interaction.inbound_resource_sid = None if names == "nothing" else "KI" + "0" * 32
            yield interaction

    monkeypatch.setattr(ChatDelivery, "_interactions", unnamed)
    await desk.send("First.", route=route)
    desk.clock.advance(seconds=5)
    await desk.send("For you.", key="k2", route=route)
    assert desk.texts() == TEXTS
