"""The benchmark of broadcasts, very small: every contender texts everybody, and what came of it can be told."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path

import pytest
from rich.console import Console

from bench.broadcast import ALONE, Findings, Lists, run, show_broadcasts
from bench.broadcast_plot import draw_broadcasts
from bench.report import environment
from flexsms.core.stack_name import StackName

TINY = Lists(rounds=1, texts=20, paced_s=1, workers=2, alone=1, grown=(5, 10))

# The fixture does everything, in processes of its own, beside a busy neighbour too.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def found() -> Findings:
    said: list[str] = []
    found = run(TINY, said.append)
    assert said
    return found


def test_every_contender_texts_everybody(found: Findings) -> None:
    # `measure` raises when one does not, and so does a broadcast that does not send a text.
    for stack in StackName:
        ours, floor, one, several, alone = (
            rounds[0] for name, rounds in found.rounds.items() if name.startswith(f"{stack}:")
        )
        assert (ours.things, floor.things, alone.things) == (20, 20, 1)
        assert alone.contender.endswith(ALONE)
        assert one.things == several.things == (9 if stack is StackName.CHAT else 29)


def test_the_floor_makes_the_same_calls_for_each_text(found: Findings) -> None:
    for stack in StackName:
        ours, floor = [rounds[0] for name, rounds in found.rounds.items() if name.startswith(f"{stack}:")][:2]
        # Beside the maps, of which each is made once.
        ours_per_text, floors_per_text = (
            {name for name, count in one.calls.items() if count >= TINY.texts and not name.endswith("/Maps")}
            for one in (ours, floor)
        )
        assert ours_per_text == floors_per_text


def test_all_of_it_can_be_told(found: Findings, tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=160)
    show_broadcasts(console, found)
    assert isinstance(console.file, io.StringIO)
    told = console.file.getvalue()
    assert all(name in told for name in found.rounds)
    assert len(json.loads(json.dumps(found.to_json()))["targets"]) == 2 * 6
    draw_broadcasts(tmp_path / "broadcast.png", found, environment(asdict(TINY)))
    assert (tmp_path / "broadcast.png").read_bytes().startswith(b"\x89PNG")
