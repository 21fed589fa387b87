"""``python -m bench``: measure, print, and write JSON and pictures into ``.bench/``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import again, broadcast, check, dashboard, posts, stories, streams
from bench.broadcast_plot import draw_broadcasts
from bench.plot import draw
from bench.report import environment, show, write_json
from bench.scenarios import LATENCY_MS, QUICK, Scenarios, Sizes
from bench.streams_report import draw_streams, show_streams, write_streams_json
from flexsms.sandbox.client import SandboxProcess

FOLDER = Path(__file__).resolve().parents[1] / ".bench"
PARTS = ("speed", "posts", "streams", "check", "broadcast", "again", "dashboard")
Say = Callable[[str], None]


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark. Returns 1 when a target was missed."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller and only once: about two minutes")
    parser.add_argument(
        "--only",
        choices=PARTS,
        help="speed: cleanup and tracking; posts: 200 a second to the inbox; streams: events over three "
        "sources; check: a list of a million recipients; broadcast: 5000 texts; again: a campaign of 100 000 that is "
        "over; dashboard: 90 days of it in a browser",
    )
    parser.add_argument("--rounds", type=int, help="how often the speed is measured (default: 3)")
    parser.add_argument("--batch", type=int, help=f"channels per batch (default: {Sizes().batch})")
    asked = parser.parse_args(argv)

    # A recording of every exchange would slow the sandbox down, and with it everybody.
    os.environ.pop("FLEXSMS_SANDBOX_RECORD", None)
    FOLDER.mkdir(exist_ok=True)
    console, began = Console(), time.monotonic()
    # Without a terminal a table as wide as its content, rather than one squeezed into 80 columns.
    if not console.is_terminal:
        console = Console(width=160)

    def say(what: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:4.0f} s[/dim]  {what}")

    reached = True
    if asked.only in (None, "speed"):
        changes = {name: value for name in ("rounds", "batch") if (value := getattr(asked, name))}
        reached &= _speed(replace(QUICK if asked.quick else Sizes(), **changes), console, say)
    if asked.only in (None, "posts"):
        reached &= _posts(posts.QUICK if asked.quick else posts.Rush(), console, say)
    if asked.only in (None, "streams"):
        reached &= _streams(stories.QUICK if asked.quick else stories.Load(), console, say)
    if asked.only in (None, "check"):
        reached &= _check(check.QUICK if asked.quick else check.Lists(), console, say)
    if asked.only in (None, "broadcast"):
        reached &= _broadcast(broadcast.QUICK if asked.quick else broadcast.Lists(), console, say)
    if asked.only in (None, "again"):
        reached &= _again(again.QUICK if asked.quick else again.Finished(), console, say)
    if asked.only in (None, "dashboard"):
        reached &= _dashboard(dashboard.QUICK if asked.quick else dashboard.Visit(), console, say)
    console.print(f"{time.monotonic() - began:.0f} s.")
    return 0 if reached else 1


def _speed(sizes: Sizes, console: Console, say: Say) -> bool:
    with SandboxProcess(latency_ms=LATENCY_MS) as sandbox:
        found = Scenarios(sandbox, sizes, say).run()
    facts = environment(asdict(sizes))
    show(console, found)
    write_json(FOLDER / "latest.json", found, facts)
    draw(FOLDER / "latest.png", found, facts)
    console.print("Written: .bench/latest.json, .bench/latest.png")
    return all(target.ok for target in found.targets)


def _posts(rush: posts.Rush, console: Console, say: Say) -> bool:
    answers = posts.run(rush, say)
    posts.show_posts(console, answers)
    _write("posts", rush, answers.to_json(), console)
    return all(target.ok for target in answers.targets)


def _streams(load: stories.Load, console: Console, say: Say) -> bool:
    outcome = streams.run(load, say)
    facts = environment(asdict(load))
    show_streams(console, outcome)
    write_streams_json(FOLDER / "streams.json", outcome, facts)
    draw_streams(FOLDER / "streams.png", outcome, facts)
    console.print("Written: .bench/streams.json, .bench/streams.png")
    return all(target.ok for target in outcome.targets)


def _check(lists: check.Lists, console: Console, say: Say) -> bool:
    findings = check.run(lists, say)
    check.show_checking(console, findings)
    _write("check", lists, findings.to_json(), console)
    return all(target.ok for target in findings.targets)


def _broadcast(lists: broadcast.Lists, console: Console, say: Say) -> bool:
    findings = broadcast.run(lists, say)
    broadcast.show_broadcasts(console, findings)
    draw_broadcasts(FOLDER / "broadcast.png", findings, environment(asdict(lists)))
    _write("broadcast", lists, findings.to_json(), console)
    console.print("Written: .bench/broadcast.png")
    return all(target.ok for target in findings.targets)


def _again(finished: again.Finished, console: Console, say: Say) -> bool:
    found = again.run(finished, say)
    again.show_again(console, found)
    _write("again", finished, found.to_json(), console)
    return all(target.ok for target in found.targets)


def _dashboard(visit: dashboard.Visit, console: Console, say: Say) -> bool:
    loads = dashboard.run(visit, say)
    dashboard.show_loads(console, loads)
    _write("dashboard", visit, loads.to_json(), console)
    return all(target.ok for target in loads.targets)


def _write(name: str, sizes: Any, found: Mapping[str, Any], console: Console) -> None:
    """Keep what a part has found, with the machine and the sizes."""
    content = {"environment": environment(asdict(sizes)), **found}
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
    console.print(f"Written: .bench/{name}.json")


if __name__ == "__main__":
    sys.exit(main())
