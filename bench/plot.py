"""The picture: channels per second beside the floor, the documented limit, and memory by number of states."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.figures import Measurement, Spread, over, ratios
from bench.memory import Peak
from bench.scenarios import FLOOR, IN_FLIGHT, LATENCY_MS, PACED, PROXY_PER_S, RECIPE, Findings

OURS, OTHERS, LINE, INK = "#2a6f97", "#b8b8b8", "#c1440e", "#333333"
STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999",
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titlepad": 14,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def draw(path: Path, found: Findings, facts: Mapping[str, Any]) -> None:
    """Write the picture as PNG."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(13, 5), dpi=150, layout="constrained")
        speed, limit, memory = figure.subplots(1, 3, width_ratios=[3, 1.3, 2.2])
        _draw_speed(speed, found.rounds)
        _draw_limit(limit, found.rounds[PACED])
        _draw_memory(memory, found.peaks)
        figure.suptitle("flexsms: cleaning up", x=0.01, ha="left", fontsize=16, fontweight="bold")
        figure.supxlabel(
            f"{facts['at'][:10]} · commit {facts['commit']} · Python {facts['python']} · {facts['cores']} cores · "
            f"sandbox with {LATENCY_MS} ms latency · middle and range of {len(found.rounds[FLOOR])} rounds",
            x=0.01, ha="left", fontsize=8, color="#777777",
        )  # fmt: skip
        figure.savefig(path)


def _draw_speed(axes: Axes, rounds: Mapping[str, list[Measurement]]) -> None:
    limit = over(rounds[FLOOR], lambda one: one.per_second)
    ours = [name for name in rounds if "batches of" in name]
    spreads = [over(rounds[name], lambda one: one.per_second) for name in (*ours, RECIPE)]
    labels = [name.replace(", ", "\n") for name in (*ours, RECIPE)]
    bars(axes, labels, spreads, [OURS] * len(ours) + [OTHERS])
    for place, (name, spread) in enumerate(zip(ours, spreads, strict=False)):
        to_floor, to_recipe = (ratios(rounds[name], rounds[other]).middle for other in (FLOOR, RECIPE))
        note = f"{to_floor:.0%}\nof the floor\n\n{to_recipe:.0f} ×\nthe recipe"
        axes.text(place, spread.middle * 0.42, note, ha="center", va="center", color="white", fontsize=9)
    axes.axhline(limit.middle, color=LINE, linewidth=1.5, linestyle="--", zorder=3)
    axes.text(
        len(spreads) - 0.6, limit.middle * 1.02, f"floor {limit.middle:.0f}: bare aiohttp, the same calls",
        ha="right", va="bottom", color=LINE, fontsize=9,
    )  # fmt: skip
    axes.set_ylim(0, max(limit.middle, *(spread.high for spread in spreads)) * 1.2)
    axes.set_title(f"Channels retired per second, {IN_FLIGHT} calls in flight")


def _draw_limit(axes: Axes, rounds: list[Measurement]) -> None:
    bars(axes, ["flexsms\ndocumented\nlimits"], [over(rounds, lambda one: one.per_second)], [OURS])
    axes.axhline(PROXY_PER_S, color=LINE, linewidth=1.5, linestyle="--", zorder=3)
    axes.text(0.5, PROXY_PER_S * 1.02, "Proxy's 30/s", ha="right", va="bottom", color=LINE, fontsize=9)
    axes.set_xlim(-0.5, 0.5)
    axes.set_ylim(0, PROXY_PER_S * 1.3)
    refused = sum(one.refused for one in rounds) / sum(one.total_calls for one in rounds)
    axes.text(0, PROXY_PER_S / 2, f"{refused:.1%} of the\ncalls: 429", ha="center", color="white", fontsize=9)
    axes.set_title("… within Twilio's limits")


def _draw_memory(axes: Axes, peaks: Mapping[int, list[Peak]]) -> None:
    spreads = [Spread.of(peak.peak_mb for peak in rounds) for rounds in peaks.values()]
    bars(axes, [f"{crowd:,}" for crowd in peaks], spreads, [OURS] * len(spreads), form=".1f")
    bound = spreads[0].middle + 50
    axes.axhline(bound, color=LINE, linewidth=1.5, linestyle="--", zorder=3)
    axes.text(
        len(spreads) - 0.6, bound * 1.02, "allowed: 50 MB above the first", ha="right", va="bottom", color=LINE,
        fontsize=9,
    )  # fmt: skip
    axes.set_ylim(0, bound * 1.22)
    axes.set_xlabel("channel states in Sync")
    axes.set_title("Peak memory of a cleanup, MB")


def bars(axes: Axes, labels: list[str], spreads: list[Spread], colors: list[str], form: str = ".0f") -> None:
    """Bars with their values, as high as the middle of each spread, and its range."""
    middles = [spread.middle for spread in spreads]
    reach = [[one.middle - one.low for one in spreads], [one.high - one.middle for one in spreads]]
    axes.bar(range(len(spreads)), middles, width=0.62, color=colors, zorder=2)
    axes.errorbar(range(len(spreads)), middles, yerr=reach, fmt="none", ecolor=INK, capsize=4, zorder=4)
    tallest = max(middles)
    for place, spread in enumerate(spreads):
        # Inside the bar, where no line crosses it, unless the bar is too short for that.
        inside = spread.middle > tallest / 4
        axes.annotate(
            f"{spread.middle:{form}}",
            (place, spread.low if inside else spread.high),
            xytext=(0, -6 if inside else 5),
            textcoords="offset points",
            ha="center",
            va="top" if inside else "bottom",
            color="white" if inside else INK,
            fontsize=12,
            fontweight="bold",
        )
    axes.set_xticks(range(len(spreads)), labels)
    axes.grid(axis="y", color="#eeeeee", zorder=0)
    axes.tick_params(length=0)
