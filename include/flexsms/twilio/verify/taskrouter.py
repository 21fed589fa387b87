"""Experiments with TaskRouter: two tasks of no channel. Source: https://www.twilio.com/docs/taskrouter/api"""

from __future__ import annotations

import asyncio
from typing import Any

from flexsms.core.exceptions import TwilioRefused
from flexsms.twilio.taskrouter.task_list import shown
from flexsms.twilio.verify.experiment import Note, experiment
from flexsms.twilio.verify.own import MARK, REASON, NotPossible, Own

CREATED, CANCELED = "task.created", "task.canceled"
NEEDED = ("workspace_sid",)


@experiment("task-list-attributes", "task-list-pages", fields=NEEDED, tasks=2)
async def tasks(own: Own, note: Note) -> None:
    """How tasks are listed, by two of our own."""
    for _ in range(2):
        await own.task()

    async def listed() -> list[Any] | None:
        found = await own.tasks()
        return found if len(found) == 2 else None

    found = await own.poll(listed)
    if found is None:
        raise NotPossible("TaskRouter does not list the tasks that it was given")
    note("task-list-attributes", "no" if any(shown(task) is None for task in found) else "yes")
    page = await own.workspace.tasks.page_async(
        evaluate_task_attributes=f'{MARK} == "{own.mark}"', page_size=1
    )
    note("task-list-pages", await _leads_on(page))


@experiment(
    "event-list-delay",
    "event-list-order",
    "event-list-pages",
    "task-list-keeps-ended",
    fields=NEEDED,
    tasks=1,
)
async def events(own: Own, note: Note) -> None:
    """How the events of a task are listed, and for how long the task itself."""
    task = await own.task()
    await own.workspace.tasks(task.sid).update_async(assignment_status="canceled", reason=REASON)
    look_again = asyncio.get_running_loop().time() + own.patience.ended.total_seconds()

    async def both() -> list[str] | None:
        found = await own.workspace.events.list_async(task_sid=task.sid)
        kinds = [str(one.event_type) for one in found]
        return kinds if {CREATED, CANCELED} <= set(kinds) else None

    kinds = await own.poll(both)
    note("event-list-delay", "within a minute" if kinds else "later")
    if kinds:
        is_newest_first = kinds.index(CANCELED) < kinds.index(CREATED)
        note("event-list-order", "newest first" if is_newest_first else "oldest first")
        page = await own.workspace.events.page_async(task_sid=task.sid, page_size=1)
        note("event-list-pages", await _leads_on(page))

    if own.wishes.wants("task-list-keeps-ended"):
        await asyncio.sleep(look_again - asyncio.get_running_loop().time())
        note("task-list-keeps-ended", "yes" if await own.tasks() else "no")


async def _leads_on(page: Any) -> str:
    """Whether a page of one record leads to the next record."""
    try:
        following = await page.next_page_async()
    except TwilioRefused as error:
        return f"refused with {error.code}"
    return "yes" if following is not None and list(following) else "no"
