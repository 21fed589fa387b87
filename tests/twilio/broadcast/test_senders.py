"""Whether numbers can send a broadcast, before anybody is texted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from flexsms.core.exceptions import InvalidInput
from flexsms.core.outbound_message import Route
from flexsms.twilio.account import Account
from flexsms.twilio.broadcast.senders import check_senders

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio

FROM = "+14155550100"


async def check(account: Account, *senders: str) -> None:
    opening = account.stack.opening
    await check_senders(account.client, account.settings.account_sid, opening, senders, Route.STUDIO)


async def test_a_number_of_the_account_is_looked_up_without_its_number(
    account: Account, sandbox: SandboxProcess, calls: Callable[[], Counter[str]]
) -> None:
    await check(account, FROM)
    assert [count for name, count in calls().items() if "IncomingPhoneNumbers" in name] == [1]
    urls = [entry["path"] + str(entry.get("query", "")) for entry in sandbox.control.journal()]
    assert not [url for url in urls if "5550100" in url]


async def test_numbers_that_cannot_send_are_named(account: Account, sandbox: SandboxProcess) -> None:
    with pytest.raises(
        InvalidInput, match="from_number: …0177 is no number of this account; give one that is"
    ):
        await check(account, FROM, "+12125550177")
    sandbox.control.settings(voice_only=[FROM])
    with pytest.raises(InvalidInput, match="from_number: …0100 cannot send SMS"):
        await check(account, FROM)


async def test_a_login_that_may_not_list_numbers_may_still_send(
    account: Account, sandbox: SandboxProcess, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.control.fault(match={"path": "/IncomingPhoneNumbers"}, action="status", status=403, code=20003)
    await check(account, FROM)
    assert "Whether from_number is a number of this account is not known" in caplog.text
