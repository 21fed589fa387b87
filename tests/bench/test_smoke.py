"""The whole benchmark, very small: every contender does its work, and all three ways to tell about it work."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from rich.console import Console

from bench import scenarios
from bench.plot import draw
from bench.report import environment, show, write_json
from bench.scenarios import FLOOR, PACED, RECIPE, TRACKING_FLOOR, Findings, Scenarios, Sizes
from flexsms.sandbox.client import SandboxProcess
from flexsms.twilio.cleanup.unanswered import SAMPLE

TINY = Sizes(
    rounds=1, channels=20, batch=10, batches=(20,), recipe=3, planned=(5, 10, 40), paced=20, tracked=5, events=20,
    due=2, crowds=(10, 120), parses=1,
)  # fmt: skip

TARGETS = 11

# The fixture does everything, beside a busy neighbour too.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def found(said: list[str]) -> Iterator[Findings]:
    with pytest.MonkeyPatch.context() as patch, SandboxProcess() as sandbox:
        patch.setattr(scenarios, "LATENCY_MS", 0)
        yield Scenarios(sandbox, TINY, said.append).run()


def test_every_contender_retires_every_channel(found: Findings) -> None:
    # `measure` raises when one does not.
    planned = "plan and cleanup among 40 states"
    expected = ["flexsms, batches of 10", "flexsms, batches of 20", FLOOR, RECIPE, planned, PACED]
    assert [*found.rounds][:6] == expected


def test_the_floor_makes_the_same_calls(found: Findings) -> None:
    ours, floor = (found.rounds[name][0] for name in ("flexsms, batches of 10", FLOOR))
    # The ledger, and a look at the newest texts of some.
    own = {name for name in ours.calls if "/Maps" in name or name.endswith("/Messages")}
    assert {n: c for n, c in ours.calls.items() if n not in own} == {
        n: c for n, c in floor.calls.items() if n not in own
    }
    looks = sum(count for name, count in ours.calls.items() if name.endswith("/Messages"))
    assert looks == SAMPLE
    assert ours.calls_on_channels == 4 * TINY.channels


def test_the_floor_of_tracking_makes_the_same_calls(found: Findings) -> None:
    ours, floor = (found.rounds[name][0].calls for name in ("flexsms, tracking 20 events", TRACKING_FLOOR))
    assert ours == floor


def test_a_plan_asks_for_no_quiet_channel(found: Findings) -> None:
    due, _, states = TINY.planned
    (one,) = found.rounds[f"plan and cleanup among {states} states"]
    assert one.calls_beside_lists == 4 * due


def test_the_recipe_makes_two_calls_per_channel(found: Findings) -> None:
    assert found.rounds[RECIPE][0].total_calls == 2 * TINY.recipe + 1


def test_all_targets_are_judged(found: Findings) -> None:
    assert len(found.targets) == TARGETS
    counted = [target for target in found.targets if "calls" in target.name]
    assert all(target.ok for target in counted), counted


def test_memory_is_measured_among_so_many_states(found: Findings) -> None:
    assert {crowd: peaks[0].states for crowd, peaks in found.peaks.items()} == {10: 10, 120: 120}


def test_progress_is_told(found: Findings, said: list[str]) -> None:
    assert said[0] == "warming up"
    assert any("round 1 of 1" in what for what in said)


def test_findings_are_printed_written_and_drawn(found: Findings, tmp_path: Path) -> None:
    text = io.StringIO()
    facts = environment(asdict(TINY))
    show(Console(file=text, width=160), found)
    write_json(tmp_path / "latest.json", found, facts)
    draw(tmp_path / "latest.png", found, facts)
    assert "channels/s" in text.getvalue()
    written = json.loads((tmp_path / "latest.json").read_text())
    assert len(written["targets"]) == TARGETS
    assert written["environment"]["sizes"]["channels"] == TINY.channels
    assert (tmp_path / "latest.png").read_bytes().startswith(b"\x89PNG")
