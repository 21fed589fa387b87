"""The options of `flexsms demo`. They need nothing that only a running demo needs."""

from __future__ import annotations

import argparse

STACKS = ("conversations", "chat")  # the first is the default


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `flexsms demo`."""
    parser.add_argument(
        "--stack",
        choices=STACKS,
        default=STACKS[0],
        help="conversations: Flex Conversations; chat: Programmable Chat and Proxy (default: %(default)s)",
    )
    parser.add_argument(
        "--exit", action="store_true", help="end when the story is told; 0 only if it came out as expected"
    )
    parser.add_argument(
        "--history",
        action="store_true",
        help="fill the dashboard with 90 days that never were, when the story is told",
    )
