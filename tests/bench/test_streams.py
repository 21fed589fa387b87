"""Some events over three sources at once, with the receivers killed on the way; `make bench` plays many."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path

import pytest
from rich.console import Console

from bench.report import environment
from bench.stories import Load, Outcome
from bench.streams import run
from bench.streams_report import draw_streams, show_streams, write_streams_json

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

LOAD = Load(events=2_000, channels=150, kills=2)


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def outcome(said: list[str]) -> Outcome:
    return run(LOAD, said.append)


def test_nothing_is_lost_and_every_state_is_that_of_the_clean_list(outcome: Outcome) -> None:
    assert [target.name for target in outcome.targets if not target.ok] == []
    assert len(outcome.targets) == 10
    assert len(outcome.expected) > 100


def test_it_was_as_hard_as_it_says(outcome: Outcome) -> None:
    assert 1.1 < outcome.delivered / (3 * LOAD.events) < 1.3
    assert len(outcome.killed_at) == LOAD.kills
    assert outcome.failed_attempts > 0
    for story in outcome.stories.values():
        assert len(story.read) == LOAD.events


def test_what_is_lost_or_wrong_is_found(outcome: Outcome) -> None:
    name, story = next(iter(outcome.stories.items()))
    lost = story.read.pop()
    channel = next(iter(outcome.expected))
    kept = outcome.stored.pop(channel)
    try:
        missed = {target.name: target.reached.middle for target in outcome.targets if not target.ok}
    finally:
        story.read.add(lost)
        outcome.stored[channel] = kept
    assert missed == {
        f"{name}: events that got a 2xx and were not read": 1,
        "Sync: states that differ from the clean list's": 1,
    }


def test_it_is_told_written_and_drawn(outcome: Outcome, said: list[str], tmp_path: Path) -> None:
    text = io.StringIO()
    facts = environment(asdict(LOAD))
    show_streams(Console(file=text, width=160), outcome)
    write_streams_json(tmp_path / "streams.json", outcome, facts)
    draw_streams(tmp_path / "streams.png", outcome, facts)
    assert "2,000 events of 150 channels" in text.getvalue()
    assert "missed" not in text.getvalue()
    assert json.loads((tmp_path / "streams.json").read_text())["delivered"] == outcome.delivered
    assert (tmp_path / "streams.png").read_bytes().startswith(b"\x89PNG")
    assert sum("receivers killed" in what for what in said) == LOAD.kills
