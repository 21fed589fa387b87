"""The runs of ``flexsms_cleanup``: which task comes after which."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flexsms.operators.cleanup import FlexCleanupOperator
from flexsms.operators.cleanup_plan import FlexCleanupPlanOperator
from flexsms.operators.cleanup_report import FlexCleanupReportOperator

from .airflow import Run, TaskRun

if TYPE_CHECKING:
    from .player import Player

BATCH_SIZE = 4


class Cleanup:
    """A run: a plan, its batches one after the other, the report.

    :param ended: called when it is over
    """

    def __init__(self, player: Player, run: Run, ended: Callable[[], None]) -> None:
        self._player = player
        self._run = run
        self._ended = ended
        self._shared: dict[str, Any] = {"action": player.schedule.action}

    def begin(self) -> None:
        """Plan."""

        def make() -> FlexCleanupPlanOperator:
            days = self._player.schedule.retention_days
            return FlexCleanupPlanOperator(
                task_id="plan", retention_days=days, batch_size=BATCH_SIZE, **self._shared
            )

        TaskRun(self._player.airflow, self._run, "plan", make, self._planned).start()

    def _planned(self, plan: TaskRun) -> None:
        batches = plan.result if plan.state == "success" else []
        self._retire(batches, 0)

    def _retire(self, batches: list[Any], index: int) -> None:
        if index == len(batches):
            self._report()
            return

        def make() -> FlexCleanupOperator:
            return FlexCleanupOperator(task_id="retire", batch=batches[index], **self._shared)

        def ended(_task: TaskRun) -> None:
            self._retire(batches, index + 1)

        TaskRun(self._player.airflow, self._run, "retire", make, ended, map_index=index).start()

    def _report(self) -> None:
        def make() -> FlexCleanupReportOperator:
            return FlexCleanupReportOperator(task_id="report", plan_task_id="plan", batch_task_id="retire")

        def ended(_task: TaskRun) -> None:
            self._run.is_over = True
            self._ended()

        TaskRun(self._player.airflow, self._run, "report", make, ended).start()
