"""The story and the crowd: their history has to agree with itself."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import Any

import phonenumbers
import pytest

from tests.sandbox.conftest import Account

END = {"task.completed", "task.canceled", "task.deleted", "task.system-deleted"}


def history(account: Account) -> dict[str, list[Any]]:
    """Events by the channel of their task, oldest first."""
    start = datetime.fromisoformat(account.control.clock()["now"]) - timedelta(days=30)
    found: dict[str, list[Any]] = defaultdict(list)
    events = account.workspace.events.list(start_date=start, page_size=1000)
    for event in sorted(events, key=lambda event: event.event_date_ms):
        if event.resource_type == "task":
            found[json.loads(event.event_data["task_attributes"])["channelSid"]].append(event)
    return found


def test_the_story(account: Account) -> None:
    account.control.reset(seed="story")
    story, told = account.control.story(), history(account)
    now_ms = account.control.clock()["now_s"] * 1000
    assert set(story) == {"ada", "ben", "cleo"}

    def days_ago(event: Any) -> float:
        return float(now_ms - event.event_date_ms) / 86_400_000

    ada, ben, cleo = (told[story[name]["channel_sid"]] for name in ("ada", "ben", "cleo"))
    assert [event.event_type for event in ada] == ["task.created", "task.wrapup", "task.completed"]
    assert 2.9 < days_ago(ada[-1]) < 3.2
    assert [event.event_type for event in ben][2:] == ["task.completed", "task.created"]
    assert days_ago(ben[-1]) == pytest.approx(1 / 24, abs=0.001)
    assert 2.9 < days_ago(ben[2]) < 3.2
    assert [event.event_type for event in cleo] == ["task.created"]
    open_tasks = {task.sid: task.assignment_status for task in account.workspace.tasks.list()}
    assert open_tasks == {story["ben"]["task_sids"][1]: "pending", story["cleo"]["task_sids"][0]: "assigned"}
    for name in story:
        channel = account.chat.channels(story[name]["channel_sid"]).fetch()
        attributes = json.loads(channel.attributes)
        assert (attributes["status"], attributes["long_lived"]) == ("ACTIVE", True)
        assert attributes["proxySession"] == story[name]["session_sid"]
        assert account.proxy.sessions(channel.sid).fetch().status == "in-progress"
    assert (
        account.customer("Hello", story["ada"]["customer_number"])["channel_sid"]
        == story["ada"]["channel_sid"]
    )


def test_the_crowd_agrees_with_itself(account: Account) -> None:
    account.control.reset(seed="200")
    told = history(account)
    open_by_events = {
        sid for sid, events in told.items()
        if Counter(event.event_type for event in events)["task.created"]
        > sum(event.event_type in END for event in events)
    }  # fmt: skip
    open_by_tasks = {
        json.loads(task.attributes)["channelSid"]
        for task in account.workspace.tasks.list(assignment_status=["pending", "assigned", "wrapping"])
    }
    assert open_by_events == open_by_tasks
    channels = account.chat.channels.list(type=["private"], page_size=100)
    assert len(channels) == 200
    states = Counter(json.loads(channel.attributes)["status"] for channel in channels)
    assert states["INACTIVE"] > 3
    assert states["ACTIVE"] > 150
    sessions = {session.unique_name: session.status for session in account.proxy.sessions.list(page_size=100)}
    for channel in channels:
        closed = json.loads(channel.attributes)["status"] == "INACTIVE"
        assert (sessions[channel.sid] == "closed") == closed
    kinds = Counter(event.event_type for events in told.values() for event in events)
    assert min(kinds["task.canceled"], kinds["task.deleted"], kinds["task.completed"]) > 0
    assert any(sum(event.event_type == "task.created" for event in events) > 1 for events in told.values())
    assert all(text["status"] == "delivered" for text in account.control.outbox())


def test_due_means_due(account: Account) -> None:
    account.control.seed(channels=30, due=20)
    told, now_ms = history(account), account.control.clock()["now_s"] * 1000
    open_channels = {json.loads(task.attributes)["channelSid"] for task in account.workspace.tasks.list()}
    due = [
        sid for sid, events in told.items()
        if sid not in open_channels and now_ms - events[-1].event_date_ms > 2 * 86_400_000
    ]  # fmt: skip
    assert (len(told), len(due)) == (30, 20)


def test_the_same_seed_is_the_same_crowd(account: Account) -> None:
    def crowd(random_seed: int) -> list[tuple[str, str, int]]:
        account.control.reset(seed="40", random_seed=random_seed)
        state = account.control.state()["tables"]
        return [(row["sid"], row["customer"], row["messages"]) for row in state["channels"]]

    assert crowd(7) == crowd(7)
    assert crowd(7) != crowd(8)
    account.control.reset()


def test_more_can_be_seeded_later(account: Account) -> None:
    first = account.control.seed(channels=10, story=True)
    second = account.control.seed(channels=10)
    assert not set(first["channels"]) & set(second["channels"])
    assert len(account.chat.channels.list(type=["private"])) == 23


def test_documents_of_the_original_recipe(account: Account) -> None:
    made = account.control.seed(channels=5, documents=True)
    document = account.sync.documents(f"ChannelSIDIS{made['channels'][0]}").fetch()
    assert set(document.data) == {"eventtype", "timestamp", "taskattributes", "channelsid", "msg"}
    assert document.data["taskattributes"]["channelSid"] == made["channels"][0]


def test_every_number_is_a_valid_one(account: Account) -> None:
    account.control.seed(channels=300, story=True)
    state = account.control.state()["tables"]
    numbers = {row["customer"] for row in state["channels"]} | set(account.settings["numbers"].values())
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(number)) for number in numbers)
    assert len(numbers) == 303 + len(account.settings["numbers"])
