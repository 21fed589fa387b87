"""An account in the middle of its move: a hundred chat channels and a hundred conversations in one workspace."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.stack_name import StackName
from flexsms.twilio.account import Account
from flexsms.twilio.cleanup.outcomes import Outcome
from flexsms.twilio.cleanup.unanswered import MOST_SAMPLED
from tests.support.cleanup_scenarios import HOUSES, ChatHouse, ConversationsHouse, House

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess
    from tests.twilio.conftest import Clock

pytestmark = pytest.mark.anyio

Calls = Callable[[], Counter[str]]
SID = re.compile(r"CH[0-9a-f]{32}")
TABLES = ("channels", "sessions", "conversations", "flex_channels", "tasks")
EACH = 100
CUSTOMERS = [f"+1415555{1000 + n}" for n in range(EACH)]


@dataclass
class Moving:
    """The account: every customer has a chat channel and a conversation, and texts both numbers."""

    sids: Mapping[StackName, Sequence[str]]
    live: frozenset[str]
    fresh: frozenset[str]

    def due(self, stack: StackName) -> set[str]:
        return set(self.sids[stack]) - self.live - self.fresh

    @property
    def kept(self) -> frozenset[str]:
        return self.live | self.fresh


@pytest.fixture
async def house(account: Account, sandbox: SandboxProcess, clock: Clock) -> House:
    return ConversationsHouse(account, sandbox, clock)


@pytest.fixture
def moving(house: House) -> Moving:
    """Two lives of each channel, interleaved; then a week's end; then of every ten customers some are there again."""
    made = house.control.load(
        channels=[{"customer": customer, "session": True} for customer in CUSTOMERS],
        # Left by their agents; every fourth was a text without an interaction, whose answer came on another way.
        conversations=[{"customer": customer, "parked": n % 4 > 0} for n, customer in enumerate(CUSTOMERS)],
    )
    chat, modern = made["channels"], made["conversations"]
    house.clock.advance(days=5)
    mixed = [sid for pair in zip(chat, modern, strict=True) for sid in pair]
    house.control.events(channel_sids=mixed, events=14 * len(mixed), hours=96)
    house.clock.advance(days=3)
    fresh = [*chat[3::10], *modern[3::10]]
    house.control.events(channel_sids=fresh, events=7 * len(fresh), hours=24)
    wrapping = [*chat[2::10], *modern[2::10]]
    # The last two: customers who are live on one stack and due on the other.
    assigned = [*chat[1::10], *modern[1::10], *chat[4::10], *modern[5::10]]
    pending = [*chat[0::10], *modern[0::10]]
    house.control.tasks([*assigned, *wrapping])
    house.control.tasks(pending, "pending")
    for sid in wrapping:
        house.control.agent("wrap", channel_sid=sid)
    house.clock.advance(seconds=2)  # the new interactions take a moment
    return Moving(
        {StackName.CHAT: chat, StackName.CONVERSATIONS: modern},
        frozenset([*assigned, *wrapping, *pending]),
        frozenset(fresh),
    )


def rows(house: House, sids: Iterable[str]) -> list[Any]:
    """Channels, their sessions, interaction channels and tasks, as the sandbox holds them."""
    tables = house.control.state()["tables"]
    named = [str(row) for name in TABLES for row in tables[name]]
    return [row for sid in sids for row in named if sid in row]


async def test_a_run_retires_each_channel_by_its_own_stack(
    house: House, moving: Moving, calls: Calls
) -> None:
    await house.track()
    due = await house.scan()
    for stack in StackName:
        assert {c.channel_sid for c in due if c.stack is stack} == moving.due(stack)
        assert len(moving.due(stack)) == 50
    before = rows(house, moving.kept)
    assert len(before) > 2 * len(moving.kept)
    house.control.clear_journal()

    report = await house.retire(due)

    assert report.outcomes == dict.fromkeys((c.channel_sid for c in due), Outcome.DEACTIVATED)
    assert rows(house, moving.kept) == before
    with_interaction = sum("interaction" in channel.links for channel in due)
    assert 0 < with_interaction < 50
    made = calls()
    assert {name: made.pop(name) for name in ChatHouse.calls | ConversationsHouse.calls} == {
        "GET chat.twilio.com/v2/Services/{id}/Channels/{id}": 50,
        "POST proxy.twilio.com/v1/Services/{id}/Sessions/{id}": 50,
        "POST chat.twilio.com/v2/Services/{id}/Channels/{id}": 50,
        "GET conversations.twilio.com/v1/Conversations/{id}": 50,
        # Made inactive; and closed, by itself where it has no interaction channel.
        "POST conversations.twilio.com/v1/Conversations/{id}": 50 + (50 - with_interaction),
        "POST flex-api.twilio.com/v1/Interactions/{id}/Channels/{id}": with_interaction,
        "POST sync.twilio.com/v1/Services/{id}/Documents/{id}": 100,
    }
    # Nobody has written in any of them, so some more are looked at to see whether dates tell of messages.
    looked = sum(made.pop(name) for name in list(made) if name.endswith("/Messages"))
    assert looked == 2 * MOST_SAMPLED
    assert sum(made.values()) <= ConversationsHouse.looks * 8 + 5, made
    by_host = {
        host: {
            sid
            for entry in house.control.journal()
            if entry["host"] == host
            for sid in SID.findall(entry["path"])
        }
        for host in ("chat.twilio.com", "conversations.twilio.com")
    }
    assert by_host == {
        "chat.twilio.com": moving.due(StackName.CHAT),
        "conversations.twilio.com": moving.due(StackName.CONVERSATIONS),
    }


async def test_after_that_only_what_comes_to_rest_is_due(house: House, moving: Moving) -> None:
    await house.clean(days=0)
    assert (await house.clean(days=0)).outcomes == {}
    for sid in moving.live:
        house.control.agent("complete", channel_sid=sid)
    assert (await house.clean(days=3)).outcomes == dict.fromkeys(moving.kept, Outcome.DEACTIVATED)


async def test_customers_who_text_both_numbers_in_the_middle_of_the_run(house: House, moving: Moving) -> None:
    await house.track()
    due = await house.scan()
    numbers = [house.sandbox.settings["numbers"][kind.number_name] for kind in HOUSES]
    texts = [
        {"customer": {"from": customer, "to": number, "body": "Me again"}}
        for customer in CUSTOMERS[6::10]
        for number in numbers
    ]
    written_to = {sid for sids in moving.sids.values() for sid in sids[6::10]}
    house.fault(ChatHouse.fetch, skip=25, after=texts)

    report = await house.retire(due)

    # Every text is with an agent: in its own channel, or, where that was retired already, in a fresh one.
    in_use = await house.account.taskrouter().open_channels() - moving.live
    assert len(in_use) == len(texts) == len(written_to)
    kept = {sid for sid, outcome in report.outcomes.items() if outcome is Outcome.SKIPPED_OPEN_TASK}
    assert kept == in_use & written_to
    assert kept >= set(moving.sids[StackName.CONVERSATIONS]) & written_to
    retired = {sid for sid, outcome in report.outcomes.items() if outcome is Outcome.DEACTIVATED}
    assert retired == {channel.channel_sid for channel in due} - kept
    for sid in moving.due(house.stack):
        assert (await house.retiring.fetch(sid)).is_retired is (sid not in kept)
