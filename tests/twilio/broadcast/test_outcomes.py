"""What a batch says of a text that has not left, and when it writes down who was texted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import cast

import pytest

from flexsms.core.broadcast import BroadcastResult, BroadcastText, Outcome
from flexsms.core.exceptions import FlexSmsError, InvalidInput, ServiceUnavailable
from flexsms.twilio.broadcast import outcomes as module
from flexsms.twilio.broadcast.campaign import Campaign
from flexsms.twilio.broadcast.outcomes import BatchOutcomes
from flexsms.twilio.sending.progress import SendResult


@pytest.mark.parametrize(
    ("error", "may_retry"),
    [(ServiceUnavailable("Flex is busy."), True), (InvalidInput("body", "is too long", "shorten it"), False)],
)
def test_whether_another_try_may_send_it_is_told(error: FlexSmsError, may_retry: bool) -> None:
    told: list[BroadcastResult] = []
    outcomes = BatchOutcomes(
        cast("Campaign", None), run="dag/run", now=lambda: datetime(2026, 1, 5, tzinfo=UTC), tell=told.append
    )
    outcomes.failed(BroadcastText(1, "+14155550100", "+14155550201", "Hello"), error)
    assert [(one.outcome, one.may_retry) for one in told] == [(Outcome.FAILED, may_retry)]


class Packs:
    """A campaign that takes a while to add somebody."""

    def __init__(self) -> None:
        self.added: list[list[str]] = []
        self.may_go_on = asyncio.Event()
        self.error: FlexSmsError | None = None

    def digest_of(self, number: str) -> str:
        return number

    async def add(self, digests: Iterable[str]) -> None:
        await self.may_go_on.wait()
        self.added.append(list(digests))
        if self.error:
            raise self.error


@pytest.mark.anyio
async def test_who_is_texted_while_a_pack_is_written_makes_the_next_one_no_larger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PACK_SIZE", 3)
    packs = Packs()
    outcomes = BatchOutcomes(
        cast("Campaign", packs),
        run="dag/run",
        now=lambda: datetime(2026, 1, 5, tzinfo=UTC),
        tell=lambda _: None,
    )

    async def sent(row: int) -> None:
        left = SendResult("CH1", None, None, None, "IM1", reused_channel=False)
        outcomes.sent(BroadcastText(row, "+14155550100", str(row), "Hello"), left)
        await outcomes.pack_some()

    async with asyncio.TaskGroup() as group:
        for row in range(5):
            group.create_task(sent(row))
        await asyncio.sleep(0)
        packs.may_go_on.set()
    await sent(5)
    assert packs.added == [["0", "1", "2"], ["3", "4", "5"]]
    # A pack that could not be written is not tried again with every text.
    packs.error = ServiceUnavailable("Sync is busy.")
    for row in range(6, 11):
        await sent(row)
    assert packs.added[2:] == [["6", "7", "8"]]
    packs.error = None
    await sent(11)
    assert packs.added[3:] == [["6", "7", "8", "9", "10", "11"]]
