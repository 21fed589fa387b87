"""`flexsms verify`: what flexsms assumes of Twilio, tried on a real account."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flexsms import __version__
from flexsms.cli.connections import add_conn_id, conn_id_of, in_airflow, told
from flexsms.core.assumptions import ASSUMPTIONS
from flexsms.core.exceptions import FlexSmsError, PermanentError
from flexsms.core.redaction import mask_number
from flexsms.core.stack_name import StackName
from flexsms.core.verify import Finding, Outcome, as_json, exit_status

if TYPE_CHECKING:
    from flexsms.hooks.twilio import TwilioHook
    from flexsms.twilio.account import Account
    from flexsms.twilio.verify.own import Own, Patience, Wishes

HELP = "try on your account what flexsms assumes of Twilio"
DESCRIPTION = """\
Tries on the account of an Airflow connection what flexsms assumes of Twilio
where its documentation is silent: one small experiment each, with things of
its own, which it removes at the end. It says what it costs before it begins.
The table says what was assumed, what was found, and what follows. It ends with
0 when all is as assumed, with 1 when something differs, with 2 when nothing
could be tried or something was left behind."""
EXAMPLES = """\
examples:
  flexsms verify --list
  flexsms verify --number +14155550100
  flexsms verify --number +14155550100 --handset +14155550142 --json found.json
"""
COLOURS = {Outcome.AS_ASSUMED: "green", Outcome.DIFFERS: "bold red", Outcome.NOT_TRIED: "yellow"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `flexsms verify`."""
    add_conn_id(parser)
    parser.add_argument("--number", default="", help="your Twilio number to try with, E.164")
    parser.add_argument(
        "--handset", default="", help="a handset in your hand, E.164, whose number is in no conversation"
    )
    parser.add_argument("--worker", default="", metavar="WK…", help="an agent who knows about it")
    parser.add_argument(
        "--stack",
        default="",
        choices=list(StackName),
        help="try this one only (default: what the account has)",
    )
    parser.add_argument(
        "--json", default="", metavar="FILE", help="write the findings, without personal data"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before anything is created")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="try this assumption only; may be repeated",
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=180,
        metavar="SECONDS",
        help="how long to wait for a person who was asked for help (default: %(default)s)",
    )
    parser.add_argument("--list", action="store_true", help="only list the assumptions")


def run(args: argparse.Namespace) -> int:
    """Make the experiments and show what was found.

    :returns: 0 all as assumed, 1 something differs, 2 nothing could be tried, or something was left behind
    """
    if args.list:
        for one in ASSUMPTIONS.values():
            print(
                f"{one.name}\n    {one.about}: {one.question}\n    assumed: {one.assumed}\n    {one.source}"
            )
        return 0
    try:
        return _run(args)
    except FlexSmsError as error:
        print(f"flexsms verify: {told(error)}", file=sys.stderr)
        return 2


def _run(args: argparse.Namespace) -> int:
    with in_airflow():
        from flexsms.hooks.twilio import TwilioHook
        from flexsms.twilio.verify.own import Patience, Wishes
        from flexsms.twilio.verify.run import price

        wishes = Wishes.parse(
            number=args.number,
            handset=args.handset,
            worker_sid=args.worker,
            stack=args.stack,
            only=args.only,
        )
        hook = TwilioHook(conn_id_of(args))
        told = price(hook.settings, wishes).told()
    if not args.yes and not _agrees(wishes, told):
        print("Nothing was created.")
        return 2
    trial = Trial(hook, wishes, Patience(person=timedelta(seconds=args.wait)))
    with in_airflow():
        trial.run()
    _show(trial.findings)
    for one in trial.left:
        print(f"Left behind, remove it yourself: {one}")
    if args.json:
        _write(Path(args.json), trial)
    if trial.was_interrupted:
        print("Interrupted: what is not in the table was not tried.", file=sys.stderr)
        return 2
    return exit_status(trial.findings, trial.left)


class Trial:
    """One run of the experiments, which may be interrupted: what was found by then stays.

    :param hook: leads to the account
    """

    def __init__(self, hook: TwilioHook, wishes: Wishes, patience: Patience) -> None:
        self.findings: list[Finding] = []
        self.was_interrupted = False
        self._hook = hook
        self._wishes = wishes
        self._patience = patience
        self._own: Own | None = None

    @property
    def left(self) -> Sequence[str]:
        """What is still on the account."""
        return self._own.named_left() if self._own else []

    @property
    def sids(self) -> Collection[str]:
        """Of what was made."""
        return self._own.sids if self._own else ()

    def run(self) -> None:
        """Make them."""
        from flexsms.twilio.verify.own import Own
        from flexsms.twilio.verify.run import run

        async def work(account: Account) -> None:
            self._own = Own(account, self._wishes, person=_ask, patience=self._patience)
            await run(self._own, self._add)

        try:
            self._hook.run(work)
        except KeyboardInterrupt:
            self.was_interrupted = True

    def _add(self, finding: Finding) -> None:
        self.findings.append(finding)
        print(f"{finding.outcome}: {finding.assumption.name}", file=sys.stderr)


def _agrees(wishes: Wishes, told: str) -> bool:
    """Whether the person wants it, knowing what it costs."""
    if not sys.stdin.isatty():
        raise PermanentError(f"{told} Give --yes to agree.")
    ends = f" From {mask_number(wishes.number)} to {mask_number(wishes.handset)}." if wishes.handset else ""
    print(f"{told}{ends} It removes what it creates.")
    return input("Go on? [y/N] ").strip().lower() in ("y", "yes")


def _ask(request: str) -> None:
    print(f"\n>>> {request}\n", file=sys.stderr)


def _write(path: Path, trial: Trial) -> None:
    told = {
        "flexsms": __version__,
        "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        **as_json(trial.findings, trial.left, trial.sids),
    }
    try:
        path.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise PermanentError(f"--json: {path} cannot be written ({error.strerror}).") from error
    print(f"Written to {path}, without numbers and without SIDs of your customers' conversations.")


def _show(findings: Sequence[Finding]) -> None:
    """All findings, by product."""
    order = list(ASSUMPTIONS)
    found = sorted(findings, key=lambda one: order.index(one.assumption.name))
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(_table(found))
    else:
        for one in found:
            print(_line(one))
    counts = Counter(one.outcome for one in found)
    print("\n" + ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome) + ".")


def _table(findings: Sequence[Finding]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    for name, ratio in (("assumption", 9), ("assumed", 5), ("found", 5), ("what follows", 8)):
        table.add_column(name, ratio=ratio, overflow="fold")
    product = ""
    for one in findings:
        about = one.assumption
        if about.about != product:
            product = about.about
            table.add_row()
            table.add_row(Text(product, "bold"))
        named = Text.assemble(about.name, (f"\n{about.question}", "dim"))
        found = Text(one.found or str(one.outcome), COLOURS[one.outcome])
        table.add_row(named, about.assumed, found, Text(one.follows))
    return table


def _line(one: Finding) -> str:
    about = one.assumption
    told = [f"{one.outcome:<10}  {about.name}: {about.question}", f"assumed: {about.assumed}"]
    told += [f"found: {one.found}"] if one.found else []
    return "; ".join([*told, *([one.follows] if one.follows else [])])
