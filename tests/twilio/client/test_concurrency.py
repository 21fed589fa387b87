"""Many awaits at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from flexsms.twilio.client.concurrency import for_each, merged

pytestmark = pytest.mark.anyio


class Feed:
    """Gives numbers, each when it is asked for and let go."""

    def __init__(self, *numbers: int, error: Exception | None = None) -> None:
        self.numbers, self.error = numbers, error
        self.asked = 0
        self.is_closed = False

    async def read(self) -> AsyncGenerator[int, None]:
        try:
            for number in self.numbers:
                self.asked += 1
                await asyncio.sleep(0)
                yield number
            if self.error:
                raise self.error
        finally:
            self.is_closed = True


async def test_who_shares_places_takes_turns() -> None:
    places, begun, under_way, most = asyncio.Semaphore(3), "", 0, 0

    async def work(name: str) -> None:
        nonlocal begun, under_way, most
        begun, under_way = begun + name, under_way + 1
        most = max(most, under_way)
        for _ in range(3 if name == "a" else 1):
            await asyncio.sleep(0)
        under_way -= 1

    await asyncio.gather(*(for_each(name * 10, work, at_once=3, places=places) for name in "abc"))
    assert begun == 10 * "a" + 10 * "b" + 10 * "c"
    assert most == 3


async def test_an_error_leaves_its_place_to_the_others() -> None:
    places, done = asyncio.Semaphore(1), 0

    async def fail(_: int) -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    async def count(_: int) -> None:
        nonlocal done
        await asyncio.sleep(0)
        done += 1

    async def failing() -> None:
        with pytest.raises(ValueError, match="no"):
            await for_each(range(5), fail, at_once=5, places=places)

    await asyncio.gather(failing(), for_each(range(5), count, at_once=5, places=places))
    assert done == 5


async def test_everything_comes_and_the_same_answers_in_the_same_order() -> None:
    async def read() -> list[int]:
        feeds = [Feed(1, 2, 3), Feed(), Feed(10, 20)]
        return [number async for number in merged([feed.read() for feed in feeds])]

    first = await read()
    assert sorted(first) == [1, 2, 3, 10, 20]
    assert await read() == first


async def test_each_works_one_ahead_and_no_further() -> None:
    feeds = [Feed(*range(9)), Feed(*range(9))]
    async with aclosing(merged([feed.read() for feed in feeds])) as numbers:
        async for _ in numbers:
            break
        for _ in range(20):
            await asyncio.sleep(0)
        assert [feed.asked for feed in feeds] == [2, 1]
    assert all(feed.is_closed for feed in feeds)


async def test_the_error_of_one_is_raised_and_all_are_closed() -> None:
    feeds = [Feed(*range(99)), Feed(1, error=ValueError("no"))]
    with pytest.raises(ValueError, match="no"):
        async for _ in merged([feed.read() for feed in feeds]):
            pass
    assert all(feed.is_closed for feed in feeds)
