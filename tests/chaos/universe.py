"""Virtual time, and processes in it.

Every process has an event loop of its own, as a task of Airflow has, and all of them live in one thread. The clock
jumps to whatever comes next. So a process can be stopped and continued as the system stops and continues one: its
timers are overdue then, and the answers that came meanwhile wait for it.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import base_events, events
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Any

EPOCH = datetime(2026, 3, 2, 8, tzinfo=UTC)
EPOCH_S = EPOCH.timestamp()
# Steps of one schedule; the longest ones take some ten thousand.
MOST_STEPS = 400_000
MOST_STEPS_OF_THE_DEAD = 5_000
# What a thread that reads or writes a file takes.
DISK_S = 0.002

Action = Callable[[], object]


class Endless(AssertionError):
    """A schedule that does not come to its end."""


class Universe:
    """The clock, what is to happen when, and the processes."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.processes: list[Process] = []
        self.steps = 0
        self._dead: list[Process] = []
        self._agenda: list[tuple[float, int, Action]] = []
        self._number = count()

    def utc_now(self) -> datetime:
        """The present."""
        return EPOCH + timedelta(seconds=self.now_s)

    def monotonic_s(self) -> float:
        """Seconds since the beginning, by the clock of the process that asks."""
        return asyncio.get_running_loop().time()

    def at(self, when_s: float, action: Action) -> None:
        """Let something happen at a moment, at once if that is over."""
        heappush(self._agenda, (max(when_s, self.now_s), next(self._number), action))

    def after(self, seconds: float, action: Action) -> None:
        """Let something happen later."""
        self.at(self.now_s + seconds, action)

    def run(self) -> None:
        """Go on until nothing is left to happen; processes that are stopped for good do not count.

        :raises Endless: when that never comes
        """
        while self._step():
            self.steps += 1
            if self.steps > MOST_STEPS:
                raise Endless(f"still at work after {MOST_STEPS} steps, {self.now_s:.0f} s")

    def _step(self) -> bool:
        ready = [process for process in self.processes if process.is_ready]
        for process in ready:
            process.step()
        if ready:
            return True
        moments = [when for process in self.processes if (when := process.next_s) is not None]
        if self._agenda:
            moments.append(self._agenda[0][0])
        if not moments:
            return False
        # A microsecond passes, too: what waits for a rounding error to go by would wait for ever.
        self.now_s = max(self.now_s, min(moments)) + 1e-6
        while self._agenda and self._agenda[0][0] <= self.now_s:
            heappop(self._agenda)[2]()
        return True

    def leave(self, process: Process) -> None:
        """A process is over."""
        if process in self.processes:
            self.processes.remove(process)
            self._dead.append(process)

    def bury(self) -> None:
        """Let killed processes fall apart in order, so that Python complains of nothing. They can reach nobody."""
        for process in [*self.processes, *self._dead]:
            process.fall_apart()
        self.processes, self._dead = [], []


class Process:
    """One process.

    :param owner: what it works for; the wire asks
    :ivar operator: that runs in it, None for a trigger
    :ivar restart: what is done when it has died, if it is not a try that failed
    :param ended: called when its work is over, unless it was killed
    """

    def __init__(self, universe: Universe, owner: Any, name: str) -> None:
        self.universe = universe
        self.owner = owner
        self.name = name
        self.alive = True
        self.stopped = False
        self.slept_s = 0.0
        self._asleep_since_s: float | None = None
        self.loop = VirtualLoop(self)
        self.complaints: list[str] = []
        self.operator: Any = None
        self.restart: Action | None = None
        self.loop.set_exception_handler(lambda _loop, context: self.complaints.append(repr(context)))
        self._main: asyncio.Task[None] | None = None
        universe.processes.append(self)

    def start(self, work: Coroutine[Any, Any, None], ended: Action) -> None:
        """Begin.

        :param work: must not raise
        """

        def over(_task: asyncio.Task[None]) -> None:
            if self.alive:
                self.alive = False
                self.universe.leave(self)
                ended()

        self._main = self.loop.create_task(work)
        self._main.add_done_callback(over)

    @property
    def is_ready(self) -> bool:
        """Whether it has something to do right now."""
        when = self.next_s
        return when is not None and when <= self.universe.now_s

    @property
    def next_s(self) -> float | None:
        """When it goes on by itself."""
        when = None if self.stopped else self.loop.next_s
        return None if when is None else when + self.slept_s

    def step(self) -> None:
        """Do what is to be done now."""
        if self.alive and not self.stopped:
            self.loop.once()

    def call(self, action: Action) -> None:
        """Do something within the process, as a signal handler does."""
        events._set_running_loop(self.loop)
        try:
            action()
        finally:
            events._set_running_loop(None)

    def stop(self, *, asleep: bool = False) -> None:
        """SIGSTOP: not one instruction more.

        :param asleep: the whole machine is, so that its monotonic clock stands still, too
        """
        self.stopped = True
        self._asleep_since_s = self.universe.now_s if asleep else None

    def go_on(self) -> None:
        """SIGCONT."""
        self.stopped = False
        if self._asleep_since_s is not None:
            self.slept_s += self.universe.now_s - self._asleep_since_s

    def kill(self) -> None:
        """SIGKILL: no handler runs, no connection is closed."""
        if self.alive:
            self.alive = False
            self.universe.leave(self)

    def fall_apart(self) -> None:
        """After the schedule: unwind what is left of a killed process."""
        self.alive = False
        self.loop.set_exception_handler(lambda *_: None)
        for _ in range(MOST_STEPS_OF_THE_DEAD):
            left = asyncio.all_tasks(self.loop)
            for task in left:
                task.cancel()
            if not left:
                break
            self.loop.once()
            self.universe.now_s = max(self.universe.now_s, (self.loop.next_s or 0) + self.slept_s)
        # As asyncio.run does: what is left of a generator is closed while there is a loop to close it in.
        closing = self.loop.create_task(self.loop.shutdown_asyncgens())
        while not closing.done():
            self.loop.once()
        self.loop.close()


class _NothingToWatch:
    """In the place of a selector: there are no sockets."""

    def select(self, _timeout: float | None) -> list[Any]:
        return []

    def close(self) -> None: ...


class VirtualLoop(base_events.BaseEventLoop):
    """An event loop whose time is the universe's."""

    def __init__(self, process: Process) -> None:
        super().__init__()
        self.process = process
        self._clock_resolution = 1e-9
        self._selector = _NothingToWatch()

    def time(self) -> float:
        """Seconds since the beginning, without those in which the machine slept."""
        return self.process.universe.now_s - self.process.slept_s

    @property
    def next_s(self) -> float | None:
        """When there is something to do: now, at a timer, or never."""
        inner: Any = self
        if inner._ready:
            return self.time()
        scheduled = inner._scheduled
        while scheduled and scheduled[0]._cancelled:
            inner._timer_cancelled_count -= 1
            heappop(scheduled)._scheduled = False
        if not scheduled:
            return None
        when: float = scheduled[0]._when
        return when

    def once(self) -> None:
        """One round: what is ready, and the timers that are due."""
        inner: Any = self
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(
            firstiter=inner._asyncgen_firstiter_hook, finalizer=inner._asyncgen_finalizer_hook
        )
        events._set_running_loop(self)
        try:
            inner._run_once()
        finally:
            events._set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        """Do at once what a thread would do, and tell the result a moment later."""
        future = self.create_future()
        try:
            tell: Callable[[], None] = partial(future.set_result, func(*args))
        except Exception as error:
            tell = partial(future.set_exception, error)
        self.call_later(DISK_S, lambda: None if future.done() else tell())
        return future

    def _process_events(self, _events: list[Any]) -> None: ...

    def _write_to_self(self) -> None: ...
