"""A schedule: what happens, when and to whom, as data. One is made from a seed, or read from a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Self

from .broadcast_steps import BroadcastSteps
from .wire import APPLIED, NOT_APPLIED, Step

DAY_S = 86_400
HOUR_S = 3_600
HOSTS = {
    "chat": ("chat", "proxy", "sync", "taskrouter", "flex-api", "*"),
    "conversations": ("conversations", "sync", "taskrouter", "flex-api", "*"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What happens.

    A step says what it does (``do``) and when: at a moment (``at``, seconds), or right ``before`` or ``after`` the
    ``n``-th request of a run (``on``).

    :param seed: of the latencies, and of the SIDs
    :param customers: how many
    :param retention_days: of every cleanup
    :param action: of every cleanup
    :param heartbeat_s: after so many seconds of silence a task is taken for dead
    """

    stack: str
    seed: int
    customers: int
    retention_days: float
    action: str
    heartbeat_s: float
    steps: Sequence[Step]

    def to_json(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote; further keys tell people something."""
        return cls(**{name: values[name] for name in cls.__dataclass_fields__})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file."""
        return cls.from_json(json.loads(path.read_text()))

    def only(self, steps: Sequence[Step]) -> Schedule:
        """The same with these steps."""
        return replace(self, steps=list(steps))

    def told(self) -> str:
        """For a person: one line a step."""
        head = (
            f"{self.stack}, seed {self.seed}, {self.customers} customers, window {self.retention_days:g} d, "
            f"{self.action}, heartbeat timeout {self.heartbeat_s:g} s"
        )
        return "\n".join([head, *(f"  {json.dumps(step)}" for step in self.steps)])


def make(stack: str, seed: int) -> Schedule:
    """A random schedule, the same for the same seed."""
    return _Maker(stack, seed).make()


class _Maker:
    def __init__(self, stack: str, seed: int) -> None:
        self.random = Random(f"{stack}/{seed}")
        self.stack = stack
        self.seed = seed
        self.steps: list[Step] = []
        self.retention_days = self.random.choice([1 / 24, 0.25, 0.5, 1, 2, 2, 2, 7])
        self.customers = self.random.choice([1, 1, 2, 2, 3, 4, 6])
        self.began_s = 0.0
        self.runs: list[tuple[str, int]] = []  # name, and about how many requests it sends

    def make(self) -> Schedule:
        chance, window_s = self.random.random, self.retention_days * DAY_S
        self.began_s = window_s + 2 * HOUR_S
        for who in range(self.customers):
            self._past(who, window_s)
        self._runs()
        for _ in range(self.random.randint(0, 5)):
            self._people()
        if chance() < 0.9:
            for _ in range(self.random.randint(1, 5)):
                self._fault()
        if chance() < 0.3:
            self._befall("kill")
        if chance() < 0.12:
            how = {"for_s": self._one(20, 90, 400, 400, 1500), "asleep": self._one(True, False)}
            how["goes_on_s"] = self._one(0.3, 0.6, 1.2, 3, 7.5)
            if ("c0", 16 + 7 * self.customers) in self.runs and chance() < 0.4:
                # Where the channels are suspended, more or less.
                number = self.random.randint(15, 22 + 4 * self.customers)
                self.steps.append({"on": "c0", "n": number, "when": "before", "do": "freeze", **how})
            else:
                self._befall("freeze", **how)
            # Customers come while nobody looks.
            for who in range(self.customers):
                if chance() < 0.5:
                    self.steps.append(
                        {"at": self.began_s + self.random.randint(15, 100), "do": "write", "who": who}
                    )
        if chance() < 0.06:
            self._befall("term")
        if chance() < 0.15:
            self._outage()
        if chance() < 0.08:
            for_s, by_s = self.random.choice([60, 600, 3600]), self.random.choice([30, 300, 900])
            at_s = self.began_s - self.random.choice([0, 600, window_s])
            self.steps.append({"at": max(at_s, 0), "do": "late_events", "for_s": for_s, "by_s": by_s})
        if self.stack == "conversations" and chance() < 0.08:
            takes_s, fails = self._one((0.5, True), (30, True), (30, False), (400, False))
            step = {"at": self.began_s - 1, "do": "setup", "takes_s": takes_s, "fails": fails}
            self.steps.append({**step, "for_s": self._one(5, 60, 600)})
        broadcasts = BroadcastSteps(self.stack, self.seed, customers=self.customers, began_s=self.began_s)
        self.steps += broadcasts.make()
        self.steps.sort(key=lambda step: step.get("at", float("inf")))
        return Schedule(
            stack=self.stack,
            seed=self.seed,
            customers=broadcasts.customers,
            retention_days=round(self.retention_days, 4),
            action="delete" if self.random.random() < 0.25 else "deactivate",
            heartbeat_s=self.random.choice([60, 300]),
            steps=self.steps,
        )

    def _past(self, who: int, window_s: float) -> None:
        """What has become of a customer so far."""
        kind = self.random.choices(
            ["none", "quiet", "fresh", "open", "sent", "fired", "many"], [3, 8, 2, 2, 4, 2, 0.15]
        )[0]
        at_s = self.random.randint(0, 1800)
        if kind == "none":
            return
        if kind == "sent":
            route, job = "agent", f"past{who}"
            self.steps.append({"at": at_s, "do": "send", "job": job, "who": who, "route": route})
            self.steps.append({"at": at_s + 600, "do": "agent", "who": who, "action": "complete"})
        elif kind == "fired":
            self.steps.append({"at": at_s, "do": "send", "job": f"past{who}", "who": who, "route": "studio"})
            if self.random.random() < 0.5:
                self.steps.append({"at": at_s + 500, "do": "write", "who": who})
                self.steps.append({"at": at_s + 900, "do": "agent", "who": who, "action": "complete"})
        elif kind == "many":
            self.steps.append({"at": at_s, "do": "chat", "who": who, "rounds": self.random.choice([12, 70])})
        else:
            self.steps.append({"at": at_s, "do": "write", "who": who})
            self.steps.append(
                {
                    "at": at_s + 400,
                    "do": "agent",
                    "who": who,
                    "action": self._one("complete", "park", "cancel"),
                }
            )
        if kind in ("quiet", "sent") and self.random.random() < 0.06:
            step = {"do": "other", "who": who, "what": "short_lived", "value": 0}
            self.steps.append({"at": at_s + 1000, **step})
        if kind in ("fresh", "open"):
            at_s = round(self.began_s - self.random.uniform(60, window_s * 0.9))
            self.steps.append({"at": at_s, "do": "write", "who": who})
            if kind == "fresh":
                self.steps.append({"at": at_s + 50, "do": "agent", "who": who, "action": "complete"})

    def _runs(self) -> None:
        """The runs of Airflow, most of them at the same time."""
        chance = self.random.random
        if chance() < 0.4:
            self.steps.append(
                {"at": self.began_s - self.random.choice([300, 3600]), "do": "track", "job": "t0"}
            )
            self.runs.append(("t0", 12))
        if chance() < 0.85:
            self.steps.append({"at": self.began_s, "do": "cleanup", "job": "c0"})
            self.runs.append(("c0", 16 + 7 * self.customers))
            if chance() < 0.15:
                self.steps.append({"at": self._moment(), "do": "cleanup", "job": "c1"})
                self.runs.append(("c1", 30))
        if chance() < 0.2:
            self.steps.append({"at": self._moment(), "do": "track", "job": "t1"})
            self.runs.append(("t1", 12))
        sends = self.random.choice([0, 1, 1, 2, 2, 3])
        for number in range(sends):
            self._send(number)

    def _send(self, number: int) -> None:
        name = f"s{number}"
        step: Step = {
            "do": "send",
            "job": name,
            "who": self._who(),
            "route": self._one("agent", "agent", "studio"),
        }
        before = [one for one in self.steps if one["do"] == "send" and one["job"].startswith("s")]
        if before and self.random.random() < 0.4:
            first = self.random.choice(before)
            step["who"] = first["who"]
            if self.random.random() < 0.4:
                key = first.setdefault("key", "order-4711")
                step.update(key=key, route=first["route"])
        if step["route"] == "agent" and "key" not in step and self.random.random() < 0.1:
            step["text"] = False
        if step["route"] == "agent" and self.random.random() < 0.1:
            step["worker"] = True
        self.steps.append({**self._when(0.5), **step})
        self.runs.append((name, 12))
        if self.random.random() < 0.12:
            self.steps.append({"at": self._moment(2400), "do": "clear", "job": name})

    def _people(self) -> None:
        kind = self.random.choices(["write", "agent", "other"], [6, 5, 2])[0]
        step: Step = {**self._when(0.6), "do": kind, "who": self._who()}
        # Whoever lands in a send mostly concerns its customer.
        send = next((one for one in self.steps if one.get("job") == step.get("on", "-")), None)
        if send and "who" in send and self.random.random() < 0.7:
            step["who"] = send["who"]
        if kind == "write":
            step["n_texts"] = self._one(1, 1, 1, 2, 3)
        elif kind == "agent":
            step["action"] = self._one("complete", "complete", "accept", "park", "cancel", "wrap", "delete")
            step["newest"] = self._one(True, False)
        else:
            what = self.random.choices(["attributes", "delete", "close", "short_lived"], [8, 1, 1, 1])[0]
            step.update(what=what, value=self.random.randint(0, 9))
        self.steps.append(step)
        if kind == "write" and self.random.random() < 0.3:
            again = {**step, "do": "agent", "action": "complete"}
            again.pop("n_texts")
            if "n" in again:
                again["n"] += self.random.randint(0, 3)
            else:
                again["at"] += self.random.choice([0, 1, 5, 30])
            self.steps.append(again)

    def _fault(self) -> None:
        landing = self._landing()
        if landing:
            kind = self._one(*NOT_APPLIED, *APPLIED, "cut_after", "late", "cut_before")
            times = self._one(1, 1, 1, 1, 2, 3, 9)
            self.steps.append({**landing, "do": "fault", "kind": kind, "times": times})

    def _befall(self, what: str, **more: Any) -> None:
        landing = self._landing()
        if landing:
            self.steps.append({**landing, "do": what, **more})

    def _outage(self) -> None:
        step = {"at": self._moment(), "do": "outage", "host": self._one(*HOSTS[self.stack])}
        kind = self._one("503", "no_connection", "cut_before", "429", "page", "cut_after")
        self.steps.append({**step, "for_s": self._one(5, 60, 300), "kind": kind})

    def _when(self, share: float) -> Step:
        """At a moment, or at a request of a run."""
        landing = self._landing() if self.random.random() < share else None
        return landing or {"at": self._moment()}

    def _landing(self) -> Step | None:
        if not self.runs:
            return None
        name, requests = self.random.choice(self.runs)
        return {"on": name, "n": self.random.randint(1, requests), "when": self._one("before", "after")}

    def _moment(self, within_s: float = 0) -> float:
        spread = within_s or self._one(2, 10, 120, 900)
        return round(self.began_s + self.random.random() * spread, 1)

    def _who(self) -> int:
        return self.random.randrange(self.customers)

    def _one(self, *values: Any) -> Any:
        return self.random.choice(values)
