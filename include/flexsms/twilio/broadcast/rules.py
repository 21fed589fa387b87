"""When and how fast the texts of a broadcast may leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a batch goes on later.

    :param until: when its hours begin; None: once there are fewer open tasks
    """

    until: datetime | None


class TextLanes:
    """What limits the pace of texts: the account, and the number that they are sent from.

    :param account: what the account's limits leave room for, texts per second by name
    :param digest_of: what stands for a number where none may be kept
    """

    def __init__(
        self, rules: BroadcastRules, account: Mapping[str, float], digest_of: Callable[[str], str]
    ) -> None:
        self._account = account
        self._per_number = rules.max_per_second
        self._digest_of = digest_of
        self._found: dict[str, Mapping[str, float]] = {}
        self.are_limited = bool(account or self._per_number)

    def of(self, from_number: str) -> Mapping[str, float]:
        """The lanes of a text, with texts per second; see :class:`flexsms.core.time_slots.Lanes`."""
        if from_number not in self._found:
            own = {self._digest_of(from_number): self._per_number} if self._per_number else {}
            self._found[from_number] = {**self._account, **own}
        return self._found[from_number]


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
        now, window = self._now(), self._window
        if window is None or not window.opens <= now < window.closes:
            self._window = window = self._rules.window(self._zones, now)
        self.is_over = window is None
        if window is None:
            return False
        is_open = window.opens <= now
        self.opens = None if is_open else window.opens
        self._ends = window.ends if is_open else self._ends
        return is_open

    def refuse_late(self) -> None:
        """Do nothing while a text that has begun may still leave.

        :raises OutsideHours: when it may not
        """
        if self._ends is None or self._now() >= self._ends:
            raise OutsideHours("The recipient's hours are over; the text leaves in the next ones.")
