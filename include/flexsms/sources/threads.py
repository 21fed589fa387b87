"""Blocking calls in threads, of which there are never more than so many, whatever becomes of the calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TypeVar

from flexsms.core.exceptions import ServiceUnavailable

T = TypeVar("T")
Wanted = tuple[Callable[[], T], "asyncio.Future[T]", asyncio.AbstractEventLoop]


class Threads:
    """Runs blocking calls. Whoever comes when all threads are taken waits, and is no call yet.

    A call cannot be interrupted. One that nobody waits for any more keeps its thread, and all that it holds in memory,
    until it ends by itself; its place is free then, and not before.

    :param most: threads at a time
    :param within_s: seconds that a caller waits, its turn included
    :param what: what is asked, for errors, like "The store"
    """

    def __init__(self, most: int, *, within_s: float, what: str) -> None:
        self._most = most
        self._within_s = within_s
        self._what = what
        # It would queue whatever is submitted. Nothing is that has no place.
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="flexsms")
        self._places = asyncio.Semaphore(most)
        self._given_up = 0

    @property
    def is_stuck(self) -> bool:
        """Whether every thread is taken by a call that its caller has given up."""
        return self._given_up >= self._most

    async def run(self, call: Callable[[], T]) -> T:
        """The result of a call.

        :raises ServiceUnavailable: when there is none within the time, or at once while :attr:`is_stuck`
        """
        if self.is_stuck:
            raise ServiceUnavailable(
                f"{self._what} has not answered {self._most} calls, so it is asked no more before it does; look after "
                "it, and if it answers others, start this process anew."
            )
        limit = asyncio.timeout(self._within_s)
        try:
            async with limit:
                await self._places.acquire()
                return await self._start(call)
        except TimeoutError:
            if not limit.expired():  # the call's own
                raise
            raise ServiceUnavailable(
                f"{self._what} has not answered within {self._within_s:g} s; trying again later."
            ) from None
        finally:
            # An error knows the frames that it came through. None of them may lead to it, or what the call holds would
            # stay in memory until somebody looks for such circles.
            del limit, call

    async def _start(self, call: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        try:
            self._pool.submit(self._work, [(call, answer, loop)])
        except BaseException:
            self._places.release()
            raise
        try:
            return await answer
        except asyncio.CancelledError:
            if answer.cancelled():
                self._given_up += 1
            raise
        finally:
            del answer, call

    def _work(self, wanted: list[Wanted[T]]) -> None:
        call, answer, loop = wanted.pop()  # the pool's own frames know the list
        tell: Callable[[], None]
        try:
            result = call()
        except BaseException as error:  # it is raised where the call is awaited
            tell = partial(answer.set_exception, error)
        else:
            tell = partial(answer.set_result, result)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(self._end, answer, tell)
        del call, answer, tell

    def _end(self, answer: asyncio.Future[T], tell: Callable[[], None]) -> None:
        self._places.release()
        if answer.cancelled():
            self._given_up -= 1
        else:
            tell()
