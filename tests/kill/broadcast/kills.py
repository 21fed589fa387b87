"""Who is killed, and when: drawn before the broadcast begins, so that the same seed makes the same choices."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress

WORKER, TRIGGERER = "worker", "triggerer"
OF_THE_TRIGGERER = 1 / 3
# The last kill of those while texts leave comes while there is still something to kill.
LATEST = 0.9
# A machine dies with all of its processes.
MACHINE = 1 / 3
# So that a try is also killed in its first steps and in its last ones.
LONGEST_DELAY_S = 0.3


class Kills:
    """Kills by how much of the work is done, so that they come while it lasts, however fast the machine is.

    :param count: while texts leave; :meth:`add` has more
    :ivar done: how many have come in time, by whom they hit
    """

    def __init__(self, chance: random.Random, count: int) -> None:
        self._chance = chance
        triggerers = max(1, round(count * OF_THE_TRIGGERER))
        victims = [TRIGGERER] * triggerers + [WORKER] * (count - triggerers)
        chance.shuffle(victims)
        moments = sorted(chance.uniform(0, LATEST) for _ in victims)
        self._plan = list(zip(moments, victims, strict=True))
        self._struck: set[int] = set()
        self.done: Counter[str] = Counter()

    def add(self, *victims: str) -> None:
        """Kill these, too, and as the next ones."""
        self._plan[:0] = [(0.0, victim) for victim in victims]

    @property
    def are_over(self) -> bool:
        """Whether nobody is to be killed any more."""
        return not self._plan

    def due(self, progress: float) -> str | None:
        """Who is to be killed now, if anybody is.

        :param progress: the share of the work that is done, 0 to 1
        """
        return self._plan[0][1] if self._plan and progress >= self._plan[0][0] else None

    def kill_worker(self, pids: Iterable[int]) -> None:
        """Kill one of the workers, unless it ends before: :meth:`heard` tells. Who is dying already is no choice."""
        living = sorted(set(pids) - self._struck)
        if not living:
            return
        self._plan.pop(0)
        pid = self._chance.choice(living)
        self._struck.add(pid)
        time.sleep(self._chance.uniform(0, LONGEST_DELAY_S))
        _kill(pid)

    def heard(self, pid: int, *, was_killed: bool) -> None:
        """A worker has ended. If it was to be killed and had ended before, another one is."""
        if was_killed:
            self.done[WORKER] += 1
        elif pid in self._struck:
            self.add(WORKER)
        self._struck.discard(pid)

    def kill_triggerer(self, pids: Sequence[int]) -> None:
        """Kill one of its processes, or all of them."""
        self._plan.pop(0)
        whole = self._chance.random() < MACHINE
        for pid in pids if whole else [self._chance.choice(pids)]:
            _kill(pid)
        self.done[TRIGGERER] += 1


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
