"""What is on its way to the sinks: events that wait, requests under way, and the log of the attempts.

Everything random about a delivery follows from the seed and from what is delivered (`draws`), never from when: the
same events are dropped, doubled and delayed again for the same seed, however fast the receiver answers.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Any

LOG_LENGTH = 50_000


def draws(*names: object) -> tuple[float, float, float, float]:
    """Four numbers from 0 to 1 that belong to these names."""
    digest = blake2b("/".join(map(str, names)).encode(), digest_size=16).digest()
    a, b, c, d = (int.from_bytes(digest[n : n + 4]) / 2**32 for n in range(0, 16, 4))
    return a, b, c, d


@dataclass(slots=True)
class Parcel:
    """One request to a sink, or before its first attempt one event that may still be put together with others.

    Parameters
    ----------
    letters: event SID (or the ID of a test event) and schema version of each event in it.
    since: when it was attempted first. attempt: how many times it was.
    """

    n: int
    sink_sid: str
    due: float
    letters: list[list[Any]]
    attempt: int = 0
    since: float | None = None


@dataclass(slots=True)
class Mail:
    """A queue per sink, ordered by when its parcels are due.

    `counts` says of how many events something became: `posted` is everything that subscriptions wanted, copies
    included; it ends as delivered, discarded (the sink refused), lost (given up) or dropped (never tried).
    """

    counts: Counter[str] = field(default_factory=Counter)
    last: int = 0
    queues: dict[str, list[tuple[float, int, Parcel]]] = field(default_factory=dict)
    under_way: dict[int, Parcel] = field(default_factory=dict)
    attempts: int = 0
    _free_at: dict[str, float] = field(default_factory=dict)
    _log: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=LOG_LENGTH))

    def post(self, sink_sid: str, letter: list[Any], due: float) -> None:
        self.last += 1
        self.counts["posted"] += 1
        self.put(Parcel(self.last, sink_sid, due, [letter]))

    def put(self, parcel: Parcel) -> None:
        """Queue a parcel, for the first time or again."""
        self.under_way.pop(parcel.n, None)
        heappush(self.queues.setdefault(parcel.sink_sid, []), (parcel.due, parcel.n, parcel))

    def take(
        self, now: float, places: Callable[[str], int], room: Callable[[Parcel], int], rate: float
    ) -> list[Parcel]:
        """The parcels that are to be sent now.

        Parameters
        ----------
        places: how many requests a sink gets at a time.
        room: how many events go into a parcel.
        rate: events per second and sink, 0 for no limit.
        """
        found: list[Parcel] = []
        for sink_sid, queue in self.queues.items():
            while queue and self._ready(sink_sid, queue) <= now and self._has_place(sink_sid, places):
                parcel = heappop(queue)[2]
                size = room(parcel) if parcel.since is None else 0
                while (
                    len(parcel.letters) < size and queue and queue[0][0] <= now and queue[0][2].since is None
                ):
                    parcel.letters += heappop(queue)[2].letters
                parcel.since = now if parcel.since is None else parcel.since
                self.under_way[parcel.n] = parcel
                found.append(parcel)
                if rate:
                    self._free_at[sink_sid] = now + len(parcel.letters) / rate
        return found

    def next_due(self, places: Callable[[str], int]) -> float | None:
        """When the next parcel can be sent, unless it has to wait for another to arrive."""
        sinks = [(sid, queue) for sid, queue in self.queues.items() if queue and self._has_place(sid, places)]
        return min((self._ready(sid, queue) for sid, queue in sinks), default=None)

    def _ready(self, sink_sid: str, queue: list[tuple[float, int, Parcel]]) -> float:
        return max(queue[0][0], self._free_at.get(sink_sid, 0.0))

    def _has_place(self, sink_sid: str, places: Callable[[str], int]) -> bool:
        return sum(parcel.sink_sid == sink_sid for parcel in self.under_way.values()) < places(sink_sid)

    def end(self, parcel: Parcel, outcome: str, letters: int) -> None:
        """So many events of a parcel are done with."""
        self.under_way.pop(parcel.n, None)
        self.counts[outcome] += letters

    def forget(self, sink_sid: str) -> None:
        """The sink is gone, and what waited for it."""
        for _, _, parcel in self.queues.pop(sink_sid, []):
            self.counts["lost"] += len(parcel.letters)

    # The log

    def note(self, **attempt: Any) -> None:
        self.attempts += 1
        self._log.append({"n": self.attempts, **attempt})

    def report(self, after: int) -> dict[str, Any]:
        """How many events are where, and the attempts after the n-th."""
        waiting = sum(len(entry[2].letters) for queue in self.queues.values() for entry in queue)
        under_way = sum(len(parcel.letters) for parcel in self.under_way.values())
        ends = {name: self.counts[name] for name in ("posted", "delivered", "discarded", "lost", "dropped")}
        first = self._log[0]["n"] if self._log else 1
        return {
            **ends,
            "waiting": waiting,
            "under_way": under_way,
            "count": self.attempts,
            "attempts": list(islice(self._log, max(after - first + 1, 0), None)),
        }

    # Snapshots

    def snapshot(self) -> dict[str, Any]:
        """Requests under way count as not made: whoever restores gets them again, at least once."""
        waiting = [entry[2] for queue in self.queues.values() for entry in queue]
        parcels = sorted([*waiting, *self.under_way.values()], key=lambda parcel: parcel.n)
        return {
            "counts": dict(self.counts),
            "last": self.last,
            "parcels": [asdict(parcel) for parcel in parcels],
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Mail:
        mail = cls(Counter(state["counts"]), state["last"])
        for one in state["parcels"]:
            parcel = Parcel(**one)
            mail.queues.setdefault(parcel.sink_sid, []).append((parcel.due, parcel.n, parcel))
        for queue in mail.queues.values():
            heapify(queue)
        return mail
