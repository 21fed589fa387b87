"""What is wrong with a list, in few sentences however long it is: equal ones are told once, with their number."""

from __future__ import annotations

import re
from dataclasses import dataclass

TOLD = 5
# A list whose rows are wrong in more ways than these is told by the first ones.
MOST_KINDS = 1000


@dataclass(slots=True)
class _Kind:
    row: int
    sentence: str
    others: int = 0


class ListProblems:
    """Counts the problems of rows, in memory that does not grow with them."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}
        self._untold = 0

    def add(self, row: int, sentence: str) -> None:
        """Count a problem. Those that differ in figures only, like the last digits of a number, are equal.

        :param sentence: behind "row 3"
        """
        key = re.sub(r"\d+", "0", sentence)
        if kind := self._kinds.get(key):
            kind.others += 1
        elif len(self._kinds) < MOST_KINDS:
            self._kinds[key] = _Kind(row, sentence)
        else:
            self._untold += 1

    def sentences(self, *, below_header: bool = False) -> list[str]:
        """The first problems, and how many rows have others.

        :param below_header: whether the list has a line above its first row, which a spreadsheet counts as well
        """
        kinds = list(self._kinds.values())
        told = kinds if len(kinds) <= TOLD else kinds[: TOLD - 1]
        rest = self._untold + sum(1 + kind.others for kind in kinds[len(told) :])
        sentences = [_told(kind) for kind in told]
        if sentences and below_header:
            sentences[0] += " (Rows are counted below the header.)"
        return sentences + ([f"{rest:,} more rows have other problems."] if rest else [])


def _told(kind: _Kind) -> str:
    others = f" (and {kind.others:,} more)" if kind.others else ""
    return f"row {kind.row}{others}{kind.sentence}"
