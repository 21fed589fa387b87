"""Opt-outs in Sync: kept by digest, merged, and read by the hundred."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.exceptions import OptedOut, PermanentError, RevisionMismatch
from flexsms.core.opt_out import OptOut, Why
from flexsms.twilio.account import Account, connect
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.sending.suppressions import Suppressions
from flexsms.twilio.sync.digest_key import DOCUMENT, SUPPRESSIONS
from flexsms.twilio.sync.map import SyncMap

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio

NUMBER = "+14155550199"
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
ITEMS = {"host": "sync.twilio.com", "path": "/Items"}
Calls = Callable[[], Counter[str]]


@pytest.fixture
async def suppressions(account: Account) -> Suppressions:
    """Those of the account, whose digest key was read."""
    await account.number_digest()
    return account.suppressions()


def stop(at: datetime = NOON, *, out: bool = True, why: Why = Why.STOP) -> dict[str, Any]:
    return {"out": out, "at": at, "why": why}


async def all_of(suppressions: Suppressions) -> set[str]:
    return {digest async for digest in suppressions.all()}


async def test_who_opted_out_is_out_until_they_opt_in(suppressions: Suppressions) -> None:
    assert not await suppressions.is_out(NUMBER)
    assert await suppressions.learn(NUMBER, **stop())
    assert await suppressions.is_out(NUMBER)
    with pytest.raises(OptedOut, match=r"…0199 has opted out since 2026-11-30 12:00 UTC"):
        await suppressions.refuse(NUMBER)
    assert not await suppressions.learn(NUMBER, **stop(NOON - timedelta(1), out=False, why=Why.START))
    assert await suppressions.is_out(NUMBER)
    assert await suppressions.learn(NUMBER, **stop(NOON + timedelta(1), out=False, why=Why.START))
    assert not await suppressions.is_out(NUMBER)
    await suppressions.refuse(NUMBER)


async def test_a_look_is_one_call_and_what_is_learnt_again_two(
    suppressions: Suppressions, sandbox: SandboxProcess, calls: Calls
) -> None:
    await suppressions.learn(NUMBER, **stop())
    for work, cost in (
        (suppressions.is_out(NUMBER), 1),
        (suppressions.learn(NUMBER, **stop()), 2),
        (suppressions.learn(NUMBER, **stop(NOON + timedelta(1))), 3),
    ):
        sandbox.control.clear_journal()
        await work
        assert calls().total() == cost


async def test_no_number_is_stored_or_asked_for(
    suppressions: Suppressions, account: Account, sandbox: SandboxProcess
) -> None:
    await suppressions.learn(NUMBER, **stop())
    await suppressions.is_out(NUMBER)
    assert NUMBER.removeprefix("+") not in json.dumps(sandbox.control.journal())
    assert await all_of(suppressions) == {(await account.number_digest()).of(NUMBER)}


async def test_hundreds_are_read_by_the_hundred(
    suppressions: Suppressions, account: Account, sandbox: SandboxProcess, calls: Calls
) -> None:
    digest = await account.number_digest()
    numbers = [f"+1415555{n:04}" for n in range(400)]
    await asyncio.gather(*(suppressions.learn(one, **stop(out=n % 4 > 0)) for n, one in enumerate(numbers)))
    sandbox.control.clear_journal()
    assert await all_of(suppressions) == {digest.of(one) for n, one in enumerate(numbers) if n % 4}
    assert calls().total() <= 20
    known = {one: opt_out async for one, opt_out in suppressions.entries()}
    assert known[digest.of(numbers[0])] == OptOut(round(NOON.timestamp() * 1000), False, Why.STOP)


async def test_a_key_that_stands_for_nobody_is_named_and_left_out(
    suppressions: Suppressions, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    strange = SyncMap(account.client, account.settings.need("sync_service_sid"), SUPPRESSIONS + "0")
    await strange.create("0-strange", {"v": 1, "at_ms": 1_796_000_000_000, "out": True, "why": "stop"})
    assert await all_of(suppressions) == set()
    assert (
        "Item 0-strange of Sync map flexsms.suppressions.0 has a key that stands for no number" in caplog.text
    )


async def test_an_opt_out_is_kept_for_ever(
    suppressions: Suppressions, clock: Any, sandbox: SandboxProcess
) -> None:
    await suppressions.learn(NUMBER, **stop())
    clock.advance(days=800)
    assert await suppressions.is_out(NUMBER)


async def test_who_opted_in_again_is_forgotten_after_a_month(suppressions: Suppressions, clock: Any) -> None:
    """Of those who only said START, nothing stays."""
    await suppressions.learn(NUMBER, **stop(out=False, why=Why.START))
    clock.advance(days=29)
    assert await suppressions.find(NUMBER) is not None
    clock.advance(days=2)
    assert await suppressions.find(NUMBER) is None
    await suppressions.learn(NUMBER, **stop(out=False, why=Why.START))
    await suppressions.learn(NUMBER, **stop(NOON + timedelta(days=1)))
    clock.advance(days=800)
    assert await suppressions.is_out(NUMBER)


async def test_many_who_learn_of_one_number_at_once_end_with_the_latest(suppressions: Suppressions) -> None:
    days = [timedelta(n) for n in range(8)]
    await asyncio.gather(*(suppressions.learn(NUMBER, **stop(NOON + day, out=day.days < 7)) for day in days))
    found = await suppressions.find(NUMBER)
    assert found is not None
    assert (found.since, found.out) == ("2026-12-07 12:00 UTC", False)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("action", ["drop_before", "drop_after", "drop_midway", "status"])
async def test_a_lost_answer_loses_nothing(
    suppressions: Suppressions, sandbox: SandboxProcess, method: str, action: str
) -> None:
    for n in range(4):
        sandbox.control.fault(match={"method": method, **ITEMS}, times=1, action=action, status=503)
        await suppressions.learn(NUMBER, **stop(NOON + timedelta(n), out=n % 2 == 0))
        assert await suppressions.is_out(NUMBER) is (n % 2 == 0)


async def test_what_keeps_changing_is_given_up(suppressions: Suppressions, sandbox: SandboxProcess) -> None:
    await suppressions.learn(NUMBER, **stop())
    match = {"method": "POST", "host": "sync.twilio.com", "path": "/Items/"}
    sandbox.control.fault(match=match, action="status", status=412, code=54103)
    with pytest.raises(RevisionMismatch, match="changed 20 times"):
        await suppressions.learn(NUMBER, **stop(NOON + timedelta(1)))


async def test_what_cannot_be_read_counts_as_opted_out(
    suppressions: Suppressions, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    await suppressions.learn(NUMBER, **stop(out=False))
    digest = (await account.number_digest()).of(NUMBER)
    maps = account.client.sync.v1.services(account.settings.need("sync_service_sid")).sync_maps
    await maps(SUPPRESSIONS + digest[0]).sync_map_items(digest).update_async(data={"v": 1})
    sentence = f"Item {digest} of Sync map {SUPPRESSIONS}{digest[0]} says nothing of an opt-out"
    with pytest.raises(PermanentError, match=sentence):
        await suppressions.is_out(NUMBER)
    assert await all_of(suppressions) == {digest}
    assert sentence in caplog.text
    # Until more becomes known.
    assert await suppressions.learn(NUMBER, **stop(out=False, why=Why.START))
    assert not await suppressions.is_out(NUMBER)


async def test_a_lost_key_is_no_new_key(
    suppressions: Suppressions, account: Account, settings: TwilioSettings
) -> None:
    """With a new one, whoever has opted out would be texted."""
    await suppressions.learn(NUMBER, **stop())
    documents = account.client.sync.v1.services(account.settings.need("sync_service_sid")).documents
    await documents(DOCUMENT).delete_async()
    async with connect(settings) as elsewhere:
        with pytest.raises(PermanentError, match=r"flexsms\.digest_key is gone; put it back"):
            await elsewhere.suppressions().is_out(NUMBER)


async def test_a_key_that_was_made_between_two_looks_is_taken(
    account: Account, settings: TwilioSettings, sandbox: SandboxProcess
) -> None:
    async with connect(settings) as elsewhere:
        await elsewhere.suppressions().learn(NUMBER, **stop())
    match = {"method": "GET", "host": "sync.twilio.com", "path": "/Documents/"}
    sandbox.control.fault(match=match, times=1, action="status", status=404, code=54100)
    assert await account.suppressions().is_out(NUMBER)
