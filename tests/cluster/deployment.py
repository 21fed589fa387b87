"""The files of docs/deployment, as the cluster and the tests of these files read them."""

from __future__ import annotations

import shlex
from configparser import RawConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "deployment"
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer", "worker")
PROGRAM = "/opt/airflow/bin/airflow"


def variables(name: str) -> dict[str, str]:
    """The environment variables that a file sets."""
    lines = [line for line in (FOLDER / name).read_text().splitlines() if line and not line.startswith("#")]
    pairs = [line.partition("=") for line in lines]
    return {variable: value for variable, _, value in pairs}


def unit(component: str) -> RawConfigParser:
    """A systemd unit. Of an option that comes twice, the last one counts here."""
    parser = RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as the standard library says to do it
    parser.read_string((FOLDER / "systemd" / f"airflow-{component}.service").read_text())
    return parser


def command(component: str) -> list[str]:
    """What comes after ``airflow`` in the unit of a component."""
    program, *arguments = shlex.split(unit(component)["Service"]["ExecStart"])
    assert program == PROGRAM
    return arguments
