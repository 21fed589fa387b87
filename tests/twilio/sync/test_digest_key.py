"""The key of the digests: made once, and the same for everybody."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.exceptions import PermanentError
from flexsms.core.number_digest import NumberDigest
from flexsms.twilio.account import Account, connect
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.sync.digest_key import BROADCASTS, DOCUMENT, PACE, SUPPRESSIONS
from flexsms.twilio.sync.map import SyncMap

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio

CREATE = {"method": "POST", "host": "sync.twilio.com", "path": "/Documents$"}
FETCH = {"method": "GET", "host": "sync.twilio.com", "path": "/Documents/"}
NUMBER = "+14155550100"


async def elsewhere(settings: TwilioSettings) -> NumberDigest:
    """What another process finds."""
    async with connect(settings) as account:
        return await account.number_digest()


async def test_it_is_made_once_and_read_once(
    account: Account,
    settings: TwilioSettings,
    sandbox: SandboxProcess,
    calls: Callable[[], Counter[str]],
) -> None:
    made = await account.number_digest()
    sandbox.control.clear_journal()
    for _ in range(3):
        assert await account.number_digest() == made
    assert not calls()
    assert await elsewhere(settings) == made
    assert calls().total() == 1


async def test_many_who_ask_at_once_share_one_call(
    account: Account,
    settings: TwilioSettings,
    sandbox: SandboxProcess,
    calls: Callable[[], Counter[str]],
) -> None:
    await elsewhere(settings)
    sandbox.control.clear_journal()
    await asyncio.gather(*(account.number_digest() for _ in range(20)))
    assert calls().total() == 1


async def test_processes_that_make_it_at_once_end_with_the_same(settings: TwilioSettings) -> None:
    found = await asyncio.gather(*(elsewhere(settings) for _ in range(8)))
    assert len({digest.of(NUMBER) for digest in found}) == 1
    assert await elsewhere(settings) == found[0]


@pytest.mark.parametrize("match", [CREATE, FETCH], ids=["create", "fetch"])
@pytest.mark.parametrize("action", ["drop_after", "drop_before", "drop_midway", "status"])
async def test_a_lost_answer_makes_no_second_key(
    account: Account, settings: TwilioSettings, sandbox: SandboxProcess, match: dict[str, str], action: str
) -> None:
    sandbox.control.fault(match=match, times=1, action=action, status=503)
    assert await account.number_digest() == await elsewhere(settings)


@pytest.mark.parametrize("data", [{}, {"v": 1, "key": "abc"}, {"key": 5}, {"key": "Z" * 64}])
async def test_a_document_without_a_key_is_one_sentence(account: Account, data: dict[str, Any]) -> None:
    documents = account.client.sync.v1.services(account.settings.need("sync_service_sid")).documents
    await documents.create_async(unique_name=DOCUMENT, data=data)
    with pytest.raises(PermanentError, match=r"^Sync document flexsms\.digest_key holds no key; put back"):
        await account.number_digest()


@pytest.mark.parametrize("in_use", [PACE, BROADCASTS + "0123", SUPPRESSIONS + "0"])
async def test_no_other_key_is_made_where_one_was_in_use(account: Account, in_use: str) -> None:
    """Of a broadcast that was killed early, nothing but its pace may tell that people were texted."""
    await SyncMap(account.client, account.settings.need("sync_service_sid"), in_use).create("any", {})
    with pytest.raises(PermanentError, match=r"^Sync document flexsms\.digest_key is gone; put it back"):
        await account.number_digest()


async def test_a_scan_of_the_channel_states_passes_it_by(account: Account) -> None:
    await account.number_digest()
    assert [found async for page in account.store.scan(adopt=True) for found in page] == []
