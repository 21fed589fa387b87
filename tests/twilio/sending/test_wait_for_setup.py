"""A send that waits while Flex sets up the interaction: one call a look, and all rules hold behind the wait."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.exceptions import OptedOut, OutsideHours, SendInProgress, ServiceUnavailable
from flexsms.core.opt_out import Why
from flexsms.core.stack_name import StackName
from flexsms.twilio.account import Account
from tests.support.send_scenarios import CUSTOMER, Desk

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio

TEXT = "Your results are in."
LOOK = "GET flex-api.twilio.com/v1/Interactions/{id}/Channels/{id}"


@pytest.fixture
def desk(sandbox: SandboxProcess, clock: Any) -> Desk:
    sandbox.control.settings(interaction_setup_s=100)
    return Desk(StackName.CONVERSATIONS, sandbox, clock)


class Waits:
    """Waits so many times, without taking time; then the interaction is set up, and whatever else happens."""

    def __init__(self, desk: Desk, times: int, then: Callable[[], Awaitable[object]] | None = None) -> None:
        self._desk = desk
        self._left = times
        self._then = then

    async def __call__(self) -> None:
        self._left -= 1
        if not self._left:
            if self._then:
                await self._then()
            self._desk.clock.advance(seconds=101)


@pytest.mark.parametrize("looks", [1, 7])
async def test_each_further_look_is_one_call(desk: Desk, looks: int) -> None:
    await desk.make_maps()
    async with desk.account() as account:
        await account.number_digest()
        desk.sandbox.control.clear_journal()
        waits = Waits(desk, looks)
        sent = await account.sender().send(desk.text(), key="k1", owner="me", wait_for_setup=waits)
    assert desk.texts() == [TEXT]
    assert not sent.duplicate
    calls = desk.calls()
    assert calls[LOOK] == looks + 1, calls
    # A new conversation, without the key of the digests; to note the interaction, and to look at the opt-out once more.
    # It has taken longer than the lease, which is renewed.
    assert calls.total() == (desk.wire.new["agent"] - 1) + 2 + looks + 1, calls


async def test_who_opts_out_meanwhile_gets_no_text_and_nothing_is_left(desk: Desk) -> None:
    async with desk.account() as account:

        async def opt_out() -> None:
            desk.clock.advance(seconds=1)
            await account.suppressions().learn(CUSTOMER, out=True, at=desk.clock(), why=Why.STOP)

        with pytest.raises(OptedOut):
            await account.sender().send(
                desk.text(), key="k1", owner="me", wait_for_setup=Waits(desk, 2, opt_out)
            )
    assert (desk.texts(), desk.channels(), desk.open_tasks()) == ([], [], [])


async def test_when_the_hours_end_meanwhile_the_text_leaves_in_the_next_ones(desk: Desk) -> None:
    ends: datetime = desk.clock()

    def refuse_late() -> None:
        # The wait takes 101 seconds.
        if (desk.clock() - ends).total_seconds() > 60:
            raise OutsideHours("The recipient's hours are over.")

    async def send(account: Account, **more: Any) -> None:
        await account.sender().send(desk.text(), key="k1", owner="me", **more)

    async with desk.account() as account:
        with pytest.raises(OutsideHours):
            await send(account, wait_for_setup=Waits(desk, 3), refuse_late=refuse_late)
        assert desk.texts() == []
        await send(account)
    assert desk.texts() == [TEXT]
    assert len(desk.sandbox.control.state()["tables"]["flex_interactions"]) == 1


async def test_whoever_takes_the_key_over_meanwhile_is_the_one_who_sends(desk: Desk) -> None:
    async with desk.account() as account, desk.account() as other:

        async def take_over() -> None:
            desk.clock.advance(seconds=101)
            await other.sender().send(desk.text(), key="k1", owner="another", whatever_text=True)

        with pytest.raises(SendInProgress):
            await account.sender().send(
                desk.text(), key="k1", owner="me", wait_for_setup=Waits(desk, 1, take_over)
            )
    assert desk.texts() == [TEXT]


async def test_what_ends_the_wait_is_told_and_the_next_try_goes_on(desk: Desk) -> None:
    async def give_up() -> None:
        raise ServiceUnavailable("It takes too long.")

    async with desk.account() as account:
        with pytest.raises(ServiceUnavailable, match=r"^It takes too long\. Nothing was sent\.$"):
            await account.sender().send(desk.text(), key="k1", owner="me", wait_for_setup=give_up)
    desk.clock.advance(seconds=101)
    await desk.send()
    assert desk.texts() == [TEXT]
    assert len(desk.channels()) == 1
