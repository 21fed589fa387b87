"""``make chaos``: many random schedules, or one again.

Each failure is shrunk and written as JSON, with the promise that it breaks; ``--replay`` tells it request by request.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .work import calm_airflow, hunted, play, pool, shrunk

STACKS = ("chat", "conversations")
SHRUNK_PER_PROMISE = 3


def main(argv: list[str] | None = None) -> int:
    """Run. Returns 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="make chaos ARGS=…", description=__doc__)
    parser.add_argument("--schedules", type=int, default=400, help="how many, over all stacks (default: 400)")
    parser.add_argument("--seed", type=int, default=1, help="of the first one; the others follow")
    parser.add_argument("--stack", choices=STACKS, help="only this one")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--only", help="count and shrink only this promise")
    parser.add_argument(
        "--shrink", type=int, default=SHRUNK_PER_PROMISE, help="failures shrunk per promise and stack"
    )
    parser.add_argument("--replay", type=Path, help="a file to play again, with its trace")
    parser.add_argument(
        "--show", help="a schedule to play by its stack and seed, like chat:7, with its trace"
    )
    parser.add_argument(
        "--mutations",
        action="store_true",
        help="how many schedules it takes to notice each mutation of flexsms",
    )
    asked = parser.parse_args(argv)
    calm_airflow()
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    if asked.replay or asked.show:
        return _replay(console, asked.replay, asked.show)
    if asked.mutations:
        return _mutations(console, asked)
    return _many(console, asked)


def _mutations(console: Console, asked: argparse.Namespace) -> int:
    from .mutations import MUTATIONS

    table = Table(
        title=f"Schedules until a mutation is noticed, {asked.schedules} at most", title_justify="left"
    )
    for heading in ("mutation", "what is wrong", "schedules", "broken promise"):
        table.add_column(heading)
    noticed = 0
    with _progress(console) as progress, pool(asked.jobs) as workers:
        bar = progress.add_task("mutations", total=len(MUTATIONS))
        wanted = [(number, asked.schedules, asked.seed) for number in range(len(MUTATIONS))]
        found = {}
        for number, schedules, what in workers.imap_unordered(hunted, wanted):
            found[number] = (str(schedules or "–"), what)
            noticed += schedules is not None
            progress.update(bar, advance=1)
    for number, mutation in enumerate(MUTATIONS):
        table.add_row(mutation.name, mutation.what, *found[number])
    console.print(table)
    console.print(f"{noticed} of {len(MUTATIONS)} were noticed.")
    return 0 if noticed == len(MUTATIONS) else 1


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def _many(console: Console, asked: argparse.Namespace) -> int:
    stacks = [asked.stack] if asked.stack else list(STACKS)
    each = asked.schedules // len(stacks)
    wanted = [(stack, asked.seed + number) for number in range(each) for stack in stacks]
    counts: dict[str, Counter[str]] = {stack: Counter() for stack in stacks}
    examples: dict[tuple[str, str], list[int]] = defaultdict(list)
    requests, cpu_s, broken_schedules, began = 0, 0.0, 0, time.monotonic()
    with _progress(console) as progress, pool(asked.jobs) as workers:
        bar = progress.add_task("schedules", total=len(wanted))
        for stack, seed, broken, sent, spent_s in workers.imap_unordered(play, wanted, chunksize=4):
            requests, cpu_s = requests + sent, cpu_s + spent_s
            names = {name for name, _ in broken} & (
                {asked.only} if asked.only else {name for name, _ in broken}
            )
            broken_schedules += bool(names)
            for name in names:
                counts[stack][name] += 1
                examples[stack, name].append(seed)
            progress.update(bar, advance=1, description=f"schedules, {broken_schedules} broken")
        progress.update(bar, description="schedules")
        chosen = [
            (stack, name, seed)
            for (stack, name), seeds in sorted(examples.items())
            for seed in sorted(seeds)[: asked.shrink]
        ]
        bar = progress.add_task("shrinking", total=len(chosen))
        small = []
        for one in workers.imap(shrunk, chosen):
            small.append(one)
            progress.update(bar, advance=1)
    _show_counts(console, counts, each)
    wall_s = time.monotonic() - began
    console.print(
        f"{len(wanted)} schedules in {wall_s:.0f} s, {broken_schedules} of them broken; "
        f"{1000 * cpu_s / len(wanted):.0f} ms of CPU and {requests / len(wanted):.0f} requests each."
    )
    for one in small:
        console.print(
            f"\n[bold]{one['breaks']}[/bold]: {one['promise']}\n  {one['detail']}\n  {one['file']}",
            markup=True,
        )
        for step in one["steps"]:
            console.print(f"    {json.dumps(step)}", markup=False)
    return 1 if broken_schedules else 0


def _show_counts(console: Console, counts: dict[str, Counter[str]], each: int) -> None:
    from .promise import PROMISES

    table = Table(title=f"Broken schedules of {each} per stack", title_justify="left")
    table.add_column("promise")
    for stack in counts:
        table.add_column(stack, justify="right")
    for name, sentence in PROMISES.items():
        table.add_row(
            f"[bold]{name}[/bold]  {sentence}", *(str(counts[stack][name] or "–") for stack in counts)
        )
    console.print(table)


def _replay(console: Console, path: Path | None, show: str | None) -> int:
    from .schedule import Schedule, make
    from .story import tell

    if path:
        schedule = Schedule.load(path)
    else:
        stack, _, seed = str(show).partition(":")
        schedule = make(stack, int(seed))
    verdict = tell(schedule)
    short = _Names()
    console.print(schedule.told(), markup=False, soft_wrap=True)
    for line in verdict.trace:
        console.print(short(line), markup=False, soft_wrap=True)
    for one in verdict.broken:
        console.print(short(one.told()), style="bold red", markup=False, soft_wrap=True)
    if not verdict.broken:
        console.print("Every promise held.", style="green")
    return 1 if verdict.broken else 0


class _Names:
    """Makes SIDs short enough to be told apart at a glance: CH1, CH2, WT3."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def __call__(self, line: str) -> str:
        return re.sub(r"[A-Z]{2}[0-9a-f]{32}", self._short, line)

    def _short(self, match: re.Match[str]) -> str:
        sid = match.group()
        number = 1 + sum(known.startswith(sid[:2]) for known in self._known)
        return self._known.setdefault(sid, f"{sid[:2]}{number}")


if __name__ == "__main__":
    sys.exit(main())
