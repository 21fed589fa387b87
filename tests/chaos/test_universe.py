"""Virtual time, and processes that are stopped, continued and killed in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from .universe import Endless, Process, Universe

HOUR_S = 3600.0


@pytest.fixture
def universe() -> Iterator[Universe]:
    """A universe that leaves nothing behind."""
    universe = Universe()
    yield universe
    universe.bury()


def begin(universe: Universe, work: Callable[[], Awaitable[Any]]) -> tuple[Process, dict[str, Any]]:
    """A process, and what it has to tell in the end."""
    told: dict[str, Any] = {}

    async def body() -> None:
        try:
            told["result"] = await work()
        except Exception as error:
            told["error"] = error

    process = Process(universe, None, "one")
    process.start(body(), lambda: told.update(ended_s=universe.now_s))
    return process, told


def test_an_hour_takes_no_time(universe: Universe) -> None:
    began = time.monotonic()
    _, told = begin(universe, lambda: asyncio.sleep(100 * HOUR_S))
    universe.run()
    assert told["ended_s"] == pytest.approx(100 * HOUR_S)
    assert time.monotonic() - began < 1


def test_processes_and_the_agenda_share_the_clock(universe: Universe) -> None:
    order = []

    async def work(name: str, *pauses: float) -> None:
        for pause in pauses:
            await asyncio.sleep(pause)
            order.append(f"{name} {universe.now_s:.0f}")

    begin(universe, lambda: work("a", 1, 4))
    begin(universe, lambda: work("b", 2, 2))
    universe.at(3, lambda: order.append("between"))
    universe.run()
    assert order == ["a 1", "b 2", "between", "b 4", "a 5"]


def test_a_frozen_process_finds_its_timers_overdue(universe: Universe) -> None:
    moments = []

    async def work() -> None:
        for _ in range(3):
            await asyncio.sleep(1)
            moments.append(round(universe.now_s))

    process, _ = begin(universe, work)
    universe.at(1.5, process.stop)
    universe.at(100, process.go_on)
    universe.run()
    assert moments == [1, 100, 101]


def test_a_machine_that_slept_has_a_clock_that_stood_still(universe: Universe) -> None:
    moments = []

    async def work() -> None:
        for _ in range(3):
            await asyncio.sleep(2)
            moments.append((round(universe.now_s), round(universe.monotonic_s())))

    process, _ = begin(universe, work)
    universe.at(3, lambda: process.stop(asleep=True))
    universe.at(100, process.go_on)
    universe.run()
    assert moments == [(2, 2), (101, 4), (103, 6)]


def test_an_answer_that_came_while_a_process_was_frozen_comes_too_late(universe: Universe) -> None:
    """As with aiohttp: whoever wakes up minutes later finds the answer, and the timeout before it."""

    async def work() -> str:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()
        universe.at(2, lambda: loop.call_soon(answer.set_result, "here"))
        async with asyncio.timeout(15):
            return await answer

    process, told = begin(universe, work)
    universe.at(1, process.stop)
    universe.at(100, process.go_on)
    universe.run()
    assert isinstance(told["error"], TimeoutError)


def test_a_killed_process_does_nothing_more_and_leaves_no_complaint(universe: Universe) -> None:
    done = []

    async def work() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(HOUR_S))
        finally:
            done.append("cleaned up")

    process, told = begin(universe, work)
    universe.at(1, process.kill)
    universe.run()
    assert universe.now_s == pytest.approx(1)
    assert not told
    assert not done
    universe.bury()
    assert "ended_s" not in told


def test_what_never_ends_is_told(universe: Universe) -> None:
    async def work() -> None:
        while True:  # noqa: ASYNC110
            await asyncio.sleep(0)

    begin(universe, work)
    with pytest.raises(Endless, match="still at work"):
        universe.run()


def test_whoever_waits_for_nothing_is_left_behind(universe: Universe) -> None:
    _, told = begin(universe, lambda: asyncio.Event().wait())
    universe.run()
    assert told == {}
