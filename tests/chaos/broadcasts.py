"""The runs of ``flexsms_broadcast``: their lists, which task comes after which, and what a person does with them."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flexsms.core.number_digest import KEY_BYTES, NumberDigest
from flexsms.operators.broadcast import FlexBroadcastOperator
from flexsms.operators.broadcast_approval import FlexBroadcastApprovalOperator
from flexsms.operators.broadcast_check import FlexBroadcastCheckOperator
from flexsms.operators.broadcast_report import FlexBroadcastReportOperator
from flexsms.sensors.broadcast_delivery import FlexBroadcastDeliverySensor

from .airflow import Run, TaskRun
from .universe import EPOCH
from .wire import Step

if TYPE_CHECKING:
    from .player import Player

# Texts of a batch, and how many have to be tried before `stop_over` counts: the lists are short.
BATCH_SIZE = 2
FEWEST_TRIED = 3
# In each trace of a schedule, a number has the same digest.
DIGEST_KEY = "5a" * KEY_BYTES
# A row of the list that cannot be texted.
BAD = -1
ZONES = ("UTC", "Africa/Abidjan", "Atlantic/Reykjavik")  # all of them show what UTC shows
LONGEST_SEND_S = 12 * 3600.0


class Broadcast:
    """A run.

    :param step: of the schedule: ``campaign``, ``rows`` (customers), ``zones`` (how many different ones), ``workers``,
        and the params of the DAG by their names; moments are seconds since the beginning (``not_before_s``,
        ``not_after_s``)
    """

    def __init__(self, player: Player, run: Run, step: Step) -> None:
        self.player = player
        self.run = run
        self.step = step
        self.campaign: str = step["campaign"]
        self.rows: list[int] = step["rows"]
        self._is_cancelled = False

    # What it texts

    @property
    def people(self) -> list[int]:
        """Whom it is to text, each once."""
        return sorted({who for who in self.rows if who != BAD})

    def body(self, who: int) -> str:
        """The text to a customer."""
        return f"news of {self.run.name} for Friend{who}."

    def key(self, who: int) -> str:
        """The digest of the key of the campaign's text to a customer."""
        digest = NumberDigest(bytes.fromhex(DIGEST_KEY)).of(self.player.customer(who))
        campaign = hashlib.sha256(self.campaign.encode()).hexdigest()[:32]
        return hashlib.sha256(f"broadcast/{campaign}/{digest}".encode()).hexdigest()[:32]

    def texts(self, who: int) -> list[Any]:
        """What has left for a customer, or was refused: rows of the sandbox."""
        return [sms for sms in self.player.world.store.outbox if sms.body == self.body(who)]

    def zone(self, who: int) -> str:
        """What the list says of where a customer lives."""
        return ZONES[who % self.step.get("zones", 1)]

    def write_list(self) -> Path:
        """The file that the run reads."""
        path = self.player.folder / f"{self.run.name}.csv"
        with path.open("w", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(["to_number", "first_name", "zone"])
            for who in self.rows:
                number = "12" if who == BAD else self.player.customer(who)
                lines.writerow([number, f"Friend{who}", self.zone(who)])
        return path

    # Tasks

    def begin(self) -> None:
        """Write the list, and check it."""
        self._path = self.write_list()
        self.go_on()

    def go_on(self, _task: TaskRun | None = None) -> None:
        """Start what comes next, as Airflow's scheduler does."""
        check, approve = self._check(), self._approve()
        if not check.is_over:
            check.start()
            return
        if check.state == "success" and not self._is_cancelled and not approve.is_over:
            approve.start()
            return
        if approve.state == "success":
            sends = self._sends(check.result)
            busy = sum(task.state not in ("none", "success", "failed", "skipped") for task in sends)
            waiting = [task for task in sends if task.state == "none"]
            for task in waiting if self._is_cancelled else waiting[: max(0, self.step["workers"] - busy)]:
                task.cancel() if self._is_cancelled else task.start()
            if not all(task.is_over for task in sends):
                return
        # Both are teardowns: they run whatever came before.
        for task in (self._delivery(), self._report()):
            if not task.is_over:
                task.start()
                return
        self.run.is_over = True

    def _task(self, task_id: str, make: Any, map_index: int = -1, timeout_s: float = 7200) -> TaskRun:
        for task in self.run.tasks:
            if (task.task_id, task.map_index) == (task_id, map_index):
                return task
        return TaskRun(
            self.player.airflow, self.run, task_id, make, self.go_on, map_index=map_index, timeout_s=timeout_s
        )

    def _rules(self) -> dict[str, Any]:
        step = self.step
        found: dict[str, Any] = {"campaign": self.campaign, "route": step["route"]}
        found["hours"] = step.get("hours", "00:00-24:00")
        found["max_per_second"] = step.get("max_per_second")
        for name in ("not_before", "not_after"):
            if f"{name}_s" in step:
                found[name] = (EPOCH + timedelta(seconds=step[f"{name}_s"])).isoformat()
        return found

    def _check(self) -> TaskRun:
        return self._task(
            "check",
            lambda: FlexBroadcastCheckOperator(
                task_id="check",
                recipients=str(self._path),
                from_number=self.player.number,
                body=f"news of {self.run.name} for {{first_name}}.",
                **self._rules(),
            ),
        )

    def _approve(self) -> TaskRun:
        return self._task(
            "approve", lambda: FlexBroadcastApprovalOperator(task_id="approve", plan_task_id="check")
        )

    def _sends(self, batches: list[Any]) -> list[TaskRun]:
        def make(batch: Any) -> FlexBroadcastOperator:
            return FlexBroadcastOperator(
                task_id="send",
                batch=batch,
                plan_task_id="check",
                approval_task_id="approve",
                max_open_tasks=self.step.get("max_open_tasks"),
                stop_over=self.step.get("stop_over"),
                **self._rules(),
            )

        return [
            self._task("send", lambda batch=batch: make(batch), index, LONGEST_SEND_S)  # type: ignore[misc]
            for index, batch in enumerate(batches)
        ]

    def _delivery(self) -> TaskRun:
        minutes = self.step.get("delivery_minutes", 60)
        return self._task(
            "delivery",
            lambda: FlexBroadcastDeliverySensor(task_id="delivery", plan_task_id="check", minutes=minutes),
        )

    def _report(self) -> TaskRun:
        return self._task(
            "report",
            lambda: FlexBroadcastReportOperator(
                task_id="report", plan_task_id="check", approval_task_id="approve"
            ),
        )

    # A person

    def cancel(self) -> None:
        """Mark the run as failed. What sums up runs all the same."""
        if self.run.is_over:
            return
        self._is_cancelled = True
        for task in list(self.run.tasks):
            if task.task_id in ("check", "approve", "send"):
                task.cancel()
        self.go_on()

    def clear(self) -> None:
        """Clear what has failed or was kept from running, with what is behind it."""
        first = next(
            (task for task in self.run.tasks if task.state == "failed" or self._is_skipped(task)), None
        )
        if not self.run.is_over or first is None:
            return
        self.run.is_over = self._is_cancelled = False
        self.run.clear_number += 1
        for task in self.run.tasks:
            is_behind = task.task_id in ("delivery", "report") or first.task_id == "check"
            if is_behind or task.state == "failed" or self._is_skipped(task):
                task.reset()
        self.go_on()

    def _is_skipped(self, task: TaskRun) -> bool:
        return task.state == "skipped" and task.task_id != "delivery"

    # What it says

    @property
    def _file(self) -> Path | None:
        """``report.csv``; None where no report was made."""
        report = next((task for task in self.run.tasks if task.task_id == "report"), None)
        if report is None or report.state != "success":
            return None
        return Path(report.result["report"].removeprefix("file://"))

    @property
    def report_is_gone(self) -> bool:
        """Whether somebody has removed the report that was made."""
        return self._file is not None and not self._file.exists()

    def outcomes(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Customer and line of the report, for each row that it has."""
        if self._file is None or self.report_is_gone:
            return
        with self._file.open(encoding="utf-8-sig", newline="") as file:
            for line in csv.DictReader(file):
                yield self.rows[int(line["row"]) - 1], line
