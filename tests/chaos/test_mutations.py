"""Mutations of flexsms fit the code that is there; `make chaos ARGS=--mutations` tells how soon each is noticed."""

from __future__ import annotations

import pytest

from .mutation import Mutation
from .mutations import MUTATIONS
from .schedule import make
from .story import tell


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_finds_the_code_that_it_changes(mutation: Mutation) -> None:
    with mutation.applied():
        pass


def test_a_mutation_that_finds_nothing_says_so() -> None:
    gone = Mutation("gone", "nothing", [("core.retention:judge", "no such code", "")])
    with (
        pytest.raises(LookupError, match="holds no 'no such code' any more"),
        gone.applied(),
    ):
        pass


def test_a_mutation_is_noticed_and_leaves_nothing_behind() -> None:
    number = next(mutation for mutation in MUTATIONS if mutation.name == "number in the log")
    schedules, what = number.hunt(20)
    assert schedules is not None
    assert what.startswith("private")
    assert "private" not in tell(make("chat", 0)).names
