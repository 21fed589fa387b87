"""The command `flexsms`."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from collections.abc import Sequence
from typing import Any

import flexsms
from flexsms.cli import doctor, setup, verify
from flexsms.demo import options as demo
from flexsms.sandbox import options as sandbox

DESCRIPTION = "Run Twilio Flex SMS conversations from Apache Airflow: send, track, clean up."
SETUP = """\
Says what flexsms needs in a Twilio account and is missing: a Sync service, an Event Streams sink with its
subscription, and, by the stack of the connection, the Flex Flows or the address configuration of a number. With
--write it creates that, and stores the SIDs in the extra of the Airflow connection. Without --write, nothing is
written. Run again, also after it was interrupted, it creates nothing a second time. What is not ours is named and
left. Exit status 1 when something is wrong or waits for you."""
DOCTOR = """\
Looks at an Airflow connection and the Twilio account behind it: credentials, products, numbers, Event Streams, the age
of the last event, clock, rate limits, and whether the events URL refuses what Twilio has not signed. A line each, with
what to do. Nothing is changed. Exit status 1 when anything is wrong."""
VERIFY = """\
Tries on the account of an Airflow connection what flexsms assumes of Twilio where nobody could tell: one small
experiment each, with things of its own that are removed behind it. It says what it costs before it begins. The table
tells what was assumed, what was found, and what follows; --json writes that for a bug report. Exit status 0 when all is
as assumed, 1 when something differs, 2 when nothing could be tried or something was left behind."""
DEMO = """\
Starts the local Twilio and a real Airflow on free ports, sends texts, tracks their tasks, cleans up, prints every
channel of the story before and after, and leaves Airflow open to look at. The same story is told on either generation
of Flex messaging; what has to come out is worked out from the local Twilio's own tables. Everything is kept below
AIRFLOW_HOME (.airflow in the current folder unless set); Ctrl-C leaves no process behind."""
SANDBOX = """\
Serves a stateful local Twilio: flex-api, conversations, chat, proxy, sync, taskrouter and events (with deliveries) at
the path /<original host>/…, and a control plane at /_sandbox/. Nothing leaves this machine. Where standard output is no
terminal, one line of JSON says how to connect."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; returns the exit status."""
    args = parser().parse_args(argv)
    if args.command == "demo":
        from flexsms.demo.main import run as run_demo

        return run_demo(args)
    if args.command == "setup":
        return setup.run(args)
    if args.command == "doctor":
        return doctor.run(args)
    if args.command == "verify":
        return verify.run(args)
    from flexsms.sandbox.server.main import run as run_sandbox

    for_people = sys.stdout.isatty()
    try:
        with contextlib.redirect_stdout(ReadyLine(sys.stdout)) if for_people else contextlib.nullcontext():
            return run_sandbox(args)
    except (OSError, ValueError) as error:  # a port that is taken, a seed that does not exist
        print(f"flexsms sandbox: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """The command line of `flexsms`."""
    root = argparse.ArgumentParser(prog="flexsms", description=DESCRIPTION)
    root.add_argument("--version", action="version", version=f"flexsms {flexsms.__version__}")
    commands = root.add_subparsers(
        dest="command", required=True, metavar="demo | sandbox | setup | doctor | verify"
    )
    plain = argparse.RawDescriptionHelpFormatter
    demo.add_arguments(
        commands.add_parser(
            "demo",
            help="the three jobs in a real Airflow, as a story",
            description=DEMO,
            formatter_class=plain,
        )
    )
    sandbox.add_arguments(
        commands.add_parser("sandbox", help="a local Twilio", description=SANDBOX, formatter_class=plain)
    )
    setup.add_arguments(
        commands.add_parser(
            "setup",
            help="make what is missing in a Twilio account",
            description=SETUP,
            formatter_class=plain,
        )
    )
    doctor.add_arguments(
        commands.add_parser(
            "doctor", help="say what is wrong, and what to do", description=DOCTOR, formatter_class=plain
        )
    )
    verify.add_arguments(
        commands.add_parser(
            "verify",
            help="try what is assumed of Twilio on your account",
            description=VERIFY,
            formatter_class=plain,
        )
    )
    return root


class ReadyLine(io.TextIOBase):
    """Stands in for standard output while the sandbox serves: its one JSON line becomes sentences for a person.

    :param out: where the sentences go
    """

    def __init__(self, out: Any) -> None:
        self._out = out

    def write(self, text: str) -> int:
        self._out.write(how_to_connect(json.loads(text)))
        self._out.flush()
        return len(text)


def how_to_connect(ready: dict[str, Any]) -> str:
    """What a person has to know to use a sandbox.

    :param ready: the line that the sandbox prints when it listens
    """
    from flexsms.demo.main import connection

    current, former = demo.STACKS
    base_url, settings = ready["base_url"], ready["settings"]
    numbers = dict(settings["numbers"])
    ours = connection({**settings, "base_url": base_url}, current)
    return f"""\
The local Twilio is listening.

  base URL     {base_url}
  account      {settings["account_sid"]}
  auth token   {settings["auth_token"]}
  numbers      {numbers.pop(current)} of stack {current}, {" and ".join(numbers.values())} of stack {former}
  control      {base_url}/_sandbox/health

For Airflow, as the connection twilio_default (its "stack" may also be "{former}"):

export AIRFLOW_CONN_TWILIO_DEFAULT='{json.dumps(ours)}'

Ctrl-C ends it.
"""
