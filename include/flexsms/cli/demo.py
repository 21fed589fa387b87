"""`flexsms demo`: the three jobs in a real Airflow, as a story."""

from __future__ import annotations

import argparse

from flexsms.demo.options import add_arguments

__all__ = ["DESCRIPTION", "EXAMPLES", "HELP", "add_arguments", "run"]

HELP = "show everything in a real Airflow, without a Twilio account"
DESCRIPTION = """\
Starts the local Twilio and a real Airflow on free ports, sends texts, tracks
their tasks, cleans up, shows every channel of the story before and after, and
leaves Airflow open to look at. It needs no Twilio account, and texts nobody.
Its files are below AIRFLOW_HOME (.airflow in the current folder unless set).
Ctrl-C leaves no process behind."""
EXAMPLES = """\
examples:
  flexsms demo                 play the story, then look around
  flexsms demo --exit          end with 0 if all came out as expected
  flexsms demo --stack chat    play it on Programmable Chat and Proxy
"""


def run(args: argparse.Namespace) -> int:
    """Play it. See :func:`flexsms.demo.main.run`."""
    from flexsms.demo.main import run as play

    return play(args)
