"""An account that has lost Programmable Chat, or Proxy, while states of chat channels are still due.

Nobody can say then what became of those channels. They count as failed and not as gone, their states stay, the
failure names the way out, and the conversations of the same batch are retired.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.channel_state import ChannelState
from flexsms.core.exceptions import MissingSetting, ProductGone, ServiceUnavailable
from flexsms.core.stack_name import StackName
from flexsms.core.task_events import to_ms
from flexsms.twilio.account import Account, connect
from flexsms.twilio.cleanup.outcomes import Action, Outcome
from flexsms.twilio.cleanup.unanswered import SAMPLE
from flexsms.twilio.client.settings import TwilioSettings
from tests.support.cleanup_scenarios import ChatHouse, ConversationsHouse, Memory

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess
    from tests.twilio.conftest import Clock

pytestmark = pytest.mark.anyio

Calls = Callable[[], Counter[str]]
CUSTOMERS = [f"+1415555{1000 + n}" for n in range(5)]
CHAT, PROXY = "chat.twilio.com", "proxy.twilio.com"


def answers(status: int, *hosts: str, path: str = "") -> list[dict[str, Any]]:
    """Faults: all of these hosts answer so. The code is Twilio's generic one: 20404, 20410."""
    return [{"match": {"host": host, "path": path}, "action": "status", "status": status} for host in hosts]


LOST = {
    "no chat service in the connection": ({"chat_service_sid": ""}, []),
    "no session service in the connection": ({"session_service_sid": ""}, []),
    "a chat service that is none": ({"chat_service_sid": "IS" + "0" * 32}, []),
    "a session service that is none": ({"session_service_sid": "KS" + "0" * 32}, []),
    "410 for everything": ({}, answers(410, CHAT, PROXY)),
    "410 for channels": ({}, answers(410, CHAT, path="/Channels/")),
    "410 for sessions": ({}, answers(410, PROXY, path="/Sessions/")),
    "404 for everything": ({}, answers(404, CHAT, PROXY)),
    "404 for Programmable Chat": ({}, answers(404, CHAT)),
    "404 for Proxy": ({}, answers(404, PROXY)),
}


@pytest.fixture
async def house(account: Account, sandbox: SandboxProcess, clock: Clock) -> ChatHouse:
    return ChatHouse(account, sandbox, clock)


@pytest.fixture
def connected(settings: TwilioSettings, clock: Clock) -> Callable[..., Any]:
    """The account once more, over a connection with other settings, one request at a time."""
    return lambda **changes: connect(replace(settings, max_in_flight=1, **changes), now=clock)


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize(("changes", "faults"), LOST.values(), ids=LOST)
async def test_it_is_one_failure_that_names_the_way_out(
    house: ChatHouse,
    connected: Callable[..., Any],
    calls: Calls,
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, str],
    faults: list[dict[str, Any]],
    action: Action,
) -> None:
    chat = [house.conversation(customer) for customer in CUSTOMERS]
    before = [await house.attributes(sid) for sid in chat]
    modern = ConversationsHouse(house.account, house.sandbox, house.clock).conversation()
    due = await house.due()
    for fault in faults:
        house.control.fault(**fault)
    here = house.account
    caplog.set_level(logging.DEBUG, "flexsms.twilio.cleanup.group")
    async with connected(**changes) as house.account:
        report = await house.retire(due, action)
    done = Outcome.DEACTIVATED if action is Action.DEACTIVATE else Outcome.DELETED
    assert report.outcomes == {modern: done, **dict.fromkeys(chat, Outcome.FAILED)}
    assert not report.worth_retrying
    (sentence,) = {str(error) for error in report.errors.values()}
    assert "set stack of the connection to 'conversations' and migrate the channels that are left" in sentence
    assert "(POST https://chat.twilio.com/v3/Services/{IS}/Channels/{CH})" in sentence
    assert [record.message for record in caplog.records if record.name.endswith(".group")] == [
        f"Channel {due[0].channel_sid} failed: {sentence}"
    ]
    kinds = {type(error) for error in report.errors.values()}
    assert kinds == ({MissingSetting} if "" in changes.values() else {ProductGone})
    # Whatever it costs to find out, it is found out once; beside that, newest messages are looked at.
    assert sum(count for name, count in calls().items() if CHAT in name or PROXY in name) <= 6 + SAMPLE

    # Nothing was done to the channels, and nothing forgotten: once the account is mended they are retired.
    house.account = here
    house.control.clear_faults()
    assert [await house.attributes(sid) for sid in chat] == before
    assert [await house.is_open(sid) for sid in chat] == [True] * len(chat)
    assert (await house.clean(action, days=0)).outcomes == dict.fromkeys(chat, done)


async def test_a_dry_run_says_so_too(house: ChatHouse, connected: Callable[..., Any]) -> None:
    sid = house.conversation()
    due = await house.due()
    for fault in answers(404, CHAT):
        house.control.fault(**fault)
    report = await house.retire(due, dry_run=True)
    assert report.outcomes == {sid: Outcome.FAILED}
    assert isinstance(report.errors[sid], ProductGone)


@pytest.mark.parametrize("code", [20404, 50300])
async def test_channels_that_are_gone_from_a_service_that_is_there_are_gone(
    house: ChatHouse, calls: Calls, code: int
) -> None:
    """Whatever code Twilio has for it; the service is asked for once."""
    sids = [house.conversation(customer) for customer in CUSTOMERS]
    due = await house.due()
    house.fault(house.fetch, times=None, action="status", status=404, code=code)
    assert (await house.retire(due)).outcomes == dict.fromkeys(sids, Outcome.ALREADY_GONE)
    assert calls()[f"GET {CHAT}/v2/Services/{{id}}"] == 1
    assert await house.scan() == []


async def test_when_the_service_does_not_answer_nobody_knows(
    house: ChatHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 1)
    sid = house.conversation()
    due = await house.due()
    house.fault(house.fetch, times=2, action="status", status=404)
    house.control.fault(**answers(503, CHAT, path="/Services/[^/]*$")[0])
    report = await house.retire(due)
    assert isinstance(report.errors[sid], ServiceUnavailable)
    assert report.worth_retrying


async def test_a_product_that_goes_away_in_the_middle_of_a_run(house: ChatHouse) -> None:
    """What is suspended by then is retired as usual, the rest waits."""
    sids = [house.conversation(customer) for customer in CUSTOMERS]
    due = await house.due()
    house.fault(house.fetch, skip=2, times=None, action="status", status=410)
    report = await house.retire(due)
    assert Counter(report.outcomes.values()) == {Outcome.DEACTIVATED: 2, Outcome.FAILED: 3}
    house.control.clear_faults()
    left = {sid for sid in sids if report.outcomes[sid] is Outcome.FAILED}
    assert {channel.channel_sid for channel in await house.scan()} == left
    assert {channel.stack for channel in due} == {StackName.CHAT}


class TestMoved:
    """Its state says chat, and it is a conversation by now: migrated, or by Twilio's own doing, under the same SID."""

    async def moved(self, house: ChatHouse) -> tuple[ConversationsHouse, str]:
        modern = ConversationsHouse(house.account, house.sandbox, house.clock)
        sid = modern.conversation()
        ended_ms = to_ms("now", house.clock())
        house.clock.advance(days=20)  # TaskRouter's events are of no more help
        state = ChannelState(sid, StackName.CHAT, ended={f"WT{1:032x}": ended_ms})
        await house.account.store.merge(state)
        return modern, sid

    @pytest.mark.parametrize(("changes", "faults"), LOST.values(), ids=LOST)
    async def test_it_is_retired_as_a_conversation_by_the_next_run(
        self,
        house: ChatHouse,
        connected: Callable[..., Any],
        changes: dict[str, str],
        faults: list[dict[str, Any]],
    ) -> None:
        modern, sid = await self.moved(house)
        (due,) = await modern.scan()
        assert due.stack is StackName.CHAT
        for fault in faults:
            house.control.fault(**fault)
        async with connected(**changes) as modern.account:
            assert (await modern.retire([due], dry_run=True)).outcomes == {sid: Outcome.SKIPPED_CHANGED}
            assert modern.written() == []
            assert (await modern.retire([due])).outcomes == {sid: Outcome.SKIPPED_CHANGED}
            assert await modern.is_open(sid)
            modern.memory = Memory()
            (again,) = await modern.scan()
            assert again.stack is StackName.CONVERSATIONS
            assert (await modern.retire([again])).outcomes == {sid: Outcome.DEACTIVATED}
            await modern.assert_retired(sid)

    async def test_one_that_chat_no_longer_knows_is_not_gone(self, house: ChatHouse) -> None:
        _, sid = await self.moved(house)
        due = await house.scan()
        assert (await house.retire(due)).outcomes == {sid: Outcome.SKIPPED_CHANGED}
