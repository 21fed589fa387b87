"""A schedule from its beginning to its end, and what did not hold in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flexsms.core.exceptions import InteractionFailed

from . import broadcast_promises, promises
from .airflow import TaskRun
from .broadcasts import BAD
from .player import Player, installed
from .promise import Broken
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
    if player.broadcasts:
        found += _broadcasts(player)
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
    found += broadcast_promises.at_rest(player)
    again = player.go("cleanup", "end-again")
    found += [*promises.is_through(again), *promises.wrote_nothing(player, again)]
    for who in range(player.schedule.customers):
        player.write(who, "inbound-probe")
    found += promises.after_probes(player)
    _go_quiet(player)
    found += promises.is_through(player.go("cleanup", "last-cleanup"))
    found += promises.in_the_end(player)


def _broadcasts(player: Player) -> list[Broken]:
    """What has failed is cleared; then every campaign is run again, for everybody whom it was to text."""
    found = promises.is_through(player.go("track", "next-words", source="http"))
    runs = list(player.broadcasts)
    for broadcast in runs:
        found += broadcast_promises.of_a_report(broadcast)
        broadcast.clear()
        player.universe.run()
        found += broadcast_promises.cleared(broadcast)
    for number, campaign in enumerate(sorted({broadcast.campaign for broadcast in runs})):
        of_it = [broadcast for broadcast in runs if broadcast.campaign == campaign]
        rows = sorted({who for broadcast in of_it for who in broadcast.rows if who != BAD})
        step = {"campaign": campaign, "rows": rows, "workers": 2, "route": of_it[0].step["route"]}
        found += promises.is_through(player.go("broadcast", f"again{number}", **step))
        found += broadcast_promises.of_a_report(player.broadcasts[-1])
    # Waiting for the hours of the next day, tasks may have come to their end by age.
    player.pass_time(QUIET_S)
    return found


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
