"""Blocking calls in threads: never more than so many, and nothing held for a call that is over."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from flexsms.core.exceptions import ServiceUnavailable
from flexsms.sources.threads import Threads

pytestmark = pytest.mark.anyio


class Thing:
    """What a call holds in memory."""


class Gate:
    """Where calls hang until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.began = 0

    def call(self, result: Any = None) -> Callable[[], Any]:
        def call() -> Any:
            self.began += 1
            assert self.opened.wait(60)
            return result

        return call


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110  # a thread tells nobody
            await asyncio.sleep(0.01)


def make(most: int = 3, within_s: float = 60) -> Threads:
    return Threads(most, within_s=within_s, what="The store")


async def test_results_and_errors_come_back() -> None:
    threads = make()
    assert await threads.run(lambda: 5) == 5
    for kind in (KeyError, TimeoutError, PermissionError):

        def fail(kind: type[Exception] = kind) -> None:
            raise kind("of the call")

        with pytest.raises(kind, match="of the call"):
            await threads.run(fail)


async def test_no_more_run_than_there_are_threads(gate: Gate) -> None:
    threads = make(3)
    calls = [asyncio.create_task(threads.run(gate.call(number))) for number in range(10)]
    await until(lambda: gate.began == 3)
    await asyncio.sleep(0.05)
    assert gate.began == 3
    gate.opened.set()
    assert await asyncio.gather(*calls) == list(range(10))


async def test_a_call_that_was_given_up_keeps_its_thread_until_it_ends(gate: Gate) -> None:
    threads = make(2, within_s=0.1)
    answers = await asyncio.gather(*(threads.run(gate.call()) for _ in range(6)), return_exceptions=True)
    assert [str(one) for one in answers] == [
        "The store has not answered within 0.1 s; trying again later."
    ] * 6
    assert gate.began == 2
    # Nobody waits for nothing: what is refused now has not begun.
    assert threads.is_stuck
    with pytest.raises(ServiceUnavailable, match="has not answered 2 calls"):
        await threads.run(lambda: pytest.fail("it began"))
    gate.opened.set()
    await until(lambda: not threads.is_stuck)
    assert [await make(2).run(lambda: 1), await threads.run(lambda: 2)] == [1, 2]


async def test_who_gives_up_while_waiting_for_a_turn_leaves_nothing(gate: Gate) -> None:
    threads = make(1)
    first = asyncio.create_task(threads.run(gate.call("first")))
    await until(lambda: gate.began == 1)
    thing = Thing()
    gone = weakref.ref(thing)
    second = asyncio.create_task(threads.run(gate.call(thing)))
    del thing
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    del second
    gc.collect()
    assert gone() is None
    assert not threads.is_stuck
    gate.opened.set()
    assert await first == "first"
    assert gate.began == 1


@pytest.mark.parametrize("ends", ["with a result", "with an error", "given up"])
async def test_nothing_is_held_for_a_call_that_is_over(ends: str, gate: Gate) -> None:
    """Nor until the garbage collector finds it: it seldom looks for old things."""
    threads = make(1, within_s=0.05 if ends == "given up" else 60)

    async def run() -> weakref.ref[Thing]:
        thing = Thing()

        def call() -> int:
            if ends == "given up":
                assert gate.opened.wait(60)
            if ends == "with an error":
                raise KeyError(id(thing))
            return id(thing)

        with suppress(KeyError, ServiceUnavailable):
            await threads.run(call)
        return weakref.ref(thing)

    gc.disable()
    try:
        gone = await run()
        if ends == "given up":
            assert gone() is not None
            gate.opened.set()
        await until(lambda: gone() is None)
    finally:
        gc.enable()


def test_a_call_that_outlives_the_loop_harms_nobody(gate: Gate) -> None:
    async def leave() -> Threads:
        threads = make(1, within_s=0.01)
        with pytest.raises(ServiceUnavailable):
            await threads.run(gate.call())
        return threads

    threads = asyncio.run(leave())
    gate.opened.set()
    threads._pool.shutdown()
