"""The shortest schedule that still breaks a promise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .schedule import Schedule
from .wire import Step

# The plain value of what a step has besides: if the promise breaks with it, too, it tells nothing.
PLAIN: dict[str, object] = {"times": 1, "n_texts": 1}


def shrink(schedule: Schedule, breaks: Callable[[Schedule], bool], *, most: int = 600) -> Schedule:
    """Leave out whatever is not needed.

    :param breaks: whether a schedule still breaks the promise; this one does
    :param most: schedules to try at most
    """
    tries = 0

    def still(steps: Sequence[Step]) -> bool:
        nonlocal tries
        tries += 1
        return tries <= most and breaks(schedule.only(steps))

    steps = list(schedule.steps)
    before: list[Step] = []
    while steps != before:
        before = steps
        steps = _fewer(steps, still)
        steps = _plainer(steps, still)
    return schedule.only(steps)


def _fewer(steps: list[Step], still: Callable[[Sequence[Step]], bool]) -> list[Step]:
    """Without halves, quarters, and so on down to single steps."""
    size = max(len(steps) // 2, 1)
    while True:
        start = 0
        while start < len(steps):
            without = steps[:start] + steps[start + size :]
            if still(without):
                steps = without
            else:
                start += size
        if size == 1:
            return steps
        size //= 2


def _plainer(steps: list[Step], still: Callable[[Sequence[Step]], bool]) -> list[Step]:
    """With plain values, and landings that others left out no longer push away."""
    for index, step in enumerate(steps):
        for changed in _variants(step):
            tried = [*steps[:index], changed, *steps[index + 1 :]]
            if still(tried):
                steps = tried
                break
    return steps


def _variants(step: Step) -> list[Step]:
    found = [{**step, name: value} for name, value in PLAIN.items() if name in step and step[name] != value]
    if "key" in step:
        found.append({name: value for name, value in step.items() if name != "key"})
    if step["do"] == "chat" and step["rounds"] > 1:
        found.append({**step, "rounds": step["rounds"] // 2})
    return found
