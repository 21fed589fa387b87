"""taskrouter v1: tasks, events and what is around them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from twilio.base.exceptions import TwilioException

from tests.sandbox.conftest import Account, refused


def events(account: Account, **filters: Any) -> list[str]:
    """Kinds of events, oldest first."""
    found = account.workspace.events.list(**filters)
    return [event.event_type for event in sorted(found, key=lambda event: (event.event_date_ms, event.sid))]


def kinds(account: Account, **filters: Any) -> set[str]:
    return set(events(account, **filters))


def test_the_furniture(account: Account) -> None:
    workspace = account.workspace
    assert workspace.fetch().friendly_name == "Flex Task Assignment"
    assert len(account.client.taskrouter.v1.workspaces.list(friendly_name="Flex Task Assignment")) == 1
    assert [worker.sid for worker in workspace.workers.list()] == account.settings["worker_sids"]
    worker = workspace.workers(account.settings["worker_sids"][0]).fetch()
    assert (worker.friendly_name, worker.available) == ("grace", True)
    assert [row.friendly_name for row in workspace.workers.list(friendly_name="linus")] == ["linus"]
    assert workspace.task_queues(account.settings["queue_sid"]).fetch().friendly_name == "Everyone"
    assert len(workspace.task_queues.list()) == 2
    assert workspace.workflows(account.settings["workflow_sid"]).fetch().task_reservation_timeout == 120
    assert len(workspace.workflows.list()) == 1
    assert refused(workspace.workers("WK" + "0" * 32).fetch) == (404, 20404)
    assert refused(account.client.taskrouter.v1.workspaces("WS" + "0" * 32).fetch) == (404, 20404)


def test_a_task_from_creation_to_completion(account: Account) -> None:
    made = account.workspace.tasks.create_with_http_info(
        attributes='{"channelSid": "CH1"}', task_channel="sms", priority=2, timeout=3600,
        workflow_sid=account.settings["workflow_sid"], task_queue_sid=account.settings["queue_sid"],
    )  # fmt: skip
    task = account.workspace.tasks(made.data.sid)
    assert made.headers["etag"]
    assert (made.data.assignment_status, made.data.task_channel_unique_name) == ("pending", "sms")
    assert task.update(priority=5).priority == 5
    account.control.agent("accept", task_sid=made.data.sid)
    assert task.fetch().assignment_status == "assigned"
    assert task.update(assignment_status="wrapping").assignment_status == "wrapping"
    done = task.update(assignment_status="completed", reason="over")
    assert (done.assignment_status, done.reason) == ("completed", "over")
    assert sorted(events(account, task_sid=made.data.sid)) == sorted(
        [
            "task.created", "task.updated", "reservation.created", "reservation.accepted", "reservation.wrapup",
            "task.wrapup", "reservation.completed", "task.completed",
        ]
    )  # fmt: skip


def test_events_carry_what_the_facts_show(account: Account) -> None:
    channel = account.open_channel()
    account.control.agent("complete", task_sid=channel.task_sid, reason="agent ended chat")
    (event,) = account.workspace.events.list(event_type="task.completed")
    assert (event.resource_type, event.resource_sid) == ("task", channel.task_sid)
    assert event.event_date_ms // 1000 == event.event_date.replace(tzinfo=UTC).timestamp()
    assert event.actor_type == "worker"
    data = event.event_data
    assert data["task_sid"] == channel.task_sid
    assert data["task_completed_reason"] == "agent ended chat"
    assert data["task_assignment_status"] == "completed"
    assert json.loads(data["task_attributes"])["channelSid"] == channel.sid
    assert data["worker_sid"] == account.settings["worker_sids"][0]
    assert all(isinstance(value, str) for value in data.values())
    assert account.workspace.events(event.sid).fetch().event_type == "task.completed"
    assert refused(account.workspace.events("EV" + "0" * 32).fetch) == (404, 20404)


@pytest.mark.parametrize(
    ("before", "status", "reason"),
    [
        ("pending", "completed", "r"), ("pending", "wrapping", None), ("assigned", "canceled", "r"),
        ("assigned", "completed", None), ("assigned", "pending", None), ("completed", "wrapping", None),
    ],
)  # fmt: skip
def test_moves_that_are_refused(account: Account, before: str, status: str, reason: str | None) -> None:
    task = account.workspace.tasks.create(attributes="{}")
    if before != "pending":
        account.control.agent("accept" if before == "assigned" else "complete", task_sid=task.sid)
    update = account.workspace.tasks(task.sid).update
    assert refused(update, assignment_status=status, **({"reason": reason} if reason else {})) == (400, 20001)
    assert account.workspace.tasks(task.sid).fetch().assignment_status == before


def test_status_and_attributes_need_two_requests(account: Account) -> None:
    task = account.workspace.tasks.create(attributes="{}")
    update = account.workspace.tasks(task.sid).update
    assert refused(update, assignment_status="canceled", reason="r", attributes="{}") == (400, 20001)
    assert refused(update, attributes="[]") == (400, 20001)
    assert refused(account.workspace.tasks.create, attributes="{") == (400, 20001)
    assert refused(account.workspace.tasks.create, task_channel="pigeon") == (400, 20001)
    assert refused(account.workspace.tasks.create, workflow_sid="WW" + "0" * 32) == (400, 20001)


def test_if_match(account: Account) -> None:
    task = account.workspace.tasks.create_with_http_info(attributes="{}")
    update = account.workspace.tasks(task.data.sid).update
    update(if_match=task.headers["etag"], priority=1)
    status, _ = refused(update, if_match=task.headers["etag"], priority=2)
    assert status == 412


def test_filters(account: Account) -> None:
    first = account.workspace.tasks.create(
        attributes='{"channelSid": "CHa", "n": 1, "deep": {"x": "y"}}', priority=1
    )
    second = account.workspace.tasks.create(attributes='{"channelSid": "CHb", "n": 2}', priority=3)
    third = account.workspace.tasks.create(attributes='{"channelSid": "CHb", "n": 3}', priority=2)
    account.control.agent("accept", task_sid=second.sid)
    account.control.agent("wrap", task_sid=third.sid)

    def found(**filters: Any) -> list[str]:
        names = {first.sid: "1", second.sid: "2", third.sid: "3"}
        return [names[task.sid] for task in account.workspace.tasks.list(page_size=2, **filters)]

    assert found() == ["1", "2", "3"]
    assert found(assignment_status=["assigned", "wrapping"]) == ["2", "3"]
    assert found(assignment_status=["pending,wrapping"]) == ["1", "3"]
    assert found(evaluate_task_attributes='channelSid == "CHb"') == ["2", "3"]
    assert found(evaluate_task_attributes="channelSid = 'CHb' AND n == 3") == ["3"]
    assert found(evaluate_task_attributes='n == 3 OR deep.x == "y"') == ["1", "3"]
    assert found(evaluate_task_attributes='channelSid != "CHb"') == ["1"]
    assert found(ordering="Priority:desc") == ["2", "3", "1"]
    assert found(ordering="DateCreated:desc") == ["3", "2", "1"]
    assert found(priority=2) == ["3"]
    assert found(workflow_name="Assign to Anyone", task_queue_name="Everyone") == ["1", "2", "3"]
    assert found(task_queue_sid="WQ" + "0" * 32) == found(has_addons=True) == []
    for wrong in (
        {"evaluate_task_attributes": "n >"},
        {"ordering": "Colour"},
        {"assignment_status": ["lost"]},
    ):
        with pytest.raises(TwilioException) as caught:
            account.workspace.tasks.list(**wrong)
        assert caught.value.args[1].status_code == 400


@pytest.mark.parametrize("end", ["completed", "canceled"])
def test_finished_tasks_vanish_and_their_events_stay(account: Account, end: str) -> None:
    task = account.workspace.tasks.create(attributes="{}")
    account.control.agent("complete" if end == "completed" else "cancel", task_sid=task.sid)
    account.control.advance(299)
    assert [row.sid for row in account.workspace.tasks.list()] == [task.sid]
    account.control.advance(2)
    assert account.workspace.tasks.list() == []
    assert refused(account.workspace.tasks(task.sid).fetch) == (404, 20404)
    assert f"task.{end}" in kinds(account)
    account.control.advance(29 * 86400)
    month = {"start_date": datetime.now(UTC) - timedelta(days=2)}
    assert f"task.{end}" in kinds(account, **month)
    account.control.advance(86400)
    assert kinds(account, **month) == set()


def test_deleted_and_timed_out_tasks(account: Account) -> None:
    task = account.workspace.tasks.create(attributes="{}")
    assert account.workspace.tasks(task.sid).delete()
    assert refused(account.workspace.tasks(task.sid).fetch) == (404, 20404)
    waiting = account.workspace.tasks.create(attributes="{}", timeout=100)
    kept = account.workspace.tasks.create(attributes="{}", timeout=100)
    account.control.agent("accept", task_sid=kept.sid)
    account.control.advance(101)
    assert account.workspace.tasks(waiting.sid).fetch().reason == "Task TTL Exceeded"
    assert refused(account.workspace.tasks(kept.sid).fetch) == (404, 20404)
    found = {event.resource_sid: event.event_type for event in reversed(account.workspace.events.list())}
    assert found[task.sid] == "task.deleted"
    assert found[waiting.sid] == "task.canceled"
    assert found[kept.sid] == "task.system-deleted"


def test_windows_of_events(account: Account) -> None:
    for n in range(6):
        account.workspace.tasks.create(attributes=json.dumps({"n": n}))
        account.control.advance(600)

    def numbers(**filters: Any) -> list[int]:
        found = account.workspace.events.list(page_size=2, **filters)
        return [json.loads(event.event_data["task_attributes"])["n"] for event in found]

    now = datetime.fromisoformat(account.control.clock()["now"])
    assert numbers() == [5]  # 15 minutes
    assert numbers(minutes=35) == [5, 4, 3]
    assert numbers(start_date=now - timedelta(minutes=35)) == [5, 4, 3]
    assert numbers(start_date=now - timedelta(minutes=45), end_date=now - timedelta(minutes=25)) == [3, 2]
    assert numbers(end_date=now - timedelta(minutes=45)) == [1, 0]
    assert numbers(event_type="task.updated", minutes=100) == []
    first = account.workspace.events.list(minutes=100)[-1]
    at = datetime.fromtimestamp(first.event_date_ms // 1000, UTC)
    assert numbers(start_date=at, end_date=at) == [0]
    assert numbers(sid=first.sid, minutes=100) == [0]
    assert numbers(workflow_sid=account.settings["workflow_sid"], minutes=100) == [5, 4, 3, 2, 1, 0]


def test_pages_of_events(account: Account) -> None:
    made = account.control.events(channels=50, events=600, hours=5)
    assert made["events"] == 600
    start = datetime.now(UTC) - timedelta(hours=6)
    account.control.clear_journal()
    found = account.workspace.events.list(start_date=start, page_size=250)
    assert len({event.sid for event in found}) == 600
    assert len(account.control.journal()) == 3
    moments = [event.event_date_ms for event in found]
    assert moments == sorted(moments, reverse=True)
    with pytest.raises(TwilioException) as caught:
        account.workspace.events.page(page_number=1)
    assert caught.value.args[1].status_code == 400
    assert json.loads(caught.value.args[1].text)["code"] == 40153
    with pytest.raises(TwilioException):
        account.workspace.events.list(page_size=1001)


def test_events_that_are_not_what_they_should_be_can_be_injected(account: Account) -> None:
    account.control.events(raw=[{"type": "task.completed", "data": {"task_attributes": "{nope"}}])
    (event,) = account.workspace.events.list()
    assert event.event_data == {"task_attributes": "{nope"}
