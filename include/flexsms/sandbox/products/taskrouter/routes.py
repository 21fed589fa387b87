"""taskrouter v1: tasks (https://www.twilio.com/docs/taskrouter/api/task)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from ...http import Invalid, Response, check_if_match, created, gone, ok
from ...routing.call import Call
from ...routing.paging import Walk, page, walk, walk_sorted
from ...routing.params import Params, boolean, enum, integer, json_text, moment, text
from ...routing.router import router
from ...state.account import EmulatedAccount
from ...state.clock import iso
from ...state.rows.row import dates
from ...state.rows.taskrouter import Task
from . import tasks
from .expressions import expression, wanted_channel
from .workspace_routes import HOST, WS, workspace_of

api = router(HOST)
STATUS = ("pending", "reserved", "assigned", "canceled", "wrapping", "completed")


def task_json(account: EmulatedAccount, task: Task) -> dict[str, Any]:
    base = f"https://{HOST}/v1/Workspaces/{task.parent}"
    url = f"{base}/Tasks/{task.sid}"
    return {
        "sid": task.sid,
        "account_sid": account.account_sid,
        "workspace_sid": task.parent,
        "age": int(account.clock.now() - task.created),
        "assignment_status": task.status,
        "attributes": task.attributes,
        "addons": "{}",
        **dates(task),
        "task_queue_entered_date": iso(task.created),
        "virtual_start_time": iso(task.virtual_start or task.created),
        "priority": task.priority,
        "reason": task.reason,
        "task_queue_sid": task.queue_sid,
        "task_queue_friendly_name": tasks.fixture_name(account, task.queue_sid),
        "task_channel_sid": account.task_channel_sids.get(
            task.channel_name, account.task_channel_sids["default"]
        ),
        "task_channel_unique_name": task.channel_name,
        "timeout": task.timeout,
        "workflow_sid": task.workflow_sid,
        "workflow_friendly_name": tasks.fixture_name(account, task.workflow_sid),
        "ignore_capacity": task.ignore_capacity,
        "routing_target": task.routing_target,
        "url": url,
        "links": {
            "task_queue": f"{base}/TaskQueues/{task.queue_sid}",
            "workflow": f"{base}/Workflows/{task.workflow_sid}",
            "workspace": base,
            "reservations": f"{url}/Reservations",
        },
    }


def _task(call: Call, workspace: str, sid: str) -> Task:
    return call.found(call.account.store.tasks.within(workspace_of(call, workspace).sid, sid))


def _etag(task: Task) -> str:
    return str(task.version)


TASK_FIELDS = {
    "Priority": "priority",
    "WorkflowSid": "workflow_sid",
    "TaskQueueSid": "queue_sid",
    "RoutingTarget": "routing_target",
}
TASK_NAMES = {"WorkflowName": "workflow_sid", "TaskQueueName": "queue_sid"}


def _candidates(account: EmulatedAccount, source: str) -> list[Task] | None:
    """`channelSid == "CH…"` alone, the cleanup's own question, is answered from the index."""
    channel_sid = wanted_channel(source)
    if channel_sid is None:
        return None
    found = (account.store.tasks.get(sid) for sid in account.channel_tasks.get(channel_sid, {}))
    return [task for task in found if task is not None]


@api.get(
    WS + "/Tasks",
    Params(
        Priority=integer(),
        AssignmentStatus=text().repeated(),
        WorkflowSid=text(),
        WorkflowName=text(),
        TaskQueueSid=text(),
        TaskQueueName=text(),
        EvaluateTaskAttributes=text(),
        RoutingTarget=text(),
        Ordering=text(),
        HasAddons=boolean(),
    ),
    paged=True,
)
def list_tasks(call: Call, workspace: str) -> Response:
    """Open tasks and those finished less than five minutes ago, oldest first."""
    order = call.account.store.tasks.under(workspace_of(call, workspace).sid)
    keep = _task_filter(call.account, call.p)
    candidates = _candidates(call.account, call.p.get("EvaluateTaskAttributes", ""))
    if candidates is not None:
        rows = walk_sorted(filter(keep, candidates), lambda task: task.seq)
    elif "Ordering" in call.p:
        rows = _ordered(call.p["Ordering"], [task for _, task in order.forward() if keep(task)])
    else:
        rows = walk(order, keep=keep)
    config = call.account.settings
    if config.task_pages == "refused" and "PageToken" in call.request.query:
        raise Invalid("PageToken is required for paging.")
    hidden = {} if config.task_list_attributes else {"attributes": None}
    return page(
        call,
        rows,
        lambda task: task_json(call.account, task) | hidden,
        key="tasks",
        largest=1000,
        only=config.task_pages == "unlinked",
    )


def _task_filter(account: EmulatedAccount, p: dict[str, Any]) -> Callable[[Task], bool]:
    # Both spellings of several statuses occur: repeated fields and one with commas.
    statuses = {one.strip() for raw in p.get("AssignmentStatus", []) for one in raw.split(",") if one.strip()}
    if unknown := statuses - set(STATUS):
        raise Invalid(f"Invalid AssignmentStatus: {min(unknown)}")
    evaluate = expression(p["EvaluateTaskAttributes"]) if p.get("EvaluateTaskAttributes") else None
    tests: list[Callable[[Task], bool]] = []
    if statuses:
        tests.append(lambda task: task.status in statuses)
    equal = {field: p[name] for name, field in TASK_FIELDS.items() if name in p}
    named = {field: p[name] for name, field in TASK_NAMES.items() if name in p}
    if equal:
        tests.append(lambda task: all(getattr(task, field) == value for field, value in equal.items()))
    if named:
        tests.append(
            lambda task: all(
                tasks.fixture_name(account, getattr(task, field)) == value for field, value in named.items()
            )
        )
    if p.get("HasAddons"):
        tests.append(lambda _task: False)
    if evaluate:
        tests.append(lambda task: evaluate(orjson.loads(task.attributes)))
    return lambda task: all(test(task) for test in tests)


def _ordered(ordering: str, rows: list[Task]) -> Walk[Task]:
    field, _, direction = ordering.partition(":")
    keys: dict[str, Callable[[Task], Any]] = {
        "DateCreated": lambda task: (task.created, task.seq),
        "Priority": lambda task: (task.priority, task.seq),
    }
    if field not in keys or direction.lower() not in ("", "asc", "desc"):
        raise Invalid(f"Invalid Ordering: {ordering}")
    return walk_sorted(rows, keys[field], descending=direction.lower() == "desc")


@api.post(
    WS + "/Tasks",
    Params(
        Timeout=integer(1, tasks.MAX_TIMEOUT_S),
        Priority=integer(0),
        TaskChannel=text(),
        WorkflowSid=text(),
        Attributes=json_text(dict),
        VirtualStartTime=moment(),
        RoutingTarget=text(),
        IgnoreCapacity=boolean(),
        TaskQueueSid=text(),
    ),
)
def create_task(call: Call, workspace: str) -> Response:
    parent = workspace_of(call, workspace).sid
    for name, place in (("WorkflowSid", "workflows"), ("TaskQueueSid", "queues")):
        if name in call.p and not call.account.store.fixtures.within(f"{place}/{parent}", call.p[name]):
            raise Invalid(f"Invalid {name}: {call.p[name]} is not in workspace {parent}")
    task = tasks.create(
        call.account,
        call.p.get("Attributes", "{}"),
        workflow_sid=call.p.get("WorkflowSid"),
        queue_sid=call.p.get("TaskQueueSid"),
        channel_name=_task_channel(call.account, call.p.get("TaskChannel", "default")),
        priority=call.p.get("Priority", 0),
        timeout=call.p.get("Timeout", 86_400),
        routing_target=call.p.get("RoutingTarget"),
        ignore_capacity=call.p.get("IgnoreCapacity", False),
        virtual_start=call.p.get("VirtualStartTime"),
    )
    return created(task_json(call.account, task), etag=_etag(task))


def _task_channel(account: EmulatedAccount, name: str) -> str:
    for unique_name, sid in account.task_channel_sids.items():
        if name in (unique_name, sid):
            return unique_name
    raise Invalid(f"Invalid TaskChannel: {name} does not exist")


@api.get(WS + "/Tasks/{task}")
def fetch_task(call: Call, workspace: str, sid: str) -> Response:
    task = _task(call, workspace, sid)
    return ok(task_json(call.account, task), etag=_etag(task))


@api.post(
    WS + "/Tasks/{task}",
    Params(
        Attributes=json_text(dict),
        AssignmentStatus=enum(*STATUS),
        Reason=text(),
        Priority=integer(0),
        TaskChannel=text(),
        VirtualStartTime=moment(),
    ),
)
def update_task(call: Call, workspace: str, sid: str) -> Response:
    """Either the status or the rest: the two need separate requests, so both at once is refused here."""
    task = _task(call, workspace, sid)
    check_if_match(call.request, _etag(task), code=20412, what="Task")
    status = call.p.pop("AssignmentStatus", None)
    reason = call.p.pop("Reason", None)
    if status and call.p:
        raise Invalid("AssignmentStatus cannot be changed together with other parameters")
    if task.status in tasks.FINISHED:
        raise Invalid(f"Task {sid} is {task.status} and cannot be updated")
    if status == "wrapping":
        tasks.wrap(call.account, task, tasks.by_account(call.account))
    elif status in tasks.FINISHED:
        if not reason:
            raise Invalid(f"Missing required parameter Reason in the post body: a task is {status} for one")
        tasks.finish(call.account, task, status, reason, tasks.by_account(call.account))
        call.account.task_ended(task.channel_sid)
    elif status and status != task.status:
        raise Invalid(f"Cannot set task {sid} to {status}: it is {task.status}")
    elif call.p:
        tasks.change(call.account, task, **_changes(call.account, call.p))
    return ok(task_json(call.account, task), etag=_etag(task))


def _changes(account: EmulatedAccount, p: dict[str, Any]) -> dict[str, Any]:
    changes = {
        field: p[name]
        for name, field in (
            ("Attributes", "attributes"),
            ("Priority", "priority"),
            ("VirtualStartTime", "virtual_start"),
        )
        if name in p
    }
    if "TaskChannel" in p:
        changes["channel_name"] = _task_channel(account, p["TaskChannel"])
    return changes


@api.delete(WS + "/Tasks/{task}")
def delete_task(call: Call, workspace: str, sid: str) -> Response:
    task = _task(call, workspace, sid)
    check_if_match(call.request, _etag(task), code=20412, what="Task")
    tasks.delete(call.account, task)
    call.account.task_ended(task.channel_sid)
    return gone()
