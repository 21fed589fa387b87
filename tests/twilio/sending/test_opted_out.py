"""Whoever has opted out gets no text, and what Twilio says of opt-outs is learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.exceptions import ChannelInSetup, OptedOut, PermanentError, TwilioRefused
from flexsms.core.opt_out import OPTED_OUT, OptOut, Why
from flexsms.core.stack_name import StackName
from flexsms.twilio.account import Account
from tests.support.send_scenarios import CUSTOMER, Desk

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio

TEXT = "Your results are in."
LOOK = {"method": "GET", "host": "sync.twilio.com", "path": r"/Maps/flexsms\.suppressions\."}
LEARN = {"method": "POST", "host": "sync.twilio.com", "path": r"/Maps/flexsms\.suppressions\."}


@pytest.fixture(params=list(StackName), ids=str)
def desk(request: pytest.FixtureRequest, sandbox: SandboxProcess, clock: Any) -> Desk:
    sandbox.control.settings(interaction_setup_s=0)
    return Desk(request.param, sandbox, clock)


async def customer_says(desk: Desk, *, out: bool) -> None:
    desk.clock.advance(minutes=1)
    async with desk.account() as account:
        why = Why.STOP if out else Why.START
        await account.suppressions().learn(CUSTOMER, out=out, at=desk.clock(), why=why)


async def known_of(desk: Desk) -> OptOut | None:
    async with desk.account() as account:
        return await account.suppressions().find(CUSTOMER)


async def test_nothing_is_opened_for_who_has_opted_out_and_after_start_the_same_key_works(desk: Desk) -> None:
    await desk.make_maps()
    await customer_says(desk, out=True)
    desk.sandbox.control.clear_journal()
    for owner in ("the first run", "the next run"):
        with pytest.raises(OptedOut, match=r"^to_number: …0177 has opted out since .+ Nothing was sent\.$"):
            await desk.send(owner=owner)
    assert (desk.texts(), desk.channels(), desk.open_tasks()) == ([], [], [])
    # The second one finds the claim of the first, and reads and takes it.
    cost = 5 if desk.stack is StackName.CHAT else 4
    assert desk.calls().total() == cost + cost + 2, desk.calls()
    await customer_says(desk, out=False)
    sent = await desk.send(owner="a third run")
    assert sent.message_sid
    assert desk.texts() == [TEXT]


async def test_where_the_agent_writes_first_nobody_is_texted_and_nobody_asks(desk: Desk) -> None:
    await customer_says(desk, out=True)
    desk.sandbox.control.clear_journal()
    sent = await desk.send("")
    assert (sent.message_sid, desk.texts()) == (None, [])
    assert not any("suppressions" in entry["path"] for entry in desk.sandbox.control.journal())


async def test_an_open_conversation_stays_as_it_is(desk: Desk) -> None:
    first = await desk.send("Earlier.", key="k0")
    await customer_says(desk, out=True)
    with pytest.raises(OptedOut):
        await desk.send()
    assert desk.texts() == ["Earlier."]
    assert desk.open_tasks() == [first.task_sid]
    assert [row["sid"] for row in desk.channels()] == [first.channel_sid]


async def test_a_text_that_has_left_is_finished_whatever_came_after(desk: Desk) -> None:
    match = {"method": "POST", "host": "sync.twilio.com", "form": {"Data": '"stage": ?"sent"'}}
    desk.sandbox.control.fault(match=match, times=1, action="status", status=403, code=20003, message="No")
    with pytest.raises(PermanentError, match=r"^The text has left"):
        await desk.send()
    await customer_says(desk, out=True)
    assert (await desk.send()).message_sid
    assert desk.texts() == [TEXT]


async def test_who_opts_out_before_a_text_that_was_lost_leaves_gets_none(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its task died between writing down that it posts and posting; what it had opened is taken back."""

    class Killed(BaseException):
        pass

    async def die(*_: Any) -> str:
        raise Killed

    async with desk.account() as account:
        sender = account.sender()
        monkeypatch.setattr(sender._stack, "post", die)
        with pytest.raises(Killed):
            await sender.send(desk.text(), key="k1", owner="me")
    assert len(desk.open_tasks()) == 1
    await customer_says(desk, out=True)
    with pytest.raises(OptedOut):
        await desk.send()
    assert (desk.texts(), desk.channels(), desk.open_tasks()) == ([], [], [])
    await customer_says(desk, out=False)
    await desk.send()
    assert desk.texts() == [TEXT]


async def test_who_opts_out_while_the_interaction_is_set_up_gets_no_text(
    sandbox: SandboxProcess, clock: Any
) -> None:
    desk = Desk(StackName.CONVERSATIONS, sandbox, clock)
    sandbox.control.settings(interaction_setup_s=60)
    async with desk.account() as account:
        with pytest.raises(ChannelInSetup):
            await account.sender().send(desk.text(), key="k1", owner="me")
    await customer_says(desk, out=True)
    with pytest.raises(OptedOut):
        await desk.send()
    desk.clock.advance(minutes=5)
    assert (desk.texts(), desk.channels(), desk.open_tasks()) == ([], [], [])


async def test_who_cannot_be_looked_up_is_not_texted(desk: Desk) -> None:
    desk.sandbox.control.fault(match=LOOK, times=1, action="status", status=403, code=20003, message="No")
    with pytest.raises(PermanentError, match=r"Nothing was sent\.$"):
        await desk.send()
    assert (desk.texts(), desk.channels()) == ([], [])
    await desk.send()
    assert desk.texts() == [TEXT]


async def test_a_refusal_of_twilios_is_learnt(desk: Desk) -> None:
    desk.fault_post(action="status", status=400, code=OPTED_OUT, message="Unsubscribed recipient")
    with pytest.raises(TwilioRefused, match=rf"\({OPTED_OUT}\)"):
        await desk.send()
    known = await known_of(desk)
    assert known is not None
    assert (known.out, known.why) == (True, Why.REFUSED)
    with pytest.raises(OptedOut, match=r"Twilio refused a text with error 21610"):
        await desk.send()
    await customer_says(desk, out=False)
    await desk.send()
    assert desk.texts() == [TEXT]


async def test_another_refusal_says_nothing_of_an_opt_out(desk: Desk) -> None:
    desk.fault_post(action="status", status=400, code=21211, message="No number")
    with pytest.raises(TwilioRefused):
        await desk.send()
    assert await known_of(desk) is None


async def test_where_it_cannot_be_learnt_the_refusal_is_told_all_the_same(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.fault_post(action="status", status=400, code=OPTED_OUT, message="Unsubscribed recipient")
    desk.sandbox.control.fault(match=LEARN, action="status", status=403, code=20003, message="No")
    with pytest.raises(TwilioRefused, match=rf"\({OPTED_OUT}\)"):
        await desk.send()
    assert "That the recipient has opted out could not be stored" in caplog.text


async def test_a_text_that_was_not_delivered_tells_its_number(account: Account, desk: Desk) -> None:
    sandbox = desk.sandbox
    sandbox.control.settings(
        sms_outcomes={CUSTOMER: {"status": "failed", "error_code": OPTED_OUT}}, sms_step_s=0
    )
    sent = await desk.send()
    async with desk.account() as account:
        text = {"channel_sid": sent.channel_sid, "session_sid": sent.session_sid}
        delivery = await account.deliveries(sent.session_sid).delivery(
            **text, message_sid=str(sent.message_sid)
        )
        assert delivery is not None
        assert delivery.error_code == OPTED_OUT
        await account.suppressions().learn_from_text(str(delivery.sms_sid))
        assert await account.suppressions().is_out(CUSTOMER)
        # Found out only after the customer has opted in again: the latest word counts, not the latest look.
        desk.clock.advance(minutes=30)
        again = {"out": False, "at": desk.clock(), "why": Why.START}
        await account.suppressions().learn(CUSTOMER, **again)
        desk.clock.advance(minutes=30)
        await account.suppressions().learn_from_text(str(delivery.sms_sid))
        assert not await account.suppressions().is_out(CUSTOMER)
