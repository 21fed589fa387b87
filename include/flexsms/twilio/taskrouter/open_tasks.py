"""How many tasks are open, counted by TaskRouter.

Source: https://www.twilio.com/docs/taskrouter/api/workspace-statistics
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flexsms.twilio.taskrouter.task_list import OPEN_STATUSES

if TYPE_CHECKING:
    from twilio.rest import Client


async def count_open_tasks(client: Client, workspace_sid: str) -> int:
    """The open tasks of a workspace, those that agents are wrapping up among them; one call."""
    workspace = client.taskrouter.v1.workspaces(workspace_sid)
    found: Any = await workspace.real_time_statistics().fetch_async()
    return sum(int(found.tasks_by_status.get(status, 0)) for status in OPEN_STATUSES)
