"""Endpoints, and how often they may be called."""

from __future__ import annotations

import pytest

from flexsms.twilio.limits import REPEATABLE_POSTS, RateLimits, endpoint, is_repeatable

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


def has_to_wait(limits: RateLimits, endpoint_name: str) -> bool:
    """Whether a call may not go out at once."""
    call = limits.wait(endpoint_name)
    try:
        call.send(None)
    except StopIteration:
        return False
    call.close()
    return True


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("configured", "endpoint_name", "waits"),
    [
        ("off", "POST flex-api.twilio.com/v1/Channels", False),
        ("documented", "POST flex-api.twilio.com/v1/Channels", True),
        ("documented", "GET proxy.twilio.com/v1/Services/{id}/Sessions/{id}", False),
        ("documented", "GET chat.twilio.com/v2/Services/{id}/Channels/{id}", False),
        ({"chat.twilio.com": 5}, "GET chat.twilio.com/v2/Services/{id}/Channels/{id}", True),
        ({"POST flex-api.twilio.com/v1/Channels": 1000}, "POST flex-api.twilio.com/v1/Channels", False),
    ],
)
async def test_of_thirteen_calls_some_wait_where_a_limit_says_so(
    configured: str | dict[str, float], endpoint_name: str, waits: bool
) -> None:
    limits = RateLimits(configured)
    assert any(has_to_wait(limits, endpoint_name) for _ in range(13)) is waits


@pytest.mark.anyio
async def test_a_limit_below_one_per_second_still_lets_one_through() -> None:
    limits = RateLimits({"x": 0.5})
    assert not has_to_wait(limits, "GET x/v1/Things")
    assert has_to_wait(limits, "GET x/v1/Things")
