"""Stops a try that Airflow has replaced: a frozen worker works on when it wakes up, until its heartbeat is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import Context

from flexsms.core.exceptions import TryReplaced

if TYPE_CHECKING:
    from airflow.sdk.execution_time.context import TaskStateStoreAccessor

KEY = "newest_try"


class NewestTry:
    """One try of a task, which begins with this.

    :param context: of the task
    :raises TryReplaced: when a newer try has begun already
    """

    def __init__(self, context: Context) -> None:
        self._memory: TaskStateStoreAccessor = context["task_state_store"]
        self._number = int(context["ti"].try_number)
        newest = self._memory.get(KEY)
        if isinstance(newest, int) and newest > self._number:
            raise _replaced()
        self._memory.set(KEY, self._number)

    def refuse_if_replaced(self) -> None:
        """Do nothing, if no newer try has begun. Nothing may be waited for between this and what it guards.

        :raises TryReplaced: when one has, or when the memory is gone: the option ``[state_store] clear_on_success``
            clears it once a newer try has succeeded
        """
        if self._memory.get(KEY) != self._number:
            raise _replaced()


def _replaced() -> TryReplaced:
    return TryReplaced("A newer try of this task is at work, or was; this one writes nothing more.")
