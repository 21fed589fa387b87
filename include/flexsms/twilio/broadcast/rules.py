"""When and how fast the texts of a broadcast may leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from flexsms.core.exceptions import OutsideHours
from flexsms.core.outbound_message import Route
from flexsms.core.sending_hours import MARGIN, SendingHours

# A text that has begun in time may still leave for so long: less than what the hours keep free at their end.
OVERTIME = MARGIN - timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Window:
    """A span in which texts leave.

    :param closes: the first instant at which no text begins any more
    :param ends: the first instant at which nothing leaves any more
    """

    opens: datetime
    closes: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class BroadcastRules:
    """What a person has asked for.

    :param not_before: no text leaves before
    :param not_after: no text leaves from then on
    :param max_per_second: texts of each sending number
    :param max_open_tasks: while the workspace has more open tasks, no text leaves
    :param stop_over: share of failures over which nothing more is sent, 0 to 1
    """

    hours: SendingHours
    route: Route = Route.STUDIO
    not_before: datetime | None = None
    not_after: datetime | None = None
    max_per_second: float | None = None
    max_open_tasks: int | None = None
    stop_over: float = 1.0

    def window(self, zones: tuple[str, ...], at: datetime) -> Window | None:
        """The span that contains an instant, or the next one; None where texts no longer leave."""
        earliest = max(at, self.not_before) if self.not_before else at
        found = self.hours.opening(zones, earliest)
        if found is None:
            return None
        opens, closes, ends = max(found.opens, earliest), found.closes, found.closes + OVERTIME
        if self.not_after:
            closes, ends = min(closes, self.not_after), min(ends, self.not_after)
        return Window(opens, closes, ends) if opens < closes else None


class HoursWatch:
    """Looks at the hour before each text.

    :param zones: of all recipients
    :param now: the present, UTC
    :ivar opens: when the next hours begin; None while texts may leave
    :ivar is_over: no text leaves any more
    """

    def __init__(self, rules: BroadcastRules, zones: tuple[str, ...], now: Callable[[], datetime]) -> None:
        self._rules = rules
        self._zones = zones
        self._now = now
        self._window: Window | None = None
        self._ends: datetime | None = None
        self.opens: datetime | None = None
        self.is_over = False

    def is_open(self) -> bool:
        """Whether a text may begin."""
        now = self._now()
        if self._window is None or not self._window.opens <= now < self._window.closes:
            self._window = self._rules.window(self._zones, now)
            self.is_over = self._window is None
            if self._window is not None:
                is_open = self._window.opens <= now
                self.opens = None if is_open else self._window.opens
                self._ends = self._window.ends if is_open else self._ends
        return not self.is_over and self.opens is None

    def refuse_late(self) -> None:
        """Do nothing while a text that has begun may still leave.

        :raises OutsideHours: when it may not
        """
        if self._ends is None or self._now() >= self._ends:
            raise OutsideHours("The recipient's hours are over; the text leaves in the next ones.")
