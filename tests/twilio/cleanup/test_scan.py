"""Which channels the scan finds due, and how many of them it keeps."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexsms.core.channel_state import ChannelState
from flexsms.core.stack_name import StackName
from flexsms.twilio.cleanup.scan import BATCH_SIZE, DueChannel, Rule, Scan, find_due, pack, unpack
from flexsms.twilio.sync.channel_states import Scanned, StoredState, UnreadableDocument

NOW, WINDOW = 1_000_000, 1_000
SESSION, WORKSPACE = "KC" + "1" * 32, "WS" + "1" * 32


def sid(number: int) -> str:
    return f"CH{number:032x}"


def state(
    number: int, ended_ms: int, *, opened_ms: int | None = None, stack: StackName = StackName.CHAT
) -> ChannelState:
    return ChannelState(
        sid(number),
        stack,
        seen={} if opened_ms is None else {f"WT{1:032x}": opened_ms},
        ended={f"WT{0:032x}": ended_ms},
        links={"session": (1, SESSION)},
    )


async def pages(
    *states: ChannelState | UnreadableDocument, size: int = 2
) -> AsyncGenerator[list[Scanned], None]:
    stored = [s if isinstance(s, UnreadableDocument) else StoredState(s, "7") for s in states]
    for start in range(0, len(stored), size):
        yield list(stored[start : start + size])


async def find(*states: ChannelState | UnreadableDocument, limit: int = 100) -> Scan:
    return await find_due(pages(*states), Rule(NOW, WINDOW, limit, WORKSPACE))


pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("stack", StackName)
async def test_due_are_those_that_ended_a_window_ago_and_have_no_open_task(stack: StackName) -> None:
    scan = await find(
        state(1, NOW - WINDOW, stack=stack),
        state(2, NOW - WINDOW + 1),
        state(3, 5, opened_ms=NOW - 1),
        state(4, 5).mark_retired(6, "deactivate"),
        ChannelState(sid(5), StackName.CHAT),
        UnreadableDocument(sid(6), "odd"),
    )
    assert scan.scanned == 6
    assert scan.due == [DueChannel(sid(1), NOW - WINDOW, stack, "7", {"session": SESSION})]
    assert [document.channel_sid for document in scan.unreadable] == [sid(6)]


async def test_a_limit_takes_the_longest_quiet_and_counts_the_rest() -> None:
    scan = await find(*(state(n, 500 - n * 10) for n in range(20)), limit=3)
    assert [channel.ended_ms for channel in scan.due] == [310, 320, 330]
    assert scan.due_in_all == 20


async def test_a_channel_that_is_met_twice_is_due_once() -> None:
    scan = await find(state(1, 5), state(1, 5))
    assert len(scan.due) == 1


@given(
    st.builds(
        DueChannel,
        st.just(sid(1)),
        st.integers(0),
        st.sampled_from(StackName),
        st.text(),
        st.dictionaries(st.text(), st.text()),
    )
)
def test_a_due_channel_survives_xcom(channel: DueChannel) -> None:
    assert unpack(pack([channel])) == [channel]


def test_ten_thousand_channels_are_less_than_a_proxy_lets_through() -> None:
    """nginx takes 1 MiB unless told; SIDs are random, so a plain form of them is twice as long."""
    digits = random.Random(7)

    def sid(prefix: str) -> str:
        return f"{prefix}{digits.getrandbits(128):032x}"

    channels = [
        DueChannel(
            sid("CH"),
            1_700_000_000_000 + digits.randrange(10**9),
            StackName.CONVERSATIONS,
            "a",
            {"interaction": sid("KD"), "interaction_channel": sid("UO")},
        )
        for _ in range(10_000)
    ]
    packed = [pack(channels[start : start + BATCH_SIZE]) for start in range(0, len(channels), BATCH_SIZE)]
    assert sum(map(len, packed)) < 1024 * 1024
    assert [channel for part in packed for channel in unpack(part)] == channels
