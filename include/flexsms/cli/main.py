"""The command `flexsms`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import argcomplete  # which Airflow brings

import flexsms
from flexsms.cli import demo, doctor, sandbox, setup, suppress, verify

DESCRIPTION = "Run Twilio Flex SMS conversations from Apache Airflow: send, track, clean up."
EXAMPLES = """\
examples:
  flexsms demo                            see everything without an account
  flexsms setup --number +14155550100     say what is missing in an account
  flexsms doctor --number +14155550100    say what is wrong, and what to do
"""
COMMANDS = {
    "demo": demo,
    "sandbox": sandbox,
    "setup": setup,
    "doctor": doctor,
    "verify": verify,
    "suppress": suppress,
}
# Modules of the extra [sandbox].
EXTRA = ("httptools", "psutil", "requests", "uvicorn", "uvloop")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; returns the exit status."""
    root = parser()
    argcomplete.autocomplete(root)
    args = root.parse_args(argv)
    try:
        status: int = COMMANDS[args.command].run(args)
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        remedy = "install flexsms with its extra: pip install 'flexsms[sandbox]'"
        print(f"flexsms {args.command}: there is no {error.name}; {remedy}.", file=sys.stderr)
        return 2
    return status


def parser() -> argparse.ArgumentParser:
    """The command line of `flexsms`."""
    plain = argparse.RawDescriptionHelpFormatter
    root = argparse.ArgumentParser(
        prog="flexsms", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=plain
    )
    root.add_argument("--version", action="version", version=f"flexsms {flexsms.__version__}")
    commands = root.add_subparsers(dest="command", required=True, metavar=" | ".join(COMMANDS))
    for name, command in COMMANDS.items():
        command.add_arguments(
            commands.add_parser(
                name,
                help=command.HELP,
                description=command.DESCRIPTION,
                epilog=command.EXAMPLES,
                formatter_class=plain,
            )
        )
    return root
