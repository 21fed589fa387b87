"""taskrouter v1: the workspace with its workers, queues and workflows, which are there to be looked at."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from ...http import Response, ok
from ...routing.call import Call
from ...routing.paging import page, walk
from ...routing.params import Params, text
from ...routing.router import router
from ...state.account import EmulatedAccount
from ...state.clock import iso
from ...state.rows.row import dates
from ...state.rows.shared import Fixture

HOST = "taskrouter.twilio.com"
api = router(HOST)
WS = "/v1/Workspaces/{workspace}"


def workspace_of(call: Call, sid: str) -> Fixture:
    return call.found(call.account.store.fixtures.within("workspaces", sid))


def workspace_json(account: EmulatedAccount, row: Fixture) -> dict[str, Any]:
    url = f"https://{HOST}/v1/Workspaces/{row.sid}"
    links = ("Activities", "Statistics", "RealTimeStatistics", "CumulativeStatistics", "TaskQueues", "Tasks")
    return {
        **_named(account, row, url),
        "default_activity_name": "Offline",
        "default_activity_sid": account.activity_sids["Offline"],
        "timeout_activity_name": "Offline",
        "timeout_activity_sid": account.activity_sids["Offline"],
        "event_callback_url": None,
        "events_filter": None,
        "multi_task_enabled": True,
        "prioritize_queue_order": "FIFO",
        "links": {
            re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): f"{url}/{name}"
            for name in (*links, "Workers", "Workflows", "TaskChannels", "Events")
        },
    }


def worker_json(account: EmulatedAccount, row: Fixture) -> dict[str, Any]:
    base = f"https://{HOST}/v1/Workspaces/{account.workspace_sid}"
    url = f"{base}/Workers/{row.sid}"
    activity = account.activity_sids["Available"]
    return {
        **_named(account, row, url),
        "workspace_sid": account.workspace_sid,
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


def queue_json(account: EmulatedAccount, row: Fixture) -> dict[str, Any]:
    base = f"https://{HOST}/v1/Workspaces/{account.workspace_sid}"
    url = f"{base}/TaskQueues/{row.sid}"
    return {
        **_named(account, row, url),
        "workspace_sid": account.workspace_sid,
        "assignment_activity_sid": None,
        "assignment_activity_name": None,
        "reservation_activity_sid": None,
        "reservation_activity_name": None,
        "max_reserved_workers": 1,
        "target_workers": "1==1",
        "task_order": "FIFO",
        "links": {"workspace": base, "statistics": f"{url}/Statistics"},
    }


def workflow_json(account: EmulatedAccount, row: Fixture) -> dict[str, Any]:
    url = f"https://{HOST}/v1/Workspaces/{account.workspace_sid}/Workflows/{row.sid}"
    # Whom the sender named is preferred, and everybody else comes behind.
    named = {"queue": account.queue_sid, "expression": "task.targetWorkerSid == worker.sid", "timeout": 300}
    known = {
        "filter_friendly_name": "Named agent",
        "expression": "targetWorkerSid != null",
        "targets": [named, {"queue": account.queue_sid}],
    }
    routing = {"task_routing": {"filters": [known], "default_filter": {"queue": account.queue_sid}}}
    return {
        **_named(account, row, url),
        "workspace_sid": account.workspace_sid,
        "assignment_callback_url": None,
        "fallback_assignment_callback_url": None,
        "configuration": orjson.dumps(routing).decode(),
        "document_content_type": "application/json",
        "task_reservation_timeout": 120,
        "links": {"statistics": f"{url}/Statistics"},
    }


def _named(account: EmulatedAccount, row: Fixture, url: str) -> dict[str, Any]:
    return {
        "sid": row.sid,
        "account_sid": account.account_sid,
        "friendly_name": row.name,
        **dates(row),
        "url": url,
    }


@api.get("/v1/Workspaces", Params(FriendlyName=text()), paged=True)
def list_workspaces(call: Call) -> Response:
    wanted = call.p.get("FriendlyName")
    rows = walk(call.account.store.fixtures.under("workspaces"), keep=lambda row: wanted in (None, row.name))
    return page(call, rows, lambda row: workspace_json(call.account, row), key="workspaces", largest=1000)


@api.get("/v1/Workspaces/{workspace}")
def fetchworkspace_of(call: Call, sid: str) -> Response:
    return ok(workspace_json(call.account, workspace_of(call, sid)))


def _looked_at(
    path: str,
    key: str,
    place: str,
    shape: Callable[[EmulatedAccount, Fixture], dict[str, Any]],
    filters: Params,
) -> None:
    """List and fetch of one kind of fixture; the name is the only filter."""

    @api.get(f"{WS}/{path}", filters, paged=True)
    def listing(call: Call, workspace: str) -> Response:
        order = call.account.store.fixtures.under(f"{place}/{workspace_of(call, workspace).sid}")
        wanted = call.p.get("FriendlyName")
        rows = walk(order, keep=lambda row: wanted in (None, row.name))
        return page(call, rows, lambda row: shape(call.account, row), key=key, largest=1000)

    @api.get(f"{WS}/{path}/{{sid}}")
    def fetch(call: Call, workspace: str, sid: str) -> Response:
        row = call.found(
            call.account.store.fixtures.within(f"{place}/{workspace_of(call, workspace).sid}", sid)
        )
        return ok(shape(call.account, row))


_looked_at("Workers", "workers", "workers", worker_json, Params(FriendlyName=text()))
_looked_at("TaskQueues", "task_queues", "queues", queue_json, Params(FriendlyName=text()))
_looked_at("Workflows", "workflows", "workflows", workflow_json, Params(FriendlyName=text()))
