"""Channel states in Sync: guarded, few calls, and the original recipe's documents too."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.channel_state import ChannelState
from flexsms.core.exceptions import InvalidInput, RevisionMismatch, UnreadableState
from flexsms.core.stack_name import StackName
from flexsms.twilio.account import Account
from flexsms.twilio.sync.channel_states import Leftover, Scanned, StoredState, UnreadableDocument, Written

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio

CHANNEL = "CH" + "a" * 32
UPDATE = {"method": "POST", "host": "sync.twilio.com", "path": "/Documents/"}
CREATE = {"method": "POST", "host": "sync.twilio.com", "path": "/Documents$"}
FETCH = {"method": "GET", "host": "sync.twilio.com", "path": "/Documents/"}
Calls = Callable[[], Counter[str]]


def state(channel_sid: str = CHANNEL, **moments: int) -> ChannelState:
    return numbered(moments, channel_sid)


def numbered(moments: dict[str, int], channel_sid: str = CHANNEL) -> ChannelState:
    return ChannelState(
        channel_sid, StackName.CHAT, ended={f"WT{name:0>32}": at for name, at in moments.items()}
    )


def recipe(channel_sid: str = CHANNEL, *, ended: bool = True) -> dict[str, Any]:
    return {
        "unique_name": f"ChannelSIDIS{channel_sid}",
        "data": {
            "eventtype": "task.completed" if ended else "task.created",
            "timestamp": "2026-11-18T16:42:07.105Z",
            "taskattributes": json.dumps({"channelSid": channel_sid}),
            "channelsid": channel_sid,
            "msg": "",
        },
    }


async def scanned(account: Account, *, adopt: bool = True) -> list[Scanned]:
    return [stored async for page in account.store.scan(adopt=adopt) for stored in page]


async def test_two_calls_to_create_two_to_update_one_when_nothing_is_new(
    account: Account, calls: Calls, sandbox: SandboxProcess
) -> None:
    expected = [
        (state(a=1), Written.CREATED, 2),
        (state(b=2), Written.UPDATED, 2),
        (state(a=1), Written.UNCHANGED, 1),
    ]
    for learnt, written, cost in expected:
        sandbox.control.clear_journal()
        assert await account.store.merge(learnt) is written
        assert sum(calls().values()) == cost
    stored = await account.store.load(CHANNEL)
    assert stored is not None
    assert stored.state == state(a=1, b=2)


async def test_nobodys_knowledge_is_lost_when_many_write_at_once(account: Account) -> None:
    await asyncio.gather(*(account.store.merge(numbered({f"{n}": n + 1})) for n in range(10)))
    stored = await account.store.load(CHANNEL)
    assert stored is not None
    assert stored.state == numbered({f"{n}": n + 1 for n in range(10)})


@pytest.mark.parametrize("match", [UPDATE, CREATE, FETCH], ids=["update", "create", "fetch"])
@pytest.mark.parametrize("action", ["drop_after", "drop_before", "status"])
async def test_a_lost_answer_loses_nothing(
    account: Account, sandbox: SandboxProcess, match: dict[str, str], action: str
) -> None:
    sandbox.control.fault(match=match, times=1, action=action, status=503)
    await account.store.merge(state(a=1))
    await account.store.merge(state(b=2))
    stored = await account.store.load(CHANNEL)
    assert stored is not None
    assert stored.state == state(a=1, b=2)


@pytest.mark.parametrize(
    "fault",
    [{"action": "drop_after"}, {"action": "status", "status": 404, "code": 54100}],
    ids=["done, but unanswered", "done by another run"],
)
async def test_a_document_of_the_recipe_that_is_gone_by_then_is_migrated(
    account: Account, sandbox: SandboxProcess, fault: dict[str, Any]
) -> None:
    """B2: the night's cleanup failed for good, because a DELETE that had worked was repeated."""
    sandbox.control.seed(channels=3, due=3, documents=True)
    sandbox.control.fault(match={"method": "DELETE", "host": "sync.twilio.com"}, times=1, **fault)
    assert len(await scanned(account)) == 3
    assert len(await scanned(account)) == 3


async def test_a_document_that_keeps_changing_is_given_up_with_its_name(
    account: Account, sandbox: SandboxProcess
) -> None:
    await account.store.merge(state(a=1))
    sandbox.control.fault(match=UPDATE, action="status", status=412, code=54103)
    with pytest.raises(RevisionMismatch, match=f"The state of {CHANNEL} changed 20 times"):
        await account.store.merge(state(b=2))


async def test_marking_is_guarded_and_the_document_goes_by_itself(account: Account, clock: Any) -> None:
    await account.store.merge(state(a=1))
    stored = await account.store.load(CHANNEL)
    assert stored is not None
    await account.store.merge(state(b=2))
    with pytest.raises(RevisionMismatch):
        await account.store.mark_retired(stored.state.mark_retired(5, "deactivate"), stored.revision)
    fresh = await account.store.load(CHANNEL)
    assert fresh is not None
    await account.store.mark_retired(fresh.state.mark_retired(5, "deactivate"), fresh.revision)
    retired = await account.store.load(CHANNEL)
    assert retired is not None
    assert retired.state.is_retired
    clock.advance(days=3)
    assert await account.store.load(CHANNEL) is None


async def test_a_scan_takes_one_call_per_hundred_documents(
    account: Account, sandbox: SandboxProcess, calls: Calls
) -> None:
    documents = [
        {"unique_name": f"flexsms.CH{n:032x}", "data": state(f"CH{n:032x}", a=n).to_json()}
        for n in range(250)
    ]
    sandbox.control.load(documents=[*documents, {"unique_name": "somebody.elses", "data": {}}])
    found = await scanned(account)
    assert {s.state.channel_sid for s in found if isinstance(s, StoredState)} == {
        f"CH{n:032x}" for n in range(250)
    }
    assert calls() == {"GET sync.twilio.com/v1/Services/{id}/Documents": 3}


async def test_a_document_that_is_no_state_is_named_and_the_others_are_read(
    account: Account, sandbox: SandboxProcess
) -> None:
    sandbox.control.load(
        documents=[
            {"unique_name": f"flexsms.{CHANNEL}", "data": {"v": 1, "odd": True}},
            {"unique_name": "ChannelSIDISnonsense", "data": {"eventtype": "task.completed"}},
        ]
    )
    await account.store.merge(state("CH" + "b" * 32, a=1))
    found = await scanned(account)
    assert {s.channel_sid for s in found if isinstance(s, UnreadableDocument)} == {CHANNEL}
    assert [s for s in found if isinstance(s, Leftover)] == [Leftover("ChannelSIDISnonsense")]
    assert sum(isinstance(s, StoredState) for s in found) == 1
    with pytest.raises(InvalidInput, match="no channel state"):
        await account.store.merge(state(a=1))


async def test_a_document_with_another_channels_state_is_named(
    account: Account, sandbox: SandboxProcess
) -> None:
    """A copy in the wrong place must not speak for the channel that it tells of."""
    other = "CH" + "b" * 32
    sandbox.control.load(
        documents=[{"unique_name": f"flexsms.{CHANNEL}", "data": state(other, a=1).to_json()}]
    )
    problem = f"channel_sid: is {other} in the document of {CHANNEL}; delete the document or repair it."
    assert await scanned(account) == [UnreadableDocument(CHANNEL, problem)]
    with pytest.raises(UnreadableState, match=problem):
        await account.store.merge(state(a=1))


class TestTheOriginalRecipe:
    async def test_its_document_becomes_ours(self, account: Account, sandbox: SandboxProcess) -> None:
        sandbox.control.load(documents=[recipe()])
        (found,) = await scanned(account)
        assert isinstance(found, StoredState)
        assert found.state.last_ended_ms == 1_795_020_127_105
        assert found == await account.store.load(CHANNEL)
        assert len(await scanned(account)) == 1
        names = [
            d.unique_name
            for d in await account.client.sync.v1.services(
                account.settings.sync_service_sid
            ).documents.list_async()
        ]
        assert names == [f"flexsms.{CHANNEL}"]

    async def test_its_knowledge_is_merged_into_ours(self, account: Account, sandbox: SandboxProcess) -> None:
        await account.store.merge(state(a=1_795_020_999_999))
        sandbox.control.load(documents=[recipe()])
        found = [s for s in await scanned(account) if isinstance(s, StoredState)]
        assert [s.state.channel_sid for s in found] == [CHANNEL]
        stored = await account.store.load(CHANNEL)
        assert stored is not None
        assert stored.state.last_ended_ms == 1_795_020_999_999
        assert len(stored.state.ended) == 2

    async def test_looking_alone_writes_nothing(self, account: Account, sandbox: SandboxProcess) -> None:
        sandbox.control.load(documents=[recipe()])
        (found,) = await scanned(account, adopt=False)
        assert isinstance(found, StoredState)
        assert found.revision == ""
        assert all(entry["method"] == "GET" for entry in sandbox.control.journal())


async def test_the_state_of_a_customer_without_a_task_does_not_stay_for_ever(
    account: Account, clock: Any
) -> None:
    without = ChannelState(CHANNEL, StackName.CHAT, links={"session": (1, "KC" + "1" * 32)})
    await account.store.merge(without)
    other = "CH" + "b" * 32
    await account.store.merge(replace(without, channel_sid=other))
    clock.advance(days=29)
    assert await account.store.load(CHANNEL)
    # The first task takes the end away.
    await account.store.merge(state(other, **{"1": 2}))
    clock.advance(days=2)
    assert await account.store.load(CHANNEL) is None
    clock.advance(days=400)
    assert await account.store.load(other)
