"""Hands out texts, each with the slot in which it may leave; the next block is reserved while one is spent."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from itertools import takewhile

from flexsms.core.broadcast import BroadcastText
from flexsms.core.exceptions import FlexSmsError
from flexsms.twilio.broadcast.pace import MOST_TEXTS

Slotted = tuple[BroadcastText, int]


class TextFeed:
    """The texts of a batch, in their order.

    :param texts: read as they are needed, so that no more than a few blocks of them are in memory
    :param reserve: gives slots to the first of some texts; none where no more may leave
    :param ahead: reserve while the block before is being spent; else once it is spent
    """

    def __init__(
        self,
        texts: AsyncIterator[BroadcastText],
        reserve: Callable[[Sequence[BroadcastText]], Awaitable[list[int]]],
        *,
        ahead: bool = True,
    ) -> None:
        self._texts = texts
        self._reserve = reserve
        self._ahead = ahead
        self._read: deque[BroadcastText] = deque()  # without a slot
        self._block: deque[Slotted] = deque()
        self._has_late = False  # texts whose slots had gone by have come back since slots were last asked for
        self._half = 0
        self._following: asyncio.Task[deque[Slotted]] | None = None

    async def next(self) -> Slotted | None:
        """The next text; None where there is none, or no slot for it."""
        if not self._block:
            self._block = await self._next_block()
            if not self._block and self._has_late:
                # It was reserved before they came back.
                self._block = await self._next_block()
            self._half = len(self._block) // 2
        if not self._block:
            return None
        given = self._block.popleft()
        if self._ahead and len(self._block) <= self._half and self._following is None:
            self._following = asyncio.create_task(self._reserve_block())
        return given

    def put_back(self, text: BroadcastText, slot: int) -> None:
        """Take back the text that was given out last."""
        self._block.appendleft((text, slot))

    def drop_slots(self, *, before: int) -> None:
        """Leave the slots unused that have gone by; their texts get others, once those of the block are spent."""
        late = [text for text, _ in takewhile(lambda one: one[1] < before, self._block)]
        for _ in late:
            self._block.popleft()
        self._read.extendleft(reversed(late))
        self._has_late = self._has_late or bool(late)

    async def give_up_slots(self) -> None:
        """Leave all slots that are reserved unused; the next texts get others."""
        following: deque[Slotted] = deque()
        if self._following is not None:
            with suppress(FlexSmsError):
                following = await self._next_block()
        self._read.extendleft(text for text, _ in reversed([*self._block, *following]))
        self._block.clear()

    async def rest(self, most: int) -> list[BroadcastText]:
        """The next texts that were not given out, once their slots are given up; as many at most."""
        while len(self._read) < most and (text := await anext(self._texts, None)) is not None:
            self._read.append(text)
        return [self._read.popleft() for _ in range(min(most, len(self._read)))]

    async def _next_block(self) -> deque[Slotted]:
        if self._following is None:
            return await self._reserve_block()
        following, self._following = self._following, None
        return await following

    async def _reserve_block(self) -> deque[Slotted]:
        self._has_late = False
        texts = await self.rest(MOST_TEXTS)
        slots: list[int] = []
        try:
            slots = await self._reserve(texts) if texts else []
        finally:
            self._read.extendleft(reversed(texts[len(slots) :]))
        return deque(zip(texts, slots, strict=False))


async def each(texts: Iterable[BroadcastText]) -> AsyncIterator[BroadcastText]:
    """Texts that are at hand, as a feed reads them."""
    for text in texts:
        yield text
