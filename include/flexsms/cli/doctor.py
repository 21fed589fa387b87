"""`flexsms doctor`: what is wrong with a connection and its account, a line each."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flexsms.cli.connections import add_conn_id, conn_id_of, in_airflow, told
from flexsms.core.checks import Arrivals, Failed, Finding, Verdict, total
from flexsms.core.exceptions import FlexSmsError, MissingSetting
from flexsms.core.setup_report import STREAM_NAME

if TYPE_CHECKING:
    from flexsms.twilio.account import Account

HELP = "say what is wrong with an account, and what to do; change nothing"
DESCRIPTION = """\
Looks at an Airflow connection and the Twilio account behind it: credentials,
products, numbers, Event Streams, the age of the last event, notifications,
clock and rate limits, and whether the events URL refuses what Twilio has not
signed. It prints a line for each, with what to do, and changes nothing. It
ends with 1 when something is wrong."""
EXAMPLES = """\
examples:
  flexsms doctor
  flexsms doctor --number +14155550100
  flexsms doctor --conn-id twilio_other --json
"""
MARKS = {
    Verdict.OK: ("✓", "green"),
    Verdict.NOTE: ("–", "dim"),
    Verdict.WRONG: ("✗", "bold red"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `flexsms doctor`."""
    add_conn_id(parser)
    parser.add_argument("--number", default="", help="a Twilio number that has to be set up, E.164")
    parser.add_argument(
        "--stream-name", default=STREAM_NAME, help="the description of our sink, as given to flexsms setup"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    """Examine and show.

    :returns: 1 when anything is wrong, else 0
    """
    # Nothing is shown where standard error is no terminal.
    with Console(stderr=True).status("Loading Airflow") as status, in_airflow():
        findings = examine(
            conn_id_of(args),
            number=args.number,
            stream_name=args.stream_name,
            tell=lambda about: status.update(f"Checking: {about}"),
        )
    if args.json:
        print(
            json.dumps({"total": total(findings), "findings": [_as_json(one) for one in findings]}, indent=2)
        )
    else:
        _show(findings)
    return 1 if any(one.verdict is Verdict.WRONG for one in findings) else 0


def examine(
    conn_id: str,
    *,
    number: str = "",
    stream_name: str = STREAM_NAME,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Finding]:
    """The connection, and all behind it.

    :param number: see :class:`flexsms.twilio.doctor.account.Doctor`
    :param tell: called with the name of each check when it begins
    """
    from flexsms.hooks.twilio import TwilioHook
    from flexsms.twilio.doctor.account import Doctor

    async def work(account: Account) -> list[Finding]:
        async def arrivals() -> Arrivals:
            return await _arrivals(account)

        doctor = Doctor(account, number=number, stream_name=stream_name, arrivals=arrivals, tell=tell)
        return [*await doctor.examine(), *await _kinesis(account)]

    hook = TwilioHook(conn_id)
    misspelt: list[Finding] = []
    try:
        misspelt = [Finding("Extra", Verdict.WRONG, " ".join(told)) for told in [hook.misspelt()] if told]
        stack = hook.settings.stack
        found = hook.run(work)
    except FlexSmsError as error:
        return [Finding("Connection", Verdict.WRONG, told(error)), *misspelt]
    return [Finding("Connection", Verdict.OK, f"{conn_id}, stack {stack}"), *misspelt, *found]


async def _arrivals(account: Account) -> Arrivals:
    """What has come to the inbox."""
    from flexsms.sources.object_storage import NEW, REJECTED, ObjectStorageInbox, moment_of

    try:
        keys = [key.rpartition("/") for key in await ObjectStorageInbox(account.settings.inbox_path).kept("")]
        good = [moment_of(name) for folder, _, name in keys if folder != REJECTED]
        rejected = [moment_of(name) for folder, _, name in keys if folder == REJECTED]
        unread = [moment_of(name) for folder, _, name in keys if folder == NEW]
        return Arrivals(
            last=max(good, default=None),
            rejected=len(rejected),
            last_rejected=max(rejected, default=None),
            unread=len(unread),
            first_unread=min(unread, default=None),
        )
    except MissingSetting:
        raise
    except Exception as error:  # whatever the store raises
        raise MissingSetting(
            "inbox_path", f"cannot be read ({type(error).__name__})", "check the path and who may read it"
        ) from error


async def _kinesis(account: Account) -> list[Finding]:
    """The stream of source ``kinesis``, if there is one: by every call that reading it takes."""
    from flexsms.sources.kinesis_stream import KinesisStream

    settings = account.settings
    if not settings.kinesis_stream:
        return []
    stream = KinesisStream(settings.kinesis_conn_id, settings.kinesis_stream)
    try:
        await stream.created()
        shards = await stream.shards()
        await stream.records(await stream.iterator(shards[-1], None), 1)
    except FlexSmsError as error:
        return [Finding("Kinesis", Verdict.WRONG, str(error))]
    return [Finding("Kinesis", Verdict.OK, f"{settings.kinesis_stream} can be read; shards: {len(shards)}")]


def _as_json(finding: Finding) -> dict[str, str]:
    return {"about": finding.about, "verdict": finding.verdict, "text": _with_call(finding)}


def _with_call(finding: Finding) -> str:
    """What to do comes first: the call that failed is for the log of Twilio, and long."""
    call = finding.call if isinstance(finding, Failed) else ""
    return f"{finding.text} ({call})" if call else finding.text


def _show(findings: Sequence[Finding]) -> None:
    console = Console(highlight=False)
    if console.is_terminal:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, style="bold")
        table.add_column(overflow="fold")
        for one in findings:
            table.add_row(Text(*MARKS[one.verdict]), one.about, Text(_with_call(one)))
        console.print(table)
    else:
        width = max(len(one.about) for one in findings)
        for one in findings:
            print(f"{one.verdict:<5}  {one.about.ljust(width)}  {_with_call(one)}")
    print(f"\n{total(findings).capitalize()}.")
