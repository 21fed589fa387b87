"""Retiring conversations over real HTTP, alone and in an account that has both stacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.core.events import StackName, to_ms
from flexsms.core.retention import window_ms
from flexsms.twilio.account import Account
from flexsms.twilio.cleanup_report import Action, BatchReport, Outcome
from flexsms.twilio.cleanup_scan import DueChannel, find_due
from flexsms.twilio.track import track

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess

pytestmark = pytest.mark.anyio

CUSTOMER = "+14155551001"
FETCH = {"method": "GET", "host": "conversations.twilio.com", "path": "/Conversations/CH[^/]*$"}
UPDATE = {"method": "POST", "host": "conversations.twilio.com", "path": "/Conversations/CH[^/]*$"}
CLOSE = {"method": "POST", "host": "flex-api.twilio.com", "path": "/Channels/UO"}
SETTLE = {"method": "POST", "host": "sync.twilio.com", "path": "/Documents/"}
Calls = Callable[[], Counter[str]]


class Memory:
    """A checkpoint that outlives a batch."""

    def __init__(self) -> None:
        self.saved: dict[str, Any] = {}

    async def get(self, key: str) -> Any:
        return self.saved.get(key)

    async def set(self, key: str, value: Any) -> None:
        self.saved[key] = value


class Centre:
    """A contact centre on Flex Conversations, and one cleanup of it."""

    def __init__(self, account: Account, sandbox: SandboxProcess, clock: Any) -> None:
        self.account = account
        self.sandbox = sandbox
        self.clock = clock
        self.memory = Memory()
        self.scanned_at: datetime = clock()

    def conversation(self, customer: str = CUSTOMER, number: str = "conversations") -> str:
        """A customer wrote, was answered, and the agent left the conversation open."""
        came = self.sandbox.control.customer(customer, self.sandbox.settings["numbers"][number], "Hello")
        self.clock.advance(seconds=2)  # until the interaction channel is active
        self.sandbox.control.agent(
            "complete", task_sid=came["task_sid"] or self.open_task(came["channel_sid"])
        )
        sid: str = came["channel_sid"]
        return sid

    def open_task(self, channel_sid: str) -> str:
        """The task of a conversation whose interaction took a moment."""
        tasks = self.sandbox.control.state()["store"]["tasks"]
        return next(task["sid"] for task in tasks if channel_sid in task["attributes"])

    def writes(self) -> dict[str, Any]:
        """The play of a customer who writes again."""
        number = self.sandbox.settings["numbers"]["conversations"]
        return {"customer": {"from": CUSTOMER, "to": number, "body": "Me again"}}

    async def due(self) -> list[DueChannel]:
        """Track, then scan three days later."""

        async def save(_: str) -> None: ...

        self.clock.advance(days=3)
        await track(self.account.taskrouter(), self.account.store, cursor=None, save_cursor=save, at_once=8)
        self.scanned_at = self.clock()
        found = await find_due(
            self.account.store.scan(adopt=True),
            now_ms=to_ms("now", self.scanned_at),
            window_ms=window_ms(2),
            limit=1000,
        )
        self.sandbox.control.clear_journal()
        return found.due

    async def retire(self, due: list[DueChannel], action: Action = Action.DEACTIVATE) -> BatchReport:
        cleaner = self.account.cleaner(action=action, run_id="test")
        return await cleaner.retire(due, scanned_at=self.scanned_at, checkpoint=self.memory)

    async def fetch(self, sid: str) -> Any:
        return await self.account.client.conversations.v1.conversations(sid).fetch_async()

    def text(self) -> dict[str, Any]:
        """What becomes of the customer's next text."""
        (arrived,) = self.sandbox.control.play(self.writes())
        found: dict[str, Any] = arrived
        return found

    async def assert_retired(self, sid: str) -> None:
        """Closed for good, its attributes written, its interaction closed, and the pair is free."""
        conversation = await self.fetch(sid)
        assert conversation.state == "closed"
        assert conversation.attributes.replace(" ", "").count('"long_lived":false') == 1
        assert '"INACTIVE"' in conversation.attributes
        arrived = self.text()
        assert arrived["channel_sid"] != sid
        assert arrived["outcome"] == "started"

    async def assert_live(self, sid: str, attributes: str) -> None:
        """Open, with the attributes it had, and the customer's next text gets through to it."""
        conversation = await self.fetch(sid)
        assert conversation.state == "active"
        assert conversation.attributes == attributes
        assert self.text()["channel_sid"] == sid


@pytest.fixture
async def centre(account: Account, sandbox: SandboxProcess, clock: Any) -> Centre:
    return Centre(account, sandbox, clock)


async def test_a_parked_conversation_is_closed_and_its_other_attributes_survive(centre: Centre) -> None:
    sid = centre.conversation()
    centre.sandbox.control.play(
        {"conversation_attributes": {"channel_sid": sid, "attributes": {"vip": ["ä", None]}}}
    )
    due = await centre.due()
    assert [channel.stack for channel in due] == [StackName.CONVERSATIONS]
    assert (await centre.retire(due)).outcomes == {sid: Outcome.DEACTIVATED}
    assert '"vip"' in (await centre.fetch(sid)).attributes
    await centre.assert_retired(sid)


async def test_four_calls_per_conversation(centre: Centre, calls: Calls) -> None:
    for n in range(12):
        centre.conversation(f"+1415555{1000 + n}")
    report = await centre.retire(await centre.due())
    assert Counter(report.outcomes.values()) == {Outcome.DEACTIVATED: 12}
    made = calls()
    per_conversation = {
        "GET conversations.twilio.com/v1/Conversations/{id}": 12,
        "POST conversations.twilio.com/v1/Conversations/{id}": 12,
        "POST flex-api.twilio.com/v1/Interactions/{id}/Channels/{id}": 12,
        "POST sync.twilio.com/v1/Services/{id}/Documents/{id}": 12,
    }
    assert {name: made.pop(name) for name in per_conversation} == per_conversation
    assert sum(made.values()) <= 2 * 7 + 3, made


async def test_without_an_interaction_channel_the_conversation_itself_is_closed(centre: Centre) -> None:
    sid = centre.conversation()
    due = await centre.due()
    bare = [DueChannel(c.channel_sid, c.ended_ms, c.stack, c.revision, {}) for c in due]
    assert (await centre.retire(bare)).outcomes == {sid: Outcome.DEACTIVATED}
    await centre.assert_retired(sid)


async def test_what_is_closed_or_gone_already_is_a_success(centre: Centre) -> None:
    closed, gone = centre.conversation(), centre.conversation("+14155551002")
    due = await centre.due()
    await centre.account.client.conversations.v1.conversations(closed).update_async(state="closed")
    await centre.account.client.conversations.v1.conversations(gone).delete_async()
    assert (await centre.retire(due)).outcomes == dict.fromkeys((closed, gone), Outcome.ALREADY_GONE)


async def test_deleting_removes_the_conversation(centre: Centre) -> None:
    sid = centre.conversation()
    assert (await centre.retire(await centre.due(), Action.DELETE)).outcomes == {sid: Outcome.DELETED}
    assert await centre.account.client.conversations.v1.conversations.list_async() == []


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize(
    ("match", "when"),
    [(None, ""), (FETCH, "before"), (FETCH, "after"), (UPDATE, "before"), (UPDATE, "after")],
)
async def test_a_customer_who_writes_in_between_keeps_the_conversation(
    centre: Centre, match: dict[str, str] | None, when: str, action: Action
) -> None:
    sid = centre.conversation()
    before = (await centre.fetch(sid)).attributes
    due = await centre.due()
    if match is None:
        centre.sandbox.control.play(centre.writes())
    else:
        centre.sandbox.control.fault(match=match, times=1, **{when: [centre.writes()]})
    report = await centre.retire(due, action)
    assert report.outcomes[sid] in (Outcome.SKIPPED_OPEN_TASK, Outcome.SKIPPED_CHANGED)
    await centre.assert_live(sid, before)


@pytest.mark.parametrize("match", [FETCH, UPDATE, CLOSE, SETTLE], ids=lambda match: match["path"])
@pytest.mark.parametrize("action", ["drop_before", "drop_after", "status"])
async def test_a_lost_answer_changes_nothing(centre: Centre, match: dict[str, str], action: str) -> None:
    sid = centre.conversation()
    due = await centre.due()
    centre.sandbox.control.fault(match=match, times=1, action=action, status=503)
    assert (await centre.retire(due)).outcomes == {sid: Outcome.DEACTIVATED}
    await centre.assert_retired(sid)


async def test_a_second_try_closes_what_the_first_one_only_settled(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flexsms.twilio.transport.ATTEMPTS", 2)
    sid = centre.conversation()
    due = await centre.due()
    centre.sandbox.control.fault(match=CLOSE, action="status", status=503)
    first = await centre.retire(due)
    assert first.outcomes == {sid: Outcome.FAILED}
    assert first.worth_retrying
    centre.sandbox.control.clear_faults()
    assert (await centre.retire(due)).outcomes == {sid: Outcome.DEACTIVATED}
    await centre.assert_retired(sid)


async def test_an_account_with_both_stacks_is_cleaned_in_one_run(centre: Centre, calls: Calls) -> None:
    modern = [centre.conversation(f"+1415555{1000 + n}") for n in range(10)]
    legacy = [centre.conversation(f"+1415555{2000 + n}", "twilio") for n in range(10)]
    due = await centre.due()
    assert Counter(channel.stack for channel in due) == {StackName.CHAT: 10, StackName.CONVERSATIONS: 10}
    report = await centre.retire(due)
    assert report.outcomes == dict.fromkeys([*modern, *legacy], Outcome.DEACTIVATED)
    assert calls()["POST chat.twilio.com/v2/Services/{id}/Channels/{id}"] == 10
    assert calls()["POST flex-api.twilio.com/v1/Interactions/{id}/Channels/{id}"] == 10
    for sid in modern:
        assert (await centre.fetch(sid)).state == "closed"
    for sid in legacy:
        assert (await centre.account.stack.fetch(sid)).is_retired
