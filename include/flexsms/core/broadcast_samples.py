"""Which texts of a broadcast a person should see before they leave: those in which something may be wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from flexsms.core.broadcast_totals import counted
from flexsms.core.outbound_message import Segments
from flexsms.core.recipient import told_character

# Where a text is: its set of zones, and which of their texts it is; the first one is 1.
Place = tuple[tuple[str, ...], int]


class _Text(NamedTuple):
    place: Place
    length: int
    segments: Segments
    unusual: str


@dataclass(slots=True)
class _Kind:
    """Texts that are billed alike: how many there are, and the first of them."""

    count: int = 0
    first: list[_Text] = field(default_factory=list)


class BroadcastSamples:
    """Sees every text once, in the order of the list, and keeps few of them. The same list gives the same samples.

    The longest costs most and may be cut, the first in UCS-2 shows the character that made it so, the shortest may lack
    a word, and an ordinary one is what most people get.
    """

    def __init__(self) -> None:
        self._longest: _Text | None = None
        self._shortest: _Text | None = None
        self._unusual: _Text | None = None
        self._kinds: dict[Segments, _Kind] = {}

    def add(self, place: Place, length: int, segments: Segments, unusual: str) -> None:
        """See a text.

        :param length: characters
        :param unusual: the character that makes it UCS-2, empty where none does
        """
        text = _Text(place, length, segments, unusual)
        longest, shortest = self._longest, self._shortest
        if longest is None or (segments.count, length) > (longest.segments.count, longest.length):
            self._longest = text
        if shortest is None or length < shortest.length:
            self._shortest = text
        if unusual and self._unusual is None:
            self._unusual = text
        kind = self._kinds.setdefault(segments, _Kind())
        kind.count += 1
        # One of them is none of the three others.
        if len(kind.first) < 4:
            kind.first.append(text)

    def chosen(self) -> dict[Place, str]:
        """At most four texts, the one that is to be looked at most first: where each is, and why it is shown."""
        found: dict[Place, str] = {}
        for why, text in (
            ("the longest", self._longest),
            ("the first in UCS-2", self._unusual),
            ("the shortest", self._shortest),
        ):
            if text and text.place not in found:
                found[text.place] = _told(why, text)
        commonest = max(self._kinds.values(), key=lambda kind: kind.count, default=_Kind())
        others = (text for text in commonest.first if text.place not in found)
        if ordinary := next(others, None):
            found[ordinary.place] = _told("an ordinary one", ordinary)
        return found


def _told(why: str, text: _Text) -> str:
    parts = counted(text.segments.count, "segment")
    if not text.unusual:
        return f"{why}, {parts}"
    encoding = "" if why.endswith(text.segments.encoding) else f"{text.segments.encoding} "
    return f"{why}, {parts}, {encoding}because of {told_character(text.unusual)}"
