"""What came of the streams, for people (tables, a picture) and for programs (JSON)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from rich.console import Console, Group
from rich.table import Table

from bench.plot import INK, LINE, OURS, STYLE
from bench.report import columns, targets_table
from bench.stories import Outcome

COLORS = {"inbox": OURS, "http": "#e9a03b", "kinesis": "#5b8c5a"}


def show_streams(console: Console, outcome: Outcome) -> None:
    """Two tables."""
    console.print(Group(_stories(outcome), targets_table(outcome.targets)))


def write_streams_json(path: Path, outcome: Outcome, facts: Mapping[str, Any]) -> None:
    """The figures, without the events."""
    content = {
        "environment": facts,
        "targets": [target.to_json() for target in outcome.targets],
        "delivered": outcome.delivered,
        "attempts": outcome.attempts,
        "failed_attempts": outcome.failed_attempts,
        "killed_at_s": outcome.killed_at,
        "seconds": outcome.seconds,
        "curves": {name: story.curve for name, story in outcome.stories.items()},
    }
    path.write_text(json.dumps(content, indent=2) + "\n")


def draw_streams(path: Path, outcome: Outcome, facts: Mapping[str, Any]) -> None:
    """How many events each source had given by when, with the kills, as PNG."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 5), dpi=150, layout="constrained")
        axes = figure.subplots()
        for moment in outcome.killed_at:
            axes.axvline(moment, color=LINE, linewidth=1, linestyle=":", zorder=1)
        for name, story in outcome.stories.items():
            moments, counts = zip((0.0, 0), *story.curve, strict=True)
            axes.step(moments, counts, where="post", label=name, color=COLORS[name], linewidth=2, zorder=3)
        axes.set_ylim(0, outcome.load.events * 1.08)
        axes.set_xlim(0, outcome.seconds)
        axes.axhline(outcome.load.events, color="#bbbbbb", linewidth=1, zorder=2)
        axes.set_xlabel("seconds")
        axes.set_title(
            "Different events read and stored, by source; dotted: both receivers killed", color=INK
        )
        axes.legend(frameon=False, loc="lower right")
        axes.yaxis.set_major_formatter("{x:,.0f}")
        figure.suptitle(
            f"flexsms: {outcome.load.events:,} events over three sources at once",
            x=0.01, ha="left", fontsize=16, fontweight="bold",
        )  # fmt: skip
        figure.supxlabel(
            f"{facts['at'][:10]} · commit {facts['commit']} · Python {facts['python']} · {facts['cores']} cores · "
            f"{outcome.delivered:,} deliveries, {outcome.failed_attempts:,} of {outcome.attempts:,} requests in vain",
            x=0.01, ha="left", fontsize=8, color="#777777",
        )  # fmt: skip
        figure.savefig(path)


def _stories(outcome: Outcome) -> Table:
    load = outcome.load
    table = columns(
        f"{load.events:,} events of {load.channels:,} channels to each of three sinks: {outcome.seconds:.0f} s",
        "",
        "events confirmed",
        "read and stored",
        "pages",
        "channels",
        caption=f"{outcome.delivered:,} deliveries, copies included; {outcome.failed_attempts:,} of "
        f"{outcome.attempts:,} requests in vain. Both receivers were killed {len(outcome.killed_at)} times.",
    )
    for name, story in outcome.stories.items():
        table.add_row(
            name,
            f"{len(story.confirmed):,}",
            f"{len(story.read):,}",
            f"{len(story.curve):,}",
            f"{len(story.states):,}",
        )
    return table
