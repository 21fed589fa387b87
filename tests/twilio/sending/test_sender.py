"""Sending over real HTTP on both stacks: both routes, reuse, and one text per key whatever is lost."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.exceptions import (
    InvalidInput,
    NotAuthorized,
    OutcomeUnknown,
    SendInProgress,
    ServiceUnavailable,
    TwilioRefused,
    UndecidedSend,
)
from flexsms.core.stack_name import StackName
from flexsms.twilio.account import connect
from flexsms.twilio.sending.progress import SendResult
from tests.support.send_scenarios import CUSTOMER, WIRES, Desk

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio


@pytest.fixture(params=list(StackName))
def desk(request: pytest.FixtureRequest, sandbox: SandboxProcess, clock: Any) -> Desk:
    return Desk(request.param, sandbox, clock)


async def test_an_agent_route_opens_a_task_and_the_text_arrives(desk: Desk) -> None:
    worker = desk.sandbox.settings["worker_sids"][1]
    earlier = "CH" + "9" * 32
    result = await desk.send(
        target_worker_sid=worker, source_channel_sid=earlier, task_attributes={"vip": True}
    )
    assert desk.texts() == ["Your results are in."]
    assert result.channel_sid.startswith("CH")
    assert result.message_sid
    assert (result.reused_channel, result.duplicate) == (False, False)
    assert desk.open_tasks() == [result.task_sid]
    async with desk.account() as account:
        workspace = account.client.taskrouter.v1.workspaces(account.settings.workspace_sid)
        task = await workspace.tasks(str(result.task_sid)).fetch_async()
        assert await account.taskrouter().open_channels() == {result.channel_sid}
    attributes = task.attributes.replace('": ', '":')
    for expected in ('"vip":true', worker, earlier, '"direction":"outbound"', '"Ada"', CUSTOMER):
        assert expected in attributes
    took = desk.sandbox.control.agent("accept", task_sid=result.task_sid)
    assert took["task_sid"] == result.task_sid
    assert worker in str(desk.sandbox.control.state()["tables"]["tasks"])


async def test_a_studio_route_opens_no_task_until_the_customer_answers(desk: Desk) -> None:
    result = await desk.send(route="studio")
    assert result.task_sid is None
    assert desk.texts() == ["Your results are in."]
    assert desk.open_tasks() == []
    answer = desk.answers()
    assert answer["channel_sid"] == result.channel_sid
    assert desk.open_tasks() == [answer["task_sid"]]


async def test_an_agent_may_write_first(desk: Desk) -> None:
    result = await desk.send("")
    assert result.task_sid
    assert result.message_sid is None
    assert desk.texts() == []
    desk.sandbox.control.agent("write", channel_sid=result.channel_sid, body="Hello, Carol here")
    assert desk.texts() == ["Hello, Carol here"]


async def test_the_customers_answer_comes_back_on_the_same_channel(desk: Desk) -> None:
    sent = await desk.send(route="studio")
    answer = desk.answers()
    assert answer["channel_sid"] == sent.channel_sid
    again = await desk.send("You're welcome.", key="k2", route="studio")
    assert again.channel_sid == sent.channel_sid


async def test_an_answer_goes_to_the_agent_who_has_the_task(desk: Desk) -> None:
    sent = await desk.send()
    answer = desk.answers()
    assert (answer["channel_sid"], answer["task_sid"]) == (sent.channel_sid, sent.task_sid)


@pytest.mark.parametrize("route", ["agent", "studio"])
async def test_a_second_text_reuses_the_open_conversation(desk: Desk, route: str) -> None:
    first = await desk.send(route=route)
    desk.clock.advance(seconds=5)
    second = await desk.send("And one more thing.", key="k2", route=route)
    assert (second.channel_sid, second.session_sid) == (first.channel_sid, first.session_sid)
    assert (first.reused_channel, second.reused_channel) == (False, True)
    assert desk.texts() == ["Your results are in.", "And one more thing."]
    assert len(desk.open_tasks()) == (1 if route == "agent" else 0)


@pytest.mark.parametrize("route", ["agent", "studio"])
async def test_the_cost_of_a_send_is_what_the_readme_says(desk: Desk, route: str) -> None:
    desk.sandbox.control.settings(interaction_setup_s=0)
    await desk.make_maps()
    desk.sandbox.control.clear_journal()
    await desk.send(route=route)
    assert sum(desk.calls().values()) == desk.wire.new[route], desk.calls()
    desk.clock.advance(seconds=5)
    desk.sandbox.control.clear_journal()
    await desk.send("And one more thing.", key="k2", route=route)
    assert sum(desk.calls().values()) == desk.wire.reused[route], desk.calls()
    desk.sandbox.control.clear_journal()
    await desk.send("And one more thing.", key="k2", route=route)
    assert sum(desk.calls().values()) <= 3, desk.calls()


async def test_a_finished_task_does_not_keep_a_send_from_opening_the_next(desk: Desk) -> None:
    first = await desk.send()
    desk.sandbox.control.agent("complete", task_sid=first.task_sid)
    second = await desk.send("And one more thing.", key="k2")
    assert second.channel_sid == first.channel_sid
    assert second.task_sid != first.task_sid
    assert desk.open_tasks() == [second.task_sid]
    assert desk.answers()["task_sid"] == second.task_sid


async def test_after_cleanup_the_next_text_starts_a_fresh_channel(desk: Desk) -> None:
    first = await desk.send()
    desk.sandbox.control.agent("complete", task_sid=first.task_sid)
    await desk.retire(first.channel_sid)
    second = await desk.send("Hello again.", key="k2")
    assert second.channel_sid != first.channel_sid
    assert not second.reused_channel
    assert desk.texts() == ["Your results are in.", "Hello again."]
    assert desk.answers()["channel_sid"] == second.channel_sid


async def test_a_customer_who_wrote_first_is_answered_where_they_wrote(desk: Desk) -> None:
    came = desk.answers("Hello?")
    desk.clock.advance(seconds=2)
    sent = await desk.send()
    assert sent.channel_sid == came["channel_sid"]
    assert sent.reused_channel
    assert desk.open_tasks() == [sent.task_sid]
    assert len(desk.channels()) == 1


async def test_the_same_key_sends_once(desk: Desk) -> None:
    first = await desk.send(owner="run one")
    desk.sandbox.control.clear_journal()
    second = await desk.send(owner="run two")
    assert second == replace(first, duplicate=True, sent_by="run one")
    assert desk.texts() == ["Your results are in."]
    assert desk.posts() == 0


async def test_the_same_key_for_another_text_is_refused(desk: Desk) -> None:
    await desk.send()
    with pytest.raises(InvalidInput, match="idempotency_key: was already used for another text"):
        await desk.send("Something else")
    assert desk.texts() == ["Your results are in."]


async def test_two_tasks_with_one_key_send_once(desk: Desk) -> None:
    results = await asyncio.gather(*(desk.send(owner=f"task {n}") for n in range(5)), return_exceptions=True)
    assert desk.texts() == ["Your results are in."]
    assert all(isinstance(r, SendInProgress | SendResult) for r in results), results
    desk.clock.advance(minutes=5)
    assert (await desk.send(owner="late")).duplicate
    assert len(desk.channels()) == len(desk.open_tasks()) == 1


@pytest.mark.parametrize("late_ms", [0, 200])
async def test_a_task_that_was_delivered_twice_sends_once(desk: Desk, late_ms: int) -> None:
    """Celery hands a running task to a second worker once its visibility timeout is over; both have the same owner."""
    # Long enough for the second one to find the first in the middle of its post.
    desk.fault_post(action="delay", delay_ms=600, times=9)

    async def deliver(number: int) -> Any:
        await asyncio.sleep(number * late_ms / 1000)
        try:
            return await desk.send(owner="the same try")
        except SendInProgress as error:
            return error

    results = await asyncio.gather(*(deliver(number) for number in range(3)))
    assert all(isinstance(one, SendResult | SendInProgress) for one in results)
    # What has not gone through by now is tried again by Airflow.
    assert (await desk.send_until_done(owner="the same try")).message_sid
    assert desk.texts() == ["Your results are in."]
    assert len(desk.open_tasks()) == 1


@pytest.mark.parametrize("route", ["agent", "studio"])
async def test_sends_to_one_customer_at_once_share_the_channel(desk: Desk, route: str) -> None:
    results = await asyncio.gather(
        *(desk.send(f"Text k{n}", key=f"k{n}", owner=f"k{n}", route=route) for n in range(4))
    )
    assert len({result.channel_sid for result in results}) == 1
    assert sorted(desk.texts()) == [f"Text k{n}" for n in range(4)]
    assert len(desk.channels()) == 1
    assert len({result.task_sid for result in results}) == 1
    assert len(desk.open_tasks()) == (1 if route == "agent" else 0)


@pytest.mark.parametrize(
    ("action", "posts"),
    [("drop_after", 1), ("drop_before", 2), ("status", 2)],
    ids=["applied", "lost", "503"],
)
async def test_a_lost_answer_is_looked_up(desk: Desk, action: str, posts: int) -> None:
    desk.fault_post(action=action, status=503)
    result = await desk.send()
    assert result.message_sid
    assert desk.texts() == ["Your results are in."]
    assert desk.posts() == posts


async def test_a_lost_answer_is_looked_up_where_lists_show_no_attributes(desk: Desk) -> None:
    await desk.send("The first.", key="k0", owner="k0")
    desk.sandbox.control.settings(message_list_attributes=False)
    desk.fault_post(action="drop_after", status=503)
    result = await desk.send("The second.", key="k1", owner="k1")
    assert result.message_sid
    assert sorted(desk.texts()) == ["The first.", "The second."]


async def test_a_text_whose_mark_nobody_can_read_is_not_sent_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 2)
    desk.sandbox.control.settings(message_list_attributes=False)
    desk.fault_post(action="drop_after", status=503)
    desk.sandbox.control.fault(
        match={"method": "GET", "path": "/Messages/IM"}, action="status", status=503, times=99
    )
    with pytest.raises(ServiceUnavailable):
        await desk.send()
    with pytest.raises(ServiceUnavailable):
        await desk.send()
    assert desk.texts() == ["Your results are in."]


async def test_a_text_that_is_applied_late_is_waited_for(desk: Desk) -> None:
    desk.fault_post(action="delay", delay_ms=1500)
    result = await desk.send()
    assert result.message_sid
    await asyncio.sleep(1)
    assert desk.texts() == ["Your results are in."]


async def test_a_text_that_left_late_behind_a_429_is_waited_for_from_then_on(desk: Desk) -> None:
    desk.fault_post(action="status", status=429, code=20429, headers={"Retry-After": "2.5"})
    desk.fault_post(action="delay", delay_ms=1800)
    await desk.send()
    await asyncio.sleep(1)
    assert desk.texts() == ["Your results are in."]


async def test_of_a_text_that_earlier_tries_have_sent_the_time_is_known(desk: Desk) -> None:
    desk.fault_post(action="status", status=403, code=20403)
    desk.fault_post(action="drop_after")
    lists = {"method": "GET", "path": "/Messages"}
    desk.sandbox.control.fault(match=lists, action="status", status=403, code=20403)
    for _ in range(3):
        with pytest.raises(NotAuthorized):
            await desk.send()
        desk.clock.advance(minutes=10)
    desk.sandbox.control.clear_faults()
    found = await desk.send()
    [text] = desk.sandbox.control.outbox()
    left_at = datetime.fromisoformat(text["date_created"])
    assert found.sent_at is not None
    assert abs(datetime.fromisoformat(found.sent_at) - left_at) < timedelta(minutes=1)
    again = await desk.send(owner="somebody else")
    assert (again.duplicate, again.sent_at) == (True, found.sent_at)


async def test_an_earlier_try_that_is_still_alive_is_waited_for(desk: Desk) -> None:
    # Airflow gave the worker up, and it goes on all the same: its text waits behind a 429 while the retry runs.
    desk.fault_post(action="status", status=429, code=20429, headers={"Retry-After": "4"})
    alive = asyncio.create_task(desk.send())
    await asyncio.sleep(1)
    retried = await asyncio.gather(desk.send(), return_exceptions=True)
    await asyncio.gather(alive, return_exceptions=True)
    assert isinstance(retried[0], SendResult | SendInProgress)
    assert desk.texts() == ["Your results are in."]


async def test_too_many_requests_do_not_send_twice(desk: Desk) -> None:
    desk.fault_post(times=2, action="status", status=429, code=20429)
    await desk.send()
    assert desk.texts() == ["Your results are in."]


SYNC = (("sync.twilio.com", "/Items"), ("sync.twilio.com", "/Maps$"), ("sync.twilio.com", "/Documents"))
EVERY_OTHER_POST = [
    pytest.param(
        stack, host, path, "studio" if path == "/Webhooks$" else "agent", id=f"{stack} {path.strip('/$')}"
    )
    for stack, wire in WIRES.items()
    for host, path in (*SYNC, *wire.opening)
]


@pytest.mark.parametrize("action", ["drop_after", "drop_before", "status"])
@pytest.mark.parametrize(("desk", "host", "path", "route"), EVERY_OTHER_POST, indirect=["desk"])
async def test_any_other_lost_answer_leaves_one_text_on_one_channel(
    desk: Desk, action: str, host: str, path: str, route: str
) -> None:
    for skip in range(3):
        desk.fault(host, path, skip=skip, action=action, status=503)
    result = await desk.send_until_done(route=route)
    assert desk.texts() == ["Your results are in."]
    again = await desk.send(route=route)
    assert (again.channel_sid, again.message_sid, again.duplicate) == (
        result.channel_sid,
        result.message_sid,
        True,
    )
    assert len(desk.channels()) == 1
    assert len(desk.open_tasks()) == (1 if route == "agent" else 0)


async def test_a_key_that_died_with_its_task_is_taken_over_after_the_lease(desk: Desk) -> None:
    desk.fault_post(times=None, action="drop_before")
    with pytest.raises(SendInProgress):
        await desk.send(owner="the dead")
    desk.sandbox.control.clear_faults()
    with pytest.raises(SendInProgress, match="the dead is sending with this key"):
        await desk.send(owner="the living")
    desk.clock.advance(minutes=5)
    await desk.send(owner="the living")
    assert desk.texts() == ["Your results are in."]


async def test_a_task_that_was_taken_over_does_not_send(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.sandbox.control.settings(interaction_setup_s=0)
    async with desk.account() as account:
        kind: Any = account.stack.opening.__class__
        opened = kind.open_conversation

        async def open_and_lose_the_key(stack: Any, message: Any, key: str, **more: Any) -> Any:
            conversation = await opened(stack, message, key, **more)
            monkeypatch.setattr(kind, "open_conversation", opened)
            later = datetime.now(UTC) + timedelta(hours=1)
            async with connect(account.settings, now=lambda: later) as other:
                await other.sender().send(message, key="k1", owner="the faster")
            return conversation

        monkeypatch.setattr(kind, "open_conversation", open_and_lose_the_key)
        with pytest.raises(SendInProgress, match="taken this key over"):
            await account.sender().send(desk.text(), key="k1", owner="the sleeper")
    assert desk.texts() == ["Your results are in."]


async def test_an_unknown_worker_is_named_before_anything_is_written(desk: Desk) -> None:
    with pytest.raises(InvalidInput, match=r"target_worker_sid: WK.* is no worker of the workspace"):
        await desk.send(target_worker_sid="WK" + "0" * 32)
    assert [entry["method"] for entry in desk.sandbox.control.journal() if entry["method"] != "GET"] == []


@pytest.mark.parametrize("route", ["agent", "studio"])
async def test_a_number_that_cannot_send_is_named_and_nothing_is_left_behind(desk: Desk, route: str) -> None:
    with pytest.raises(InvalidInput, match=r"^from_number: "):
        await desk.send(from_number="+14155550199", route=route)
    assert desk.texts() == []
    assert desk.channels() == []
    assert desk.open_tasks() == []


async def test_a_refusal_is_not_repeated(desk: Desk) -> None:
    desk.fault_post(action="status", status=403, code=50400, message="Not a member")
    with pytest.raises(TwilioRefused, match=r"Not a member \(50400\)"):
        await desk.send()
    assert desk.texts() == []
    await desk.send()
    assert desk.texts() == ["Your results are in."]


async def lose_the_channel(desk: Desk, **fault: Any) -> str:
    """Nobody hears of the text, and the look-up is no help either: then the worker dies, and the channel is deleted."""
    desk.fault_post(**fault)
    match = {"method": "GET", "host": desk.wire.post[0], "path": desk.wire.post[1]}
    desk.sandbox.control.fault(match=match, action="status", status=503)
    sending = asyncio.create_task(desk.send())
    while not desk.posts():  # noqa: ASYNC110  # the sandbox tells nobody
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    (channel,) = desk.channels()
    desk.sandbox.control.clear_faults()
    await desk.retire(channel["sid"])
    async with desk.account() as account:
        await account.retiring_stacks[desk.stack].delete(channel["sid"], {})
    return str(channel["sid"])


GONE = r"is gone.*with flexsms_send under a new idempotency_key; a broadcast does not send it again"


@pytest.mark.usefixtures("long_pauses")
async def test_a_text_whose_channel_is_gone_has_left_if_twilio_lists_it(desk: Desk) -> None:
    await lose_the_channel(desk, action="drop_after")
    desk.clock.advance(seconds=10)
    (sms,) = desk.sandbox.control.outbox()
    desk.sandbox.control.clear_journal()
    sent = await desk.send()
    assert (sent.message_sid, sent.duplicate) == (sms["sid"], False)
    assert desk.calls()["GET api.twilio.com/2010-04-01/Accounts/{id}/Messages.json"] == 1
    assert desk.texts() == ["Your results are in."]
    again = await desk.send()
    assert (again.message_sid, again.duplicate) == (sms["sid"], True)


@pytest.mark.usefixtures("long_pauses")
async def test_a_text_whose_channel_is_gone_is_left_to_a_person_until_twilio_lists_it(desk: Desk) -> None:
    """It still waits behind other texts of its number; and the next day's text of the same words is another one."""
    desk.sandbox.control.settings(sms_step_s=3600)
    channel_sid = await lose_the_channel(desk, action="drop_after")
    for owner in ("me", "another run"):
        with pytest.raises(UndecidedSend, match=rf"{channel_sid} {GONE}"):
            await desk.send(owner=owner)
    assert desk.texts() == ["Your results are in."]
    desk.clock.advance(hours=2)
    assert (await desk.send()).message_sid == desk.sandbox.control.outbox()[0]["sid"]
    assert desk.texts() == ["Your results are in."]


@pytest.mark.usefixtures("long_pauses")
async def test_the_same_text_of_another_day_proves_nothing_of_one_whose_channel_is_gone(desk: Desk) -> None:
    channel_sid = await lose_the_channel(desk, action="drop_before")
    desk.clock.advance(days=1)
    await desk.send(key="the next day")
    desk.clock.advance(seconds=10)
    with pytest.raises(UndecidedSend, match=rf"{channel_sid} {GONE}"):
        await desk.send()
    assert desk.texts() == ["Your results are in."]


@pytest.mark.usefixtures("long_pauses")
async def test_without_the_right_to_list_messages_a_person_decides(desk: Desk) -> None:
    channel_sid = await lose_the_channel(desk, action="drop_after")
    desk.clock.advance(seconds=10)
    listing = {"method": "GET", "host": "api.twilio.com", "path": r"/Messages\.json"}
    desk.sandbox.control.fault(match=listing, action="status", status=403, code=20003)
    with pytest.raises(UndecidedSend, match=rf"{channel_sid} {GONE}"):
        await desk.send()


@pytest.mark.parametrize("route", ["agent", "studio"])
async def test_no_number_and_no_text_is_kept_in_sync(desk: Desk, route: str) -> None:
    await desk.send(key=f"campaign {CUSTOMER}", route=route)
    journal = desk.sandbox.control.journal()
    written = [e for e in journal if e["host"] == "sync.twilio.com" and e["method"] == "POST"]
    assert written
    assert all("5550177" not in str(e) and "results" not in str(e) for e in written)
    # Twilio offers the look-up by number as a GET only; what flexsms says of a call leaves the query out.
    asked = [e for e in journal if "5550177" in f"{e['path']}{e['query']}"]
    assert {e["path"] for e in asked} <= {"/v1/ParticipantConversations"}


async def test_a_failing_look_up_tells_no_number(desk: Desk) -> None:
    desk.sandbox.control.fault(match={"method": "GET"}, action="status", status=400, code=20001)
    with pytest.raises(TwilioRefused) as caught:
        await desk.send()
    assert "5550177" not in str(caught.value)


async def test_a_lost_post_is_an_unknown_outcome(desk: Desk) -> None:
    desk.sandbox.control.settings(interaction_setup_s=0)
    async with desk.account() as account:
        conversation = await account.stack.opening.open_conversation(
            desk.text(), "marker", resumed=False, since=desk.clock()
        )
        desk.fault_post(action="drop_after")
        with pytest.raises(OutcomeUnknown):
            await account.stack.post(conversation, "Hi", "marker")
        long_ago = datetime(2020, 1, 1, tzinfo=UTC)
        assert await account.stack.find_post(conversation.channel_sid, "marker", long_ago)
        assert await account.stack.find_post(conversation.channel_sid, "other", long_ago) is None


async def test_the_console_shows_the_channel(desk: Desk) -> None:
    async with desk.account() as account:
        url = account.stack.console_url("CH" + "1" * 32)
    assert url.startswith("https://console.twilio.com/")
    assert url.endswith("CH" + "1" * 32)
