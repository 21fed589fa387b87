"""taskrouter v1: how many tasks there are at this moment, by their status (https://www.twilio.com/docs/taskrouter/api/workspace-statistics).

Unverified: that `tasks_by_status` and `tasks_by_priority` have numbers, and a status of which there is no task has 0;
that `total_tasks` has finished tasks in it as long as TaskRouter keeps them; that a task waits from when it was made,
whatever became of its reservations.
"""

from __future__ import annotations

from collections import Counter

from ...http import Invalid, Response, ok
from ...routing.call import Call
from ...routing.params import Params, text
from ...state.account import EmulatedAccount
from .tasks import FINISHED, OPEN
from .workspace_routes import HOST, WS, api, workspace_of

WAITING = ("pending", "reserved")


@api.get(f"{WS}/RealTimeStatistics", Params(TaskChannel=text()))
def fetch_real_time(call: Call, workspace: str) -> Response:
    account, sid = call.account, workspace_of(call, workspace).sid
    wanted = _channel(account, call.p.get("TaskChannel"))
    groups = {group: sids for group, sids in account.task_groups.items() if wanted in (None, group[0])}
    statuses, priorities = Counter(dict.fromkeys((*OPEN, *FINISHED), 0)), Counter[str]()
    for (_, status, priority), sids in groups.items():
        statuses[status] += len(sids)
        priorities[str(priority)] += len(sids)
    first = [next(iter(sids), None) for (_, status, _), sids in groups.items() if status in WAITING]
    waiting = [task for task in map(account.store.tasks.get, first) if task]
    longest = min(waiting, key=lambda task: task.created, default=None)
    workers = len(account.worker_sids)
    return ok(
        {
            "account_sid": account.account_sid,
            "workspace_sid": sid,
            "activity_statistics": [
                {"sid": one, "friendly_name": name, "workers": workers if name == "Available" else 0}
                for name, one in account.activity_sids.items()
            ],
            "longest_task_waiting_age": int(account.clock.now() - longest.created) if longest else 0,
            "longest_task_waiting_sid": longest.sid if longest else None,
            "tasks_by_priority": {name: count for name, count in priorities.items() if count},
            "tasks_by_status": statuses,
            "total_tasks": statuses.total(),
            "total_workers": workers,
            "url": f"https://{HOST}/v1/Workspaces/{sid}/RealTimeStatistics",
        }
    )


def _channel(account: EmulatedAccount, given: str | None) -> str | None:
    """The unique name of a task channel, which may be given by its SID."""
    known = account.task_channel_sids
    names = {**{name: name for name in known}, **{sid: name for name, sid in known.items()}}
    if given and given not in names:
        raise Invalid(f"Invalid TaskChannel: {given}")
    return names[given] if given else None
