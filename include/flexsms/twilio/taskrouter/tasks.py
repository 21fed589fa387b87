"""What the stacks ask of TaskRouter.

Source: https://www.twilio.com/docs/taskrouter/api/task
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from flexsms.core.attributes import parse_attributes
from flexsms.core.exceptions import InvalidInput, NotFound, TwilioRefused
from flexsms.core.outbound_message import DIGEST_ATTRIBUTE
from flexsms.twilio.client import clock
from flexsms.twilio.taskrouter.task_list import OPEN_STATUSES, ListedTask, TaskList

SOURCE_ATTRIBUTE = "sourceChatChannelSid"


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


async def find_tasks_of(workspace: Any, customers: Collection[str], *, other_than: str) -> list[ListedTask]:
    """The open tasks of the customers on other chat channels.

    The numbers are compared here, because a filter would carry them in its URL. One call per 1000 open tasks.

    :param customers: numbers, E.164
    :param other_than: CH…
    """
    return [
        task
        for task in await TaskList(workspace, now=clock.utc_now).open_tasks()
        if any(task.attributes.get(name) in customers for name in ("from", "to"))
        and task.attributes.get("channelSid") not in (None, other_than)
    ]


async def refer_to(workspace: Any, task_sid: str, channel_sid: str) -> None:
    """Let a task lead its agent to an earlier channel as well, unless it names another one already."""
    task: Any = await workspace.tasks(task_sid).fetch_async()
    attributes = parse_attributes(task.attributes)
    if SOURCE_ATTRIBUTE not in attributes:
        await workspace.tasks(task_sid).update_async(
            attributes=json.dumps({**attributes, SOURCE_ATTRIBUTE: channel_sid})
        )


async def open_tasks(workspace: Any, attribute: str, value: str) -> list[Any]:
    """The tasks that are not over and bear an attribute.

    :param attribute: for the tasks of a channel, the one that names it on this stack
    """
    found: list[Any] = await workspace.tasks.list_async(
        assignment_status=OPEN_STATUSES, evaluate_task_attributes=f'{attribute} == "{value}"'
    )
    return found


async def end_open_tasks(workspace: Any, attribute: str, channel_sid: str, *, reason: str) -> None:
    """End the tasks of a channel that are not over.

    :param attribute: the task attribute that names the channel on this stack
    :param reason: what TaskRouter keeps as the reason
    """
    for task in await open_tasks(workspace, attribute, channel_sid):
        await end_task(workspace, task, reason)


async def end_own_tasks(
    workspace: Any, attribute: str, channel_sid: str, digest: str, *, reason: str
) -> bool:
    """End the open tasks that one send has made, wherever they are; two calls, and one per task.

    :param attribute: the task attribute that names a channel on this stack
    :param channel_sid: the channel that the send was for
    :param digest: that of the send's idempotency key, which its tasks bear
    :param reason: what TaskRouter keeps as the reason
    :return: whether the channel has other open tasks
    """
    # Two filters of TaskRouter's: whether a list shows attributes is not certain.
    of_channel = {str(task.sid) for task in await open_tasks(workspace, attribute, channel_sid)}
    own = await open_tasks(workspace, DIGEST_ATTRIBUTE, digest)
    for task in own:
        await end_task(workspace, task, reason)
    return bool(of_channel - {str(task.sid) for task in own})


async def end_task(workspace: Any, task: Any, reason: str) -> None:
    """End a task; one that is over already is as good.

    A task that nobody has accepted can be canceled, and only one that somebody has can be completed.

    :raises TwilioRefused: when it is still open afterwards
    """
    status = "completed" if str(task.assignment_status) in ("assigned", "wrapping") else "canceled"
    try:
        await workspace.tasks(task.sid).update_async(assignment_status=status, reason=reason)
    except NotFound:
        return
    except TwilioRefused:
        fresh: Any = await workspace.tasks(task.sid).fetch_async()
        if str(fresh.assignment_status) not in OPEN_STATUSES:
            return
        if fresh.assignment_status == task.assignment_status:
            raise
        await end_task(workspace, fresh, reason)
