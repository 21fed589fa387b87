"""taskrouter v1: how many tasks there are, by status."""

from __future__ import annotations

from collections import Counter
from typing import Any

from flexsms.sandbox.products.taskrouter import tasks
from flexsms.sandbox.state.account import EmulatedAccount
from tests.sandbox.conftest import Account, refused


def now(account: Account, **filters: Any) -> Any:
    return account.workspace.real_time_statistics().fetch(**filters)


def statuses(account: Account, **filters: Any) -> dict[str, int]:
    return {status: count for status, count in now(account, **filters).tasks_by_status.items() if count}


def test_tasks_by_status(account: Account) -> None:
    empty = now(account)
    assert (empty.total_tasks, empty.longest_task_waiting_sid, empty.total_workers) == (0, None, 3)
    assert set(empty.tasks_by_status) == {
        "pending",
        "reserved",
        "assigned",
        "wrapping",
        "completed",
        "canceled",
    }
    assert sum(one["workers"] for one in empty.activity_statistics) == 3
    made: list[str] = []
    for channel in ("sms", "sms", "voice", "sms"):
        made.append(
            account.workspace.tasks.create(attributes="{}", task_channel=channel, priority=len(made) % 2).sid
        )
        account.control.advance(10)
    account.control.agent("accept", task_sid=made[0])
    account.control.agent("complete", task_sid=made[3])
    assert statuses(account) == {"pending": 2, "assigned": 1, "completed": 1}
    found = now(account)
    assert (found.total_tasks, found.tasks_by_priority) == (4, {"0": 2, "1": 2})
    assert (found.longest_task_waiting_sid, found.longest_task_waiting_age) == (made[1], 30)
    assert statuses(account, task_channel="voice") == {"pending": 1}
    sid = account.workspace.tasks(made[0]).fetch().task_channel_sid
    assert statuses(account, task_channel=sid) == {"pending": 1, "assigned": 1, "completed": 1}
    assert refused(lambda: now(account, task_channel="pigeon")) == (400, 20001)
    account.control.restore(account.control.state())
    assert statuses(account) == {"pending": 2, "assigned": 1, "completed": 1}
    account.control.advance(account.settings["task_kept_s"])
    assert statuses(account) == {"pending": 2, "assigned": 1}


def test_a_task_that_was_declined_or_changed_waits_on(account: Account) -> None:
    first, _ = (account.workspace.tasks.create(attributes="{}") for _ in range(2))
    account.workspace.tasks(first.sid).update(attributes='{"channelSid": "CHa"}')
    assert now(account).longest_task_waiting_sid == first.sid
    account.workspace.tasks(first.sid).update(priority=7)
    assert now(account).tasks_by_priority == {"0": 1, "7": 1}
    account.control.agent("decline", task_sid=first.sid)
    assert statuses(account) == {"pending": 2}
    account.control.agent("delete", task_sid=first.sid)
    assert statuses(account) == {"pending": 1}


def test_the_counts_follow_every_step() -> None:
    account = EmulatedAccount()
    made = [tasks.create(account, "{}") for _ in range(6)]
    tasks.reserve(account, made[1], account.worker_sids[0])
    for task in made[2:]:
        tasks.accept(account, task)
    for task in made[3:]:
        tasks.wrap(account, task)
    tasks.finish(account, made[4], "completed", "done")
    tasks.finish(account, made[0], "canceled", "done")
    tasks.delete(account, made[5])
    counted = {group[1]: len(sids) for group, sids in account.task_groups.items() if sids}
    assert counted == Counter(task.status for task in account.store.tasks)
    assert len(counted) == 5
