"""``python -m bench``: measure, print, write ``.bench/latest.json`` and ``.bench/latest.png``."""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console

from bench.plot import draw
from bench.report import environment, show, write_json
from bench.scenarios import LATENCY_MS, QUICK, Scenarios, Sizes
from flexsms.sandbox.client import SandboxProcess

FOLDER = Path(__file__).resolve().parents[1] / ".bench"


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark. Returns 1 when a target was missed."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller and only once: about a minute")
    parser.add_argument("--rounds", type=int, help="how often everything is measured (default: 3)")
    parser.add_argument("--batch", type=int, help=f"channels per batch (default: {Sizes().batch})")
    asked = parser.parse_args(argv)
    changes = {name: value for name, value in vars(asked).items() if value and name != "quick"}
    sizes = replace(QUICK if asked.quick else Sizes(), **changes)

    # A recording of every exchange would slow the sandbox down, and with it everybody.
    os.environ.pop("FLEXSMS_SANDBOX_RECORD", None)
    FOLDER.mkdir(exist_ok=True)
    console, began = Console(), time.monotonic()
    # Without a terminal a table as wide as its content, rather than one squeezed into 80 columns.
    if not console.is_terminal:
        console = Console(width=160)
    with SandboxProcess(latency_ms=LATENCY_MS) as sandbox:
        found = Scenarios(
            sandbox,
            sizes,
            lambda what: console.print(f"[dim]{time.monotonic() - began:4.0f} s[/dim]  {what}"),
        ).run()
    facts = environment(asdict(sizes))
    show(console, found)
    write_json(FOLDER / "latest.json", found, facts)
    draw(FOLDER / "latest.png", found, facts)
    console.print(f"{time.monotonic() - began:.0f} s. Written: .bench/latest.json, .bench/latest.png")
    return 0 if all(target.ok for target in found.targets) else 1


if __name__ == "__main__":
    sys.exit(main())
