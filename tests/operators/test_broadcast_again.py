"""What a run of a campaign that is over costs: the packs of its recipients are read, and not the ledger."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flexsms.core.broadcast import BroadcastBatch
from flexsms.hooks.twilio import TwilioHook
from flexsms.operators.broadcast import FlexBroadcastOperator
from flexsms.operators.broadcast_check import FlexBroadcastCheckOperator
from flexsms.operators.broadcast_xcom import BroadcastPlan
from flexsms.recipients.work_list import BATCH_SIZE
from flexsms.sandbox.client import SandboxProcess
from flexsms.twilio.broadcast.campaign import PACK_SIZE

RECIPIENTS = 2000
PACKS_PER_CALL = 100
# Whatever the list: the sender and, on Chat, its flow; the key of digests; who has opted out, 16 maps.
ALWAYS = 19
FROM = {"chat": "twilio", "conversations": "conversations"}


def packs(recipients: int) -> int:
    """How many packs there are: a batch fills some, and its last one is not full."""
    return math.ceil(recipients / BATCH_SIZE) * math.ceil(BATCH_SIZE / PACK_SIZE)


def calls(recipients: int) -> int:
    """How many calls a run takes at most."""
    return math.ceil(packs(recipients) / PACKS_PER_CALL) + ALWAYS


@pytest.fixture
def list_of_2000(tmp_path: Path) -> Path:
    path = tmp_path / "spring.csv"
    path.write_text("to_number\n" + "".join(f"{number}\n" for number in numbers()), encoding="utf-8")
    return path


def numbers() -> list[str]:
    return [f"+1415{5_560_000 + row}" for row in range(RECIPIENTS)]


def test_a_run_of_a_finished_campaign_takes_less_than_a_call_per_100_recipients(
    stack: str,
    connection: Callable[..., None],
    sandbox: SandboxProcess,
    context: Any,
    list_of_2000: Path,
) -> None:
    connection(stack=stack, studio_flow_sid=sandbox.settings["studio_flow_sid"])

    async def seed() -> None:
        async with TwilioHook().account() as account:
            campaign = await account.campaign("spring")
            digests = [campaign.digest_of(number) for number in numbers()]
            for first in range(0, RECIPIENTS, BATCH_SIZE):
                await campaign.add(digests[first : first + BATCH_SIZE])

    asyncio.run(seed())
    sandbox.control.clear_journal()
    found = FlexBroadcastCheckOperator(
        task_id="check",
        recipients=list_of_2000.as_uri(),
        from_number=sandbox.settings["numbers"][FROM[stack]],
        body="Hello",
        campaign="spring",
        hours="00:00-24:00",
    ).execute(context)
    plan = BroadcastPlan.from_json(context.pushed["plan"])
    assert (plan.rows, plan.texts, plan.left_out) == (RECIPIENTS, 0, {"texted_before": RECIPIENTS})
    for batch in found:
        assert BroadcastBatch.from_json(batch).texts == 0
        task = FlexBroadcastOperator(task_id="send", batch=batch, campaign="spring")
        asyncio.run(task.aexecute(context))
    journal = sandbox.control.journal()
    read = [one for one in journal if "flexsms.broadcast." in one["path"]]
    assert len(read) == 1
    assert len(journal) <= calls(RECIPIENTS)
    assert sandbox.control.outbox() == []


def test_with_100_000_recipients_it_is_far_less() -> None:
    assert packs(100_000) == 300
    assert calls(100_000) == 3 + ALWAYS
    assert calls(100_000) <= 100_000 / 100
