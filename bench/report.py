"""What was found, for people (a table) and for programs (JSON)."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from bench.figures import Measurement, Spread, Target, over
from bench.memory import Peak
from bench.scenarios import IN_FLIGHT, LATENCY_MS, Findings


def environment(sizes: Mapping[str, Any]) -> dict[str, Any]:
    """What the figures depend on beside the code."""
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": git.stdout.strip(),
        "python": platform.python_version(),
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "packages": {name: version(name) for name in ("twilio", "aiohttp", "uvloop", "uvicorn")},
        "latency_ms": LATENCY_MS,
        "in_flight": IN_FLIGHT,
        "sizes": dict(sizes),
    }


def write_json(path: Path, found: Findings, facts: Mapping[str, Any]) -> None:
    """Every round of everything."""
    content = {
        "environment": facts,
        "targets": [target.to_json() for target in found.targets],
        "rounds": {name: [one.to_json() for one in rounds] for name, rounds in found.rounds.items()},
        "memory": {crowd: [asdict(peak) for peak in peaks] for crowd, peaks in found.peaks.items()},
    }
    path.write_text(json.dumps(content, indent=2) + "\n")


def show(console: Console, found: Findings) -> None:
    """The three tables."""
    console.print(Group(_speeds(found), _peaks(found.peaks), targets_table(found.targets)))


def columns(title: str, *headings: str, caption: str | None = None) -> Table:
    """A table of figures, without its rows. A first column without a heading has names."""
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place or heading else "left")
    return table


def _speeds(found: Findings) -> Table:
    table = columns(
        f"{LATENCY_MS} ms latency, {IN_FLIGHT} calls in flight: middle (lowest–highest) of the rounds",
        "",
        "channels",
        "seconds",
        "listing",
        "channels/s",
        "calls per channel",
        "429",
        "client CPU",
        "sandbox CPU",
        caption="Seconds include listing, where each page leads to the next. Sandbox CPU: how busy its one core was, "
        "and how many requests/s that core could have served. "
        "The recipe makes two calls per channel and looks at nothing else; it was measured on few channels, and does "
        "not get faster with more.",
    )
    for name, rounds in found.rounds.items():
        table.add_row(
            name,
            f"{rounds[0].things:,}",
            over(rounds, lambda one: one.seconds).show(".2f"),
            f"{over(rounds, lambda one: one.listing_s).middle:.2f}",
            over(rounds, lambda one: one.per_second).show(),
            f"{over(rounds, lambda one: one.total_calls / one.things).middle:.2f}",
            str(max(one.refused for one in rounds)),
            f"{over(rounds, lambda one: one.client_cpu_s / one.seconds).middle:.0%}",
            _headroom(rounds),
        )
    return table


def _headroom(rounds: list[Measurement]) -> str:
    busy = over(rounds, lambda one: one.sandbox_cpu_s / one.seconds).middle
    used = [one for one in rounds if one.sandbox_cpu_s]
    if not used:
        return "unknown"
    return f"{busy:.0%} of {over(used, lambda one: one.total_calls / one.sandbox_cpu_s).middle:,.0f}/s"


def _peaks(peaks: Mapping[int, list[Peak]]) -> Table:
    table = columns(
        "\nPeak memory of a cleanup of few among many, each in a fresh process",
        "states",
        "due",
        "peak MB",
        "seconds",
    )
    for crowd, rounds in peaks.items():
        memory, seconds = (
            Spread.of(peak.peak_mb for peak in rounds),
            Spread.of(peak.seconds for peak in rounds),
        )
        table.add_row(f"{crowd:,}", str(rounds[0].retired), memory.show(), seconds.show())
    return table


def targets_table(targets: Iterable[Target]) -> Table:
    """What was to be reached, and whether it was."""
    table = columns("\nTargets", "", "reached", "wanted", "")
    for target in targets:
        verdict = Text("ok", style="green") if target.ok else Text("missed", style="bold red")
        table.add_row(target.name, target.reached.show(target.form) + target.unit, target.wanted, verdict)
    return table
