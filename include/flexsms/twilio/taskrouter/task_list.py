"""The tasks of a workspace as TaskRouter lists them: complete, and each with its attributes, or not at all.

A channel of which no task is listed counts as free, so a list that may be incomplete is refused. Twilio says that this
list has no further pages, and its SDKs that attributes are shown only where a single task is fetched; whether either is
so nobody could try. Source: https://www.twilio.com/docs/taskrouter/api/task
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from flexsms.core.attributes import parse_attributes
from flexsms.core.exceptions import InUseUnknown, NotFound, ServiceUnavailable, TwilioRefused
from flexsms.twilio.client.concurrency import for_each
from flexsms.twilio.client.dates import utc
from flexsms.twilio.client.not_found import twice

OPEN_STATUSES = ["pending", "reserved", "assigned", "wrapping"]
# A task only ever moves on to a later step, so asking for them in this order misses none on its way.
STEPS = (["pending", "reserved"], ["assigned"], ["wrapping"])
OVER = ["completed", "canceled"]
PAGE_SIZE = 1000
RECENT_PAGE_SIZE = 100
AT_ONCE = 16
TOKEN_REQUIRED = 20001
# Dates are in whole seconds: what changed so short a time ago may change again and bear the same one.
MAY_STILL_CHANGE = timedelta(minutes=1)

Tasks = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ListedTask:
    """A task.

    :param attributes: parsed
    """

    sid: str
    attributes: Mapping[str, Any]


class TaskList:
    """Lists the tasks of one workspace.

    :param workspace: the SDK's context of the workspace
    :param now: the present, an aware datetime that is not ahead of Twilio's clock
    """

    def __init__(self, workspace: Any, *, now: Callable[[], datetime]) -> None:
        self._tasks = workspace.tasks
        self._now = now
        # What was fetched of single tasks, by SID and the date of their last change.
        self._fetched: dict[tuple[str, datetime], Mapping[str, Any]] = {}

    async def open_tasks(self) -> list[ListedTask]:
        """All tasks that are not over: one call per 1000, and one per task that is listed without its attributes.

        Where there are more than fit on a page, and no further page, six calls find up to 2000 of each step.

        :raises InUseUnknown: when some are missing all the same, or nobody can tell what one of them is about
        """
        found, is_complete = await self._pages(PAGE_SIZE, assignment_status=OPEN_STATUSES)
        if not is_complete:
            found |= await self._step_by_step(STEPS)
        return await self._with_attributes(found.values())

    async def recent(self, since: datetime) -> list[ListedTask]:
        """All tasks that were created since, as long as TaskRouter keeps them; one call as a rule.

        :param since: an aware datetime
        :raises InUseUnknown: as :meth:`open_tasks` does
        """

        def is_recent(task: Any) -> bool:
            return (utc(task.date_created) or since) >= since

        def is_far_enough(page: Sequence[Any]) -> bool:
            # If Twilio did not heed the order, the newest might be anywhere.
            return bool(page) and not is_recent(page[-1]) and _is_sorted(reversed(page))

        for size in (RECENT_PAGE_SIZE, PAGE_SIZE):
            found, is_complete = await self._pages(size, is_far_enough, ordering="DateCreated:desc")
            if is_complete:
                break
        else:
            found = await self._step_by_step((*STEPS, OVER))
        return await self._with_attributes(filter(is_recent, found.values()))

    async def _step_by_step(self, steps: Iterable[Sequence[str]]) -> Tasks:
        """The oldest and the newest tasks of each step of a task's life: all of them where the two parts meet."""
        found: Tasks = {}
        for statuses in steps:
            asked: dict[str, Any] = {"assignment_status": statuses}
            oldest, is_complete = await self._pages(PAGE_SIZE, ordering="DateCreated:asc", **asked)
            found |= oldest
            if is_complete:
                continue
            newest, is_complete = await self._pages(PAGE_SIZE, ordering="DateCreated:desc", **asked)
            found |= newest
            if not is_complete and not _meet([*oldest.values()], [*newest.values()]):
                raise InUseUnknown(
                    f"TaskRouter has over {2 * PAGE_SIZE} tasks that are {' or '.join(statuses)} and does not list "
                    "them all, so nobody can tell which channels are in use; end what is left over in the workspace, "
                    "or try again when there are fewer."
                )
        return found

    async def _pages(
        self, size: int, is_far_enough: Callable[[Sequence[Any]], bool] = lambda _: False, **asked: Any
    ) -> tuple[Tasks, bool]:
        """The tasks of a list, by SID, and whether these are all of it."""
        found: Tasks = {}
        page: Any = await self._tasks.page_async(page_size=size, **asked)
        is_first = True
        while True:
            tasks = list(page)
            brings_news = any(str(task.sid) not in found for task in tasks)
            found |= {str(task.sid): task for task in tasks}
            if is_far_enough(tasks):
                return found, True
            if page.next_page_url is None:
                # Where one page led to another, a full one without a successor is just the last.
                return found, not is_first or len(tasks) < min(size, _size(page) or size)
            if not is_first and not brings_news:
                return found, False
            try:
                page = await page.next_page_async()
            except TwilioRefused as error:
                if error.code != TOKEN_REQUIRED:
                    raise
                return found, False
            is_first = False

    async def _with_attributes(self, tasks: Iterable[Any]) -> list[ListedTask]:
        tasks = list(tasks)
        found = {str(task.sid): shown(task) for task in tasks}

        async def read(task: Any) -> None:
            found[str(task.sid)] = await self._attributes(task)

        await for_each([task for task in tasks if found[str(task.sid)] is None], read, at_once=AT_ONCE)
        listed = ((str(task.sid), found[str(task.sid)]) for task in tasks)
        return [ListedTask(sid, attributes) for sid, attributes in listed if attributes is not None]

    async def _attributes(self, task: Any) -> Mapping[str, Any] | None:
        changed_at = utc(task.date_updated)
        if changed_at is None:
            return await attributes_of(task)
        key = (str(task.sid), changed_at)
        if key in self._fetched:
            return self._fetched[key]
        attributes = await attributes_of(task)
        if attributes is not None and changed_at < self._now() - MAY_STILL_CHANGE:
            self._fetched[key] = attributes
        return attributes


async def attributes_of(task: Any) -> Mapping[str, Any] | None:
    """The attributes of a task that was listed, None when it is gone; one call if the list does not have them.

    :raises InUseUnknown: when nobody can tell
    """
    listed = shown(task)
    if listed is not None:
        return listed
    try:
        return parse_attributes((await twice(task.fetch_async)).attributes)
    except NotFound:
        return None
    except ServiceUnavailable as error:
        raise InUseUnknown(
            f"TaskRouter lists task {task.sid} without attributes that can be read, and does not show them singly "
            f"either ({error}), so nobody can tell which channel it is about and what is in use."
        ) from error


def shown(task: Any) -> Mapping[str, Any] | None:
    """The attributes that a list shows, None when it shows none, or nothing of which a channel could be read."""
    parsed = None if task.attributes is None else json.loads(task.attributes)
    return parsed if isinstance(parsed, dict) else None


def _size(page: Any) -> int | None:
    """How many records Twilio gives a page at most, which may be fewer than it was asked for."""
    size = page._payload["meta"].get("page_size")  # the SDK has no other way
    return size if isinstance(size, int) and size > 0 else None


def _is_sorted(tasks: Iterable[Any]) -> bool:
    """Whether tasks are listed from the oldest to the newest."""
    dates = [utc(task.date_created) for task in tasks]
    return all(one is not None and other is not None and one <= other for one, other in pairwise(dates))


def _meet(oldest: Sequence[Any], newest: Sequence[Any]) -> bool:
    """Whether nothing can be between the oldest tasks and the newest, if both are sorted as they were asked for."""
    if not (oldest and newest and _is_sorted(oldest) and _is_sorted(reversed(newest))):
        return False
    last, first = utc(oldest[-1].date_created), utc(newest[-1].date_created)
    return last is not None and first is not None and first < last
