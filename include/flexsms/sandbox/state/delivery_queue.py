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
class Delivery:
    """One request to a sink, or before its first attempt one event that may still be put together with others.

    Parameters
    ----------
    events: event SID (or the ID of a test event) and schema version of each event in it.
    since: when it was attempted first. attempt: how many times it was.
    """

    n: int
    sink_sid: str
    due: float
    events: list[list[Any]]
    attempt: int = 0
    since: float | None = None


@dataclass(slots=True)
class DeliveryQueue:
    """A queue per sink, ordered by when its deliveries are due.

    `counts` says of how many events something became: `enqueued` is everything that subscriptions wanted, copies
    included; it ends as delivered, discarded (the sink refused), lost (given up) or dropped (never tried).
    """

    counts: Counter[str] = field(default_factory=Counter)
    last: int = 0
    queues: dict[str, list[tuple[float, int, Delivery]]] = field(default_factory=dict)
    under_way: dict[int, Delivery] = field(default_factory=dict)
    attempts: int = 0
    _free_at: dict[str, float] = field(default_factory=dict)
    _log: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=LOG_LENGTH))

    def enqueue(self, sink_sid: str, event: list[Any], due: float) -> None:
        self.last += 1
        self.counts["enqueued"] += 1
        self.put(Delivery(self.last, sink_sid, due, [event]))

    def put(self, delivery: Delivery) -> None:
        """Queue a delivery, for the first time or again."""
        self.under_way.pop(delivery.n, None)
        heappush(self.queues.setdefault(delivery.sink_sid, []), (delivery.due, delivery.n, delivery))

    def take(
        self, now: float, places: Callable[[str], int], room: Callable[[Delivery], int], rate: float
    ) -> list[Delivery]:
        """The deliveries that are to be sent now.

        Parameters
        ----------
        places: how many requests a sink gets at a time.
        room: how many events go into a delivery.
        rate: events per second and sink, 0 for no limit.
        """
        found: list[Delivery] = []
        for sink_sid, queue in self.queues.items():
            while queue and self._ready(sink_sid, queue) <= now and self._has_place(sink_sid, places):
                delivery = heappop(queue)[2]
                size = room(delivery) if delivery.since is None else 0
                while (
                    len(delivery.events) < size and queue and queue[0][0] <= now and queue[0][2].since is None
                ):
                    delivery.events += heappop(queue)[2].events
                delivery.since = now if delivery.since is None else delivery.since
                self.under_way[delivery.n] = delivery
                found.append(delivery)
                if rate:
                    self._free_at[sink_sid] = now + len(delivery.events) / rate
        return found

    def next_due(self, places: Callable[[str], int]) -> float | None:
        """When the next delivery can be sent, unless it has to wait for another to arrive."""
        sinks = [(sid, queue) for sid, queue in self.queues.items() if queue and self._has_place(sid, places)]
        return min((self._ready(sid, queue) for sid, queue in sinks), default=None)

    def _ready(self, sink_sid: str, queue: list[tuple[float, int, Delivery]]) -> float:
        return max(queue[0][0], self._free_at.get(sink_sid, 0.0))

    def _has_place(self, sink_sid: str, places: Callable[[str], int]) -> bool:
        return sum(delivery.sink_sid == sink_sid for delivery in self.under_way.values()) < places(sink_sid)

    def end(self, delivery: Delivery, outcome: str, events: int) -> None:
        """So many events of a delivery are done with."""
        self.under_way.pop(delivery.n, None)
        self.counts[outcome] += events

    def forget(self, sink_sid: str) -> None:
        """The sink is gone, and what waited for it."""
        for _, _, delivery in self.queues.pop(sink_sid, []):
            self.counts["lost"] += len(delivery.events)

    # The log

    def note(self, **attempt: Any) -> None:
        self.attempts += 1
        self._log.append({"n": self.attempts, **attempt})

    def report(self, after: int) -> dict[str, Any]:
        """How many events are where, and the attempts after the n-th."""
        waiting = sum(len(entry[2].events) for queue in self.queues.values() for entry in queue)
        under_way = sum(len(delivery.events) for delivery in self.under_way.values())
        ends = {name: self.counts[name] for name in ("enqueued", "delivered", "discarded", "lost", "dropped")}
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
        deliveries = sorted([*waiting, *self.under_way.values()], key=lambda delivery: delivery.n)
        return {
            "counts": dict(self.counts),
            "last": self.last,
            "deliveries": [asdict(delivery) for delivery in deliveries],
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> DeliveryQueue:
        queue = cls(Counter(state["counts"]), state["last"])
        for one in state["deliveries"]:
            delivery = Delivery(**one)
            queue.queues.setdefault(delivery.sink_sid, []).append((delivery.due, delivery.n, delivery))
        for waiting in queue.queues.values():
            heapify(waiting)
        return queue
