"""A schedule from its beginning to its end, and what did not hold in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flexsms.core.exceptions import InteractionFailed

from . import promises
from .airflow import TaskRun
from .player import Player, installed
from .promises import Broken
from .schedule import DAY_S, Schedule
from .universe import Endless

# Nobody may be at work under an old lease any more, and no late event is missing.
QUIET_S = 7_200


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a schedule came to.

    :param broken: the promises that did not hold, each once
    :param trace: a line per request and per thing that happened
    :param requests: how many were sent
    """

    broken: list[Broken]
    trace: list[str]
    requests: int

    @property
    def names(self) -> set[str]:
        """Of the broken promises."""
        return {one.name for one in self.broken}


def tell(schedule: Schedule) -> Verdict:
    """Play a schedule to its end, and look at what it left."""
    player = Player(schedule)
    found: list[Broken] = player.broken
    with installed(player):
        try:
            _tell(player, found)
        except Endless as error:
            found.append(Broken("ends", str(error)))
    unique = list(dict.fromkeys(found))
    return Verdict(unique, player.wire.tape.lines, len(player.wire.tape.exchanges))


def _tell(player: Player, found: list[Broken]) -> None:
    player.play()
    player.calm_down()
    player.pass_time(QUIET_S)
    found += promises.after_the_runs(player)
    found += promises.is_through(player.go("track", "next-track"))
    for name in list(player.sends):
        for task in player.runs[name].tasks:
            if task.state == "failed":
                _clear(player, task)
                # Of an interaction that has failed, only the first clearing takes note.
                if isinstance(task.error, InteractionFailed) and task.state == "failed":
                    _clear(player, task)
                found += promises.cleared(player, task)
    for what, name in (("cleanup", "end-cleanup"), ("track", "end-track")):
        found += promises.is_through(player.go(what, name))
    found += promises.at_rest(player)
    again = player.go("cleanup", "end-again")
    found += [*promises.is_through(again), *promises.wrote_nothing(player, again)]
    for who in range(player.schedule.customers):
        player.write(who, "inbound-probe")
    found += promises.after_probes(player)
    _go_quiet(player)
    found += promises.is_through(player.go("cleanup", "last-cleanup"))
    found += promises.in_the_end(player)


def _clear(player: Player, task: TaskRun) -> None:
    task.clear()
    player.universe.run()


def _go_quiet(player: Player) -> None:
    """Every task is completed, and nobody writes for longer than the window."""
    # A text in the very moment of the end may be one that no agent has seen.
    player.pass_time(60)
    for who in range(player.schedule.customers):
        for _ in player.open_tasks(who):
            step: dict[str, Any] = {"do": "agent", "who": who, "action": "complete"}
            player._do(step)
    player.pass_time(player.schedule.retention_days * DAY_S + QUIET_S)
