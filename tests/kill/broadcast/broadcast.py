"""One run of a broadcast's DAG in a contact centre: its tasks one after the other, and what happens meanwhile."""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any

from flexsms.core.broadcast import BroadcastBatch
from flexsms.core.sending_hours import SendingHours
from flexsms.operators.broadcast import FlexBroadcastOperator
from flexsms.operators.broadcast_check import FlexBroadcastCheckOperator
from flexsms.operators.broadcast_report import FlexBroadcastReportOperator
from flexsms.operators.broadcast_xcom import PLAN_KEY, BroadcastPlan
from flexsms.recipients.folder import BroadcastFolder
from flexsms.sensors.broadcast_delivery import FlexBroadcastDeliverySensor

from .centre import HOURS, MOST_OPEN_TASKS, OPT_OUT_MEANWHILE, Centre
from .database import AGAIN, CHECK, DELIVERY, REPORT, Database, Task
from .kills import TRIGGERER, WORKER, Kills
from .promises import check
from .scheduler import OVER, Scheduler
from .triggerer import Triggerer

CAMPAIGN = "Appointments"
DELIVERY_MINUTES = 5
# Kills that are not in the middle of sending: of the check, of the delivery's look and wait, of the report.
OTHER_KILLS = 4
# When the hours end in the middle of the work, and when agents fall behind: the share of the work that is done.
HOURS_END, AGENTS_FALL_BEHIND = (0.1, 0.8), (0.3, 0.55)
# By the clock of the contact centre: then a trigger that polls has polled again.
POLLED = timedelta(seconds=31)
LONGEST_S = 3000.0
PAUSE_S, LOOK_EVERY_S, IDLE_S = 0.03, 0.1, 1.0


class Broadcast:
    """Plays the run.

    :param kills: processes to be killed, all in all
    """

    def __init__(self, centre: Centre, database: Database, kills: int, log: int) -> None:
        self.centre, self.database = centre, database
        self._wanted_kills = kills
        self.kills = Kills(centre.chance, kills - OTHER_KILLS)
        self.triggerer = Triggerer(database, centre.now, lambda: float(centre.ahead.value), log)
        self.scheduler = Scheduler(database, self.triggerer, self.kills, self._operator, centre.now, log)
        self._hours = SendingHours.parse("-".join(HOURS))
        self._hours_end, self._fall_behind = list(HOURS_END), list(AGENTS_FALL_BEHIND)
        stops = round(centre.count * OPT_OUT_MEANWHILE)
        self._stops = sorted(centre.chance.random() for _ in range(stops))
        self._looked_s = self._busy_s = self._progress = 0.0
        self._until_s = time.monotonic() + LONGEST_S

    def play(self) -> None:
        """All tasks, until each is through."""
        self.triggerer.start()
        try:
            self.kills.add(WORKER)
            self._run([CHECK])
            self.centre.spoil()
            self._run([Task("send", batch.number) for batch in self.batches])
            self._progress = 1.0
            self.kills.add(WORKER, TRIGGERER)
            self._run([DELIVERY])
            self.kills.add(WORKER)
            while not self.kills.are_over:  # a report may be cleared; its kill may have come too late
                self._run([REPORT])
            self._run([AGAIN])
        finally:
            self.scheduler.stop()
        done = self.kills.done.total()
        check(done == self._wanted_kills, f"there were {done} kills, and not {self._wanted_kills}")
        check(not self._hours_end, "no hours ended while texts left")

    def told(self) -> str:
        """What has happened, for a person."""
        kills = ", ".join(f"{count} {victim}" for victim, count in sorted(self.kills.done.items()))
        tries = ", ".join(f"{count} {end}" for end, count in sorted(self.scheduler.ends.items()))
        triggers = self.database.triggers()
        waits = Counter(name for name, _, fired in triggers if fired)
        kinds = ", ".join(f"{count} {name}" for name, count in sorted(waits.items()))
        anew = sum(fired and runs > 1 for _, runs, fired in triggers)
        return f"kills: {kills}\ntries: {tries}\nwaits: {kinds}; {anew} of them were run anew"

    # -- what the tasks have left ------------------------------------------------------------------------------------

    @property
    def plan(self) -> BroadcastPlan:
        """Of the check."""
        return BroadcastPlan.from_json(self.database.get("xcom", CHECK, PLAN_KEY))

    @property
    def totals(self) -> dict[str, Any]:
        """Of the report."""
        found: dict[str, Any] = self.database.get("xcom", REPORT, "return_value")
        return found

    @cached_property
    def batches(self) -> list[BroadcastBatch]:
        """Of the check, once it is through."""
        return [BroadcastBatch.from_json(one) for one in self.database.get("xcom", CHECK, "return_value")]

    def file(self, name: str, task: Task) -> list[dict[str, str]]:
        """A CSV file of the folder of a check, line by line."""
        plan = BroadcastPlan.from_json(self.database.get("xcom", task, PLAN_KEY))
        with BroadcastFolder(plan.folder).path(name).open(encoding="utf-8-sig") as lines:  # type: ignore[no-untyped-call]
            return list(csv.DictReader(lines))

    # -- the tasks ---------------------------------------------------------------------------------------------------

    def _operator(self, task: Task) -> Any:
        centre = self.centre
        rules: dict[str, Any] = {"campaign": CAMPAIGN, "hours": "-".join(HOURS), "max_per_second": 1000}
        before_end = {**rules, "not_after": centre.not_after.isoformat()}
        rows: dict[str, Any] = {
            "recipients": str(centre.path),
            "from_number": centre.number,
            "body": "Text {text}",
        }
        match task:
            case Task("check"):
                return FlexBroadcastCheckOperator(task_id="check", **rows, **before_end)
            case Task("again"):
                return FlexBroadcastCheckOperator(task_id="again", preview=True, **rows, **rules)
            case Task("send", number):
                batch = self.batches[number].to_json()
                return FlexBroadcastOperator(
                    task_id="send", batch=batch, max_open_tasks=MOST_OPEN_TASKS, **before_end
                )
            case Task("delivery"):
                return FlexBroadcastDeliverySensor(
                    task_id="delivery", plan_task_id="check", minutes=DELIVERY_MINUTES
                )
        return FlexBroadcastReportOperator(task_id="report", plan_task_id="check")

    def _run(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            self.database.schedule(task)
        while any(self.scheduler.step()[task] not in OVER for task in tasks):
            check(time.monotonic() < self._until_s, f"not through after {LONGEST_S:.0f} s")
            if time.monotonic() - self._looked_s >= LOOK_EVERY_S:
                self._looked_s = time.monotonic()
                self._look()
            time.sleep(PAUSE_S)

    # -- meanwhile ---------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """See how far it is, and let happen what is due by then."""
        states = self.database.states()
        if tasks := [task for task in states if task.task_id == "send"]:
            self._measure([task for task in tasks if states[task] in OVER])
        due = self.kills.due(self._progress)
        waits = self.database.waits(self.triggerer.pid)
        if due == WORKER:
            self.kills.kill_worker(self.scheduler.running)
        elif due == TRIGGERER and any(wait.is_running for wait in waits) and not self.triggerer.was_killed:
            self.kills.kill_triggerer(self.triggerer.processes())
            self.triggerer.was_killed = True
        while self._stops and self._progress >= self._stops[0]:
            self._stops.pop(0)
            self.centre.somebody_stops()
        if self._fall_behind and self._progress >= self._fall_behind[0]:
            self._fall_behind.pop(0)
            self.centre.agents_fall_behind()
        if self._hours_end and self._progress >= self._hours_end[0]:
            self._end_hours()
        if self.scheduler.running or "scheduled" in states.values():
            self._busy_s = time.monotonic()
        elif due != TRIGGERER:
            self._go_on([wait.moment for wait in waits])

    def _measure(self, over: Sequence[Task]) -> None:
        """The share of the work that is done, by who has a text, and who gets none any more."""
        done = self.centre.heard_of()
        done += sum(self.database.get("xcom", task, "return_value")["too_late"] for task in over)
        everybody_is_told = len(over) == len(self.batches)
        self._progress = 1.0 if everybody_is_told else done / self.plan.texts

    def _end_hours(self) -> None:
        """Let the hours of a batch end while it sends.

        Five minutes before their end no text begins any more, and what is under way leaves in time. No clock jumps over
        that end while somebody sends: between two steps of a text, no hour goes by.
        """
        now = self.centre.now()
        sending = [self.batches[task.map_index] for task in self.scheduler.running.values()]
        openings = [self._hours.opening(batch.zones, now) for batch in sending if batch.zones]
        if openings and all(opening and opening.opens <= now for opening in openings):
            self._hours_end.pop(0)
            self.centre.to(min(opening.closes for opening in openings if opening))

    def _go_on(self, moments: Sequence[Any]) -> None:
        """Nobody works: the clock goes on to what is waited for first."""
        now = self.centre.now()
        if None in moments:
            if time.monotonic() - self._busy_s >= IDLE_S:
                self._busy_s = time.monotonic()
                self.centre.agents_catch_up()
                self.centre.to(now + POLLED)
        elif moments and min(moments) > now:
            self.centre.to(min(moments))
