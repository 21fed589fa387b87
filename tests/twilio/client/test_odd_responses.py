"""Whatever the answer to one call of a job is, the job ends with an error of the tree or a report.

The next try ends with everything as it should be: one text, no channel half done, states that are right.

Which call and which answer is drawn; how many examples a run takes is below. Seeds are fixed, so a failure can be
looked at again by the test's name.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.exceptions import FlexSmsError, RetryableError
from flexsms.core.stack_name import StackName
from flexsms.twilio.account import Account, connect
from flexsms.twilio.cleanup.outcomes import Action, Outcome
from flexsms.twilio.client.settings import TwilioSettings
from tests.support.cleanup_scenarios import CUSTOMER as ADA
from tests.support.cleanup_scenarios import HOUSES, OTHER, House
from tests.support.send_scenarios import CUSTOMER, Desk

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexsms.sandbox.client import SandboxProcess
    from tests.twilio.conftest import Clock

pytestmark = pytest.mark.anyio

SEEDS = range(8)
TEXT = "Your results are in."
# A lost answer costs so much, and a text whose fate is unknown four times as much.
QUICK_S = 0.3
HTML = {"action": "answer", "body": "<!doctype html><title>Log in</title>", "content_type": "text/html"}
# What the answer to a call may be. Those of Twilio's own are refusals that it takes back the next time.
ANSWERS: dict[str, dict[str, Any]] = {
    "cut off": {"action": "mangle", "cut_bytes": 12},
    "cut in the middle": {"action": "drop_midway"},
    "cut before": {"action": "drop_before"},
    "cut after": {"action": "drop_after"},
    "too late": {"action": "delay", "delay_ms": 500},
    "HTML": HTML,
    "HTML, done": {**HTML, "applied": True},
    "HTML with 404": {**HTML, "status": 404},
    "HTML with 409, done": {**HTML, "status": 409, "applied": True},
    "HTML with 400, done": {**HTML, "status": 400, "applied": True},
    "HTML with 503, done": {**HTML, "status": 503, "applied": True},
    "a list": {"action": "answer", "body": "[1]", "applied": True},
    "a number": {"action": "answer", "body": "7"},
    "nothing": {"action": "answer", "body": ""},
    "nothing, done": {"action": "answer", "body": "", "applied": True},
    "an empty object": {"action": "answer", "body": "{}", "applied": True},
    "no SID": {"action": "mangle", "drop": ["sid", "revision", "meta"]},
    "null for a SID": {
        "action": "mangle",
        "put": {"sid": None, "status": None, "state": None, "attributes": None},
    },
    "another page": {"action": "mangle", "put": {"meta": {"next_page_url": "https://evil.example/"}}},
    "429": {"action": "status", "status": 429},
    "500": {"action": "status", "status": 500},
    "503": {"action": "status", "status": 503},
    "408": {"action": "status", "status": 408},
    "404": {"action": "status", "status": 404},
    "403": {"action": "status", "status": 403},
    "400": {"action": "status", "status": 400, "code": 20001},
}


@dataclass(frozen=True)
class Example:
    """One call, and what is answered to it.

    :param call: how many calls are answered as they should be before it
    """

    call: int
    kind: str

    @classmethod
    def draw(cls, seed: str, calls: int) -> Example:
        """The same for the same seed.

        :param calls: how many a job may take
        """
        chosen = random.Random(seed)
        return cls(chosen.randrange(calls), chosen.choice([*ANSWERS]))

    def happens(self, sandbox: SandboxProcess) -> None:
        sandbox.control.fault(match={}, skip=self.call, times=1, **ANSWERS[self.kind])


async def in_the_tree(job: Callable[[], Any]) -> tuple[Any, FlexSmsError | None]:
    """What a job returns, or the error of the tree that it ends with; any other is a failed test."""
    try:
        return await job(), None
    except FlexSmsError as caught:
        error = caught
    assert str(error).endswith(".")
    assert "None" not in str(error)
    return None, error


async def until_done(job: Callable[[], Any]) -> Any:
    """As Airflow does after an error that may heal."""
    for _ in range(6):
        try:
            return await job()
        except RetryableError:
            await asyncio.sleep(0.1)
    return await job()


# Sending


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
@pytest.mark.parametrize("route", ["agent", "studio"])
@pytest.mark.parametrize("stack", list(StackName), ids=str)
async def test_a_send(
    sandbox: SandboxProcess, clock: Clock, stack: StackName, route: str, known: bool, seed: int
) -> None:
    desk = Desk(stack, sandbox, clock)
    desk.settings = replace(desk.settings, timeout_s=QUICK_S)
    before = await desk.send("Earlier.", key="k0", route=route) if known else None
    texts = ["Earlier.", TEXT] if known else [TEXT]
    sandbox.control.clear_journal()
    example = Example.draw(f"{stack} {route} {known} {seed}", 11 if known else 16)
    example.happens(sandbox)

    async def send() -> Any:
        return await desk.send(route=route)

    sent, error = await in_the_tree(send)
    sandbox.control.clear_faults()
    if error is not None or sent is None:
        sent = await until_done(send)
    await asyncio.sleep(0.5 if example.kind == "too late" else 0)
    assert desk.texts() == texts, (example, error)
    assert sent.message_sid
    assert sent.channel_sid.startswith("CH")
    assert [row["sid"] for row in desk.channels()] == [sent.channel_sid], (example, error)
    assert len(desk.open_tasks()) == (1 if route == "agent" else 0), (example, error)
    if before is not None:
        assert sent.channel_sid == before.channel_sid
    again = await send()
    assert (again.duplicate, again.message_sid) == (True, sent.message_sid)
    assert desk.texts() == texts


# Tracking and cleaning up


@pytest.fixture
async def quick(settings: TwilioSettings, clock: Clock) -> Any:
    async with connect(replace(settings, timeout_s=QUICK_S, max_in_flight=4), now=clock) as account:
        yield account


@pytest.fixture(params=HOUSES, ids=lambda kind: str(kind.stack))
def centre(request: pytest.FixtureRequest, quick: Account, sandbox: SandboxProcess, clock: Clock) -> House:
    kind: type[House] = request.param
    return kind(quick, sandbox, clock)


async def ended(centre: House, channel_sid: str) -> bool:
    stored = await centre.account.store.load(channel_sid)
    return stored is not None and not stored.state.open_tasks and stored.state.last_ended_ms is not None


@pytest.mark.parametrize("seed", SEEDS)
async def test_tracking(centre: House, sandbox: SandboxProcess, seed: int) -> None:
    sids = [centre.conversation(), centre.conversation(OTHER)]
    example = Example.draw(f"track {centre.stack} {seed}", 12)
    example.happens(sandbox)
    _, error = await in_the_tree(centre.track)
    sandbox.control.clear_faults()
    if error is None:
        assert all([await ended(centre, sid) for sid in sids]), example
    await until_done(centre.track)
    assert all([await ended(centre, sid) for sid in sids]), (example, error)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("action", list(Action), ids=str)
async def test_a_cleanup(centre: House, sandbox: SandboxProcess, action: Action, seed: int) -> None:
    sids = [centre.conversation(), centre.conversation(OTHER)]
    live = centre.conversation("+14155551003")
    centre.clock.advance(days=3)
    centre.control.customer("+14155551003", centre.number, "I am here.")
    before = await centre.attributes(live)
    await centre.track()
    example = Example.draw(f"cleanup {centre.stack} {action} {seed}", 24)
    example.happens(sandbox)
    due, error = await in_the_tree(centre.scan)
    if error is not None:
        due = await centre.scan()
    assert {channel.channel_sid for channel in due} == {*sids}, example
    report, error = await in_the_tree(lambda: centre.retire(due, action))
    sandbox.control.clear_faults()
    # Airflow tries a batch again after an error that may heal, the next night's run looks at all that is left.
    if error is not None or report.worth_retrying:
        centre.memory.died()
        report = await until_done(lambda: centre.retire(due, action))
    assert await centre.attributes(live) == before, example
    if {*report.outcomes.values()} != {done(action)}:
        report = await centre.clean(action, days=1)
    assert set(report.outcomes.values()) <= {done(action), Outcome.ALREADY_GONE}, (example, report)
    await assert_out_of_use(centre, sids, action, example)
    assert await centre.attributes(live) == before, example
    assert await centre.is_open(live), example


def done(action: Action) -> Outcome:
    return Outcome.DELETED if action is Action.DELETE else Outcome.DEACTIVATED


async def assert_out_of_use(centre: House, sids: list[str], action: Action, example: Example) -> None:
    there = await centre.channels()
    if action is Action.DELETE:
        assert not {*sids} & {*there}, example
        return
    for customer, sid in ((ADA, sids[0]), (OTHER, sids[1])):
        attributes = await centre.attributes(sid)
        assert (attributes["status"], attributes["long_lived"]) == ("INACTIVE", False), example
        assert not await centre.is_open(sid), example
        arrived = centre.control.customer(customer, centre.number, "Hello again")
        assert arrived["channel_sid"] != sid, example


def test_the_customers_differ() -> None:
    assert len({ADA, OTHER, CUSTOMER}) == 3
