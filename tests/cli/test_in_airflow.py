"""The commands of `flexsms` are Airflow's, too, with the same options and exit status."""

from __future__ import annotations

import argparse

import pytest

from flexsms.cli import in_airflow
from flexsms.cli import main as cli


@pytest.fixture
def airflow() -> argparse.ArgumentParser:
    """The parser of the command `airflow`, with what it knows from the provider."""
    from airflow.cli.cli_parser import get_parser

    return get_parser()


@pytest.mark.parametrize("name", in_airflow.COMMANDS)
def test_the_options_are_the_same(name: str, airflow: argparse.ArgumentParser) -> None:
    number = "+14155550101"
    given = [name, "check", number] if name == "suppress" else [name, "--number", number]
    ours = vars(cli.parser().parse_args(given))
    theirs = vars(airflow.parse_args(["flexsms", *given]))
    assert {option: theirs[option] for option in ours if option != "command"} == {
        option: value for option, value in ours.items() if option != "command"
    }


@pytest.mark.parametrize("status", [0, 1])
def test_the_exit_status_is_the_commands(
    status: int, airflow: argparse.ArgumentParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []

    def run(args: argparse.Namespace) -> int:
        given.append(args.conn_id)
        return status

    monkeypatch.setattr("flexsms.cli.doctor.run", run)
    args = airflow.parse_args(["flexsms", "doctor", "--conn-id", "twilio_other"])
    with pytest.raises(SystemExit) as ended:
        args.func(args)
    assert (ended.value.code, given) == (status, ["twilio_other"])
