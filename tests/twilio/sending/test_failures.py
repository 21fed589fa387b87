"""A send that fails: it says whether a text has left, gives its key back, and may be put right under the same key."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.exceptions import (
    ChannelInSetup,
    FlexSmsError,
    InvalidInput,
    SendInProgress,
    TwilioRefused,
    UndecidedSend,
)
from flexsms.core.stack_name import StackName
from tests.support.send_scenarios import CUSTOMER, Desk

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio

SYNC = "sync.twilio.com"
STAGE = {"posting": r'"stage": ?"posting"', "sent": r'"stage": ?"sent"', "claimed": r'"stage": ?"claimed"'}
OTHER = "+14155550178"


@pytest.fixture(params=list(StackName))
def desk(request: pytest.FixtureRequest, sandbox: SandboxProcess, clock: Any) -> Desk:
    sandbox.control.settings(interaction_setup_s=0)
    return Desk(request.param, sandbox, clock)


def fault_ledger(desk: Desk, stage: str, **rule: Any) -> None:
    """A fault rule for the write of one stage."""
    match = {"method": "POST", "host": SYNC, "path": "/Items/", "form": {"Data": STAGE[stage]}}
    desk.sandbox.control.fault(match=match, **{"times": 1, "action": "status", **rule})


def fault_look(desk: Desk, **rule: Any) -> None:
    """A fault rule for the look for a text that may have left."""
    match = {"method": "GET", "host": desk.wire.post[0], "path": "/Messages$"}
    desk.sandbox.control.fault(match=match, **{"times": 1, "action": "status", **rule})


@pytest.mark.parametrize(("status", "code"), [(400, 20001), (403, 20003)])
@pytest.mark.parametrize("given_back", [True, False], ids=["key given back", "key kept"])
async def test_a_text_that_left_is_told_of_when_the_ledger_refuses(
    desk: Desk, status: int, code: int, given_back: bool
) -> None:
    fault_ledger(desk, "sent", status=status, code=code, message="No")
    if not given_back:
        fault_ledger(desk, "posting", skip=1, status=status, code=code, message="No")
    with pytest.raises(TwilioRefused, match=r"^The text has left as IM\w{32}; .*No \("):
        await desk.send()
    assert desk.texts() == ["Your results are in."]
    sent = await desk.send()
    assert sent.message_sid
    assert desk.texts() == ["Your results are in."]
    assert (await desk.send()).duplicate


async def test_a_text_that_left_is_told_of_when_twilio_is_down(desk: Desk) -> None:
    fault_ledger(desk, "sent", times=None, status=503)
    with pytest.raises(FlexSmsError, match=r"^The text has left as IM"):
        await desk.send()


async def test_a_text_in_doubt_is_told_of(desk: Desk) -> None:
    desk.fault_post(action="drop_after")
    fault_look(desk, status=403, code=20003, message="No")
    with pytest.raises(
        TwilioRefused, match=r"^Whether the text has left is not known yet, and the next try looks"
    ):
        await desk.send()
    assert (await desk.send()).message_sid
    assert desk.texts() == ["Your results are in."]


async def test_a_refused_text_is_told_not_to_have_left(desk: Desk) -> None:
    desk.fault_post(
        action="status", status=400, code=21610, message="Attempt to send to unsubscribed recipient"
    )
    with pytest.raises(TwilioRefused, match=r"\(21610\).* Nothing was sent\.$"):
        await desk.send()
    assert desk.texts() == []


async def test_a_request_that_timed_out_at_twilio_is_looked_for(desk: Desk) -> None:
    # 408 says nothing of whether it was applied.
    desk.fault_post(action="status", status=408, message="Request timeout")
    await desk.send()
    assert desk.texts() == ["Your results are in."]


async def test_a_send_that_failed_for_good_keeps_nobody_waiting(desk: Desk) -> None:
    desk.fault_post(action="status", status=400, code=20001, message="No")
    with pytest.raises(TwilioRefused):
        await desk.send(owner="the first run")
    sent = await desk.send(owner="the next run")
    assert sent.message_sid
    assert desk.texts() == ["Your results are in."]


async def test_a_send_that_failed_in_doubt_keeps_nobody_waiting(desk: Desk) -> None:
    desk.fault_post(action="drop_after")
    fault_look(desk, status=400, code=20001, message="No")
    with pytest.raises(TwilioRefused):
        await desk.send(owner="the first run")
    assert (await desk.send(owner="the next run")).message_sid
    assert desk.texts() == ["Your results are in."]


async def test_a_send_that_fails_before_it_reads_the_ledger_keeps_nobody_waiting(desk: Desk) -> None:
    desk.fault_post(times=None, action="drop_before")
    with pytest.raises(SendInProgress):
        await desk.send(owner="the first run")
    desk.sandbox.control.clear_faults()
    with pytest.raises(InvalidInput, match="is no worker of the workspace"):
        await desk.send(owner="the first run", target_worker_sid="WK" + "0" * 32)
    assert (await desk.send(owner="the next run")).message_sid
    assert desk.texts() == ["Your results are in."]


async def test_a_send_that_may_heal_keeps_its_key(desk: Desk) -> None:
    desk.fault_post(times=None, action="drop_before")
    with pytest.raises(SendInProgress):
        await desk.send(owner="the first run")
    with pytest.raises(SendInProgress, match="the first run is sending with this key"):
        await desk.send(owner="the next run")


@pytest.mark.parametrize("change", [{"body": "Corrected."}, {"to_number": OTHER}, {"route": "studio"}])
async def test_a_text_that_twilio_refused_can_be_put_right_under_its_key(
    desk: Desk, change: dict[str, Any]
) -> None:
    desk.fault_post(action="status", status=400, code=21614, message="Not a mobile number")
    with pytest.raises(TwilioRefused):
        await desk.send()
    body = change.pop("body", "Your results are in.")
    sent = await desk.send(body, **change)
    assert desk.texts() == [body]
    (text,) = desk.sandbox.control.outbox()
    assert text["to"] == change.get("to_number", CUSTOMER)
    with pytest.raises(InvalidInput, match="was already used for another text"):
        await desk.send("Something else")
    again = await desk.send(body, **change)
    assert (again.message_sid, again.duplicate) == (sent.message_sid, True)


async def test_two_runs_that_mean_different_texts_with_one_key_send_one(desk: Desk) -> None:
    desk.fault_post(times=None, action="drop_before")
    with pytest.raises(SendInProgress):
        await desk.send(owner="the first run")
    with pytest.raises(InvalidInput, match="was already used for another text"):
        await desk.send("Something else", owner="the next run")


async def test_a_number_that_is_put_right_gets_a_conversation_of_its_own(
    sandbox: SandboxProcess, clock: Any
) -> None:
    sandbox.control.settings(interaction_setup_s=3600)
    desk = Desk(StackName.CONVERSATIONS, sandbox, clock)
    async with desk.account() as account:
        with pytest.raises(ChannelInSetup):
            await account.sender().send(desk.text(), key="k1", owner="me")
        with pytest.raises(ChannelInSetup):
            await account.sender().send(desk.text(to_number=OTHER), key="k1", owner="me")
        clock.advance(hours=1)
        await account.sender().send(desk.text(to_number=OTHER), key="k1", owner="me")
    assert [text["to"] for text in sandbox.control.outbox()] == [OTHER]
    members = sandbox.control.state()["tables"]["members"]
    assert sorted((member["parent"], member["address"]) for member in members) == sorted(
        {(member["parent"], member["address"]) for member in members}
    )
    assert len({member["parent"] for member in members}) == 2


async def test_a_reply_dated_before_the_claim_does_not_hide_the_text(desk: Desk) -> None:
    # The key's date is Sync's, a message's another product's: their clocks may be apart.
    sent = await desk.send()
    desk.answers()
    ahead = desk.clock() + timedelta(seconds=30)
    async with desk.account() as account:
        digest = hashlib.sha256(b"k1").hexdigest()[:32]
        assert await account.stack.find_post(sent.channel_sid, digest, ahead) == sent.message_sid


async def test_a_text_whose_channel_is_gone_says_so_and_no_more(desk: Desk) -> None:
    desk.sandbox.control.settings(sms_step_s=3600)  # so it is not listed yet
    desk.fault_post(action="drop_after")
    fault_look(desk, status=404, code=20404, message="Not found")
    with pytest.raises(UndecidedSend, match=r"^Channel CH\w{32} is gone"):
        await desk.send()


async def test_a_retry_that_does_not_come_to_the_ledger_does_not_pass_over_the_text(desk: Desk) -> None:
    fault_ledger(desk, "sent", times=None, status=503)
    with pytest.raises(FlexSmsError, match=r"^The text has left as IM"):
        await desk.send()
    desk.sandbox.control.clear_faults()
    items = {"method": "POST", "host": SYNC, "path": "/Items$"}
    desk.sandbox.control.fault(match=items, times=1, action="status", status=403, code=20003, message="No")
    with pytest.raises(
        TwilioRefused, match=r"if that of an earlier try has left, the next one finds it\. .*No"
    ):
        await desk.send()
    assert (await desk.send()).message_sid
    assert desk.texts() == ["Your results are in."]


async def test_a_machine_that_slept_texts_nobody(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the time it wakes up, another try may have sent the text; its client was about to repeat the request."""

    def slept(_: object) -> float:
        desk.clock.sleep(minutes=10)
        return 0

    desk.fault_post(action="status", status=429)
    monkeypatch.setattr("flexsms.twilio.client.http_client._backoff", slept)
    with pytest.raises(SendInProgress):
        await desk.send()
    assert desk.texts() == []
    monkeypatch.undo()
    assert await desk.send_until_done()
    assert len(desk.texts()) == 1


async def test_a_machine_that_slept_opens_no_conversation(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slept(_: object) -> float:
        desk.clock.sleep(minutes=10)
        return 0

    for host, path in desk.wire.opening:
        desk.fault(host, path, action="status", status=429)
    monkeypatch.setattr("flexsms.twilio.client.http_client._backoff", slept)
    with pytest.raises(SendInProgress):
        await desk.send()
    assert desk.channels() == []


@pytest.mark.parametrize("answer", ["403 20003", "401 20003"])
async def test_a_key_that_may_not_use_sync_is_told_by_the_first_call(desk: Desk, answer: str) -> None:
    settings = desk.sandbox.settings
    desk.sandbox.control.settings(forbidden_hosts=[SYNC], forbidden_answer=answer)
    key = {"login": settings["restricted_key_sid"], "password": settings["restricted_key_secret"]}
    worker = settings["worker_sids"][0]
    async with desk.account(**key) as account:
        with pytest.raises(
            TwilioRefused, match=r"the key is good for other calls, so it lacks the permission for Sync"
        ):
            await account.sender().send(desk.text(target_worker_sid=worker), key="k1", owner="me")
