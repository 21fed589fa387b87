"""How fast a list of recipients is texted: beside a bare loop with the same calls, under limits, and one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from rich.console import Console, Group

from bench.broadcast_work import BATCH, Job, broadcast, floor, in_processes, one_by_one
from bench.figures import Measurement, Spread, Target, over, ratios
from bench.meter import TOO_MANY, measure
from bench.report import columns, targets_table
from bench.scenarios import IN_FLIGHT, LATENCY_MS
from flexsms.core.outbound_message import Route
from flexsms.core.stack_name import StackName
from flexsms.sandbox.client import SandboxProcess, connection_extra
from flexsms.twilio.account import connect

NUMBERS = {StackName.CHAT: "twilio", StackName.CONVERSATIONS: "conversations"}
WARM_UP = 70
OURS, FLOOR, PACED, ALONE = (
    f"broadcast, batches of {BATCH:,}",
    "floor",
    "documented limits",
    "a process per text",
)


@dataclass(frozen=True, slots=True)
class Lists:
    """How long the lists are.

    :param paced_s: how long a list lasts under the limits, seconds
    :param alone: texts that are sent in a process each
    :param grown: texts of the two lists of which the memory is compared
    """

    rounds: int = 3
    texts: int = 5_000
    paced_s: float = 45
    workers: int = 4
    alone: int = 5
    grown: tuple[int, int] = (500, 5_000)


QUICK = Lists(rounds=1, texts=1_500, paced_s=20, alone=2, grown=(200, 2_000))


@dataclass(slots=True)
class Findings:
    """What came of it, by stack.

    :ivar limits: texts/s that Twilio's limits leave room for
    """

    limits: dict[StackName, float] = field(default_factory=dict)
    rounds: dict[str, list[Measurement]] = field(default_factory=dict)
    targets: list[Target] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Every round of everything."""
        return {
            "targets": [target.to_json() for target in self.targets],
            "rounds": {name: [one.to_json() for one in rounds] for name, rounds in self.rounds.items()},
        }


class Broadcasts:
    """Texts lists on one stack of a sandbox.

    :param say: told after every piece of work what came out
    """

    def __init__(
        self,
        sandbox: SandboxProcess,
        lists: Lists,
        stack: StackName,
        found: Findings,
        say: Callable[[str], None],
    ) -> None:
        self._sandbox = sandbox
        self._lists = lists
        self._stack = stack
        self._found = found
        self._say = say

    def run(self) -> None:
        """All questions."""
        asyncio.run(broadcast(self._job(WARM_UP)))
        self.fast()
        for workers in (1, self._lists.workers):
            self.paced(workers)
        self.alone()
        self.memory()

    def fast(self) -> None:
        """Without limits, beside the floor."""
        ours, theirs = f"{self._stack}: {OURS}", f"{self._stack}: {FLOOR}"
        for number in range(self._lists.rounds):
            for name, work in {ours: broadcast, theirs: floor}.items():
                self._measure(name, number, self._lists.texts, partial(work, self._job(self._lists.texts)))
        speed = ratios(self._found.rounds[ours], self._found.rounds[theirs])
        self._found.targets.append(
            Target(f"{self._stack}: part of the floor's texts/s", speed, 0.9, at_least=True)
        )

    def paced(self, workers: int) -> None:
        """Under the documented limits. Counted from the first text to the last: processes take a while to start."""
        per_second = asyncio.run(self._limit())
        each = round(per_second * self._lists.paced_s / workers)
        self._found.limits[self._stack] = per_second
        name = f"{self._stack}: {PACED}, {workers} {'process' if workers == 1 else 'processes'}"
        for number in range(self._lists.rounds):
            job = self._job(workers * each, rate_limits="documented")
            jobs = [
                Job(**{**asdict(job), "first": worker * each, "count": each}) for worker in range(workers)
            ]
            self._sandbox.control.clear_journal()
            in_processes(jobs)
            journal = self._sandbox.control.journal()
            posted = [one["wall_ms"] for one in journal if _is_text(one)]
            refused = sum(one["status"] == TOO_MANY for one in journal)
            seconds = (max(posted) - min(posted)) / 1000
            calls = {"all": len(journal)}
            self._add(Measurement(name, len(posted) - 1, seconds, calls=calls, refused=refused), number)
        rounds = self._found.rounds[name]
        self._found.targets += [
            Target(
                f"{name}, part of {per_second:.0f} texts/s",
                over(rounds, lambda one: one.per_second / per_second), 0.95, at_least=True,
            ),
            Target(
                f"{name}, calls answered 429", over(rounds, lambda one: 100 * one.refused / one.total_calls), 1,
                at_least=False, unit=" %",
            ),
        ]  # fmt: skip

    def alone(self) -> None:
        """What a run per text takes, but for Airflow's own part of it."""
        count = self._lists.alone
        self._measure(f"{self._stack}: {ALONE}", 0, count, partial(one_by_one, self._job(count)))

    def memory(self) -> None:
        """Lists of two lengths, each in a fresh process and in one batch."""
        peaks = []
        for count in self._lists.grown:
            job = Job(**{**asdict(self._job(count)), "batch": count})
            [told] = in_processes([job])
            peaks.append(told["peak_mb"])
            self._say(f"{self._stack}: {count:,} texts in one batch: {told['peak_mb']:.1f} MB")
        few, many = self._lists.grown
        self._found.targets.append(
            Target(
                f"{self._stack}: peak memory with {many:,} texts above {few:,}", Spread.of([peaks[1] - peaks[0]]),
                20, at_least=False, unit=" MB", form=".1f",
            )
        )  # fmt: skip

    async def _limit(self) -> float:
        async with connect(self._job(1, rate_limits="documented").settings) as account:
            found = account.stack.texts_per_second(Route.STUDIO)
        if found is None:
            raise RuntimeError("nothing limits the texts")
        return found

    def _job(self, count: int, rate_limits: str = "off") -> Job:
        """A list for an empty account, whose limits are as those that the client keeps."""
        world: Mapping[str, Any] = self._sandbox.control.reset(latency_ms=LATENCY_MS, rate_limits=rate_limits)
        extra = {
            **connection_extra(dict(world), stack=self._stack),
            "rate_limits": rate_limits,
            "max_in_flight": IN_FLIGHT,
            "base_url": self._sandbox.base_url,
        }
        number = world["numbers"][NUMBERS[self._stack]]
        return Job(world["account_sid"], world["auth_token"], extra, number, 0, count)

    def _measure(
        self, name: str, number: int, texts: int, work: Callable[[], Coroutine[Any, Any, int]]
    ) -> None:
        self._add(measure(self._sandbox, name, texts, work), number)

    def _add(self, measured: Measurement, number: int) -> None:
        self._found.rounds.setdefault(measured.contender, []).append(measured)
        self._say(
            f"{measured.contender}, round {number + 1}: {measured.things:,} in {measured.seconds:.1f} s, "
            f"{measured.per_second:.1f}/s, {measured.refused} answered 429"
        )


def run(lists: Lists, say: Callable[[str], None]) -> Findings:
    """Both stacks."""
    found = Findings()
    for stack in StackName:
        with SandboxProcess(latency_ms=LATENCY_MS) as sandbox:
            Broadcasts(sandbox, lists, stack, found, say).run()
    return found


def show_broadcasts(console: Console, found: Findings) -> None:
    """The tables."""
    title = f"Texts of a list, {LATENCY_MS} ms latency, {IN_FLIGHT} calls in flight"
    table = columns(title, "", "texts", "seconds", "texts/s", "429")
    for name, rounds in found.rounds.items():
        table.add_row(
            name,
            f"{rounds[0].things:,}",
            over(rounds, lambda one: one.seconds).show(),
            over(rounds, lambda one: one.per_second).show(),
            f"{sum(one.refused for one in rounds)}",
        )
    console.print(Group(table, targets_table(found.targets)))


def _is_text(entry: Mapping[str, Any]) -> bool:
    return bool(entry["method"] == "POST" and entry["path"].endswith("/Messages") and entry["status"] == 201)
