"""Ordered collections: add, remove and "the next 100 after this position", none of which scans."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from itertools import islice
from typing import Any, Generic, TypeVar

R = TypeVar("R")


class Ordered(Generic[R]):
    """Rows by position, where positions are comparable with each other (ints, strings or tuples).

    Appending at the end is O(1), elsewhere a memmove. A removed position stays as a gap until half of the
    positions are gaps, so that removing is O(1) and walking still costs what it yields.
    """

    def __init__(self) -> None:
        self._positions: list[Any] = []
        self._rows: dict[Any, R] = {}
        self._gaps: set[Any] = set()

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, position: Any) -> R | None:
        return self._rows.get(position)

    def add(self, position: Any, row: R) -> None:
        if position in self._gaps:
            self._gaps.discard(position)
        elif position not in self._rows:
            if not self._positions or position > self._positions[-1]:
                self._positions.append(position)
            else:
                insort(self._positions, position)
        self._rows[position] = row

    def remove(self, position: Any) -> None:
        if self._rows.pop(position, None) is None:
            return
        self._gaps.add(position)
        if len(self._gaps) > 64 and len(self._gaps) * 2 > len(self._positions):
            self._positions = [p for p in self._positions if p not in self._gaps]
            self._gaps.clear()

    def forward(self, start: Any = None, *, inclusive: bool = False) -> Iterator[tuple[Any, R]]:
        """Rows in order, from the beginning or from behind `start`."""
        bisect = bisect_left if inclusive else bisect_right
        index = 0 if start is None else bisect(self._positions, start)
        return self._present(islice(self._positions, index, None) if index == 0 else self._from(index, 1))

    def backward(self, start: Any = None, *, inclusive: bool = False) -> Iterator[tuple[Any, R]]:
        """Rows in reverse order, from the end or from before `start`."""
        if start is None:
            index = len(self._positions) - 1
        else:
            index = (bisect_right if inclusive else bisect_left)(self._positions, start) - 1
        return self._present(self._from(index, -1))

    def _from(self, index: int, step: int) -> Iterator[Any]:
        # islice would walk to the index; plain indexing starts there.
        positions = self._positions
        while 0 <= index < len(positions):
            yield positions[index]
            index += step

    def _present(self, positions: Iterator[Any]) -> Iterator[tuple[Any, R]]:
        rows = self._rows
        for position in positions:
            row = rows.get(position)
            if row is not None:
                yield position, row
