"""The collection behind every list, against a sorted list."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flexsms.sandbox.state.ordered import Ordered

STEPS = st.lists(st.tuples(st.sampled_from(["add", "remove"]), st.integers(0, 40)), max_size=300)


@given(STEPS, st.integers(-1, 41), st.booleans())
def test_it_is_a_sorted_dict(steps: list[tuple[str, int]], start: int, inclusive: bool) -> None:
    ordered: Ordered[str] = Ordered()
    plain: dict[int, str] = {}
    for verb, position in steps:
        if verb == "add":
            ordered.add(position, str(position))
            plain[position] = str(position)
        else:
            ordered.remove(position)
            plain.pop(position, None)
    rows = sorted(plain.items())
    assert len(ordered) == len(plain)
    assert list(ordered.forward()) == rows
    assert list(ordered.backward()) == rows[::-1]
    after = [row for row in rows if row[0] > start or (inclusive and row[0] == start)]
    assert list(ordered.forward(start, inclusive=inclusive)) == after
    before = [row for row in rows if row[0] < start or (inclusive and row[0] == start)]
    assert list(ordered.backward(start, inclusive=inclusive)) == before[::-1]


def test_many_removals_leave_nothing_behind() -> None:
    ordered: Ordered[int] = Ordered()
    for n in range(1000):
        ordered.add(n, n)
    for n in range(0, 1000, 2):
        ordered.remove(n)
    for n in range(1, 900, 2):
        ordered.remove(n)
    assert [position for position, _ in ordered.forward()] == list(range(901, 1000, 2))
    ordered.add(500, 500)
    assert next(iter(ordered.forward()))[0] == 500
