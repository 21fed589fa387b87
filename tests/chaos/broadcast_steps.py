"""Random broadcasts, and what happens around them: words of customers, other sends, faults, people at Airflow."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

from .broadcasts import BAD
from .universe import EPOCH
from .wire import APPLIED, NOT_APPLIED, Step

SHARE = 0.2  # of the schedules


class BroadcastSteps:
    """Adds broadcasts to a schedule. It has a chance of its own, so that the rest of the schedule stays as it is.

    :param customers: how many the schedule has otherwise
    :param began_s: about when its runs begin
    :ivar customers: how many it has with these steps
    """

    def __init__(self, stack: str, seed: int, *, customers: int, began_s: float) -> None:
        self.random = Random(f"broadcast/{stack}/{seed}")
        self.customers = customers
        self._began_s = began_s
        self._runs: list[tuple[str, int]] = []
        self._steps: list[Step] = []

    def make(self) -> list[Step]:
        """The steps; none in most schedules."""
        if self.random.random() >= SHARE:
            return []
        self.customers = max(self.customers, self.random.randint(2, 8))
        self._broadcasts()
        for _ in range(self.random.choice([0, 1, 2, 3])):
            self._word()
        if self.random.random() < 0.5:
            self._send()
        for _ in range(self.random.choice([0, 1, 1, 2, 3])):
            kind, times = self._one(*NOT_APPLIED, *APPLIED, "cut_after", "late"), self._one(1, 1, 1, 2, 4)
            self._steps.append({**self._landing(), "do": "fault", "kind": kind, "times": times})
        for share, what in ((0.4, "kill"), (0.15, "kill"), (0.05, "term")):
            if self.random.random() < share:
                self._steps.append({**self._landing(), "do": what})
        if self.random.random() < 0.2:
            how = {"for_s": self._one(20, 90, 400, 1500), "asleep": self._one(True, False)}
            how["goes_on_s"] = self._one(0.3, 1.2, 7.5)
            self._steps.append({**self._landing(), "do": "freeze", **how})
        self._person()
        return self._steps

    def _broadcasts(self) -> None:
        first = self._broadcast(0)
        if self.random.random() < 0.35:
            second = self._broadcast(1)
            if self.random.random() < 0.6:
                second["campaign"] = first["campaign"]

    def _broadcast(self, number: int) -> Step:
        people = self.random.sample(range(self.customers), self.random.randint(2, self.customers))
        if self.random.random() < 0.15:
            people.insert(self.random.randrange(len(people)), self._one(BAD, people[0]))
        at_s = self._moment(self._one(1, 20, 200))
        step: Step = {
            "at": at_s,
            "do": "broadcast",
            "job": f"b{number}",
            "campaign": f"campaign{number}",
            "rows": people,
            "zones": self._one(1, 1, 2, 3),
            "workers": self._one(1, 2, 4),
            "route": self._one("studio", "studio", "agent"),
            "max_per_second": self._one(0.1, 0.2, 1, 1, 20),
        }
        if self.random.random() < 0.2:
            # Some minutes are left, or not one text begins any more, or the hours are yet to come.
            opens_s, closes_s = self._one((-7200, 330), (-7200, 360), (-7200, 600), (200, 7200))
            step["hours"] = f"{_clock(at_s + opens_s)}-{_clock(at_s + closes_s + 60)}"
        if self.random.random() < 0.1:
            step["not_after_s"] = round(at_s + self._one(10, 30, 120))
        if self.random.random() < 0.1:
            step["max_open_tasks"] = self._one(1, 2, 4)
        if self.random.random() < 0.3:
            step["stop_over"] = self._one(0, 0.2, 0.5)
        if self.random.random() < 0.1:
            step["delivery_minutes"] = self._one(0, 5)
        self._steps.append(step)
        self._runs.append((step["job"], 25 + 10 * len(people)))
        return step

    def _word(self) -> None:
        """A customer opts out or in, or somebody does so for them; mostly flexsms learns of it."""
        who = self.random.randrange(self.customers)
        number = len(self._steps)
        if self.random.random() < 0.2:
            step: Step = {
                "do": "suppress",
                "job": f"p{number}",
                "who": who,
                "action": self._one("add", "lift"),
            }
            self._steps.append({**self._when(), **step})
            return
        words = self._one("STOP", "STOP", "stop ", "START", "UNSTOP", "YES", "CANCEL", "hello")
        self._steps.append({**self._when(), "do": "write", "who": who, "words": words})
        if self.random.random() < 0.6:
            self._steps.append({"at": self._moment(60), "do": "track", "job": f"w{number}", "source": "http"})
            self._runs.append((f"w{number}", 6))

    def _send(self) -> None:
        """A text to one of the people meanwhile."""
        route = self._one("agent", "studio")
        step: Step = {"do": "send", "job": "sb", "who": self.random.randrange(self.customers), "route": route}
        self._steps.append({**self._when(), **step})
        self._runs.append(("sb", 12))

    def _person(self) -> None:
        """What somebody does at Airflow."""
        if self.random.random() < 0.2:
            self._steps.append({**self._when(), "do": "cancel", "job": "b0"})
        if self.random.random() < 0.25:
            self._steps.append({"at": self._moment(6000), "do": "clear", "job": "b0"})
        if self.random.random() < 0.2:
            again = {**next(step for step in self._steps if step["do"] == "broadcast"), "job": "b2"}
            self._steps.append({**again, "at": self._moment(6000)})

    def _when(self) -> Step:
        return self._landing() if self.random.random() < 0.7 else {"at": self._moment(60)}

    def _landing(self) -> Step:
        name, requests = self.random.choice(self._runs)
        return {"on": name, "n": self.random.randint(1, requests), "when": self._one("before", "after")}

    def _moment(self, within_s: float) -> float:
        return round(self._began_s + self.random.random() * within_s, 1)

    def _one(self, *values: Any) -> Any:
        return self.random.choice(values)


def _clock(at_s: float) -> str:
    """What a clock shows, UTC."""
    return f"{EPOCH + timedelta(seconds=at_s):%H:%M}"
