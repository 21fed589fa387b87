"""Sending over real HTTP: both routes, reuse, and one text per key whatever is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.errors import InvalidInput, OutcomeUnknown, SendInProgress, TwilioRefused
from flexsms.core.message import OutboundMessage
from flexsms.twilio.account import Account, connect
from flexsms.twilio.config import TwilioSettings
from flexsms.twilio.send import SendResult

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio

CUSTOMER = "+14155550177"
POST_TEXT = {"method": "POST", "host": "chat.twilio.com", "path": "/Messages$"}
Calls = Callable[[], Counter[str]]


@pytest.fixture
def number(sandbox: SandboxProcess) -> str:
    number: str = sandbox.settings["numbers"]["twilio"]
    return number


@pytest.fixture
def text(number: str) -> Callable[..., OutboundMessage]:
    def make(body: str = "Your results are in.", **changes: Any) -> OutboundMessage:
        return OutboundMessage.parse(
            **{"from_number": number, "to_number": CUSTOMER, "to_name": "Ada", "body": body, **changes}
        )

    return make


def texts(sandbox: SandboxProcess) -> list[str]:
    return [sms["body"] for sms in sandbox.control.outbox()]


async def test_an_agent_route_opens_a_task_and_the_text_arrives(
    account: Account, sandbox: SandboxProcess, text: Any
) -> None:
    worker = sandbox.settings["worker_sids"][0]
    message = text(
        target_worker_sid=worker, source_channel_sid="CH" + "9" * 32, task_attributes={"vip": True}
    )
    result = await account.sender().send(message, key="k1", owner="me")
    assert texts(sandbox) == ["Your results are in."]
    assert result.channel_sid.startswith("CH")
    assert result.message_sid
    assert (result.reused_channel, result.duplicate) == (False, False)
    task = (
        await account.client.taskrouter.v1.workspaces(account.settings.workspace_sid)
        .tasks(result.task_sid)
        .fetch_async()
    )
    for expected in ('"vip":true', worker, "CH" + "9" * 32, '"direction":"outbound"', result.channel_sid):
        assert expected in task.attributes.replace('": ', '":')


async def test_a_studio_route_opens_no_task(account: Account, sandbox: SandboxProcess, text: Any) -> None:
    result = await account.sender().send(text(route="studio"), key="k1", owner="me")
    assert result.task_sid is None
    assert texts(sandbox) == ["Your results are in."]


async def test_an_agent_may_write_first(account: Account, sandbox: SandboxProcess, text: Any) -> None:
    result = await account.sender().send(text(body=""), key="k1", owner="me")
    assert result.task_sid
    assert result.message_sid is None
    assert texts(sandbox) == []
    sandbox.control.agent("write", channel_sid=result.channel_sid, body="Hello, Carol here")
    assert texts(sandbox) == ["Hello, Carol here"]


async def test_the_customers_answer_comes_back_on_the_same_channel(
    account: Account, sandbox: SandboxProcess, text: Any, number: str
) -> None:
    sent = await account.sender().send(text(route="studio"), key="k1", owner="me")
    answer = sandbox.control.customer(CUSTOMER, number, "Thanks!")
    assert answer["channel_sid"] == sent.channel_sid
    again = await account.sender().send(text("You're welcome.", route="studio"), key="k2", owner="me")
    assert again.channel_sid == sent.channel_sid


async def test_a_session_left_behind_by_another_cleanup_makes_way(
    account: Account, sandbox: SandboxProcess, text: Any, number: str
) -> None:
    first = await account.sender().send(text(), key="k1", owner="me")
    sandbox.control.agent("complete", task_sid=first.task_sid)
    # What the original recipe does: the attributes are written, the session stays open.
    retired = {"status": "INACTIVE", "long_lived": False}
    sandbox.control.play({"channel_attributes": {"channel_sid": first.channel_sid, "attributes": retired}})
    second = await account.sender().send(text("Hello again."), key="k2", owner="me")
    assert second.channel_sid != first.channel_sid
    assert texts(sandbox) == ["Your results are in.", "Hello again."]
    assert sandbox.control.customer(CUSTOMER, number, "Hi")["channel_sid"] == second.channel_sid


@pytest.mark.parametrize("busy", [True, False], ids=["an agent has it", "no agent has it"])
async def test_a_conversation_that_another_flow_opened_is_continued(
    account: Account, sandbox: SandboxProcess, text: Any, number: str, clock: Any, busy: bool
) -> None:
    # The customer wrote first, which opens a channel of the number's Studio flow.
    came = sandbox.control.customer(CUSTOMER, number, "Hello?")
    if not busy:
        sandbox.control.agent("complete", task_sid=came["task_sid"])
    clock.advance(seconds=2)
    sent = await account.sender().send(text(route="agent"), key="k1", owner="me")
    assert (sent.channel_sid, sent.session_sid) == (came["channel_sid"], came["session_sid"])
    assert sent.reused_channel
    assert (sent.task_sid == came["task_sid"]) is busy
    assert texts(sandbox) == ["Your results are in."]
    assert await account.taskrouter().open_channels() == {came["channel_sid"]}
    channels = account.client.chat.v2.services(account.settings.chat_service_sid).channels
    assert [channel.sid for channel in await channels.list_async(type="private")] == [came["channel_sid"]]
    again = await account.sender().send(text("And this.", route="studio"), key="k2", owner="me")
    assert again.channel_sid == came["channel_sid"]
    answer = sandbox.control.customer(CUSTOMER, number, "Thanks")
    assert (answer["channel_sid"], answer["task_sid"]) == (came["channel_sid"], sent.task_sid)


async def test_a_lost_answer_while_continuing_leaves_one_task(
    account: Account, sandbox: SandboxProcess, text: Any, number: str
) -> None:
    came = sandbox.control.customer(CUSTOMER, number, "Hello?")
    sandbox.control.agent("complete", task_sid=came["task_sid"])
    sandbox.control.fault(
        match={"method": "POST", "host": "taskrouter.twilio.com", "path": "/Tasks$"},
        times=1,
        action="drop_after",
    )
    with pytest.raises(OutcomeUnknown):
        await account.sender().send(text(), key="k1", owner="me")
    await account.sender().send(text(), key="k1", owner="me")
    tasks = account.client.taskrouter.v1.workspaces(account.settings.workspace_sid).tasks
    open_tasks = await tasks.list_async(assignment_status=["pending", "reserved", "assigned", "wrapping"])
    assert len(open_tasks) == 1
    assert texts(sandbox) == ["Your results are in."]


async def test_a_second_text_reuses_the_open_conversation(
    account: Account, sandbox: SandboxProcess, text: Any, clock: Any, calls: Calls
) -> None:
    first = await account.sender().send(text(), key="k1", owner="me")
    clock.advance(seconds=5)
    sandbox.control.clear_journal()
    second = await account.sender().send(text("And one more thing."), key="k2", owner="me")
    assert (second.channel_sid, second.session_sid) == (first.channel_sid, first.session_sid)
    assert second.reused_channel
    assert texts(sandbox) == ["Your results are in.", "And one more thing."]
    # claim (the first key of its map makes the map), flow, channel, session, "posting", text, "sent"
    assert sum(calls().values()) <= 9, calls()


async def test_after_cleanup_the_next_text_starts_a_fresh_channel(
    account: Account, sandbox: SandboxProcess, text: Any
) -> None:
    first = await account.sender().send(text(), key="k1", owner="me")
    sandbox.control.agent("complete", task_sid=first.task_sid)
    await account.stack.suspend(await account.stack.fetch(first.channel_sid), {})
    second = await account.sender().send(text("Hello again."), key="k2", owner="me")
    assert second.channel_sid != first.channel_sid
    assert texts(sandbox) == ["Your results are in.", "Hello again."]


async def test_a_closed_session_of_an_active_channel_is_opened_again(
    account: Account, sandbox: SandboxProcess, text: Any
) -> None:
    first = await account.sender().send(text(), key="k1", owner="me")
    sessions = account.client.proxy.v1.services(account.settings.session_service_sid).sessions
    await sessions(first.session_sid).update_async(status="closed")
    await account.sender().send(text("Still there?"), key="k2", owner="me")
    assert texts(sandbox) == ["Your results are in.", "Still there?"]


async def test_the_same_key_sends_once(
    account: Account, sandbox: SandboxProcess, text: Any, calls: Calls
) -> None:
    first = await account.sender().send(text(), key="k1", owner="run one")
    sandbox.control.clear_journal()
    second = await account.sender().send(text(), key="k1", owner="run two")
    assert second == replace(first, duplicate=True)
    assert texts(sandbox) == ["Your results are in."]
    assert not [name for name in calls() if name.endswith("Messages")]


async def test_the_same_key_for_another_text_is_refused(
    account: Account, sandbox: SandboxProcess, text: Any
) -> None:
    await account.sender().send(text(), key="k1", owner="me")
    with pytest.raises(InvalidInput, match="idempotency_key: was already used for another text"):
        await account.sender().send(text("Something else"), key="k1", owner="me")
    assert texts(sandbox) == ["Your results are in."]


async def test_two_tasks_with_one_key_send_once(
    account: Account, settings: TwilioSettings, sandbox: SandboxProcess, text: Any
) -> None:
    async def once(owner: str) -> Any:
        async with connect(settings) as own:
            return await own.sender().send(text(), key="k1", owner=owner)

    results = await asyncio.gather(*(once(f"task {n}") for n in range(5)), return_exceptions=True)
    assert texts(sandbox) == ["Your results are in."]
    assert all(isinstance(r, SendInProgress | SendResult) for r in results), results
    assert (await account.sender().send(text(), key="k1", owner="late")).duplicate


async def test_two_sends_to_one_customer_share_the_channel(
    settings: TwilioSettings, sandbox: SandboxProcess, text: Any
) -> None:
    async def one(key: str) -> Any:
        async with connect(settings) as own:
            return await own.sender().send(text(f"Text {key}"), key=key, owner=key)

    results = await asyncio.gather(*(one(f"k{n}") for n in range(4)))
    assert len({result.channel_sid for result in results}) == 1
    assert sorted(texts(sandbox)) == [f"Text k{n}" for n in range(4)]


@pytest.mark.parametrize(
    ("action", "posts"),
    [("drop_after", 1), ("drop_before", 2), ("status", 2)],
    ids=["applied", "lost", "503"],
)
async def test_a_lost_answer_is_looked_up(
    account: Account, sandbox: SandboxProcess, text: Any, calls: Calls, action: str, posts: int
) -> None:
    sandbox.control.fault(match=POST_TEXT, times=1, action=action, status=503)
    result = await account.sender().send(text(), key="k1", owner="me")
    assert result.message_sid
    assert texts(sandbox) == ["Your results are in."]
    assert calls()["POST chat.twilio.com/v2/Services/{id}/Channels/{id}/Messages"] == posts


async def test_a_text_that_is_applied_late_is_waited_for(
    account: Account, sandbox: SandboxProcess, text: Any
) -> None:
    sandbox.control.fault(match=POST_TEXT, times=1, action="delay", delay_ms=1500)
    result = await account.sender().send(text(), key="k1", owner="me")
    assert result.message_sid
    await asyncio.sleep(1)
    assert texts(sandbox) == ["Your results are in."]


async def test_too_many_requests_do_not_send_twice(
    account: Account, sandbox: SandboxProcess, text: Any
) -> None:
    sandbox.control.fault(match=POST_TEXT, times=2, action="status", status=429, code=20429)
    await account.sender().send(text(), key="k1", owner="me")
    assert texts(sandbox) == ["Your results are in."]


@pytest.mark.parametrize("action", ["drop_after", "drop_before", "status"])
@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("sync.twilio.com", "/Items"),
        ("sync.twilio.com", "/Maps$"),
        ("sync.twilio.com", "/Documents"),
        ("flex-api.twilio.com", "/Channels$"),
        ("proxy.twilio.com", "/Sessions$"),
    ],
)
async def test_any_other_lost_answer_leaves_one_text_on_one_channel(
    account: Account, sandbox: SandboxProcess, text: Any, action: str, host: str, path: str
) -> None:
    for skip in range(3):
        sandbox.control.fault(match={"method": "POST", "host": host, "path": path}, skip=skip, times=1,
                              action=action, status=503)  # fmt: skip
    result = await account.sender().send(text(), key="k1", owner="me")
    assert texts(sandbox) == ["Your results are in."]
    again = await account.sender().send(text(), key="k1", owner="me")
    assert (again.channel_sid, again.message_sid, again.duplicate) == (
        result.channel_sid,
        result.message_sid,
        True,
    )


async def test_a_key_that_died_with_its_task_is_taken_over_after_the_lease(
    account: Account, sandbox: SandboxProcess, text: Any, clock: Any
) -> None:
    sandbox.control.fault(match=POST_TEXT, action="drop_before")
    with pytest.raises(SendInProgress):
        await account.sender().send(text(), key="k1", owner="the dead")
    sandbox.control.clear_faults()
    with pytest.raises(SendInProgress, match="the dead is sending with this key"):
        await account.sender().send(text(), key="k1", owner="the living")
    clock.advance(minutes=5)
    await account.sender().send(text(), key="k1", owner="the living")
    assert texts(sandbox) == ["Your results are in."]


async def test_a_task_that_was_taken_over_does_not_send(
    account: Account, sandbox: SandboxProcess, text: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper = account.sender()
    opened = account.stack.__class__.open

    async def open_and_lose_the_key(stack: Any, message: OutboundMessage) -> Any:
        conversation = await opened(stack, message)
        monkeypatch.setattr(account.stack.__class__, "open", opened)
        later = datetime.now(UTC) + timedelta(hours=1)
        async with connect(account.settings, now=lambda: later) as other:
            await other.sender().send(message, key="k1", owner="the faster")
        return conversation

    monkeypatch.setattr(account.stack.__class__, "open", open_and_lose_the_key)
    with pytest.raises(SendInProgress, match="taken this key over"):
        await sleeper.send(text(), key="k1", owner="the sleeper")
    assert texts(sandbox) == ["Your results are in."]


async def test_what_can_be_known_beforehand_is_said_before_anything_is_written(
    account: Account, sandbox: SandboxProcess, text: Any
) -> None:
    with pytest.raises(InvalidInput, match=r"from_number: …0199 has no Flex Flow of integration type 'task'"):
        await account.sender().send(text(from_number="+14155550199"), key="k1", owner="me")
    with pytest.raises(InvalidInput, match=r"target_worker_sid: WK.* is no worker of the workspace"):
        await account.sender().send(text(target_worker_sid="WK" + "0" * 32), key="k2", owner="me")
    assert [entry["method"] for entry in sandbox.control.journal() if entry["method"] != "GET"] == []


async def test_a_refusal_is_not_repeated(account: Account, sandbox: SandboxProcess, text: Any) -> None:
    sandbox.control.fault(
        match=POST_TEXT, times=1, action="status", status=403, code=50400, message="Not a member"
    )
    with pytest.raises(TwilioRefused, match=r"Not a member \(50400\)"):
        await account.sender().send(text(), key="k1", owner="me")
    assert texts(sandbox) == []
    await account.sender().send(text(), key="k1", owner="me")
    assert texts(sandbox) == ["Your results are in."]


async def test_no_number_and_no_text_is_kept_in_sync(
    account: Account, sandbox: SandboxProcess, text: Any
) -> None:
    await account.sender().send(text(), key=f"campaign {CUSTOMER}", owner="me")
    written = [
        e for e in sandbox.control.journal() if e["host"] == "sync.twilio.com" and e["method"] == "POST"
    ]
    assert written
    assert all("5550177" not in str(e) and "results" not in str(e) for e in written)
    assert all("5550177" not in f"{e['path']}{e['query']}" for e in sandbox.control.journal())


async def test_the_channel_remembers_its_session(account: Account, text: Any) -> None:
    result = await account.sender().send(text(), key="k1", owner="me")
    stored = await account.store.load(result.channel_sid)
    assert stored is not None
    assert stored.state.link("session") == result.session_sid


async def test_a_lost_post_is_an_unknown_outcome(
    account: Account, sandbox: SandboxProcess, text: Any
) -> None:
    conversation = await account.stack.open(text())
    sandbox.control.fault(match=POST_TEXT, times=1, action="drop_after")
    with pytest.raises(OutcomeUnknown):
        await account.stack.post(conversation, "Hi", "marker")
    found = await account.stack.find_post(
        conversation.channel_sid, "marker", datetime(2020, 1, 1, tzinfo=UTC)
    )
    assert found
    assert (
        await account.stack.find_post(conversation.channel_sid, "other", datetime(2020, 1, 1, tzinfo=UTC))
        is None
    )


async def test_a_stale_session_of_a_channel_that_is_gone_makes_way(
    account: Account, sandbox: SandboxProcess, text: Any
) -> None:
    first = await account.sender().send(text(), key="k1", owner="me")
    sandbox.control.agent("complete", task_sid=first.task_sid)
    await account.stack.delete(first.channel_sid, {})
    second = await account.sender().send(text("Hello again."), key="k2", owner="me")
    assert second.channel_sid != first.channel_sid
    assert texts(sandbox) == ["Your results are in.", "Hello again."]


async def test_a_refusal_that_names_no_session_is_told_as_it_is(
    account: Account, sandbox: SandboxProcess, text: Any
) -> None:
    sandbox.control.fault(
        match={"method": "POST", "host": "proxy.twilio.com", "path": "/Sessions$"},
        action="status",
        status=400,
        code=80103,
        message="Participant is in another session",
    )
    with pytest.raises(TwilioRefused, match=r"\(80103\); the customer is still in another Proxy session"):
        await account.sender().send(text(), key="k1", owner="me")


async def test_a_text_that_left_late_behind_a_429_is_waited_for_from_then_on(
    account: Account, sandbox: SandboxProcess, text: Any
) -> None:
    sandbox.control.fault(
        match=POST_TEXT, times=1, action="status", status=429, code=20429, headers={"Retry-After": "2.5"}
    )
    sandbox.control.fault(match=POST_TEXT, times=1, action="delay", delay_ms=1800)
    await account.sender().send(text(), key="k1", owner="me")
    await asyncio.sleep(1)
    assert texts(sandbox) == ["Your results are in."]
