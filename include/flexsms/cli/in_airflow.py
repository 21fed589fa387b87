"""`airflow flexsms setup | doctor | verify`: the commands of `flexsms` among Airflow's own."""

from __future__ import annotations

import argparse
import sys
from types import ModuleType

from airflow.cli.cli_config import ActionCommand, Arg, CLICommand, GroupCommand

from flexsms.cli import doctor, setup, verify

COMMANDS = {
    "setup": (setup, "Make what is missing in a Twilio account"),
    "doctor": (doctor, "Say what is wrong, and what to do"),
    "verify": (verify, "Try what is assumed of Twilio on your account"),
}


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
    commands = [_action(name, command, text) for name, (command, text) in COMMANDS.items()]
    return [GroupCommand(name="flexsms", help="Twilio Flex SMS conversations", subcommands=commands)]


def _action(name: str, command: ModuleType, text: str) -> ActionCommand:
    def run(args: argparse.Namespace) -> None:
        sys.exit(command.run(args))

    return ActionCommand(name=name, help=text, func=run, args=[Options(command)])
