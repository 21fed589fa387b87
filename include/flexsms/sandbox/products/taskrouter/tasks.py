"""TaskRouter's behaviour: the life of a task, and the event that each step leaves behind.

Sources: https://www.twilio.com/docs/taskrouter/api/event/reference (event kinds and payload keys) and
https://www.twilio.com/docs/taskrouter/lifecycle-task-state (states, removal of finished tasks).
"""

from __future__ import annotations

from typing import Any

import orjson

from ...http import Invalid
from ...state.account import EmulatedAccount, timer
from ...state.clock import iso
from ...state.rows.row import parse_attributes
from ...state.rows.shared import Fixture
from ...state.rows.taskrouter import Event, Task
from ..event_streams import publisher
from ..event_streams.cloud_events import PREFIX

OPEN = ("pending", "reserved", "assigned", "wrapping")
FINISHED = ("completed", "canceled")
EVENTS_KEPT_S = 30 * 86400
MAX_TIMEOUT_S = 1_209_600

Actor = tuple[str, str]  # actor_type, actor_sid


def _places(attributes: str) -> dict[str, str | None]:
    """Where a task belongs: a chat channel, a conversation, or neither."""
    given = parse_attributes(attributes)
    found = {"channel_sid": given.get("channelSid"), "conversation_sid": given.get("conversationSid")}
    return {name: sid if isinstance(sid, str) else None for name, sid in found.items()}


def channel_type(account: EmulatedAccount, kind: str) -> dict[str, str]:
    """What a task that Flex opens says of the kind of its channel."""
    said = {"channel": kind, "custom": "custom"}.get(account.settings.task_channel_type)
    return {"channelType": said} if said else {}


def create(
    account: EmulatedAccount,
    attributes: str,
    *,
    workflow_sid: str | None = None,
    queue_sid: str | None = None,
    channel_name: str = "default",
    priority: int = 0,
    timeout: int = 86_400,
    **more: Any,
) -> Task:
    """A new pending task in the account's workspace, and its task.created.

    Parameters
    ----------
    attributes: the JSON string.
    timeout: seconds until the task is taken away unless it is finished.
    more: the remaining fields of `Task`.
    """
    places = _places(attributes)
    task = Task(
        *account.stamp("WT"),
        parent=account.workspace_sid,
        attributes=attributes,
        status="pending",
        priority=priority,
        timeout=timeout,
        workflow_sid=workflow_sid or account.workflow_sid,
        queue_sid=queue_sid or account.queue_sid,
        channel_name=channel_name,
        channel_sid=places["channel_sid"],
        conversation_sid=places["conversation_sid"],
        **more,
    )
    account.store.tasks.add(task)
    account.index_task(task)
    account.count_task(task)
    account.schedule(task.created + timeout, "task.timeout", task.sid)
    _emit(account, task, "task.created", f"Task {task.sid} created")
    return task


def open_task(account: EmulatedAccount, channel_sid: str) -> Task | None:
    """The newest task of a channel or conversation that is not finished."""
    for sid in reversed(account.channel_tasks.get(channel_sid, {})):
        task = account.store.tasks.get(sid)
        if task is not None and task.status in OPEN:
            return task
    return None


def change(account: EmulatedAccount, task: Task, **values: Any) -> None:
    """New attributes, priority and the like: task.updated."""
    if "attributes" in values:
        account.index_task(task, present=False)
        values |= _places(values["attributes"])
    for name, value in values.items():
        setattr(task, name, value)
    account.index_task(task)
    _touch(account, task)
    _emit(account, task, "task.updated", f"Task {task.sid} updated")


def reserve(account: EmulatedAccount, task: Task, worker_sid: str) -> None:
    """A worker is offered the task."""
    task.worker_sid = worker_sid
    task.reservation_sid = account.sids.new("WR")
    task.status = "reserved"
    _touch(account, task)
    _emit(account, task, "reservation.created", f"Reservation {task.reservation_sid} created")


def accept(account: EmulatedAccount, task: Task, worker_sid: str | None = None) -> None:
    """A worker is offered the task, unless it already was, and takes it."""
    if task.status not in ("pending", "reserved"):
        raise Invalid(f"Task {task.sid} is {task.status} and cannot be accepted")
    if task.status == "pending" or worker_sid not in (None, task.worker_sid):
        reserve(
            account, task, worker_sid or task.worker_sid or _wanted_worker(task) or account.worker_sids[0]
        )
    task.status = "assigned"
    _touch(account, task)
    _emit(account, task, "reservation.accepted", f"Reservation {task.reservation_sid} accepted")


def decline(account: EmulatedAccount, task: Task, worker_sid: str | None = None) -> None:
    """A worker is offered the task, unless it already was, and says no: a task that may go to nobody else is canceled.

    Source: https://www.twilio.com/docs/flex/developer/conversations/best-practices
    """
    if task.status not in ("pending", "reserved"):
        raise Invalid(f"Task {task.sid} is {task.status} and cannot be declined")
    if task.status == "pending":
        reserve(account, task, worker_sid or _wanted_worker(task) or account.worker_sids[0])
    task.status = "pending"
    _touch(account, task)
    _emit(account, task, "reservation.rejected", f"Reservation {task.reservation_sid} rejected")
    if task.routing_target in account.worker_sids:
        finish(account, task, "canceled", "Worker declined", ("workspace", task.parent))


def wrap(account: EmulatedAccount, task: Task, actor: Actor | None = None) -> None:
    if task.status != "assigned":
        raise Invalid(
            f"Cannot wrap up task {task.sid} in workspace {task.parent}: it is {task.status}, not assigned"
        )
    task.status = "wrapping"
    _touch(account, task)
    _emit(account, task, "reservation.wrapup", f"Reservation {task.reservation_sid} wrapping up", actor)
    _emit(account, task, "task.wrapup", f"Task {task.sid} wrapping up", actor)


def finish(
    account: EmulatedAccount, task: Task, status: str, reason: str, actor: Actor | None = None
) -> None:
    """completed (from assigned or wrapping) or canceled (from pending or reserved)."""
    allowed = ("assigned", "wrapping") if status == "completed" else ("pending", "reserved")
    if task.status not in allowed:
        raise Invalid(
            f"Cannot set task {task.sid} in workspace {task.parent} to {status}: it is {task.status}, "
            f"not {' or '.join(allowed)}"
        )
    task.status, task.reason, task.ended = status, reason, account.clock.now()
    _touch(account, task)
    account.schedule(task.ended + account.settings.task_kept_s, "task.removal", task.sid)
    if status == "completed":
        _emit(account, task, "reservation.completed", f"Reservation {task.reservation_sid} completed", actor)
    _emit(account, task, f"task.{status}", f"Task {task.sid} {status}", actor)


def delete(account: EmulatedAccount, task: Task, *, by_system: bool = False) -> None:
    """task.deleted comes from the API only, task.system-deleted from the system (https://www.twilio.com/docs/taskrouter/api/event)."""
    kind = "system-deleted" if by_system else "deleted"
    _emit(
        account, task, f"task.{kind}", f"Task {task.sid} {kind}", None if by_system else by_account(account)
    )
    remove(account, task)


def remove(account: EmulatedAccount, task: Task) -> None:
    account.store.tasks.drop(task)
    account.index_task(task, present=False)
    account.count_task(task, present=False)


def by_account(account: EmulatedAccount) -> Actor:
    return "account", account.account_sid


def _wanted_worker(task: Task) -> str | None:
    # Known-agent routing of the outbound recipe: the workflow sends the task to attributes.targetWorkerSid.
    wanted = orjson.loads(task.attributes).get("targetWorkerSid")
    return wanted if isinstance(wanted, str) and wanted.startswith("WK") else None


def _touch(account: EmulatedAccount, task: Task) -> None:
    account.count_task(task)
    task.version += 1
    task.updated = account.clock.now()


@timer("task.removal")
def _removal(account: EmulatedAccount, sid: str) -> None:
    task = account.store.tasks.get(sid)
    if task is not None and task.status in FINISHED:
        remove(account, task)


def fixture_name(account: EmulatedAccount, sid: str | None) -> str | None:
    row: Fixture | None = account.store.fixtures.get(sid)
    return row.name if row else None


def _emit(
    account: EmulatedAccount, task: Task, kind: str, description: str, actor: Actor | None = None
) -> None:
    """Store an event. Values of event_data are strings, as TaskRouter's are (https://www.twilio.com/docs/taskrouter/api/event)."""
    now = account.clock.now()
    data: dict[str, Any] = {
        "task_sid": task.sid,
        "task_attributes": task.attributes,
        "task_age": str(int(now - task.created)),
        "task_assignment_status": task.status,
        "task_priority": str(task.priority),
        "task_version": str(task.version),
        "task_date_created": str(int(task.created * 1000)),
        "task_virtual_start_time": iso(task.virtual_start or task.created),
        "task_channel_sid": account.task_channel_sids.get(
            task.channel_name, account.task_channel_sids["default"]
        ),
        "task_channel_unique_name": task.channel_name,
        "task_queue_sid": task.queue_sid,
        "task_queue_name": fixture_name(account, task.queue_sid),
        "task_queue_entered_date": str(int(task.created * 1000)),
        "task_queue_target_expression": "1==1",
        "workflow_sid": task.workflow_sid,
        "workflow_name": fixture_name(account, task.workflow_sid),
        "workspace_sid": task.parent,
        "workspace_name": fixture_name(account, task.parent),
    }
    if task.reason is not None and task.status in FINISHED:
        data[f"task_{task.status}_reason"] = task.reason
    resource = ("task", task.sid)
    if kind.startswith("reservation."):
        resource = ("reservation", task.reservation_sid or "")
        data["reservation_sid"] = task.reservation_sid
        data["reservation_version"] = str(task.version)
    if task.worker_sid:
        data["worker_sid"] = task.worker_sid
        data["worker_name"] = fixture_name(account, task.worker_sid)
        actor = actor or ("worker", task.worker_sid)
    add_event(account, kind, resource, actor or ("workspace", task.parent), description, data, now)


def add_event(
    account: EmulatedAccount,
    kind: str,
    resource: tuple[str, str],
    actor: Actor,
    description: str,
    data: Any,
    at: float,
) -> Event:
    sid, seq, _, _ = account.stamp("EV")
    event = Event(
        sid, seq, at, at, account.workspace_sid, kind, int(at * 1000), *resource, *actor, description, data
    )
    account.store.events.add(event)
    publisher.publish(account, PREFIX + kind, sid)
    return event
