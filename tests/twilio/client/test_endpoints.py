"""Endpoints, and how often they may be called."""

from __future__ import annotations

import pytest

from flexsms.twilio.client.endpoints import REPEATABLE_POSTS, documented, endpoint, is_repeatable

SERVICE, CHANNEL = "IS" + "1" * 32, "CH" + "2" * 32


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/Channels", "POST x/v1/Channels"),
        ("/v1/Configuration", "POST x/v1/Configuration"),
        ("/v1/Configuration/Addresses", "POST x/v1/Configuration/Addresses"),
        ("/v1/Configuration/Addresses/IG1", "POST x/v1/Configuration/Addresses/{id}"),
        (f"/v2/Services/{SERVICE}/Channels/{CHANNEL}", "POST x/v2/Services/{id}/Channels/{id}"),
        (f"/v1/Services/{SERVICE}/Documents/flexsms.{CHANNEL}", "POST x/v1/Services/{id}/Documents/{id}"),
        (
            f"/v1/Services/{SERVICE}/Maps/flexsms.sends.a/Items/k",
            "POST x/v1/Services/{id}/Maps/{id}/Items/{id}",
        ),
    ],
)
def test_identifiers_are_replaced(path: str, expected: str) -> None:
    assert endpoint("POST", "x", path) == expected


def test_a_regional_host_counts_as_its_product() -> None:
    assert endpoint("GET", "sync.dublin.ie1.twilio.com", "/v1/Services") == "GET sync.twilio.com/v1/Services"


def test_only_what_is_harmless_is_repeated() -> None:
    message = "POST chat.twilio.com/v2/Services/{id}/Channels/{id}/Messages"
    assert not is_repeatable("POST", message)
    assert not is_repeatable("POST", "POST chat.twilio.com/v2/Services/{id}/Channels/{id}")
    assert is_repeatable("GET", message.replace("POST", "GET"))
    assert all(is_repeatable("POST", name) for name in REPEATABLE_POSTS)


def test_documented_for_a_host_means_each_of_its_endpoints() -> None:
    assert documented("GET proxy.twilio.com/v1/Services/{id}/Sessions/{id}") == 30
    assert documented("POST flex-api.twilio.com/v1/Channels") == 10
    assert documented("GET chat.twilio.com/v2/Services/{id}/Channels/{id}") is None
