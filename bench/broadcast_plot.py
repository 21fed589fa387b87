"""The picture of broadcasts: texts per second beside the floor, and under Twilio's limits, on both stacks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.broadcast import ALONE, FLOOR, OURS, PACED, Findings
from bench.figures import over, ratios
from bench.plot import LINE, OTHERS, STYLE, bars
from bench.plot import OURS as BLUE
from bench.scenarios import IN_FLIGHT, LATENCY_MS
from flexsms.core.stack_name import StackName


def draw_broadcasts(path: Path, found: Findings, facts: Mapping[str, Any]) -> None:
    """Write the picture as PNG."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(13, 5), dpi=150, layout="constrained")
        places = figure.subplots(1, 2 * len(StackName), width_ratios=[1, 1] * len(StackName))
        for number, stack in enumerate(StackName):
            _draw_speed(places[2 * number], found, stack)
            _draw_limit(places[2 * number + 1], found, stack)
        figure.suptitle("flexsms: texting a list", x=0.01, ha="left", fontsize=16, fontweight="bold")
        rounds = len(next(iter(found.rounds.values())))
        figure.supxlabel(
            f"{facts['at'][:10]} · commit {facts['commit']} · Python {facts['python']} · {facts['cores']} cores · "
            f"sandbox with {LATENCY_MS} ms latency, {IN_FLIGHT} calls in flight · middle and range of {rounds} rounds",
            x=0.01, ha="left", fontsize=8, color="#777777",
        )  # fmt: skip
        figure.savefig(path)


def _draw_speed(axes: Axes, found: Findings, stack: StackName) -> None:
    ours, floor, alone = (found.rounds[f"{stack}: {name}"] for name in (OURS, FLOOR, ALONE))
    spreads = [over(rounds, lambda one: one.per_second) for rounds in (ours, alone)]
    bars(axes, ["broadcast", "a process\nper text"], spreads, [BLUE, OTHERS], form=".1f")
    note = f"{ratios(ours, floor).middle:.0%}\nof the floor"
    axes.text(0, spreads[0].middle / 2, note, ha="center", va="center", color="white", fontsize=9)
    limit = over(floor, lambda one: one.per_second).middle
    _line(axes, limit, f"floor {limit:.0f}: bare aiohttp")
    axes.set_ylim(0, max(limit, spreads[0].high) * 1.2)
    axes.set_title(f"{stack.capitalize()}: texts/s")


def _draw_limit(axes: Axes, found: Findings, stack: StackName) -> None:
    paced = {name: rounds for name, rounds in found.rounds.items() if name.startswith(f"{stack}: {PACED}")}
    spreads = [over(rounds, lambda one: one.per_second) for rounds in paced.values()]
    labels = [name.rpartition(", ")[2].replace(" ", "\n") for name in paced]
    bars(axes, labels, spreads, [BLUE] * len(spreads), form=".1f")
    limit = found.limits[stack]
    for place, rounds in enumerate(paced.values()):
        refused = sum(one.refused for one in rounds) / sum(one.total_calls for one in rounds)
        note = f"{refused:.1%} of the\ncalls: 429"
        axes.text(place, limit / 2, note, ha="center", va="center", color="white", fontsize=9)
    _line(axes, limit, f"Twilio's limits: {limit:.0f}")
    axes.set_ylim(0, max(limit, *(spread.high for spread in spreads)) * 1.2)
    axes.set_title("… within the limits")


def _line(axes: Axes, at: float, text: str) -> None:
    """What the bars are compared with."""
    axes.axhline(at, color=LINE, linewidth=1.5, linestyle="--", zorder=3)
    right = axes.get_xlim()[1]
    axes.text(right, at * 1.02, text, ha="right", va="bottom", color=LINE, fontsize=9)
