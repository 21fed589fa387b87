"""The options of `flexsms sandbox`. They need nothing that only a running sandbox needs."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `flexsms sandbox` and of `python -m flexsms.sandbox`."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port, 0 for a free one (default: %(default)s)")
    parser.add_argument(
        "--seed",
        default="empty",
        help="empty, or story and/or a number of channels, each with its stack (chat if it has none): "
        "story:conversations,200:conversations (default: %(default)s)",
    )
    parser.add_argument(
        "--open",
        action="store_true",
        help="open the customers' handsets in a browser, to read and answer texts",
    )
    parser.add_argument(
        "--random-seed", type=int, default=1, help="SIDs and history follow from it (default: 1)"
    )
    parser.add_argument("--latency-ms", type=float, default=0.0, help="added to every answer (default: 0)")
    parser.add_argument("--rate-limits", choices=("documented", "off"), default="off", help="(default: off)")
    parser.add_argument(
        "--record",
        default=os.environ.get("FLEXSMS_SANDBOX_RECORD"),
        help="directory for a recording of every exchange (or FLEXSMS_SANDBOX_RECORD)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=setting,
        metavar="NAME=VALUE",
        help="a switch of the account, as often as you like; GET /_sandbox/switches lists them",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another name under which the control plane may be called, besides --host and localhost",
    )


def setting(text: str) -> tuple[str, Any]:
    """`NAME=VALUE`; a value is JSON, or else a text."""
    name, equals, raw = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(raw)
    except ValueError:
        return name, raw
