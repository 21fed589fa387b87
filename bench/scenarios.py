"""The questions of the benchmark. Those about speed are asked several times, the contenders in turn."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bench import contenders, world
from bench.figures import Measurement, Spread, Target, over, ratios
from bench.memory import Peak, peak_of_cleanup
from bench.meter import measure
from bench.parsing import parse_times
from flexsms.core.task_events import TaskEventType
from flexsms.sandbox.client import SandboxProcess, connection_extra
from flexsms.twilio.account import connect
from flexsms.twilio.cleanup.scan import BATCH_SIZE
from flexsms.twilio.client.endpoints import DOCUMENTED_FOR_EACH
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.tracking.tracker import TrackReport, track

LATENCY_MS = 40
IN_FLIGHT = 64
PROXY_PER_S = DOCUMENTED_FOR_EACH["proxy.twilio.com"]
EVENTS_PER_LIST = 1000
WARM_UP = 70  # channels; more than are in flight, so that every connection and import is paid for
FLOOR, RECIPE, PACED = "floor: bare aiohttp, same calls", "original recipe", "flexsms, documented limits"
TRACKING_FLOOR = "floor of tracking: bare aiohttp, same calls"
Work = Callable[[], Coroutine[Any, Any, int]]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything.

    :param channels: due channels to retire, beside a tenth as many live ones
    :param batch: channels per batch, as the DAG does it; ``batches`` are other sizes to compare it with
    :param planned: due channels, channels that had events that day, and states in all
    :param paced: due channels to retire under the documented limits
    :param crowds: states among which the due ones lie, the smallest first
    :param parses: how often each DAG file is parsed
    """

    rounds: int = 3
    channels: int = 2_000
    batch: int = BATCH_SIZE
    batches: tuple[int, ...] = (250, 1_000)
    recipe: int = 60
    paced: int = 900
    tracked: int = 2_000
    events: int = 20_000
    planned: tuple[int, int, int] = (2_000, 4_000, 20_000)
    due: int = 20
    crowds: tuple[int, ...] = (500, 5_000, 50_000)
    parses: int = 7


QUICK = Sizes(
    rounds=1,
    channels=1_000,
    batches=(),
    recipe=20,
    paced=600,
    tracked=500,
    events=5_000,
    planned=(500, 1_000, 5_000),
    crowds=(500, 10_000),
    parses=3,
)


@dataclass(slots=True)
class Findings:
    """Everything that was measured, and how it compares with what was to be reached."""

    rounds: dict[str, list[Measurement]] = field(default_factory=dict)
    peaks: dict[int, list[Peak]] = field(default_factory=dict)
    targets: list[Target] = field(default_factory=list)

    def add(self, measurement: Measurement) -> None:
        """One more round of a contender."""
        self.rounds.setdefault(measurement.contender, []).append(measurement)


class Scenarios:
    """Asks the questions of one sandbox.

    :param say: told after every piece of work what came out
    """

    def __init__(self, sandbox: SandboxProcess, sizes: Sizes, say: Callable[[str], None]) -> None:
        self.sizes = sizes
        self.found = Findings()
        self._sandbox = sandbox
        self._control = sandbox.control
        self._say = say

    def run(self) -> Findings:
        """All of them."""
        self._warm_up()
        self.cleanup()
        self.planned()
        self.paced()
        self.tracking()
        self.memory()
        self.parsing()
        return self.found

    def cleanup(self) -> None:
        """Retiring many channels: against the floor and the original recipe, with no limits on either side."""
        sizes, settings = self.sizes, self._settings("off")
        ways: dict[str, Work] = {
            f"flexsms, batches of {batch:,}": partial(_retired, settings, batch)
            for batch in (sizes.batch, *sizes.batches)
        }
        ways[FLOOR] = partial(contenders.floor, settings, sizes.batch)
        for number in range(sizes.rounds):
            for name, work in ways.items():
                self._due(sizes.channels)
                self._measure(name, number, sizes.channels, work)
            self._reset("off")
            world.recipe_documents(self._control, sizes.recipe)
            self._measure(RECIPE, number, sizes.recipe, partial(contenders.recipe, settings))
        ours, floor, recipe = (self.found.rounds[name] for name in (next(iter(ways)), FLOOR, RECIPE))
        self.found.targets += [
            Target("cleanup, part of the floor's channels/s", ratios(ours, floor), 0.9, at_least=True),
            Target("cleanup, times the recipe's channels/s", ratios(ours, recipe), 25, at_least=True),
            Target(
                "calls per retired channel", over(ours, lambda one: one.calls_on_channels / one.things), 4,
                at_least=False,
            ),
        ]  # fmt: skip

    def planned(self) -> None:
        """What a whole cleanup costs, the plan included, among states of which tracking knows all. Counted once."""
        (due, busy, states), settings = self.sizes.planned, self._settings("off")
        self._reset("off")
        world.task_events(self._control, channels=busy, events=2 * busy)
        cursor = asyncio.run(_tracked(settings, 2 * busy)).cursor
        world.crowd(self._control, states - busy - due)
        world.due_channels(self._control, due)
        name = f"plan and cleanup among {states:,} states"
        self._measure(name, 0, due, partial(_planned, settings, self.sizes.batch, str(cursor)), rounds=1)
        self.found.targets.append(
            Target(
                f"calls per retired channel, the plan among {states:,} states included",
                over(self.found.rounds[name], lambda one: one.calls_beside_lists / one.things), 4.05,
                at_least=False,
            )
        )  # fmt: skip

    def paced(self) -> None:
        """Retiring with the documented limits on both sides, where Proxy's is the tightest.

        The seconds include the scan. What a full bucket gives away at once, a second's worth, is 3 % of 900 channels.
        """
        sizes, settings, name = self.sizes, self._settings("documented"), PACED
        for number in range(sizes.rounds):
            self._due(sizes.paced, rate_limits="documented")
            self._measure(name, number, sizes.paced, partial(_retired, settings, sizes.batch))
        rounds = self.found.rounds[name]
        self.found.targets += [
            Target(
                f"documented limits, part of Proxy's {PROXY_PER_S:.0f} channels/s",
                over(rounds, lambda one: one.per_second / PROXY_PER_S), 0.95, at_least=True,
            ),
            Target(
                "documented limits, calls answered 429",
                over(rounds, lambda one: 100 * one.refused / one.total_calls), 1, at_least=False, unit=" %",
            ),
        ]  # fmt: skip

    def tracking(self) -> None:
        """Many events over some channels, into an empty store."""
        sizes, settings = self.sizes, self._settings("off")
        name = f"flexsms, tracking {sizes.events:,} events"
        ways: dict[str, Work] = {
            name: partial(_created, settings, sizes.events),
            TRACKING_FLOOR: partial(contenders.tracking_floor, settings),
        }
        for number in range(sizes.rounds):
            for way, work in ways.items():
                self._reset("off")
                world.task_events(self._control, channels=sizes.tracked, events=sizes.events)
                self._measure(way, number, sizes.tracked, work)
        rounds = self.found.rounds[name]
        # An event type of which nothing came still has to be asked for.
        lists = math.ceil(sizes.events / EVENTS_PER_LIST) + len(TaskEventType)
        self.found.targets += [
            Target(
                "tracking, part of the floor's channels/s", ratios(rounds, self.found.rounds[TRACKING_FLOOR]), 0.95,
                at_least=True,
            ),
            Target(
                "tracking, calls per changed channel", over(rounds, lambda one: _sync_calls(one) / one.things), 2,
                at_least=False,
            ),
            Target(
                f"list calls for {sizes.events:,} events of {len(TaskEventType)} types",
                over(rounds, lambda one: one.total_calls - _sync_calls(one)), lists, at_least=False, form=".0f",
            ),
        ]  # fmt: skip

    def memory(self) -> None:
        """A few due channels among many states, each cleanup in a process of its own."""
        sizes, account = self.sizes, self._sandbox.settings
        extra = {**connection_extra(account), "rate_limits": "off", "max_in_flight": IN_FLIGHT}
        connection = {"login": account["account_sid"], "password": account["auth_token"], "extra": extra}
        for crowd in sizes.crowds:
            self._reset("off")
            world.crowd(self._control, crowd - sizes.due)
            for number in range(sizes.rounds):
                world.due_channels(self._control, sizes.due, first=number * sizes.due)
                peak = peak_of_cleanup(connection, sizes.batch)
                if peak.retired != sizes.due:
                    raise RuntimeError(f"{peak.retired} of {sizes.due} due channels were retired")
                self.found.peaks.setdefault(crowd, []).append(peak)
                self._say(
                    f"{sizes.due} due among {crowd:,} states, round {number + 1} of {sizes.rounds}: "
                    f"{peak.peak_mb:.1f} MB"
                )
        smallest, largest = (self.found.peaks[crowd] for crowd in (sizes.crowds[0], sizes.crowds[-1]))
        growth = [big.peak_mb - small.peak_mb for small, big in zip(smallest, largest, strict=True)]
        self.found.targets.append(
            Target(
                f"peak memory with {sizes.crowds[-1]:,} states above {sizes.crowds[0]}",
                Spread.of(growth), 50, at_least=False, unit=" MB", form=".1f",
            )
        )  # fmt: skip

    def parsing(self) -> None:
        """The DAG files in fresh interpreters, beside a DAG that does nothing."""
        times = parse_times(self.sizes.parses)
        slowest = max(times, key=lambda name: times[name])
        for name, ratio in times.items():
            self._say(f"{name}.py: parsed in {ratio:.2f} of an empty DAG's time")
        self.found.targets.append(
            Target(
                f"parse time of {slowest}.py, times an empty DAG's", Spread.of([times[slowest]]), 1.15, at_least=False
            )
        )  # fmt: skip

    def _warm_up(self) -> None:
        self._say("warming up")
        settings = self._settings("off")
        for work in (partial(_retired, settings, WARM_UP), partial(contenders.floor, settings, WARM_UP)):
            self._due(WARM_UP)
            measure(self._sandbox, "warm-up", WARM_UP, work)

    def _measure(self, name: str, number: int, things: int, work: Work, *, rounds: int = 0) -> None:
        measured = measure(self._sandbox, name, things, work)
        self.found.add(measured)
        self._say(
            f"{name}, round {number + 1} of {rounds or self.sizes.rounds}: {measured.per_second:.1f} channels/s"
        )

    def _due(self, count: int, rate_limits: str = "off") -> None:
        """An account that was cleaned up the day before: the ledger is there."""
        self._reset(rate_limits)
        world.due_channels(self._control, 1, first=2 * count)
        asyncio.run(_retired(self._settings("off"), 1))
        world.due_channels(self._control, count)
        world.live_channels(self._control, count // 10, first=count)

    def _reset(self, rate_limits: str) -> None:
        self._control.reset(latency_ms=LATENCY_MS, rate_limits=rate_limits)

    def _settings(self, rate_limits: str) -> TwilioSettings:
        account = self._sandbox.settings
        extra = {**connection_extra(account), "rate_limits": rate_limits, "max_in_flight": IN_FLIGHT}
        return TwilioSettings.from_connection(account["account_sid"], account["auth_token"], extra)


async def _retired(settings: TwilioSettings, batch: int) -> int:
    return (await contenders.flexsms(settings, batch))[1]


async def _planned(settings: TwilioSettings, batch: int, cursor: str) -> int:
    return (await contenders.flexsms_with_plan(settings, batch, cursor))[1]


async def _created(settings: TwilioSettings, events: int) -> int:
    return (await _tracked(settings, events)).created


async def _tracked(settings: TwilioSettings, events: int) -> TrackReport:
    async def forget(_cursor: str) -> None:
        pass

    async with connect(settings) as account:
        report = await track(
            account.taskrouter(),
            account.store,
            cursor=None,
            save_cursor=forget,
            at_once=settings.max_in_flight,
        )
    if report.events != events:
        raise RuntimeError(f"{report.events} of {events} events were read")
    return report


def _sync_calls(one: Measurement) -> int:
    return sum(count for name, count in one.calls.items() if " sync.twilio.com/" in name)
