"""A hundred random schedules per stack, always the same ones; `make chaos` plays others, and more."""

from __future__ import annotations

import pytest

from .schedule import make
from .story import tell

EACH = 25


@pytest.mark.parametrize("first", range(0, 100, EACH))
@pytest.mark.parametrize("stack", ["chat", "conversations"])
def test_every_promise_holds_whatever_happens(stack: str, first: int) -> None:
    broken = [
        f'make chaos ARGS="--show {stack}:{seed}"\n{one.told()}'
        for seed in range(first, first + EACH)
        for one in tell(make(stack, seed)).broken
    ]
    assert not broken, "\n\n".join(broken)
