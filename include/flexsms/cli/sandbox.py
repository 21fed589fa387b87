"""`flexsms sandbox`: serve a local Twilio, and say to a person how to use it."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import sys
from typing import Any

from flexsms.demo.options import STACKS
from flexsms.sandbox.options import add_arguments

__all__ = ["DESCRIPTION", "EXAMPLES", "HELP", "add_arguments", "run"]

HELP = "serve a local Twilio"
DESCRIPTION = """\
Serves a local Twilio that keeps state: Flex, Conversations, Chat, Proxy, Sync,
TaskRouter and Event Streams at the path /<original host>/…, and a control
plane at /_sandbox/, where you play customers and agents; --open shows the
customers' handsets. Nothing leaves this machine. At a terminal it says how to
connect, and has a line for each text; elsewhere one line of JSON says how to
connect."""
EXAMPLES = """\
examples:
  flexsms sandbox --port 9999
  flexsms sandbox --open
  flexsms sandbox --seed story:conversations,200:conversations
  flexsms sandbox --set stream_delay_s=5 --rate-limits documented
"""
TEXTS = "flexsms.sandbox.texts"


def run(args: argparse.Namespace) -> int:
    """Serve.

    :returns: 0 when it was told to end, 2 when it cannot begin
    """
    from flexsms.sandbox.server.main import run as serve

    for_people = sys.stdout.isatty()
    try:
        with contextlib.redirect_stdout(ReadyLine(sys.stdout)) if for_people else contextlib.nullcontext():
            return serve(args)
    except OSError as error:  # a port that is taken
        remedy = "give another --port, or none for a free one"
        print(f"flexsms sandbox: {args.host}:{args.port}: {error.strerror}; {remedy}.", file=sys.stderr)
    except ValueError as error:  # a seed that does not exist
        print(f"flexsms sandbox: {error}", file=sys.stderr)
    return 2


class ReadyLine(io.TextIOBase):
    """Stands in for standard output while the sandbox serves: its one JSON line becomes sentences for a person.

    From then on, each text that leaves is a line.

    :param out: where the sentences go
    """

    def __init__(self, out: Any) -> None:
        self._out = out

    def write(self, text: str) -> int:
        self._out.write(how_to_connect(json.loads(text)))
        self._out.flush()
        handler = logging.StreamHandler(self._out)
        handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
        texts = logging.getLogger(TEXTS)
        texts.handlers, texts.propagate = [handler], False
        texts.setLevel(logging.INFO)
        return len(text)


def how_to_connect(ready: dict[str, Any]) -> str:
    """What a person has to know to use a sandbox.

    :param ready: the line that the sandbox prints when it listens
    """
    from flexsms.demo.main import connection

    current, former = STACKS
    base_url, settings = ready["base_url"], ready["settings"]
    numbers = dict(settings["numbers"])
    ours = connection({**settings, "base_url": base_url}, current)
    number = numbers.pop(current)
    hello = json.dumps({"from": "+14155550166", "to": number, "body": "Hello?"})
    return f"""\
The local Twilio is listening.

  base URL     {base_url}
  account      {settings["account_sid"]}
  auth token   {settings["auth_token"]}
  numbers      {number} of stack {current}, {" and ".join(numbers.values())} of stack {former}
  control      {base_url}/_sandbox/health
  handsets     {base_url}/_sandbox/handsets

For Airflow, as the connection twilio_default (its "stack" may also be "{former}"):

export AIRFLOW_CONN_TWILIO_DEFAULT='{json.dumps(ours)}'

Read and answer texts as the customers do, in a browser, at the handsets above. Or play
a customer who writes, and an agent who completes the task of a channel:

curl {base_url}/_sandbox/customer -d '{hello}'
curl {base_url}/_sandbox/agent -d '{{"action": "complete", "channel_sid": "CH…"}}'

The texts that have left are at {base_url}/_sandbox/outbox. Ctrl-C ends the local Twilio.

"""
