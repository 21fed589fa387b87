"""A batch: each text once, whatever goes wrong, and what became of each is told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flexsms.core.broadcast import BroadcastResult, Outcome
from flexsms.core.broadcast_tally import FEWEST_TRIED
from flexsms.core.exceptions import (
    FlexSmsError,
    MissingSetting,
    NotAuthorized,
    OutsideHours,
    TextsUnsent,
)
from flexsms.core.opt_out import Why
from flexsms.core.outbound_message import Route
from flexsms.core.sending_hours import MARGIN, SendingHours
from flexsms.core.stack_name import StackName
from flexsms.twilio.broadcast import batch, outcomes
from flexsms.twilio.broadcast.rules import HoursWatch, Wait

from .conftest import Broadcast

pytestmark = pytest.mark.anyio

POSTS = {"method": "POST", "path": "/Messages$"}
PACE = {"method": "POST", "host": "sync.twilio.com", "path": "/Items/pace$"}
# A chat channel is ready at once.
CONVERSATIONS_ALONE = pytest.mark.parametrize("broadcast", [StackName.CONVERSATIONS], indirect=True)
BEGIN = "POST flex-api.twilio.com/v1/Interactions"
LOOK = "GET flex-api.twilio.com/v1/Interactions/{id}/Channels/{id}"
PACKS = {"method": "POST", "host": "sync.twilio.com", "path": r"flexsms\.broadcast\."}


@pytest.mark.parametrize("route", Route)
async def test_every_text_leaves_once(broadcast: Broadcast, route: Route) -> None:
    texts = broadcast.texts(40)
    assert await broadcast.send(texts, route=route) is None
    broadcast.each_once(texts)
    assert all(result.at and result.segments == 1 and result.channel_sid for result in broadcast.results)


async def test_a_second_try_sends_nothing_and_says_the_same(broadcast: Broadcast) -> None:
    texts = broadcast.texts(20)
    await broadcast.send(texts)
    first = {result.row: (result.channel_sid, result.message_sid) for result in broadcast.results}
    await broadcast.send(texts, was_tried=True)
    broadcast.each_once(texts)
    assert {result.row: (result.channel_sid, result.message_sid) for result in broadcast.results} == first


async def test_another_run_of_the_campaign_texts_nobody_twice_whatever_the_text(broadcast: Broadcast) -> None:
    texts = broadcast.texts(20)
    await broadcast.send(texts[:15])
    edited = broadcast.texts(20, body="Something else")
    await broadcast.send(edited, run="dag/other")
    assert broadcast.outcomes() == {row: "texted_before" if row <= 15 else "sent" for row in range(1, 21)}
    assert broadcast.bodies() == sorted([f"Text {row}" for row in range(1, 16)] + 5 * ["Something else"])


async def test_another_campaign_texts_them_again(broadcast: Broadcast) -> None:
    texts = broadcast.texts(3)
    await broadcast.send(texts)
    await broadcast.send(texts, campaign="autumn")
    assert len(broadcast.bodies()) == 6


async def test_one_bad_text_is_one_failure(broadcast: Broadcast) -> None:
    texts = broadcast.texts(12)
    texts[4] = replace(texts[4], to_number="+15005550009000000")
    broadcast.sandbox.control.fault(
        match={"method": "POST", "form": {"Body": "^Text 8$"}}, action="status", status=400, code=21211
    )
    await broadcast.send(texts)
    told = {result.row: result for result in broadcast.results}
    assert {row for row, result in told.items() if result.outcome is Outcome.FAILED} == {5, 8}
    assert (told[5].code, told[8].code) == (None, 21211)
    assert "5550009" not in told[5].reason
    assert broadcast.bodies() == sorted(f"Text {row}" for row in range(1, 13) if row not in (5, 8))


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "status", "status": 429},
        {"action": "status", "status": 503},
        {"action": "drop_before"},
        {"action": "drop_after"},
        {"action": "drop_midway"},
        {"action": "delay", "delay_ms": 1500},
    ],
    ids=lambda fault: str(fault.get("status", fault["action"])),
)
async def test_whatever_becomes_of_an_answer_each_text_leaves_once(
    broadcast: Broadcast, fault: dict[str, Any]
) -> None:
    texts = broadcast.texts(30)
    for host in ("sync", "chat", "conversations", "proxy", "flex-api"):
        broadcast.sandbox.control.fault(match={"host": f"{host}.twilio.com"}, skip=17, times=2, **fault)
    broadcast.sandbox.control.fault(match=POSTS, skip=3, times=2, **fault)
    try:
        await broadcast.send(texts)
    except TextsUnsent:  # the next try of the task
        broadcast.sandbox.control.clear_faults()
        await broadcast.send(texts, was_tried=True)
    broadcast.each_once(texts)


async def test_who_has_opted_out_is_not_texted(broadcast: Broadcast) -> None:
    texts = broadcast.texts(6)
    account = await broadcast.connect()
    await account.suppressions().learn(texts[1].to_number, out=True, at=account.now(), why=Why.IMPORT)
    broadcast.sandbox.control.fault(
        match={**POSTS, "form": {"Body": "^Text 4$"}}, action="status", status=400, code=21610
    )
    await broadcast.send(texts, stop_over=0.01)
    told = {result.row: result for result in broadcast.results}
    assert {row for row, result in told.items() if result.outcome is Outcome.SUPPRESSED} == {2, 4}
    assert broadcast.bodies() == ["Text 1", "Text 3", "Text 5", "Text 6"]
    assert await account.suppressions().is_out(texts[3].to_number)


async def test_when_its_hours_end_it_waits_for_the_next_ones(broadcast: Broadcast) -> None:
    """A window that closes in between, and opens again on the next day."""
    began = broadcast.clock()
    # Five minutes before their end nothing begins any more.
    begins, ends = began - timedelta(hours=1), began + timedelta(hours=2)
    hours = SendingHours.parse(f"{begins:%H:%M}-{ends:%H:%M}")
    texts = broadcast.texts(60)

    def close(_: BroadcastResult) -> None:
        if len(broadcast.results) == 5:
            broadcast.clock.advance(minutes=116)

    wait = await broadcast.send(texts, hours=hours, meanwhile=close)
    assert isinstance(wait, Wait)
    assert wait.until is not None
    tomorrow = begins.replace(second=0, microsecond=0) + timedelta(days=1)
    assert wait.until == tomorrow
    first = {result.row: result for result in broadcast.results}
    assert 5 <= len(first) < 60
    assert all(result.outcome is Outcome.SENT for result in first.values())
    broadcast.clock.advance(seconds=(wait.until - broadcast.clock()).total_seconds() + 2)
    assert await broadcast.send([text for text in texts if text.row not in first], hours=hours) is None
    assert broadcast.bodies() == sorted(text.body for text in texts)
    for sms in broadcast.sandbox.control.outbox():
        at = datetime.fromisoformat(str(sms["date_created"]).replace("Z", "+00:00"))
        window = hours.opening(["UTC"], at.astimezone(UTC) - MARGIN)
        assert window is not None
        assert window.opens <= at < window.closes + MARGIN


async def test_who_is_too_late_is_told_and_so_is_who_was_not(broadcast: Broadcast) -> None:
    texts, over = broadcast.texts(50), broadcast.clock() + timedelta(hours=1)

    def end(_: BroadcastResult) -> None:
        if len(broadcast.results) == 10:
            broadcast.clock.advance(hours=1, seconds=2)  # Twilio dates in whole seconds

    assert await broadcast.send(texts, not_after=over, meanwhile=end) is None
    sent = len(broadcast.bodies())
    assert 10 <= sent < 50
    assert sorted(broadcast.outcomes().values()) == sorted(sent * ["sent"] + (50 - sent) * ["too_late"])
    # A try that was killed would have told nobody; the next one finds out who was texted.
    await broadcast.send(texts, not_after=over, was_tried=True)
    assert len(broadcast.bodies()) == sent
    assert sorted(broadcast.outcomes().values()) == sorted(sent * ["sent"] + (50 - sent) * ["too_late"])


async def test_when_too_many_fail_all_batches_of_the_run_stop(broadcast: Broadcast) -> None:
    texts = broadcast.texts(200)
    broadcast.sandbox.control.fault(match=POSTS, action="status", status=400, code=30007)
    assert await broadcast.send(texts[:150], stop_over=0.5) is None
    outcomes = list(broadcast.outcomes().values())
    failed = outcomes.count("failed")
    assert FEWEST_TRIED <= failed <= FEWEST_TRIED + 2 * broadcast.settings.max_in_flight
    assert outcomes.count("stopped") == 150 - failed
    broadcast.sandbox.control.clear_faults()
    await broadcast.send(texts[150:], stop_over=0.5, batch=1)
    assert set(broadcast.outcomes().values()) == {"stopped"}
    # Another run of the campaign goes on, and texts whoever has no text.
    await broadcast.send(texts, stop_over=0.5, run="dag/other")
    broadcast.each_once(texts)


async def test_while_agents_have_too_much_to_do_nobody_is_texted(broadcast: Broadcast) -> None:
    texts = broadcast.texts(12)
    for number in range(3):
        broadcast.sandbox.control.customer(f"+1415557{number:04d}", broadcast.from_number, "Hello?")
    assert await broadcast.send(texts, max_open_tasks=2) == Wait(None)
    assert broadcast.results == []
    assert broadcast.bodies() == []
    # A text of an agent opens a task, so no more are sent than there is room for.
    await broadcast.send(texts, max_open_tasks=7, route=Route.AGENT)
    assert 1 <= len(broadcast.bodies()) <= 10


@pytest.mark.parametrize("setup_s", [0, 1])
async def test_all_workers_together_open_no_more_tasks_than_there_is_room_for(
    broadcast: Broadcast, setup_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "LOOK_EVERY_S", 0.1)
    broadcast.sandbox.control.settings(interaction_setup_s=setup_s)
    texts, workers = broadcast.texts(60), [broadcast, *(replace(broadcast, results=[]) for _ in range(2))]
    waits = await asyncio.gather(
        *(
            worker.send(texts[20 * number :][:20], batch=number, route=Route.AGENT, max_open_tasks=13)
            for number, worker in enumerate(workers)
        )
    )
    # With 13 open tasks a text may still begin; each of the three waits then, with the texts that have not left.
    assert waits == 3 * [Wait(None)]
    assert len(broadcast.bodies()) == 14
    tasks = broadcast.sandbox.control.state()["tables"]["tasks"]
    assert len(tasks) == 14


@CONVERSATIONS_ALONE
async def test_while_flex_sets_up_an_interaction_others_send_and_a_look_is_one_call(
    broadcast: Broadcast, calls: Callable[[], Counter[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "LOOK_EVERY_S", 0.01)
    broadcast.settings = broadcast.settings.changed(max_in_flight=1)
    texts, account = broadcast.texts(3), await broadcast.connect()
    broadcast.sandbox.control.settings(interaction_setup_s=60)

    async def set_up() -> None:
        # All of them are begun although only one at a time may send, and each is looked at again and again.
        while calls()[BEGIN] < 3 or calls()[LOOK] < 30:  # noqa: ASYNC110  # the sandbox tells nobody
            await asyncio.sleep(0.05)
        broadcast.clock.advance(seconds=61)

    async with asyncio.timeout(60):
        await asyncio.gather(broadcast.send(texts, route=Route.AGENT, account=account), set_up())
    broadcast.each_once(texts)
    found = calls()
    assert found["GET sync.twilio.com/v1/Services/{id}/Maps/{id}/Items/{id}"] <= 2 * 3 + 2, found


@CONVERSATIONS_ALONE
async def test_an_interaction_that_is_never_set_up_is_given_up(
    broadcast: Broadcast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(batch, "LONGEST_SETUP_S", 0)
    broadcast.sandbox.control.settings(interaction_setup_s=3600)
    with pytest.raises(TextsUnsent, match=r"setting up the interaction for 0 s; nothing was sent yet"):
        await broadcast.send(broadcast.texts(2), route=Route.AGENT)
    assert broadcast.bodies() == []


@pytest.mark.parametrize("count", [1, 30])
async def test_with_a_login_that_is_refused_no_other_text_is_tried(broadcast: Broadcast, count: int) -> None:
    account = await broadcast.connect()
    await account.campaign("spring")
    broadcast.sandbox.control.fault(match=POSTS, action="status", status=401, code=20003)
    with pytest.raises(NotAuthorized):
        await broadcast.send(broadcast.texts(count))
    assert broadcast.outcomes() == {}


async def test_without_a_setting_nothing_is_tried(broadcast: Broadcast) -> None:
    broadcast.settings = broadcast.settings.changed(workspace_sid="")
    with pytest.raises(MissingSetting, match="workspace_sid"):
        await broadcast.send(broadcast.texts(3), max_open_tasks=1)


async def test_a_batch_that_is_halted_is_not_through(broadcast: Broadcast) -> None:
    texts = broadcast.texts(60)

    def halt(_: BroadcastResult) -> None:
        assert broadcast.sender is not None
        broadcast.sender.halt()

    with pytest.raises(TextsUnsent, match="stopped"):
        await broadcast.send(texts, meanwhile=halt)
    assert 1 <= len(broadcast.bodies()) < 60
    await broadcast.send(texts, was_tried=True)
    broadcast.each_once(texts)


async def test_a_batch_that_is_paused_goes_on_at_once_in_another_process(broadcast: Broadcast) -> None:
    texts = broadcast.texts(60)

    def pause(_: BroadcastResult) -> None:
        assert broadcast.sender is not None
        broadcast.sender.pause()

    before = broadcast.clock()
    wait = await broadcast.send(texts, meanwhile=pause)
    assert isinstance(wait, Wait)
    assert wait.until is not None
    assert before <= wait.until <= broadcast.clock()
    assert 1 <= len(broadcast.bodies()) < 60
    assert await broadcast.send(texts, was_tried=True) is None
    broadcast.each_once(texts)


async def test_two_workers_share_the_pace_of_a_number(broadcast: Broadcast) -> None:
    texts = broadcast.texts(40)
    other = replace(broadcast, results=[])
    began = asyncio.get_running_loop().time()
    await asyncio.gather(
        broadcast.send(texts[:20], max_per_second=20), other.send(texts[20:], max_per_second=20, batch=1)
    )
    # Never faster, and how much slower depends on the machine.
    assert asyncio.get_running_loop().time() - began >= 39 / 20
    assert broadcast.bodies() == sorted(text.body for text in texts)


async def test_a_run_of_a_finished_campaign_knows_whom_it_has_texted(broadcast: Broadcast) -> None:
    texts = broadcast.texts(15)
    await broadcast.send(texts)
    campaign = await (await broadcast.connect()).campaign("spring")
    assert {digest async for digest in campaign.texted()} == {
        campaign.digest_of(text.to_number) for text in texts
    }


async def test_no_text_fares_otherwise_because_the_campaign_could_not_be_told(
    broadcast: Broadcast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "PACK_SIZE", 3)
    texts = broadcast.texts(8)
    broadcast.sandbox.control.fault(match=PACKS, action="status", status=403, code=54007)
    with pytest.raises(FlexSmsError):
        await broadcast.send(texts)
    broadcast.each_once(texts)
    broadcast.sandbox.control.clear_faults()
    broadcast.sandbox.control.fault(match=PACKS, action="status", status=403, code=54007, times=1)
    await broadcast.send(texts, was_tried=True)
    broadcast.each_once(texts)
    campaign = await (await broadcast.connect()).campaign("spring")
    assert {digest async for digest in campaign.texted()} == {
        campaign.digest_of(text.to_number) for text in texts
    }


async def test_at_a_slow_answer_of_the_pace_it_goes_on(broadcast: Broadcast) -> None:
    """All slots of a block are over by the time that it is known."""
    broadcast.settings = replace(broadcast.settings, timeout_s=10)
    texts = broadcast.texts(5)
    broadcast.sandbox.control.fault(match=PACE, action="delay", delay_ms=1400)
    async with asyncio.timeout(180):
        await broadcast.send(texts, max_per_second=100.0)
    broadcast.each_once(texts)


async def test_hours_that_end_once_a_text_has_left_change_nothing(
    broadcast: Broadcast, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = broadcast.texts(1)

    def refuse(_: HoursWatch) -> None:
        if broadcast.bodies():
            raise OutsideHours("The recipient's hours are over.")

    monkeypatch.setattr(HoursWatch, "refuse_late", refuse)
    await broadcast.send(texts)
    broadcast.each_once(texts)


async def test_a_text_whose_slot_cannot_be_waited_for_keeps_no_place(broadcast: Broadcast) -> None:
    texts = broadcast.texts(2)
    # The first one takes the slots; the second one tells, while the second text waits for its slot.
    broadcast.sandbox.control.fault(match=PACE, skip=1, action="status", status=400, code=20001)
    with pytest.raises(FlexSmsError):
        await broadcast.send(texts, max_per_second=0.6)
    assert broadcast.outcomes() == {1: "sent"}
    assert broadcast.sender is not None
    assert broadcast.sender._places._value == broadcast.settings.max_in_flight
