"""pricing v1: what a text costs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.sandbox.conftest import Account, refused


def test_countries(account: Account) -> None:
    countries = account.client.pricing.v1.messaging.countries
    listed = countries.list(page_size=4)
    assert [one.iso_country for one in listed] == sorted(one.iso_country for one in listed)
    assert {"US", "CA", "GB", "DE"} <= {one.iso_country for one in listed}
    assert {one.iso_country: one.country for one in listed}["DE"] == "Germany"


def test_prices_by_carrier_and_kind_of_sender(account: Account) -> None:
    found: Any = account.client.pricing.v1.messaging.countries("US").fetch()
    assert (found.country, found.iso_country, found.price_unit) == ("United States", "US", "USD")
    outbound = {
        (carrier["carrier"], price["number_type"]): Decimal(price["current_price"])
        for carrier in found.outbound_sms_prices
        for price in carrier["prices"]
    }
    assert len(outbound) == 8
    assert len(set(outbound.values())) > 2
    assert all(Decimal("0.001") < price < Decimal("0.1") for price in outbound.values())
    assert {one["number_type"] for one in found.inbound_sms_prices} == {"local", "toll-free", "shortcode"}
    for one in found.inbound_sms_prices:
        assert Decimal(one["current_price"]) < Decimal(one["base_price"])


def test_a_country_that_is_in_no_list(account: Account) -> None:
    assert refused(account.client.pricing.v1.messaging.countries("ZZ").fetch) == (404, 20404)
