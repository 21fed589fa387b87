"""taskrouter v1: tasks, workspace events, and the workers, queues and workflows around them (facts D)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Any

import orjson

from .. import channels, tasks
from ..clock import iso
from ..paging import Walk, page, walk, walk_sorted
from ..params import Params, boolean, enum, integer, json_text, moment, text
from ..router import Call, router
from ..store import Event, Fixture, Task
from ..wire import Invalid, NotFound, Response, check_if_match, created, gone, ok
from ..world import World

HOST = "taskrouter.twilio.com"
api = router(HOST)
WS = "/v1/Workspaces/{workspace}"
STATUS = ("pending", "reserved", "assigned", "canceled", "wrapping", "completed")


def _workspace(call: Call, sid: str) -> Fixture:
    workspace = call.world.store.fixtures.within("workspaces", sid)
    if workspace is None:
        raise NotFound(call.request.path)
    return workspace


def task_json(world: World, task: Task) -> dict[str, Any]:
    base = f"https://{HOST}/v1/Workspaces/{task.parent}"
    url = f"{base}/Tasks/{task.sid}"
    return {
        "sid": task.sid,
        "account_sid": world.account_sid,
        "workspace_sid": task.parent,
        "age": int(world.clock.now() - task.created),
        "assignment_status": task.status,
        "attributes": task.attributes,
        "addons": "{}",
        "date_created": iso(task.created),
        "date_updated": iso(task.updated),
        "task_queue_entered_date": iso(task.created),
        "virtual_start_time": iso(task.virtual_start or task.created),
        "priority": task.priority,
        "reason": task.reason,
        "task_queue_sid": task.queue_sid,
        "task_queue_friendly_name": tasks.fixture_name(world, task.queue_sid),
        "task_channel_sid": world.task_channel_sids.get(
            task.channel_name, world.task_channel_sids["default"]
        ),
        "task_channel_unique_name": task.channel_name,
        "timeout": task.timeout,
        "workflow_sid": task.workflow_sid,
        "workflow_friendly_name": tasks.fixture_name(world, task.workflow_sid),
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
    task = call.world.store.tasks.within(_workspace(call, workspace).sid, sid)
    if task is None:
        raise NotFound(call.request.path)
    return task


def _etag(task: Task) -> str:
    return str(task.version)


# Tasks

TASK_FIELDS = {
    "Priority": "priority",
    "WorkflowSid": "workflow_sid",
    "TaskQueueSid": "queue_sid",
    "RoutingTarget": "routing_target",
}
TASK_NAMES = {"WorkflowName": "workflow_sid", "TaskQueueName": "queue_sid"}
CLAUSE = re.compile(r"""\s*([\w.]+)\s*(==|=|!=)\s*(?:"([^"]*)"|'([^']*)'|(-?\d+(?:\.\d+)?|true|false))\s*""")


def expression(source: str) -> Callable[[dict[str, Any]], bool]:
    """TaskRouter's `key == "value"` joined by AND and OR, AND binding first. Invalid for everything else."""
    alternatives = []
    for part in re.split(r"\s+OR\s+", source, flags=re.IGNORECASE):
        clauses = [CLAUSE.fullmatch(clause) for clause in re.split(r"\s+AND\s+", part, flags=re.IGNORECASE)]
        if not all(clauses):
            raise Invalid(f"Invalid EvaluateTaskAttributes: {source}")
        alternatives.append([clause.groups() for clause in clauses if clause])

    def holds(attributes: dict[str, Any], clause: tuple[str | None, ...]) -> bool:
        key, operator, double, single, bare = clause
        value: Any = attributes
        for name in str(key).split("."):
            value = value.get(name) if isinstance(value, dict) else None
        wanted = orjson.loads(bare) if bare is not None else double if double is not None else single
        return bool(value == wanted) == (operator != "!=")

    return lambda attributes: any(
        all(holds(attributes, clause) for clause in clauses) for clauses in alternatives
    )


def _candidates(world: World, source: str | None) -> list[Task] | None:
    """`channelSid == "CH…"` alone is answered from the index."""
    clause = CLAUSE.fullmatch(source) if source else None
    if clause is None or clause[1] != "channelSid" or clause[2] == "!=":
        return None
    found = (world.store.tasks.get(sid) for sid in world.channel_tasks.get(clause[3] or clause[4] or "", {}))
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
    order = call.world.store.tasks.under(_workspace(call, workspace).sid)
    keep = _task_filter(call.world, call.p)
    candidates = _candidates(call.world, call.p.get("EvaluateTaskAttributes"))
    if candidates is not None:
        rows = walk_sorted(filter(keep, candidates), lambda task: task.seq)
    elif "Ordering" in call.p:
        rows = _ordered(call.p["Ordering"], [task for _, task in order.forward() if keep(task)])
    else:
        rows = walk(order, keep=keep)
    return page(call.request, rows, lambda task: task_json(call.world, task), key="tasks", largest=1000)


def _task_filter(world: World, p: dict[str, Any]) -> Callable[[Task], bool]:
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
                tasks.fixture_name(world, getattr(task, field)) == value for field, value in named.items()
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
    parent = _workspace(call, workspace).sid
    for name, place in (("WorkflowSid", "workflows"), ("TaskQueueSid", "queues")):
        if name in call.p and not call.world.store.fixtures.within(f"{place}/{parent}", call.p[name]):
            raise Invalid(f"Invalid {name}: {call.p[name]} is not in workspace {parent}")
    task = tasks.create(
        call.world,
        call.p.get("Attributes", "{}"),
        workflow_sid=call.p.get("WorkflowSid"),
        queue_sid=call.p.get("TaskQueueSid"),
        channel_name=_task_channel(call.world, call.p.get("TaskChannel", "default")),
        priority=call.p.get("Priority", 0),
        timeout=call.p.get("Timeout", 86_400),
        routing_target=call.p.get("RoutingTarget"),
        ignore_capacity=call.p.get("IgnoreCapacity", False),
        virtual_start=call.p.get("VirtualStartTime"),
    )
    return created(task_json(call.world, task), etag=_etag(task))


def _task_channel(world: World, name: str) -> str:
    for unique_name, sid in world.task_channel_sids.items():
        if name in (unique_name, sid):
            return unique_name
    raise Invalid(f"Invalid TaskChannel: {name} does not exist")


@api.get(WS + "/Tasks/{task}")
def fetch_task(call: Call, workspace: str, sid: str) -> Response:
    task = _task(call, workspace, sid)
    return ok(task_json(call.world, task), etag=_etag(task))


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
    """Either the status or the rest: the two need separate requests (facts D.2), so both at once is refused
    here."""
    task = _task(call, workspace, sid)
    check_if_match(call.request, _etag(task), code=20412, what="Task")
    status = call.p.pop("AssignmentStatus", None)
    reason = call.p.pop("Reason", None)
    if status and call.p:
        raise Invalid("AssignmentStatus cannot be changed together with other parameters")
    if task.status in tasks.FINISHED:
        raise Invalid(f"Task {sid} is {task.status} and cannot be updated")
    if status == "wrapping":
        tasks.wrap(call.world, task, tasks.account(call.world))
    elif status in tasks.FINISHED:
        if not reason:
            raise Invalid(f"Missing required parameter Reason in the post body: a task is {status} for one")
        tasks.finish(call.world, task, status, reason, tasks.account(call.world))
        channels.janitor(call.world, task.channel_sid, from_ui=False)
    elif status and status != task.status:
        raise Invalid(f"Cannot set task {sid} to {status}: it is {task.status}")
    elif call.p:
        tasks.change(call.world, task, **_changes(call.world, call.p))
    return ok(task_json(call.world, task), etag=_etag(task))


def _changes(world: World, p: dict[str, Any]) -> dict[str, Any]:
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
        changes["channel_name"] = _task_channel(world, p["TaskChannel"])
    return changes


@api.delete(WS + "/Tasks/{task}")
def delete_task(call: Call, workspace: str, sid: str) -> Response:
    task = _task(call, workspace, sid)
    check_if_match(call.request, _etag(task), code=20412, what="Task")
    tasks.delete(call.world, task)
    channels.janitor(call.world, task.channel_sid, from_ui=False)
    return gone()


# Events


def event_json(world: World, event: Event) -> dict[str, Any]:
    base = f"https://{HOST}/v1/Workspaces/{event.parent}"
    return {
        "sid": event.sid,
        "account_sid": world.account_sid,
        "workspace_sid": event.parent,
        "event_type": event.type,
        "event_date": iso(event.ms / 1000),
        "event_date_ms": event.ms,
        "event_data": event.data,
        "description": event.description,
        "resource_type": event.resource_type,
        "resource_sid": event.resource_sid,
        "resource_url": f"{base}/Tasks/{event.resource_sid}" if event.resource_type == "task" else None,
        "actor_type": event.actor_type,
        "actor_sid": event.actor_sid,
        "actor_url": f"{base}/Workers/{event.actor_sid}" if event.actor_type == "worker" else None,
        "source": "twilio",
        "source_ip_address": "127.0.0.1",
        "url": f"{base}/Events/{event.sid}",
    }


EVENT_KEYS = {
    "TaskSid": "task_sid",
    "ReservationSid": "reservation_sid",
    "WorkerSid": "worker_sid",
    "TaskQueueSid": "task_queue_sid",
    "WorkflowSid": "workflow_sid",
    "TaskChannel": "task_channel_unique_name",
}


@api.get(
    WS + "/Events",
    Params(
        {name: text() for name in EVENT_KEYS},
        EventType=text(),
        StartDate=moment(),
        EndDate=moment(),
        Minutes=integer(0),
        Sid=text(),
    ),
    paged=True,
)
def list_events(call: Call, workspace: str) -> Response:
    """Newest first (the order is unverified, J8). The window is inclusive at both ends, and `Minutes` back
    from now (15 unless given) when no date is given. Nothing is older than 30 days. A bare `Page` above 0 is
    40153."""
    parent = _workspace(call, workspace).sid
    if "PageToken" not in call.request.query and call.request.query.get("Page", ["0"])[-1] not in ("", "0"):
        raise Invalid("Page is not supported by Events, follow next_page_url", 40153)
    now = call.world.clock.now()
    oldest = now - tasks.EVENTS_KEPT_S
    if "StartDate" not in call.p and "EndDate" not in call.p:
        first, last = now - 60 * call.p.get("Minutes", 15), now
    else:
        first, last = call.p.get("StartDate", oldest), call.p.get("EndDate", now)
    # EndDate has second precision on the wire: the whole of that second belongs to the window.
    low, high = (int(max(first, oldest) * 1000), 0), (int(last * 1000) + 999, float("inf"))
    order, keep = call.world.store.events.under(parent), _event_filter(call.p)

    def rows(start: Any, back: bool) -> Iterator[tuple[Any, Event]]:
        if back:
            found = takewhile(lambda pair: pair[0] <= high, order.forward(start))
        else:
            begin = high if start is None else min(high, start)
            found = takewhile(lambda pair: pair[0] >= low, order.backward(begin))
        return (pair for pair in found if keep(pair[1]))

    return page(call.request, rows, lambda event: event_json(call.world, event), key="events", largest=1000)


def _event_filter(p: dict[str, Any]) -> Callable[[Event], bool]:
    kind, sid = p.get("EventType"), p.get("Sid")
    wanted = [(key, p[name]) for name, key in EVENT_KEYS.items() if name in p]

    def keep(event: Event) -> bool:
        return (
            kind in (None, event.type)
            and sid in (None, event.sid)
            and all(isinstance(event.data, dict) and event.data.get(key) == value for key, value in wanted)
        )

    return keep


@api.get(WS + "/Events/{event}")
def fetch_event(call: Call, workspace: str, sid: str) -> Response:
    event = call.world.store.events.within(_workspace(call, workspace).sid, sid)
    if event is None or event.created < call.world.clock.now() - tasks.EVENTS_KEPT_S:
        raise NotFound(call.request.path)
    return ok(event_json(call.world, event))


# Workspace, workers, queues, workflows: there to be looked at


def workspace_json(world: World, row: Fixture) -> dict[str, Any]:
    url = f"https://{HOST}/v1/Workspaces/{row.sid}"
    links = ("Activities", "Statistics", "RealTimeStatistics", "CumulativeStatistics", "TaskQueues", "Tasks")
    return {
        **_named(world, row, url),
        "default_activity_name": "Offline",
        "default_activity_sid": world.activity_sids["Offline"],
        "timeout_activity_name": "Offline",
        "timeout_activity_sid": world.activity_sids["Offline"],
        "event_callback_url": None,
        "events_filter": None,
        "multi_task_enabled": True,
        "prioritize_queue_order": "FIFO",
        "links": {
            re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): f"{url}/{name}"
            for name in (*links, "Workers", "Workflows", "TaskChannels", "Events")
        },
    }


def worker_json(world: World, row: Fixture) -> dict[str, Any]:
    base = f"https://{HOST}/v1/Workspaces/{world.workspace_sid}"
    url = f"{base}/Workers/{row.sid}"
    activity = world.activity_sids["Available"]
    return {
        **_named(world, row, url),
        "workspace_sid": world.workspace_sid,
        "activity_name": "Available",
        "activity_sid": activity,
        "attributes": orjson.dumps(
            {"contact_uri": f"client:{row.name}", "full_name": row.name.title()}
        ).decode(),
        "available": True,
        "date_status_changed": iso(row.created),
        "links": {
            "channels": f"{url}/Channels",
            "activity": f"{base}/Activities/{activity}",
            "workspace": base,
            "reservations": f"{url}/Reservations",
        },
    }


def queue_json(world: World, row: Fixture) -> dict[str, Any]:
    base = f"https://{HOST}/v1/Workspaces/{world.workspace_sid}"
    url = f"{base}/TaskQueues/{row.sid}"
    return {
        **_named(world, row, url),
        "workspace_sid": world.workspace_sid,
        "assignment_activity_sid": None,
        "assignment_activity_name": None,
        "reservation_activity_sid": None,
        "reservation_activity_name": None,
        "max_reserved_workers": 1,
        "target_workers": "1==1",
        "task_order": "FIFO",
        "links": {"workspace": base, "statistics": f"{url}/Statistics"},
    }


def workflow_json(world: World, row: Fixture) -> dict[str, Any]:
    url = f"https://{HOST}/v1/Workspaces/{world.workspace_sid}/Workflows/{row.sid}"
    routing = {"task_routing": {"filters": [], "default_filter": {"queue": world.queue_sid}}}
    return {
        **_named(world, row, url),
        "workspace_sid": world.workspace_sid,
        "assignment_callback_url": None,
        "fallback_assignment_callback_url": None,
        "configuration": orjson.dumps(routing).decode(),
        "document_content_type": "application/json",
        "task_reservation_timeout": 120,
        "links": {"statistics": f"{url}/Statistics"},
    }


def _named(world: World, row: Fixture, url: str) -> dict[str, Any]:
    return {
        "sid": row.sid,
        "account_sid": world.account_sid,
        "friendly_name": row.name,
        "date_created": iso(row.created),
        "date_updated": iso(row.updated),
        "url": url,
    }


@api.get("/v1/Workspaces", Params(FriendlyName=text()), paged=True)
def list_workspaces(call: Call) -> Response:
    wanted = call.p.get("FriendlyName")
    rows = walk(call.world.store.fixtures.under("workspaces"), keep=lambda row: wanted in (None, row.name))
    return page(
        call.request, rows, lambda row: workspace_json(call.world, row), key="workspaces", largest=1000
    )


@api.get("/v1/Workspaces/{workspace}")
def fetch_workspace(call: Call, sid: str) -> Response:
    return ok(workspace_json(call.world, _workspace(call, sid)))


def _looked_at(
    path: str, key: str, place: str, shape: Callable[[World, Fixture], dict[str, Any]], filters: Params
) -> None:
    """List and fetch of one kind of fixture; the name is the only filter."""

    @api.get(f"{WS}/{path}", filters, paged=True)
    def listing(call: Call, workspace: str) -> Response:
        order = call.world.store.fixtures.under(f"{place}/{_workspace(call, workspace).sid}")
        wanted = call.p.get("FriendlyName")
        rows = walk(order, keep=lambda row: wanted in (None, row.name))
        return page(call.request, rows, lambda row: shape(call.world, row), key=key, largest=1000)

    @api.get(f"{WS}/{path}/{{sid}}")
    def fetch(call: Call, workspace: str, sid: str) -> Response:
        row = call.world.store.fixtures.within(f"{place}/{_workspace(call, workspace).sid}", sid)
        if row is None:
            raise NotFound(call.request.path)
        return ok(shape(call.world, row))


_looked_at("Workers", "workers", "workers", worker_json, Params(FriendlyName=text()))
_looked_at("TaskQueues", "task_queues", "queues", queue_json, Params(FriendlyName=text()))
_looked_at("Workflows", "workflows", "workflows", workflow_json, Params(FriendlyName=text()))
