"""The harness itself: the same schedule is the same story, and a failure becomes short."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from .schedule import Schedule, make
from .shrink import shrink
from .story import tell
from .wire import KINDS, Step

ROOT = Path(__file__).resolve().parents[2]
STACKS = ("chat", "conversations")
TELL = """
import sys
from tests.chaos.schedule import make
from tests.chaos.story import tell
print("\\n".join(tell(make(sys.argv[1], int(sys.argv[2]))).trace))
"""


@pytest.mark.parametrize("stack", STACKS)
def test_a_schedule_is_the_same_for_the_same_seed_and_survives_a_file(stack: str, tmp_path: Path) -> None:
    made = make(stack, 5)
    assert made == make(stack, 5) != make(stack, 6)
    path = tmp_path / "one.json"
    path.write_text(json.dumps({"breaks": "nothing", **made.to_json()}))
    assert Schedule.load(path) == made
    assert len(made.told().splitlines()) == len(made.steps) + 1


@pytest.mark.parametrize("stack", STACKS)
def test_the_same_schedule_gives_the_same_trace(stack: str) -> None:
    for seed in (3, 4):
        first, second = tell(make(stack, seed)), tell(make(stack, seed))
        assert first.trace == second.trace
        assert first.broken == second.broken
        assert first.requests > 20


def test_the_trace_does_not_depend_on_the_process() -> None:
    """Sets of texts are ordered by a seed of their own in every process."""
    traces = {
        subprocess.run(
            [sys.executable, "-c", TELL, "conversations", "7"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "include"), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(traces) == 1


@pytest.mark.parametrize("stack", STACKS)
def test_everything_that_can_happen_does(stack: str) -> None:
    done: Counter[str] = Counter()
    for seed in range(400):
        for step in make(stack, seed).steps:
            done[step["do"]] += 1
            done[str(step.get("kind"))] += 1
            done[str(step.get("what"))] += 1
            done[str(step.get("words"))] += 1
    happens = {"send", "track", "cleanup", "clear", "write", "agent", "chat", "other"}
    happens |= {"broadcast", "cancel", "suppress", "STOP", "START"}
    befalls = {
        *(("setup",) if stack == "conversations" else ()),
        "fault",
        "kill",
        "freeze",
        "term",
        "outage",
        "late_events",
    }
    assert not {*happens, *befalls, *KINDS, "attributes", "delete", "close", "short_lived"} - done.keys()


def test_shrinking_leaves_what_is_needed() -> None:
    steps: list[Step] = [{"at": number, "do": "write", "who": number, "n_texts": 3} for number in range(20)]

    def breaks(one: Schedule) -> bool:
        return {4, 17} <= {step["who"] for step in one.steps}

    small = shrink(make("chat", 1).only(steps), breaks)
    assert [(step["who"], step["n_texts"]) for step in small.steps] == [(4, 1), (17, 1)]


def test_shrinking_gives_up_in_time() -> None:
    steps: list[Step] = [{"at": number, "do": "write", "who": 0} for number in range(30)]
    tried = []

    def breaks(one: Schedule) -> bool:
        tried.append(one)
        return False

    assert shrink(make("chat", 1).only(steps), breaks, most=10).steps == steps
    assert len(tried) == 10


def test_a_step_of_a_run_that_never_is_does_nothing() -> None:
    lonely = {"on": "nobody", "n": 1, "when": "after", "do": "write", "who": 0}
    assert not tell(make("chat", 1).only([lonely])).broken


def test_random_is_as_it_was_afterwards() -> None:
    random.seed(7)
    wanted = random.random()
    random.seed(7)
    tell(make("chat", 1).only([]))
    assert random.random() == wanted
