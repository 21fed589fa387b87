"""What a text costs at least, by Twilio's own list; what carriers add is in no list.

Source: https://www.twilio.com/docs/messaging/api/pricing
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from flexsms.core.exceptions import TwilioError

if TYPE_CHECKING:
    from twilio.rest import Client

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a broadcast costs at least.

    :param currency: ISO 4217
    """

    amount: Decimal
    currency: str

    def to_json(self) -> dict[str, str]:
        """The amount as text, as no float could say it."""
        return {"amount": f"{self.amount.normalize():f}", "currency": self.currency}


async def least_cost(client: Client, segments: Mapping[str, int]) -> tuple[Cost | None, list[str]]:
    """What some segments cost at least, and the countries whose price is not known. One call per country.

    :param segments: by country, ISO 3166
    :return: no cost where a price is not known, or prices are in several currencies
    """
    costs: list[Cost] = []
    unknown: list[str] = []
    for country, count in sorted(segments.items()):
        price = await _least_price(client, country) if country else None
        if price is None:
            unknown.append(country or "an unknown country")
        else:
            costs.append(Cost(price.amount * count, price.currency))
    currencies = {cost.currency for cost in costs}
    if unknown or len(currencies) != 1:
        return None, unknown
    return Cost(sum((cost.amount for cost in costs), Decimal()), currencies.pop()), unknown


async def _least_price(client: Client, country: str) -> Cost | None:
    """Of the prices by carrier and kind of sender, the lowest: which of them counts, nobody knows before."""
    try:
        found = await client.pricing.v1.messaging.countries(country).fetch_async()
    except TwilioError as error:  # a broadcast is none the worse for a price that nobody knows
        logger.warning("The price of a text to %s is not known: %s", country, error)
        return None
    listed: list[Any] = [
        price
        for carrier in found.outbound_sms_prices or []
        if isinstance(carrier, Mapping)
        for price in carrier.get("prices") or []
    ]
    amounts = [amount for price in listed if (amount := _amount(price)) is not None]
    if not amounts or not found.price_unit:
        return None
    return Cost(min(amounts), str(found.price_unit).upper())


def _amount(price: Any) -> Decimal | None:
    try:
        amount = Decimal(str(price["current_price"]))
    except (InvalidOperation, KeyError, TypeError):
        return None
    return amount if amount.is_finite() and amount >= 0 else None
