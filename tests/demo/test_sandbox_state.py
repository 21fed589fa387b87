"""What a snapshot says about a channel: it has to see every way in which a text could still get through."""

from __future__ import annotations

from typing import Any

import pytest

from flexsms.demo.sandbox_state import Channel, channels
from flexsms.sandbox.control.customer_history import CustomerHistory, history_of
from flexsms.sandbox.control.routes import Control
from flexsms.sandbox.products.chat import channels as chat
from flexsms.sandbox.products.conversations import behaviour as conversations
from flexsms.sandbox.products.proxy import sessions
from tests.demo.conftest import look

DAYS = 2
LIVE = {
    "chat": {"session": "open"},
    "conversations": {"conversation": "active", "interaction": "active"},
}
MARKS = {"long_lived": False, "status": "INACTIVE"}


def written_to(stack: str) -> tuple[Control, CustomerHistory]:
    """A customer who wrote, and was answered by nobody yet."""
    control = Control(random_seed=1)
    history = history_of(control.account, stack, "+14155550161", "Ada Example")
    history.send("Hello")
    return control, history


def test_the_story_is_read_as_it_was_seeded(
    before: dict[str, Channel], now: float, sids: dict[str, str], stack: str
) -> None:
    ada, ben, cleo = (before[sids[name]] for name in ("ada", "ben", "cleo"))
    assert [one.due(now, DAYS) for one in (ada, ben, cleo)] == [True, False, False]
    assert (ada.open_tasks, ben.open_tasks, cleo.open_tasks) == ((), ("pending",), ("assigned",))
    assert ben.last_ended == pytest.approx(now - 3 * 86_400, abs=7200)
    assert cleo.last_ended is None
    assert [dict(one.parts) for one in (ada, ben, cleo)] == [LIVE[stack]] * 3


def test_the_crowd_has_both_kinds(before: dict[str, Channel], now: float) -> None:
    due = {sid for sid, channel in before.items() if channel.due(now, DAYS)}
    assert 10 < len(due) < len(before) - 5
    assert 0 < sum(channel.retired for channel in before.values()) < len(due)


def test_the_window_counts_from_the_end(before: dict[str, Channel], now: float, sids: dict[str, str]) -> None:
    assert not before[sids["ada"]].due(now, 4)
    assert before[sids["ada"]].due(now, 0.5)


@pytest.mark.parametrize("stack", LIVE)
def test_what_an_earlier_cleanup_left_is_retired(stack: str) -> None:
    control, history = written_to(stack)
    live = look(control)[history.channel_sid]
    history.retire()
    left = look(control)[history.channel_sid]
    assert (live.retired, left.retired) == (False, True)
    assert left.words == [f"{part} closed" for part in LIVE[stack]]
    assert not left.same(live)


@pytest.mark.parametrize("ending", ["complete", "cancel", "delete"])
@pytest.mark.parametrize("stack", LIVE)
def test_the_end_of_a_task_counts_however_it_ended(stack: str, ending: str) -> None:
    control, history = written_to(stack)
    history.agent(ending)
    found = look(control)[history.channel_sid]
    assert found.open_tasks == ()
    assert found.last_ended == pytest.approx(control.account.clock.now(), abs=5)


def test_a_session_that_is_open_can_swallow_a_text() -> None:
    control, history = written_to("chat")
    channel = control.account.store.channels.get(history.channel_sid)
    assert channel is not None
    chat.merge_attributes(control.account, channel, **MARKS)
    assert not look(control)[history.channel_sid].retired
    session = sessions.of_channel(control.account, channel)
    assert session is not None
    sessions.change_status(control.account, session, "closed")
    assert look(control)[history.channel_sid].retired


@pytest.mark.parametrize("state", ["active", "inactive"])
def test_a_conversation_that_is_not_closed_can_swallow_a_text(state: str) -> None:
    control, history = written_to("conversations")
    conversation = control.account.store.conversations.get(history.channel_sid)
    assert conversation is not None
    conversations.merge_attributes(control.account, conversation, **MARKS)
    conversations.change(control.account, conversation, state=state)
    found = look(control)[history.channel_sid]
    assert (found.retired, found.parts["conversation"]) == (False, state)


def test_an_interaction_that_is_left_open_is_seen() -> None:
    control, history = written_to("conversations")
    conversation = control.account.store.conversations.get(history.channel_sid)
    assert conversation is not None
    conversations.merge_attributes(control.account, conversation, **MARKS)
    conversations.close(control.account, conversation)
    found = look(control)[history.channel_sid]
    assert (found.retired, dict(found.parts)) == (False, {"conversation": "closed", "interaction": "active"})


@pytest.mark.parametrize(
    ("statuses", "seen"),
    [
        ((), {}),
        (("closed", "active"), {"interaction": "active"}),
        (("setup", "closed"), {"interaction": "setup"}),
        (("closed", "closed"), {"interaction": "closed"}),
    ],
)
def test_of_several_interactions_the_open_one_counts(statuses: tuple[str, ...], seen: dict[str, str]) -> None:
    names = ("channels", "sessions", "participants", "tasks", "events")
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    tables["conversations"] = [{"sid": "CH1", "state": "active", "attributes": "{}"}]
    tables["flex_channels"] = [{"conversation_sid": "CH1", "status": status} for status in statuses]
    assert dict(channels({"tables": tables})["CH1"].parts) == {"conversation": "active", **seen}


def test_an_account_in_migration_has_both() -> None:
    control, chatting = written_to("chat")
    other = history_of(control.account, "conversations", "+14155550162", "Ben Example")
    other.write("Hello")
    found = look(control)
    assert set(found) == {chatting.channel_sid, other.channel_sid}
    assert all(channel.open_tasks == ("pending",) for channel in found.values())
