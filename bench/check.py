"""How fast a list of recipients is checked, and in how much memory: ``python -m bench.check`` is the process measured.

Of a list that is a thousand times as long, the process takes a little more memory: caches fill up, and a database on
disk has its pages. Twilio is not asked for anything, so what is measured is the check alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console, Group

from bench.figures import Spread, Target
from bench.memory import peak_mb
from bench.report import columns, targets_table

SENDER = "+14155550100"
# Mobile numbers of four countries; those of +1208 are in two time zones.
RANGES = ("+1415{:07}", "+1208{:07}", "+1212{:07}", "+49151{:08}", "+4477{:08}", "+3361{:07}")
FIRST = 2_000_000


@dataclass(frozen=True, slots=True)
class Lists:
    """How long the lists are.

    :param rounds: how often each is checked
    """

    short: int = 1_000
    long: int = 1_000_000
    rounds: int = 1


QUICK = Lists(long=50_000)


@dataclass(frozen=True, slots=True)
class Checking:
    """What the process reported.

    :param texts: rows that are texted
    :param cpu_s: CPU seconds of the check, imports left out
    :param peak_mb: the most that was resident at any time, MiB, the interpreter and Airflow included
    """

    rows: int
    texts: int
    batches: int
    cpu_s: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Findings:
    """What came of it."""

    short: Sequence[Checking]
    long: Sequence[Checking]

    @property
    def targets(self) -> list[Target]:
        """Fast, and in memory that hardly grows."""
        speed = Spread.of(one.rows / one.cpu_s for one in self.long)
        growth = Spread.of(
            long.peak_mb - short.peak_mb for short, long in zip(self.short, self.long, strict=True)
        )
        rows = f"{self.long[0].rows:,} rows"
        return [
            Target(f"check of {rows}", speed, 10_000, at_least=True, unit=" rows/s of a core", form=",.0f"),
            Target(
                f"memory for {rows}, above that for few", growth, 100, at_least=False, unit=" MB", form=".0f"
            ),
        ]

    def to_json(self) -> dict[str, Any]:
        """All rounds, and the targets."""
        return {
            "short": [asdict(one) for one in self.short],
            "long": [asdict(one) for one in self.long],
            "targets": [target.to_json() for target in self.targets],
        }


def run(lists: Lists, say: Callable[[str], None]) -> Findings:
    """Check both lists in turn, each in a fresh process.

    :param say: told how far it has come
    """
    found: dict[int, list[Checking]] = {lists.short: [], lists.long: []}
    for _ in range(lists.rounds):
        for rows, checkings in found.items():
            say(f"checking a list of {rows:,} rows")
            checkings.append(_checking(rows))
    return Findings(found[lists.short], found[lists.long])


def show_checking(console: Console, findings: Findings) -> None:
    """How long it took, and the targets."""
    title = "A list of recipients, each in a fresh process"
    table = columns(title, "rows", "texts", "batches", "CPU seconds", "peak MB")
    for one in (*findings.short, *findings.long):
        table.add_row(
            f"{one.rows:,}", f"{one.texts:,}", f"{one.batches:,}", f"{one.cpu_s:.2f}", f"{one.peak_mb:.1f}"
        )
    console.print(Group(table, targets_table(findings.targets)))


def _checking(rows: int) -> Checking:
    with TemporaryDirectory() as folder:
        path = Path(folder, "list.csv")
        _write_list(path, rows)
        done = subprocess.run(
            [sys.executable, "-m", "bench.check", str(path)], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise RuntimeError(f"the measured process failed: {done.stderr.strip()[-2000:]}")
    return Checking(**json.loads(done.stdout.splitlines()[-1]))


def _write_list(path: Path, rows: int) -> None:
    """A list as they are: most rows are fine, one of a hundred has a number twice, another one has none."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("to_number,to_name,first_name,day,zone\r\n")
        for row in range(rows):
            form = RANGES[row % len(RANGES)]
            number = form.format(FIRST + row // len(RANGES))
            if row % 100 == 1:
                number = form.format(FIRST)
            elif row % 100 == 2:
                number = "unknown"
            name = "Zoë" if row % 20 == 0 else "Ada"
            file.write(f'{number},"{name}, {row}",{name},2026-03-{row % 28 + 1:02},\r\n')


def main() -> None:
    """Check the list whose path is given, and print the figures."""
    from flexsms.core.message_fields import MessageFields
    from flexsms.core.number_digest import NumberDigest
    from flexsms.core.recipient import check_columns
    from flexsms.core.sending_hours import SendingHours, zones_of
    from flexsms.core.zone_groups import in_order
    from flexsms.recipients.check import COLUMNS, ListCheck, Order
    from flexsms.recipients.check_file import write_check
    from flexsms.recipients.files import file_rows
    from flexsms.recipients.folder import LEFT_OUT, BroadcastFolder
    from flexsms.recipients.spool import Spool
    from flexsms.recipients.work_list import MOST_BATCHES, write_work_list

    path = Path(sys.argv[1])
    zones_of(SENDER)  # imports the world's numbers
    began = time.process_time()
    body = MessageFields.parse(
        "Hello {first_name}, your appointment is on {day} at 10:00. Answer 1 to confirm it, or call us."
    )
    order = Order(body, (SENDER,), SendingHours.parse(), datetime(2026, 3, 2, 17, tzinfo=UTC))
    folder = BroadcastFolder((path.parent / "broadcast").as_uri())
    with Spool() as spool:
        with (
            folder.write(LEFT_OUT) as left_out,
            write_check(folder, COLUMNS) as report,
        ):
            check = ListCheck(
                order, spool=spool, digest=NumberDigest(b"k" * 32), left_out=left_out, report=report
            )
            rows = file_rows(path.as_uri(), lambda columns: check_columns(columns, body))
            checked = check.run(rows)
        groups = in_order(checked.texts, order.hours, since=order.since, most=MOST_BATCHES // 2)
        batches, _ = write_work_list(folder, spool, checked, groups, most=MOST_BATCHES)
    cpu_s = time.process_time() - began
    texts = checked.texts.total()
    print(json.dumps(asdict(Checking(checked.rows, texts, len(batches), cpu_s, peak_mb()))))


if __name__ == "__main__":
    main()
