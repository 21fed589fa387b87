"""Whom a campaign has texted: read at a hundred packs a call, and never by another key of digests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from flexsms.core.exceptions import PermanentError
from flexsms.core.number_digest import NumberDigest
from flexsms.twilio.account import Account
from flexsms.twilio.broadcast.campaign import PACK_SIZE, Campaign

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio


def numbers(count: int) -> list[str]:
    return [f"+1415{7_000_000 + n}" for n in range(count)]


async def texted(campaign: Campaign) -> list[str]:
    return [digest async for digest in campaign.texted()]


async def test_nobody_was_texted_in_a_new_campaign(account: Account) -> None:
    assert await texted(await account.campaign("spring")) == []


async def test_who_is_added_is_found_again_and_only_in_that_campaign(account: Account) -> None:
    spring, autumn = await account.campaign("spring"), await account.campaign("autumn")
    digests = [spring.digest_of(number) for number in numbers(2 * PACK_SIZE + 7)]
    await spring.add(digests)
    assert sorted(await texted(await account.campaign("spring"))) == sorted(digests)
    assert await texted(autumn) == []


async def test_a_pack_holds_many_and_stays_where_sync_writes_fast(
    account: Account, sandbox: SandboxProcess, calls: Callable[[], Counter[str]]
) -> None:
    campaign = await account.campaign("spring")
    await campaign.add(campaign.digest_of(number) for number in numbers(PACK_SIZE))
    posted = [entry for entry in sandbox.control.journal() if "/Items" in entry["path"]]
    sizes = [len(entry["form"]["Data"]) for entry in posted if "Data" in entry["form"]]
    assert 9_000 < max(sizes) < 10 * 1024
    sandbox.control.clear_journal()
    assert len(await texted(campaign)) == PACK_SIZE
    assert calls().total() == 1


async def test_adding_the_same_again_changes_nothing(account: Account) -> None:
    campaign = await account.campaign("spring")
    digests = [campaign.digest_of(number) for number in numbers(3)]
    await campaign.add(digests)
    await campaign.add(reversed(digests))
    assert len(await texted(campaign)) == 3


async def test_the_key_depends_on_campaign_and_recipient_alone(account: Account) -> None:
    spring, autumn = await account.campaign("spring"), await account.campaign("autumn")
    first, second = numbers(2)
    keys = {spring.key(first), spring.key(second), autumn.key(first)}
    assert len(keys) == 3
    assert (await account.campaign("spring")).key(first) == spring.key(first)
    assert not any(number[1:] in key or "spring" in key for number in (first, second) for key in keys)


async def test_packs_of_another_key_are_not_taken_for_nobody(account: Account) -> None:
    campaign = await account.campaign("spring")
    await campaign.add([campaign.digest_of(numbers(1)[0])])
    service_sid = account.settings.need("sync_service_sid")
    other = Campaign(account.client, service_sid, "spring", NumberDigest(b"x" * 32))
    with pytest.raises(PermanentError, match="another key of digests"):
        await texted(other)
