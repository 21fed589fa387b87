"""`flexsms setup`: make what flexsms needs in a Twilio account."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from flexsms.cli.connections import add_conn_id, conn_id_of, in_airflow, store_extra, told
from flexsms.core.exceptions import FlexSmsError, InvalidInput
from flexsms.core.setup_report import STREAM_NAME, Row, RowState, table

if TYPE_CHECKING:
    from flexsms.twilio.setup.run import SetupReport

HELP = "create what is missing in a Twilio account; without --write, only say it"
DESCRIPTION = """\
Says what flexsms needs in a Twilio account and does not find there: a Sync
service, an Event Streams sink with its subscription, and, by the stack of the
connection, the Flex Flows or the address configuration of a number. With
--write it creates that, and stores the SIDs in the Airflow connection. Without
--write, nothing is written. Run it as often as you like: it creates nothing
twice, and names and leaves what is not its own. It ends with 1 when something
is wrong or waits for you."""
EXAMPLES = """\
examples:
  flexsms setup --number +14155550100
  flexsms setup --number +14155550100 --write
  flexsms setup --events-url https://airflow.example.com/flexsms/events --write
"""
COLOURS = {
    RowState.EXISTS: "green",
    RowState.MADE: "bold green",
    RowState.CHANGED: "bold green",
    RowState.WAITS: "bold red",
    RowState.LEFT: "yellow",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `flexsms setup`."""
    on_off = argparse.BooleanOptionalAction
    add_conn_id(parser)
    parser.add_argument(
        "--number", default="", help="your Twilio number, E.164; without it, no number is set up"
    )
    parser.add_argument(
        "--events-url", default="", help="where Twilio posts events; without it, an existing sink stays"
    )
    parser.add_argument(
        "--kinesis",
        default="",
        metavar="JSON",
        help='a Kinesis sink instead: {"arn": …, "role_arn": …, "external_id": …}',
    )
    parser.add_argument(
        "--test-id", default="", help="data.test_id of the sink's test event, if a run has asked for it"
    )
    parser.add_argument(
        "--stream-name",
        default=STREAM_NAME,
        help="the description of our sink; every Airflow that shares the account needs its own (default: %(default)s)",
    )
    parser.add_argument(
        "--studio-flow-sid",
        default="",
        help="FW… of the Studio flow that answers customers (default: the connection's)",
    )
    parser.add_argument(
        "--workflow-sid",
        default="",
        help="WW…, stack chat: routes the tasks of texts that flexsms sends (default: the connection's)",
    )
    parser.add_argument(
        "--long-lived", action=on_off, default=True, help="stack chat: channels stay open after their task"
    )
    parser.add_argument(
        "--janitor",
        action=on_off,
        default=True,
        help="stack chat: Flex closes the session of a task that was deleted outside the Flex UI",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="also change flows and addresses that lead elsewhere"
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="create what is missing, and store the extra in the Airflow connection; without it, nothing is written",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(args: argparse.Namespace) -> int:
    """Set up and show the table.

    :returns: 0 when all went well, 1 when something is wrong or waits for somebody
    """
    try:
        # Nothing is shown where standard error is no terminal.
        with Console(stderr=True).status("Asking Twilio"), in_airflow():
            conn_id = conn_id_of(args)
            report, lacking = _set_up(conn_id, args)
        (_show_json if args.json else _show)(report, conn_id, lacking)
        if args.write and lacking:
            with in_airflow():
                store_extra(conn_id, lacking)
            if not args.json:
                print(f"Stored in the Airflow connection '{conn_id}'.")
    except FlexSmsError as error:
        print(f"flexsms setup: {told(error)}", file=sys.stderr)
        return 1
    return 1 if report.waiting else 0


def _set_up(conn_id: str, args: argparse.Namespace) -> tuple[SetupReport, Mapping[str, str]]:
    """The report, and what of its extra the connection lacks."""
    from flexsms.hooks.twilio import TwilioHook
    from flexsms.twilio.setup.run import Wishes, set_up

    wishes = Wishes(
        number=args.number,
        events_url=args.events_url,
        kinesis=_kinesis(args.kinesis),
        test_id=args.test_id,
        stream_name=args.stream_name,
        studio_flow_sid=args.studio_flow_sid,
        workflow_sid=args.workflow_sid,
        long_lived=args.long_lived,
        janitor=args.janitor,
        overwrite=args.overwrite,
        dry_run=not args.write,
    )
    hook = TwilioHook(conn_id)
    report = hook.run(lambda account: set_up(account, wishes))
    return report, report.lacking(hook.settings)


def _kinesis(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InvalidInput("kinesis", "is not an object", "give arn, role_arn and external_id as JSON")
    return found


def _show_json(report: SetupReport, _conn_id: str, lacking: Mapping[str, str]) -> None:
    print(json.dumps({**report.to_json(), "lacking": lacking}, indent=2))


def _show(report: SetupReport, conn_id: str, lacking: Mapping[str, str]) -> None:
    _show_rows(report.rows)
    print(f"\n{report.warning}\n" if report.warning else "")
    if lacking:
        print(
            f"Add this to the extra of the Airflow connection '{conn_id}':\n{json.dumps(lacking, indent=2)}\n"
        )
    else:
        print(f"The Airflow connection '{conn_id}' has all of it.")
    if report.dry_run:
        todo = " Run it with --write to do this." if report.would_change or lacking else ""
        print(f"Dry run: nothing was written.{todo}")


def _show_rows(rows: Sequence[Row]) -> None:
    """A note has a line of its own at a terminal, which breaks no SID and no URL of it."""
    console = Console(highlight=False)
    if not console.is_terminal:
        print(table(rows))
        return
    width = max(len(row.what) for row in rows)
    states = max(len(row.state) for row in rows)
    for row in rows:
        state = Text(row.state.ljust(states), COLOURS.get(row.state, ""))
        line = Text.assemble((row.what.ljust(width), "bold"), "  ", state, "  ", row.sid)
        console.print(line, soft_wrap=True)
        if row.note:
            console.print(Text(f"    {row.note}", "dim"), soft_wrap=True)
