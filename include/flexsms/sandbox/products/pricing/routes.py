"""pricing v1: what a text costs, by country, carrier and kind of sender (https://www.twilio.com/docs/messaging/api/pricing).

The prices are made up: of the size that prices have, and none that Twilio charges. What a volume discount leaves of a
price is its `current_price`. Carriers' own fees are in no list of Twilio's.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ...http import Response, ok
from ...routing.call import Call
from ...routing.paging import page, walk_sorted
from ...routing.router import router

HOST = "pricing.twilio.com"
api = router(HOST)
COUNTRIES = "/v1/Messaging/Countries"
DISCOUNT = Decimal("0.9")
CENT = Decimal("0.0001")
# Kinds of senders, and what each costs compared to the cheapest.
OUTBOUND = {"mobile": "1", "local": "1", "toll-free": "1.05", "shortcode": "1.2"}
INBOUND = {"local": "1", "toll-free": "1.05", "shortcode": "1"}


@dataclass(frozen=True, slots=True)
class Country:
    """Prices in US dollars; of each carrier the network codes and what it costs more than the cheapest."""

    name: str
    outbound: str
    inbound: str
    carriers: tuple[tuple[str, str, str, str], ...]


KNOWN = {
    "AT": Country("Austria", "0.0920", "0.0080", (("Eastwind Mobile", "232", "01", "1"),)),
    "AU": Country("Australia", "0.0490", "0.0070", (("Coral Telecom", "505", "01", "1"),)),
    "BR": Country("Brazil", "0.0610", "0.0060", (("Rio Movel", "724", "02", "1"),)),
    "CA": Country("Canada", "0.0080", "0.0070", (("Maple Wireless", "302", "220", "1"),)),
    "CH": Country("Switzerland", "0.0740", "0.0080", (("Alpenfunk", "228", "01", "1"),)),
    "DE": Country("Germany", "0.0960", "0.0080", (("Nordfunk", "262", "01", "1"), ("Suedfunk", "262", "02", "1.1"))),
    "ES": Country("Spain", "0.0720", "0.0070", (("Sol Movil", "214", "01", "1"),)),
    "FR": Country("France", "0.0780", "0.0080", (("Hexa Mobile", "208", "01", "1"),)),
    "GB": Country(
        "United Kingdom", "0.0470", "0.0070", (("Thames Mobile", "234", "10", "1"), ("Severn", "234", "15", "1.05"))
    ),
    "IN": Country("India", "0.0810", "0.0060", (("Ganga Mobile", "404", "10", "1"),)),
    "IT": Country("Italy", "0.0830", "0.0080", (("Ponte Mobile", "222", "01", "1"),)),
    "JP": Country("Japan", "0.0790", "0.0090", (("Kawa Mobile", "440", "10", "1"),)),
    "MX": Country("Mexico", "0.0650", "0.0060", (("Sierra Movil", "334", "020", "1"),)),
    "NL": Country("Netherlands", "0.0980", "0.0080", (("Polder Mobiel", "204", "04", "1"),)),
    "US": Country(
        "United States", "0.0080", "0.0070", (("Prairie", "310", "410", "1"), ("Bay Mobile", "311", "480", "1.1"))
    ),
}  # fmt: skip


@api.get(COUNTRIES, paged=True)
def list_countries(call: Call) -> Response:
    return page(call, walk_sorted(KNOWN, lambda iso: iso), _country_json, key="countries", largest=1000)


@api.get(COUNTRIES + "/{country}")
def fetch_country(call: Call, iso: str) -> Response:
    country = call.found(KNOWN.get(iso.upper()))
    return ok(
        {
            **_country_json(iso.upper()),
            "outbound_sms_prices": [
                {"carrier": name, "mcc": mcc, "mnc": mnc, "prices": _prices(OUTBOUND, country.outbound, more)}
                for name, mcc, mnc, more in country.carriers
            ],
            "inbound_sms_prices": _prices(INBOUND, country.inbound),
            "price_unit": "USD",
        }
    )


def _country_json(iso: str) -> dict[str, Any]:
    return {"country": KNOWN[iso].name, "iso_country": iso, "url": f"https://{HOST}{COUNTRIES}/{iso}"}


def _prices(kinds: dict[str, str], cheapest: str, more: str = "1") -> list[dict[str, str]]:
    """Of each kind of sender, as texts: the document's schema has numbers, its examples and the page have texts."""
    found = []
    for kind, factor in kinds.items():
        base = (Decimal(cheapest) * Decimal(factor) * Decimal(more)).quantize(CENT)
        current = (base * DISCOUNT).quantize(CENT)
        found.append({"number_type": kind, "base_price": str(base), "current_price": str(current)})
    return found
