"""FlexDeliveryTrigger: it waits for a receipt on either stack, through restarts and bad moments, and sends nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from flexsms.hooks.twilio import TwilioHook
from flexsms.sandbox.client import SandboxProcess
from flexsms.triggers.delivery import FlexDeliveryTrigger
from flexsms.triggers.polling import MOST_FAILURES
from tests.support.sms import Texts

from .conftest import Connect, event_of, restarted

pytestmark = pytest.mark.anyio


def waiting_for(sent: dict[str, Any], **polling: Any) -> FlexDeliveryTrigger:
    names = ("channel_sid", "session_sid", "message_sid")
    polling = {"poll_interval_s": 0.05, "timeout_s": 10, **polling}
    return FlexDeliveryTrigger(**{name: sent[name] for name in names}, **polling)


def test_it_is_made_again_from_what_airflow_keeps(texts: Texts) -> None:
    sent = texts.write()
    path, arguments = waiting_for(sent, twilio_conn_id="mine").serialize()
    assert path == "flexsms.triggers.delivery.FlexDeliveryTrigger"
    assert arguments.pop("deadline") > 0
    names = ("channel_sid", "session_sid", "message_sid")
    assert arguments == {
        **{name: sent[name] for name in names},
        "twilio_conn_id": "mine",
        "poll_interval_s": 0.05,
    }


async def test_it_waits_for_the_receipt(texts: Texts) -> None:
    texts.becomes("delivered", step_s=0.1)
    trigger = waiting_for(texts.write())
    [text] = texts.control.outbox()
    assert await event_of(trigger) == {"status": "delivered", "error_code": None, "sms_sid": text["sid"]}


@pytest.mark.parametrize(("status", "code"), [("undelivered", 30003), ("failed", 30034)])
async def test_it_tells_that_a_text_did_not_arrive(texts: Texts, status: str, code: int) -> None:
    texts.becomes(status, code)
    event = await event_of(waiting_for(texts.write()))
    assert (event["status"], event["error_code"]) == (status, code)


async def test_a_restart_in_the_middle_changes_nothing(texts: Texts) -> None:
    texts.becomes("delivered", step_s=3600)
    trigger = waiting_for(texts.write())
    texts.control.clear_journal()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(trigger.run()), 0.3)
    assert texts.control.journal()
    texts.control.advance(7201)
    assert (await event_of(restarted(trigger)))["status"] == "delivered"


async def test_two_at_the_same_time_only_read(texts: Texts) -> None:
    texts.becomes("undelivered", 30003, step_s=0.1)
    trigger = waiting_for(texts.write())
    texts.control.clear_journal()
    one, other = await asyncio.gather(event_of(trigger), event_of(trigger))
    assert one == other
    assert {entry["method"] for entry in texts.control.journal()} == {"GET"}
    assert len(texts.control.outbox()) == 1


async def test_a_late_receipt_is_not_waited_for_longer_than_allowed(texts: Texts) -> None:
    texts.becomes("delivered", step_s=3600)
    sent = texts.write()
    texts.control.advance(3601)
    [text] = texts.control.outbox()
    event = await event_of(waiting_for(sent, timeout_s=0.1))
    known = {"status": "sent", "error_code": None, "sms_sid": text["sid"]}
    assert event == {"status": "timeout", "so_far": known}


async def test_nothing_left(texts: Texts) -> None:
    texts.write()
    texts.disconnect()
    event = await event_of(waiting_for(texts.write(), timeout_s=0.1))
    assert event == {"status": "timeout", "so_far": None}


async def test_an_outage_is_told_as_one(texts: Texts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 1)
    trigger = waiting_for(texts.write())
    texts.control.fault(match=texts.look, action="status", status=503)
    event = await event_of(trigger)
    assert (event["status"], event["retryable"]) == ("error", True)
    assert texts.control.faults()[0]["hits"] == MOST_FAILURES


async def test_two_shorter_outages_are_not(texts: Texts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 1)
    texts.becomes("delivered", step_s=3600)
    trigger = waiting_for(texts.write())
    few = MOST_FAILURES - 1
    texts.control.fault(match=texts.look, action="status", status=503, times=few)
    texts.control.fault(match=texts.look, action="status", status=429, skip=1, times=few)
    over = {"match": texts.look, "skip": 1, "times": 1, "before": [{"advance_s": 7201}]}
    texts.control.fault(**over)
    assert (await event_of(trigger))["status"] == "delivered"
    assert [rule["hits"] for rule in texts.control.faults()] == [few, few, 1]


async def test_what_is_known_is_not_forgotten(sandbox: SandboxProcess, connection: Connect) -> None:
    with Texts(sandbox, "chat") as texts:
        texts.becomes("delivered", step_s=3600)
        sent = texts.write()
        texts.control.advance(3601)
        trigger = waiting_for(sent)
        async with TwilioHook().account() as account:
            assert await trigger.poll(account) is None
            texts.account.proxy.sessions(sent["session_sid"]).delete()
            assert await trigger.poll(account) is None
    assert trigger.so_far()["so_far"]["status"] == "sent"


async def test_an_earlier_status_that_comes_late_changes_nothing(
    sandbox: SandboxProcess, connection: Connect
) -> None:
    with Texts(sandbox, "chat") as texts:
        texts.becomes("delivered", step_s=3600)
        trigger = waiting_for(texts.write())
        queued = texts.control.state()
        texts.control.advance(3601)
        async with TwilioHook().account() as account:
            assert await trigger.poll(account) is None
            texts.control.restore(queued)
            assert await trigger.poll(account) is None
    assert trigger.so_far()["so_far"]["status"] == "sent"
