"""Many awaits at once, with a bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any, TypeVar

T = TypeVar("T")


async def for_each(
    items: Iterable[T],
    work: Callable[[T], Awaitable[None]],
    *,
    at_once: int,
    places: asyncio.Semaphore | None = None,
) -> None:
    """Do the work for every item, at most ``at_once`` of them at a time.

    ``work`` has to handle what can go wrong with one item: the first error that leaves it stops the others and is
    raised as it is, because the retry policy looks at its class.

    :param places: shared by several calls, which take turns: the next begins where those before have no item left
    """
    queue = iter(items)

    async def worker() -> None:
        async with places or nullcontext():
            for item in queue:
                await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(worker())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def merged(generators: Sequence[AsyncGenerator[T, None]]) -> AsyncGenerator[T, None]:
    """What several generators give, as it comes. Each of them works one item ahead, and is closed in the end."""
    end = object()

    def following(generator: AsyncGenerator[T, None]) -> asyncio.Task[T | object]:
        async def ask() -> T | object:
            return await anext(generator, end)

        return asyncio.create_task(ask())

    asked = {following(generator): generator for generator in generators}
    try:
        while asked:
            await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            # In the order of asking, so that the same answers always give the same order.
            for task in [task for task in asked if task.done()]:
                generator = asked.pop(task)
                item: Any = task.result()
                if item is not end:
                    asked[following(generator)] = generator
                    yield item
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        for generator in generators:
            await generator.aclose()


async def pages_ahead(page: Any) -> AsyncGenerator[Any, None]:
    """The pages of one of the SDK's lists: while one is read, the next is under way.

    :param page: the first, None for none
    """
    while page is not None:
        following = asyncio.create_task(page.next_page_async())
        await asyncio.sleep(0)
        try:
            yield page
        except BaseException:
            following.cancel()
            raise
        page = await following
