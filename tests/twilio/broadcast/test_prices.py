"""What a broadcast costs at least, by Twilio's list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.twilio.account import Account
from flexsms.twilio.broadcast.prices import Cost, least_cost

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio


async def test_the_lowest_price_of_each_country_counts_and_is_read_once(
    account: Account, calls: Callable[[], Counter[str]]
) -> None:
    listed = await account.client.pricing.v1.messaging.countries("DE").fetch_async()
    carriers: list[Any] = listed.outbound_sms_prices
    lowest = min(Decimal(price["current_price"]) for one in carriers for price in one["prices"])
    before = calls().total()
    alone, unknown = await least_cost(account.client, {"DE": 3})
    assert (alone, unknown) == (Cost(3 * lowest, "USD"), [])
    both, _ = await least_cost(account.client, {"DE": 3, "US": 1_000_000})
    assert both
    assert both.amount > alone.amount
    assert calls().total() - before == 3


async def test_a_country_without_a_price_leaves_no_cost(account: Account) -> None:
    assert await least_cost(account.client, {"US": 1, "AQ": 1}) == (None, ["AQ"])
    assert await least_cost(account.client, {"": 1}) == (None, ["an unknown country"])
    assert await least_cost(account.client, {}) == (None, [])


async def test_a_list_of_prices_that_cannot_be_read_keeps_nobody_from_sending(
    account: Account, sandbox: SandboxProcess
) -> None:
    sandbox.control.fault(match={"path": "/Messaging/Countries"}, action="status", status=403, code=20003)
    assert await least_cost(account.client, {"US": 1}) == (None, ["US"])


@pytest.mark.parametrize(
    "prices", [None, [], [{"prices": None}], [{"prices": [{"current_price": "free"}]}], ["x"]]
)
async def test_an_answer_without_a_price_is_none(prices: Any) -> None:
    class Country:
        outbound_sms_prices = prices
        price_unit = "usd"

        async def fetch_async(self) -> Country:
            return self

    class Client:
        pricing = v1 = messaging = property(lambda self: self)

        def countries(self, _: str) -> Country:
            return Country()

    client: Any = Client()
    assert await least_cost(client, {"US": 1}) == (None, ["US"])


def test_an_amount_is_written_out() -> None:
    assert Cost(Decimal("8300.000"), "USD").to_json() == {"amount": "8300", "currency": "USD"}
    assert Cost(Decimal("0.00790"), "USD").to_json() == {"amount": "0.0079", "currency": "USD"}
