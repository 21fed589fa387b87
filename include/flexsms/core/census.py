"""How many channels there are, by what a monitoring page asks: whether they are in use, how old, of which kind."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from flexsms.core.channel_state import ChannelState
from flexsms.core.retention import MS_PER_DAY

# Days since the last task's end; a channel counts at the first number that it has not reached.
AGES = (1, 2, 3, 5, 7, 14, 30, 60, 90, 180, 365)


@dataclass(slots=True)
class Census:
    """Counts the channels that are not retired and of which a task is known.

    :param open: channels with an open task
    :param waiting: channels whose last task has ended, and which are not due
    :param due: channels that are due
    :param by_stack: all of them, by stack
    :param by_type: all of them, by kind; ``unknown`` where no task has told it
    :param ages: those without an open task, by the days of :data:`AGES`; None is older than all of these
    """

    open: int = 0
    waiting: int = 0
    due: int = 0
    by_stack: Counter[str] = field(default_factory=Counter)
    by_type: Counter[str] = field(default_factory=Counter)
    ages: Counter[int | None] = field(default_factory=Counter)

    def count(self, state: ChannelState, *, now_ms: int, is_due: bool) -> None:
        """Take in a channel.

        :param now_ms: the present, milliseconds since 1970 UTC
        :param is_due: whether a cleanup would retire it
        """
        ended_ms = state.last_ended_ms
        if state.is_retired or not (state.open_tasks or ended_ms):
            return
        self.by_stack[str(state.stack)] += 1
        self.by_type[state.link("type") or "unknown"] += 1
        if state.open_tasks or ended_ms is None:
            self.open += 1
            return
        if is_due:
            self.due += 1
        else:
            self.waiting += 1
        reached = bisect_right(AGES, (now_ms - ended_ms) / MS_PER_DAY)
        self.ages[AGES[reached] if reached < len(AGES) else None] += 1

    def to_json(self) -> dict[str, Any]:
        """The counts, for the XCom of the plan and the asset event of the report."""
        return {
            "channels": {"open": self.open, "waiting": self.waiting, "due": self.due},
            "by_stack": dict(self.by_stack),
            "by_type": dict(self.by_type),
            "ages": [[days, self.ages[days]] for days in (*AGES, None)],
        }
