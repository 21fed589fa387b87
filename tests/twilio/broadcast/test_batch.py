"""A batch: each text once, whatever goes wrong, and what became of each is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flexsms.core.broadcast import Outcome
from flexsms.core.outbound_message import Route

from .conftest import Broadcast

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("route", Route)
async def test_every_text_leaves_once(broadcast: Broadcast, route: Route) -> None:
    texts = broadcast.texts(40)
    assert await broadcast.send(texts, route=route) is None
    broadcast.each_once(texts)
    assert all(result.at and result.segments == 1 and result.channel_sid for result in broadcast.results)


async def test_a_second_try_sends_nothing_and_says_the_same(broadcast: Broadcast) -> None:
    texts = broadcast.texts(20)
    await broadcast.send(texts)
    first = {result.row: (result.channel_sid, result.message_sid) for result in broadcast.results}
    await broadcast.send(texts, was_tried=True)
    broadcast.each_once(texts)
    assert {result.row: (result.channel_sid, result.message_sid) for result in broadcast.results} == first


async def test_another_run_of_the_campaign_texts_nobody_twice_whatever_the_text(broadcast: Broadcast) -> None:
    texts = broadcast.texts(20)
    await broadcast.send(texts[:15])
    edited = broadcast.texts(20, body="Something else")
    await broadcast.send(edited, run="dag/other")
    assert broadcast.outcomes() == {row: "texted_before" if row <= 15 else "sent" for row in range(1, 21)}
    assert broadcast.bodies() == sorted([f"Text {row}" for row in range(1, 16)] + 5 * ["Something else"])


async def test_another_campaign_texts_them_again(broadcast: Broadcast) -> None:
    texts = broadcast.texts(3)
    await broadcast.send(texts)
    await broadcast.send(texts, campaign="autumn")
    assert len(broadcast.bodies()) == 6


async def test_one_bad_text_is_one_failure(broadcast: Broadcast) -> None:
    texts = broadcast.texts(12)
    texts[4] = replace(texts[4], to_number="+15005550009000000")
    broadcast.sandbox.control.fault(
        match={"method": "POST", "form": {"Body": "^Text 8$"}}, action="status", status=400, code=21211
    )
    await broadcast.send(texts)
    told = {result.row: result for result in broadcast.results}
    assert {row for row, result in told.items() if result.outcome is Outcome.FAILED} == {5, 8}
    assert (told[5].code, told[8].code) == (None, 21211)
    assert "5550009" not in told[5].reason
    assert broadcast.bodies() == sorted(f"Text {row}" for row in range(1, 13) if row not in (5, 8))
