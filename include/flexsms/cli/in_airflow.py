"""`airflow flexsms setup | doctor | verify | suppress`: the commands of `flexsms` among Airflow's own."""

from __future__ import annotations

import argparse
import sys
from types import ModuleType

from airflow.cli.cli_config import ActionCommand, Arg, CLICommand, GroupCommand

from flexsms.cli import doctor, setup, suppress, verify

COMMANDS = {"setup": setup, "doctor": doctor, "verify": verify, "suppress": suppress}


class Options(Arg):
    """All options of a command, which gives them to the parser itself.

    :param command: its module
    """

    def __init__(self, command: ModuleType) -> None:
        self.flags = ("--conn-id",)  # Airflow sorts by it
        self._command = command

    def add_to_parser(self, parser: argparse.ArgumentParser) -> None:
        """Called by Airflow."""
        self._command.add_arguments(parser)


def get_commands() -> list[CLICommand]:
    """What provider_info names as `cli`."""
    commands = [_action(name, command) for name, command in COMMANDS.items()]
    return [GroupCommand(name="flexsms", help="Twilio Flex SMS conversations", subcommands=commands)]


def _action(name: str, command: ModuleType) -> ActionCommand:
    def run(args: argparse.Namespace) -> None:
        sys.exit(command.run(args))

    description = " ".join(command.DESCRIPTION.split())
    return ActionCommand(
        name=name,
        help=command.HELP.capitalize(),
        func=run,
        args=[Options(command)],
        description=description,
        epilog=command.EXAMPLES.replace("  flexsms ", "  airflow flexsms "),
    )
