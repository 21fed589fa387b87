"""Texts are given out in their order and none is lost, however many slots there are and however often given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexsms.core.broadcast import BroadcastText
from flexsms.core.exceptions import ServiceUnavailable
from flexsms.twilio.broadcast.feed import TextFeed
from flexsms.twilio.broadcast.pace import MOST_TEXTS

pytestmark = pytest.mark.anyio


async def texts(count: int) -> AsyncIterator[BroadcastText]:
    for row in range(count):
        yield BroadcastText(row, "+14155550100", "+14155550199", "Hello")


@given(
    st.integers(0, 3 * MOST_TEXTS),
    st.lists(st.integers(1, MOST_TEXTS), min_size=1, max_size=8),
    st.sets(st.integers(0, 3 * MOST_TEXTS), max_size=5),
    st.booleans(),
)
def test_each_is_given_out_once_in_its_order(
    count: int, sizes: list[int], given_up: set[int], ahead: bool
) -> None:
    async def play() -> list[int]:
        asked = 0

        async def reserve(waiting: Sequence[BroadcastText]) -> list[int]:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0)
            return [0] * min(sizes[asked % len(sizes)], len(waiting))

        feed, rows, again = TextFeed(texts(count), reserve, ahead=ahead), [], set(given_up)
        while (found := await feed.next()) is not None:
            if found[0].row in again:
                again.discard(found[0].row)
                feed.put_back(*found)
                await feed.give_up_slots()
            else:
                rows.append(found[0].row)
        return rows

    assert asyncio.run(play()) == list(range(count))


@given(
    st.integers(0, 3 * MOST_TEXTS),
    st.lists(st.integers(1, MOST_TEXTS), min_size=1, max_size=8),
    st.sets(st.integers(0, 3 * MOST_TEXTS), max_size=20),
    st.booleans(),
)
def test_a_text_whose_slot_has_gone_by_gets_another_one(
    count: int, sizes: list[int], late: set[int], ahead: bool
) -> None:
    async def play() -> list[int]:
        asked = 0

        async def reserve(waiting: Sequence[BroadcastText]) -> list[int]:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0)
            return [
                asked * MOST_TEXTS + number for number in range(min(sizes[asked % len(sizes)], len(waiting)))
            ]

        feed, rows, again = TextFeed(texts(count), reserve, ahead=ahead), [], set(late)
        while (found := await feed.next()) is not None:
            await asyncio.sleep(0)
            if found[0].row in again:
                again.discard(found[0].row)
                feed.put_back(*found)
                feed.drop_slots(before=found[1] + 2)
            else:
                rows.append(found[0].row)
        return rows

    assert sorted(asyncio.run(play())) == list(range(count))


async def test_without_a_slot_the_rest_is_what_was_not_given_out() -> None:
    blocks = [[0] * 3, []]

    async def reserve(waiting: Sequence[BroadcastText]) -> list[int]:
        assert waiting
        return blocks.pop(0)

    feed = TextFeed(texts(500), reserve)
    rows = []
    while (found := await feed.next()) is not None:
        rows.append(found[0].row)
    await feed.give_up_slots()
    rest: list[int] = []
    while some := await feed.rest(100):
        assert len(some) <= 100
        rest += [text.row for text in some]
    assert (rows, rest) == ([0, 1, 2], list(range(3, 500)))


async def test_an_error_of_what_is_reserved_ahead_comes_with_the_next_block_and_loses_none() -> None:
    asked = 0

    async def reserve(waiting: Sequence[BroadcastText]) -> list[int]:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise ServiceUnavailable("Not now.")
        return [0] * min(4, len(waiting))

    feed, rows = TextFeed(texts(10), reserve), list[int]()

    async def all_there_are() -> None:
        while (found := await feed.next()) is not None:
            rows.append(found[0].row)

    with pytest.raises(ServiceUnavailable):
        await all_there_are()
    assert rows == [0, 1, 2, 3]
    await all_there_are()
    assert rows == list(range(10))
