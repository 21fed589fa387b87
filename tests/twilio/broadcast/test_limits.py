"""How many texts a second the limits leave room for: no endpoint that a text calls has less room than is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from flexsms.core.outbound_message import Route
from flexsms.core.stack_name import StackName
from flexsms.twilio.account import connect
from flexsms.twilio.client.endpoints import documented
from flexsms.twilio.client.rate_limits import per_second
from flexsms.twilio.client.settings import TwilioSettings

from .conftest import Broadcast

pytestmark = pytest.mark.anyio

CHANNELS = "POST flex-api.twilio.com/v1/Channels"
SESSIONS = "POST proxy.twilio.com/v1/Services/{id}/Sessions"
SESSION = "GET proxy.twilio.com/v1/Services/{id}/Sessions/{id}"
TEXTS = 6


async def room(settings: TwilioSettings, route: Route, rate_limits: object) -> float | None:
    async with connect(settings.changed(rate_limits=rate_limits)) as account:
        return account.stack.texts_per_second(route)


@pytest.mark.parametrize("route", Route)
async def test_no_endpoint_of_a_text_has_less_room(
    broadcast: Broadcast, route: Route, calls: Callable[[], Counter[str]]
) -> None:
    texts = broadcast.texts(1 + TEXTS)
    await broadcast.send(texts[:1], route=route)  # what is asked once
    broadcast.sandbox.control.clear_journal()
    await broadcast.send(texts[1:], route=route)
    found = await room(broadcast.settings, route, "documented")
    assert found is not None
    rooms = {
        name: limit * TEXTS / count
        for name, count in calls().items()
        if count >= TEXTS and (limit := documented(name)) is not None
    }
    assert min(rooms.values()) == found


async def test_an_override_counts_and_off_is_off(broadcast: Broadcast) -> None:
    settings = broadcast.settings
    name = CHANNELS if settings.stack is StackName.CHAT else "POST conversations.twilio.com/v1/Conversations"
    assert await room(settings, Route.STUDIO, {name: 2.5}) == 2.5
    assert await room(settings, Route.STUDIO, "off") is None


async def test_what_a_host_allows_is_shared_by_all_calls_to_it(settings: TwilioSettings) -> None:
    by_host = settings.changed(rate_limits={"proxy.twilio.com": 12})
    assert per_second(by_host, {SESSIONS: 1, SESSION: 2}) == 4
    assert per_second(by_host, {CHANNELS: 1, SESSIONS: 1, SESSION: 1}) == 6
    assert per_second(by_host, {"GET nowhere.twilio.com/v1/Things": 1}) is None
