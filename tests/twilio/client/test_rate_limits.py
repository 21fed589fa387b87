"""Rate limits and the number in flight, kept by all that work for one account in a process."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from flexsms.core.exceptions import FlexSmsError
from flexsms.sandbox.client import SandboxProcess, connection_extra
from flexsms.twilio.account import connect
from flexsms.twilio.client.endpoints import SEARCH, documented, limited_as
from flexsms.twilio.client.rate_limits import BURST_S, Throttle
from flexsms.twilio.client.settings import TwilioSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.peer import Peer

pytestmark = pytest.mark.anyio

ACCOUNT = "AC" + "1" * 32
CHANNELS = "POST flex-api.twilio.com/v1/Channels"
TASKS = "GET taskrouter.twilio.com/v1/Workspaces/{id}/Tasks"
DOCUMENTS = "POST sync.twilio.com/v1/Services/{id}/Documents"
ITEMS = "POST sync.twilio.com/v1/Services/{id}/Maps/{id}/Items"


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop that does not wait for its timers: it moves its clock on to them."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 1000.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        if not self._ready and scheduled:  # type: ignore[attr-defined]
            # A little more, or a timer that is due in less than a float can tell never comes.
            self._now = max(self._now, scheduled[0].when()) + 1e-6
        super()._run_once()  # type: ignore[misc]


def settings(
    rate_limits: str | Mapping[str, float] = "documented", max_in_flight: int = 32, account: str = ACCOUNT
) -> TwilioSettings:
    extra = {"rate_limits": rate_limits, "max_in_flight": max_in_flight, "base_url": "http://127.0.0.1:9"}
    return TwilioSettings.from_connection(account, "secret", extra)


async def leaving(throttle: Throttle, name: str, count: int, *, takes: float = 0.0) -> list[float]:
    """When so many requests leave that are all wanted at once."""
    loop = asyncio.get_running_loop()
    left = []

    async def one() -> None:
        async with throttle.slot(name):
            left.append(loop.time())
            await asyncio.sleep(takes)

    await asyncio.gather(*(one() for _ in range(count)))
    return sorted(left)


def most_in_a_second(moments: list[float]) -> int:
    return max(sum(1 for other in moments if 0 <= other - moment < 1) for moment in moments)


@pytest.fixture
def virtual() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        yield runner


@pytest.mark.parametrize("name", [CHANNELS, "GET proxy.twilio.com/v1/Services/{id}/Sessions/{id}", DOCUMENTS])
@pytest.mark.parametrize("connections", [1, 40])
def test_a_limit_holds_whatever_number_of_connections_there_are(
    virtual: asyncio.Runner, name: str, connections: int
) -> None:
    """B1: every hook, trigger and task of a process makes a connection of its own."""
    rate = documented(name)
    assert rate

    async def work() -> list[float]:
        throttles = [Throttle(settings()) for _ in range(connections)]
        left = await asyncio.gather(*(leaving(one, name, 120 // connections) for one in throttles))
        return sorted(moment for moments in left for moment in moments)

    left = virtual.run(work())
    assert most_in_a_second(left) <= rate * (1 + BURST_S) + 1
    assert len(left) == 120
    # And no slower than it may be.
    assert left[-1] - left[0] == pytest.approx((120 - max(1, rate * BURST_S)) / rate, abs=0.1)


def test_the_number_in_flight_holds_for_all_connections_together(virtual: asyncio.Runner) -> None:
    at_once = most = 0

    async def work() -> None:
        async def one(throttle: Throttle) -> None:
            nonlocal at_once, most
            async with throttle.slot("GET chat.twilio.com/v2/Services/{id}"):
                at_once += 1
                most = max(most, at_once)
                await asyncio.sleep(0.1)
                at_once -= 1

        await asyncio.gather(*(one(Throttle(settings(max_in_flight=4))) for _ in range(40)))

    virtual.run(work())
    assert most == 4


def test_accounts_share_nothing_and_neither_do_limits_that_only_one_connection_states(
    virtual: asyncio.Runner,
) -> None:
    async def work() -> list[list[float]]:
        throttles = [
            Throttle(settings()),
            Throttle(settings(account="AC" + "2" * 32)),
            Throttle(settings({CHANNELS: 5})),
        ]
        return await asyncio.gather(*(leaving(one, CHANNELS, 10) for one in throttles))

    ours, theirs, own = virtual.run(work())
    assert ours == theirs
    assert own[-1] - own[0] > 1.5 * (ours[-1] - ours[0])


@pytest.mark.parametrize("connections", [1, 3])
def test_an_override_by_host_binds_all_its_endpoints_together(
    virtual: asyncio.Runner, connections: int
) -> None:
    """B6: it was one bucket per endpoint, and a documented limit outranked it."""
    names = [DOCUMENTS, ITEMS, "GET sync.twilio.com/v1/Services/{id}/Documents/{id}"]

    async def work() -> list[float]:
        throttles = [Throttle(settings({"sync.twilio.com": 2})) for _ in range(connections)]
        moments = await asyncio.gather(*(leaving(one, name, 4) for one in throttles for name in names))
        return sorted(moment for left in moments for moment in left)

    left = virtual.run(work())
    assert most_in_a_second(left) <= 3
    assert left[-1] - left[0] == pytest.approx((len(left) - 1) / 2, abs=0.1)


def test_what_is_documented_for_an_endpoint_holds_under_a_host_that_is_set_higher(
    virtual: asyncio.Runner,
) -> None:
    left = virtual.run(work_under({"flex-api.twilio.com": 1000}))
    assert most_in_a_second(left) <= 13
    replaced = virtual.run(work_under({CHANNELS: 1000}))
    assert most_in_a_second(replaced) == 40


async def work_under(limits: Mapping[str, float]) -> list[float]:
    return await leaving(Throttle(settings(limits)), CHANNELS, 40)


@pytest.mark.parametrize(
    ("rate_limits", "listed", "searched"),
    [("documented", 0.0, 2.0), ({TASKS: 6}, 0.97, 2.0), ({TASKS: 1}, 6.0, 6.0)],
)
def test_only_a_search_of_tasks_keeps_to_the_limit_of_searches(
    virtual: asyncio.Runner, rate_limits: str | dict[str, float], listed: float, searched: float
) -> None:
    async def work(query: str) -> float:
        left = await leaving(Throttle(settings(rate_limits)), limited_as(TASKS, query), 7)
        return left[-1] - left[0]

    assert virtual.run(work("PageSize=1000")) == pytest.approx(listed, abs=0.1)
    assert virtual.run(work(f"PageSize=1&{SEARCH}=a")) == pytest.approx(searched, abs=0.1)


def test_off_is_off(virtual: asyncio.Runner) -> None:
    async def work() -> list[float]:
        return await leaving(Throttle(settings("off", max_in_flight=1000)), CHANNELS, 100)

    assert len(set(virtual.run(work()))) == 1


def test_a_limit_below_one_per_second_lets_one_through(virtual: asyncio.Runner) -> None:
    async def work() -> list[float]:
        return await leaving(Throttle(settings({CHANNELS: 0.5})), CHANNELS, 3)

    assert [second - first for first, second in pairwise(virtual.run(work()))] == pytest.approx([2, 2])


def test_after_a_stall_what_was_saved_up_does_not_leave_at_once(virtual: asyncio.Runner) -> None:
    """B13: tokens were taken before the slot, and kept for as long as nothing moved."""

    async def work() -> list[float]:
        throttle = Throttle(settings({CHANNELS: 10}, max_in_flight=4))
        loop = asyncio.get_running_loop()
        until, left = loop.time() + 4, []

        async def one() -> None:
            async with throttle.slot(CHANNELS):
                left.append(loop.time())
                await asyncio.sleep(max(0.0, until - loop.time()))

        await asyncio.gather(*(one() for _ in range(60)))
        return left

    left = virtual.run(work())
    assert most_in_a_second(left) <= 13


def test_who_waits_for_a_slow_endpoint_holds_no_slot(virtual: asyncio.Runner) -> None:
    async def work() -> tuple[list[float], list[float]]:
        throttle = Throttle(settings({CHANNELS: 1}, max_in_flight=2))
        slow = asyncio.create_task(leaving(throttle, CHANNELS, 20))
        await asyncio.sleep(0.1)
        quick = await leaving(throttle, "GET chat.twilio.com/v2/Services/{id}", 100, takes=0.01)
        return await slow, quick

    slow, quick = virtual.run(work())
    assert quick[-1] - quick[0] < 1
    assert slow[-1] - slow[0] == pytest.approx(19, abs=0.1)


@pytest.mark.parametrize(("rate_limits", "waits"), [({CHANNELS: 1}, [0, 1, 2]), ("off", [0, 0, 0])])
def test_who_waits_for_a_slot_has_not_waited_for_twilios_limits(
    virtual: asyncio.Runner, rate_limits: str | Mapping[str, float], waits: list[float]
) -> None:
    async def work() -> list[float]:
        throttle = Throttle(settings(rate_limits, max_in_flight=1))

        async def one() -> float:
            async with throttle.slot(CHANNELS) as waited_s:
                await asyncio.sleep(0.5)
                return waited_s

        return await asyncio.gather(*(one() for _ in range(3)))

    assert virtual.run(work()) == pytest.approx(waits, abs=0.01)


def test_who_gives_up_waiting_takes_no_place_away(virtual: asyncio.Runner) -> None:
    async def work() -> list[float]:
        throttle = Throttle(settings({CHANNELS: 2}, max_in_flight=1))
        async with throttle.slot("GET chat.twilio.com/v2/Services/{id}"):
            for _ in range(30):
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await leaving(throttle, CHANNELS, 1)
        return await leaving(throttle, CHANNELS, 5)

    left = virtual.run(work())
    assert left[-1] - left[0] == pytest.approx(2, abs=0.1)


def test_a_loop_that_is_through_leaves_nothing_behind() -> None:
    from flexsms.twilio.client import rate_limits

    for _ in range(3):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(work_under({CHANNELS: 2}))
    closed = [loop for loop in rate_limits._paces if loop.is_closed()]
    assert len(closed) <= 1


async def test_the_transport_keeps_to_it(peer: Peer) -> None:
    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(0.02)
        return web.json_response({"sid": "IS" + "1" * 32})

    peer.answers(slow)
    extra = {"base_url": peer.base_url, "max_in_flight": 3}
    async with AsyncExitStack() as stack:
        accounts = [
            await stack.enter_async_context(connect(TwilioSettings.from_connection(ACCOUNT, "secret", extra)))
            for _ in range(12)
        ]
        await asyncio.gather(
            *(one.client.sync.v1.services("IS" + "1" * 32).fetch_async() for one in accounts)
        )
    assert peer.most_at_once == 3


async def test_sixty_waiting_sends_in_one_triggerer_are_not_told_to_slow_down() -> None:
    """B1, against a Twilio that keeps its documented limits."""
    with SandboxProcess(rate_limits="documented") as sandbox:
        extra = {**connection_extra(sandbox.settings, stack="conversations"), "rate_limits": "documented"}
        given = TwilioSettings.from_connection(
            sandbox.settings["account_sid"], sandbox.settings["auth_token"], extra
        )

        async def trigger() -> None:
            for _ in range(2):
                async with connect(given) as account:
                    interaction: Any = account.client.flex_api.v1.interaction("KD" + "0" * 32)
                    with suppress(FlexSmsError):
                        await interaction.channels("UO" + "0" * 32).fetch_async()

        await asyncio.gather(*(trigger() for _ in range(60)))
        answered = Counter(entry["status"] for entry in sandbox.control.journal())
    assert answered.total() >= 120
    assert answered[429] <= answered.total() / 100
