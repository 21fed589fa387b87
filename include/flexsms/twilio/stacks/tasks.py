"""What both stacks ask TaskRouter before they send.

Source: https://www.twilio.com/docs/taskrouter/api/task
"""

from __future__ import annotations

from typing import Any

from flexsms.core.errors import InvalidInput, NotFound
from flexsms.twilio.sources.taskrouter import OPEN_STATUSES


async def check_worker(workspace: Any, worker_sid: str | None) -> None:
    """Make sure that the agent who is to get the task exists, if one is named.

    :raises InvalidInput: when the workspace has no such worker
    """
    if not worker_sid:
        return
    try:
        await workspace.workers(worker_sid).fetch_async()
    except NotFound:
        raise InvalidInput(
            "target_worker_sid",
            f"{worker_sid} is no worker of the workspace",
            "copy the SID of an agent from TaskRouter, or leave it empty",
        ) from None


async def find_open_task(workspace: Any, attribute: str, channel_sid: str) -> Any:
    """The task of a channel that is not over, None when there is none.

    :param attribute: the task attribute that names the channel on this stack
    """
    found = await workspace.tasks.list_async(
        assignment_status=OPEN_STATUSES,
        evaluate_task_attributes=f'{attribute} == "{channel_sid}"',
        limit=1,
    )
    return found[0] if found else None


async def find_tasks(workspace: Any, attribute: str, channel_sid: str) -> list[Any]:
    """The tasks of a channel, finished ones too as long as TaskRouter keeps them, the newest first.

    :param attribute: the task attribute that names the channel on this stack
    """
    found = await workspace.tasks.list_async(
        evaluate_task_attributes=f'{attribute} == "{channel_sid}"', page_size=100
    )
    return sorted(found, key=lambda task: str(task.date_created), reverse=True)
