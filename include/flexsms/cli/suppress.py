"""`flexsms suppress`: who has opted out."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from rich.console import Console

from flexsms.cli.connections import add_conn_id, conn_id_of, in_airflow, told
from flexsms.core.exceptions import FlexSmsError
from flexsms.core.opt_out import OptOut, Why
from flexsms.core.phone_numbers import parse_number
from flexsms.core.redaction import mask_number
from flexsms.core.task_events import from_ms

if TYPE_CHECKING:
    from flexsms.hooks.twilio import TwilioHook
    from flexsms.recipients.opted_out import OptedOutRow
    from flexsms.twilio.account import Account

HELP = "say who has opted out of texts; import, export, add and lift opt-outs"
DESCRIPTION = """\
Customers who have opted out get no text.

  check NUMBER   says since when a number is out, and why; ends with 1 if it is
  add NUMBER     opts a number out
  lift NUMBER    opts a number in again, if its owner wants that
  import FILE    opts out all numbers of a .txt with a number per line, or of a
                 .csv or .jsonl with a column number, and perhaps a column at,
                 which says when in ISO 8601
  export         prints when and why, by digest. The numbers cannot come back:
                 flexsms does not store them

add, lift and import write only with --write, and say first what they would do.
What is imported twice changes nothing. A later word of the customer counts more
than an earlier one."""
EXAMPLES = """\
examples:
  flexsms suppress check +14155550199
  flexsms suppress import opted-out.csv
  flexsms suppress import opted-out.csv --write
  flexsms suppress lift +14155550199 --write
  flexsms suppress export --json
"""
NAMED_PROBLEMS = 20
TOLD_EVERY = 100
WHAT = {"import": "FILE", "check": "NUMBER", "add": "NUMBER", "lift": "NUMBER"}

T = TypeVar("T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `flexsms suppress`."""
    parser.add_argument("action", choices=["check", "add", "lift", "import", "export"])
    parser.add_argument("what", nargs="?", default="", metavar="NUMBER|FILE", help="E.164, or a path")
    add_conn_id(parser)
    parser.add_argument("--write", action="store_true", help="do it; without it, nothing is written")
    parser.add_argument("--json", action="store_true", help="print JSON")


@dataclass(slots=True)
class Imported:
    """What became of a file.

    :param numbers: rows with a number
    :param changed: numbers that were not out before
    :param undated: rows of these whose time cannot be read; they count as of now
    :param left_out: rows whose number cannot be read
    :param problems: of the first rows that cannot be read
    """

    numbers: int = 0
    changed: int = 0
    undated: int = 0
    left_out: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, row: OptedOutRow) -> None:
        """Count a row. Who has opted out at a time that cannot be read has opted out all the same."""
        self.numbers += bool(row.number)
        self.undated += bool(row.number and row.problem)
        self.left_out += not row.number
        if row.problem and len(self.problems) < NAMED_PROBLEMS:
            self.problems.append(row.problem)

    def sentences(self, *, written: bool) -> str:
        """The sum, and what is wrong, a line each."""
        if written:
            known = self.numbers - self.changed
            lines = [f"Opted out now: {_many(self.changed, 'number')}. As before: {known:,}."]
        else:
            numbers = _many(self.numbers, "number")
            lines = [f"{numbers}. Nothing was written. Run it with --write to opt out whom it names."]
        if self.undated:
            lines.append(f"Opted out as of now, for the time cannot be read: {_many(self.undated, 'row')}.")
        if self.left_out:
            lines.append(f"Left out: {_many(self.left_out, 'row')}.")
        lines += self.problems
        if untold := self.undated + self.left_out - len(self.problems):
            lines.append(f"… and {untold:,} more.")
        return "\n".join(lines)


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def run(args: argparse.Namespace) -> int:
    """Do what is asked.

    :returns: 1 when a number has opted out, a row could not be read or something is wrong, else 0
    """
    wanted, out = WHAT.get(args.action, ""), sys.stdout
    if bool(args.what) != bool(wanted):
        print(f"flexsms suppress {args.action}: give {wanted or 'nothing else'}.", file=sys.stderr)
        return 2
    try:
        if args.action == "export":
            return _export(args, out)
        return _import(args) if args.action == "import" else _one(args)
    except FlexSmsError as error:
        print(f"flexsms suppress: {told(error)}", file=sys.stderr)
        return 1


def _one(args: argparse.Namespace) -> int:
    number, wants = parse_number("NUMBER", args.what), {"add": True, "lift": False}.get(args.action)

    async def work(account: Account) -> tuple[OptOut | None, OptOut | None]:
        suppressions = account.suppressions()
        before = await suppressions.find(number)
        if wants is None or not args.write or wants is bool(before and before.out):
            return before, before
        # Twilio's clock is known by the second; what a person says now is later than what was known.
        at = max(account.theirs(), from_ms(before.at_ms + 1) if before else account.theirs())
        await suppressions.learn(number, out=wants, at=at, why=Why.MANUAL)
        return before, await suppressions.find(number)

    before, after = _asking(args, work)
    is_out = bool(after and after.out)
    if args.json:
        print(json.dumps({"number": mask_number(number), **_told(after)}, indent=2))
    else:
        print(_sentence(number, before, after, wants, write=args.write))
    return int(is_out) if wants is None else int(args.write and is_out is not wants)


def _sentence(
    number: str, before: OptOut | None, after: OptOut | None, wants: bool | None, *, write: bool
) -> str:
    masked = mask_number(number)
    now = f"{masked} has not opted out."
    if after and after.out:
        now = f"{masked} has opted out since {after.since}: {after.why.phrase}."
    elif after:
        now = f"{masked} is in again since {after.since}: {after.why.phrase}."
    if wants is None or wants is bool(before and before.out):
        return now
    if not write:
        does = "opt it out" if wants else "opt it in again"
        return f"{now} Nothing was written. Run it with --write to {does}."
    blocked = "" if wants else " If the customer has sent STOP, Twilio blocks texts until they send START."
    return f"{now}{blocked}"


def _import(args: argparse.Namespace) -> int:
    from flexsms.twilio.client import clock

    imported = Imported()
    with Console(stderr=True).status("Loading Airflow") as status, in_airflow():
        from flexsms.recipients.opted_out import opted_out_rows

        path = args.what if "://" in args.what else str(Path(args.what).resolve())

        def rows() -> Iterator[OptedOutRow]:
            for row in opted_out_rows(path, clock.utc_now()):
                if row.row % TOLD_EVERY == 0:
                    status.update(f"Reading row {row.row:,}")
                imported.add(row)
                if row.number:
                    yield row

        if args.write:
            _hook(args).run(lambda account: _store(account, rows(), imported))
        else:
            deque(rows(), maxlen=0)
    if args.json:
        print(json.dumps({**asdict(imported), "written": args.write}, indent=2))
    else:
        print(imported.sentences(written=args.write))
    return 1 if imported.problems else 0


async def _store(account: Account, rows: Iterator[OptedOutRow], imported: Imported) -> None:
    from flexsms.twilio.client.concurrency import for_each

    suppressions, number_digest = account.suppressions(), await account.number_digest()
    # One call per 100 numbers, and not one for each: a list is mostly known already, or mostly new.
    out = {
        bytes.fromhex(digest)
        async for digest, known in suppressions.entries()
        if known is not None and known.out
    }

    async def learn(row: OptedOutRow) -> None:
        digest = bytes.fromhex(number_digest.of(row.number))
        if digest not in out:
            at = row.at or account.theirs()
            if await suppressions.learn(row.number, out=True, at=at, why=Why.IMPORT):
                imported.changed += 1
                out.add(digest)

    await for_each(rows, learn, at_once=account.settings.max_in_flight)


def _export(args: argparse.Namespace, out: IO[str]) -> int:
    """A line per number, while they are read."""
    lines = csv.DictWriter(out, ["digest", "opted_out", "since", "why"], lineterminator="\n")

    async def work(account: Account) -> int:
        total = 0
        async with aclosing(account.suppressions().entries()) as entries:
            async for digest, known in entries:
                if not total:
                    begin()
                line = {"digest": digest, **_told(known, unreadable=known is None)}
                out.write(f"{json.dumps(line)}\n") if args.json else lines.writerow(line)
                total += 1
        return total

    def begin() -> None:
        # Not before something is known, for what fails prints nothing.
        if not args.json:
            lines.writeheader()

    with in_airflow():
        total = _hook(args).run(work)
    if not total:
        begin()
    print(f"{_many(total, 'number')}, by digest: the numbers themselves are not stored.", file=sys.stderr)
    return 0


def _asking(args: argparse.Namespace, work: Callable[[Account], Awaitable[T]]) -> T:
    # Nothing is shown where standard error is no terminal.
    with Console(stderr=True).status("Asking Twilio"), in_airflow():
        return _hook(args).run(work)


def _hook(args: argparse.Namespace) -> TwilioHook:
    from flexsms.hooks.twilio import TwilioHook

    return TwilioHook(conn_id_of(args))


def _told(known: OptOut | None, *, unreadable: bool = False) -> dict[str, Any]:
    """What is known, for JSON and CSV. What cannot be read counts as opted out."""
    return {
        "opted_out": unreadable or bool(known and known.out),
        "since": from_ms(known.at_ms).isoformat() if known else None,
        "why": str(known.why) if known else None,
    }
