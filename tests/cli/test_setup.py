"""`flexsms setup`: the table, the extra to paste, and the extra stored."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flexsms.cli import main as cli
from flexsms.hooks.twilio import TwilioHook
from flexsms.sandbox.client import SandboxProcess
from flexsms.twilio.setup.event_streams import Patience

NUMBER = "+14155550177"
URL = "https://airflow.example.com/flexsms/events"
ARN = "arn:aws:kinesis:us-east-1:111111111111:stream/flexsms"
KINESIS = {"arn": ARN, "role_arn": "arn:aws:iam::111111111111:role/twilio", "external_id": "4711"}


@pytest.fixture
def connection(
    sandbox: SandboxProcess, connection_extra: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """An Airflow connection to the sandbox that knows no Sync service yet; not stored anywhere."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    extra = {**connection_extra, "studio_flow_sid": sandbox.settings["studio_flow_sid"], "timeout_s": 2}
    return {
        "conn_type": "twilio",
        "login": sandbox.settings["account_sid"],
        "password": sandbox.settings["auth_token"],
        "extra": {**extra, "sync_service_sid": ""},
    }


@pytest.fixture
def in_environment(connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", json.dumps(connection))
    return connection


@pytest.fixture
def stored(airflow_db: Path, connection: dict[str, Any]) -> Iterator[Callable[[], dict[str, Any]]]:
    """The connection `twilio_setup` in Airflow's database; call it to read it."""
    from airflow.models.connection import Connection  # noqa: TID251
    from airflow.utils.session import create_session  # noqa: TID251
    from sqlalchemy import delete, select

    def read() -> dict[str, Any]:
        with create_session() as session:
            row = session.scalars(select(Connection).where(Connection.conn_id == "twilio_setup")).one()
            return {
                "login": row.login,
                "password": row.password,
                "description": row.description,
                "extra": row.extra_dejson,
            }

    with create_session() as session:
        fields = {**connection, "extra": json.dumps(connection["extra"])}
        session.add(Connection(conn_id="twilio_setup", description="ours", **fields))
    yield read
    with create_session() as session:
        session.execute(delete(Connection).where(Connection.conn_id == "twilio_setup"))


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox's sinks change at once, or when somebody acts: nothing is worth waiting for."""
    at_once = partial(Patience, active=timedelta(), drain=timedelta())
    monkeypatch.setattr("flexsms.twilio.setup.run.Patience", at_once)


def extra_of(printed: str) -> dict[str, Any]:
    """What is printed to paste."""
    extra: dict[str, Any] = json.loads(printed[printed.index("{") : printed.rindex("}") + 1])
    return extra


@pytest.mark.usefixtures("in_environment")
def test_it_sets_up_and_says_what_to_paste(
    sandbox: SandboxProcess,
    capsys: pytest.CaptureFixture[str],
    in_environment: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    airflow_db: Path,
) -> None:
    # What comes from the environment is created, too; only a person can store the extra there.
    command = ["setup", "--number", NUMBER, "--events-url", URL, "--write"]
    assert cli.main(command) == 1
    first, said = capsys.readouterr()
    assert "does not come from Airflow's database" in said
    assert "Add this to the extra of the Airflow connection 'twilio_default':" in first
    lines = first.splitlines()
    assert [line.split("  ")[0] for line in lines[:5]] == [
        "Sync service",
        "Sink",
        "Subscription",
        "Flex Flow, studio",
        "Flex Flow, task",
    ]
    assert all(" made " in line for line in lines[:5])
    extra = extra_of(first)
    assert extra["sync_service_sid"] in lines[0]
    assert extra == {"sync_service_sid": extra["sync_service_sid"], "events_url": URL}
    for hidden in ("4155550177", sandbox.settings["auth_token"]):
        assert hidden not in first
    sandbox.control.clear_journal()
    in_environment["extra"] |= extra
    monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", json.dumps(in_environment))
    assert cli.main(command) == 0
    second = capsys.readouterr().out
    assert second.count(" exists ") == 5
    assert "The Airflow connection 'twilio_default' has all of it." in second
    assert all(entry["method"] == "GET" for entry in sandbox.control.journal())


@pytest.mark.usefixtures("in_environment")
def test_without_write_nothing_is_written(
    sandbox: SandboxProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["setup", "--number", NUMBER, "--events-url", URL]) == 0
    printed = capsys.readouterr().out
    assert printed.count("would be made") == 5
    assert "Dry run: nothing was written. Run it with --write to do this." in printed
    assert all(entry["method"] == "GET" for entry in sandbox.control.journal())


@pytest.mark.usefixtures("stored")
def test_every_option_reaches_set_up(sandbox: SandboxProcess, capsys: pytest.CaptureFixture[str]) -> None:
    studio, workflow = "FW" + "1" * 32, "WW" + "1" * 32
    given = ["--studio-flow-sid", studio, "--workflow-sid", workflow, "--no-long-lived", "--no-janitor"]
    command = ["setup", "--conn-id", "twilio_setup", "--number", NUMBER]
    assert cli.main([*command, *given, "--write"]) == 0
    flows = [row for row in sandbox.control.state()["tables"]["flows"] if row["contact_identity"] == NUMBER]
    assert [(row["long_lived"], row["janitor_enabled"]) for row in flows] == [(False, False)] * 2
    assert (flows[0]["integration"]["flow_sid"], flows[1]["integration"]["workflow_sid"]) == (
        studio,
        workflow,
    )
    of_account = [sandbox.settings["studio_flow_sid"], "--workflow-sid", sandbox.settings["workflow_sid"]]
    assert cli.main([*command, "--studio-flow-sid", *of_account]) == 0
    assert capsys.readouterr().out.count("left as it is") == 2
    more = ["--overwrite", "--stream-name", "x", "--events-url", URL, "--write"]
    assert cli.main([*command, *more]) == 0
    [sink] = sandbox.control.state()["tables"]["sinks"]
    assert sink["description"] == "x"


@pytest.mark.usefixtures("stored", "hurried")
def test_what_waits_for_a_person_is_no_success(
    sandbox: SandboxProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["setup", "--conn-id", "twilio_setup", "--kinesis", json.dumps(KINESIS), "--write"]
    assert cli.main(command) == 1
    assert "waits for you" in capsys.readouterr().out
    [sink] = sandbox.control.state()["tables"]["sinks"]
    assert cli.main([*command, "--test-id", sink["test_id"]]) == 0


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("options", [[], ["--write"]], ids=["dry run", "write"])
def test_as_json(options: list[str], sandbox: SandboxProcess, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["setup", "--conn-id", "twilio_setup", "--events-url", URL, "--json", *options]
    assert cli.main(command) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["dry_run"] is not bool(options)
    assert [row["what"] for row in report["rows"]][:2] == ["Sync service", "Sink"]
    assert report["lacking"]["events_url"] == report["connection_extra"]["events_url"] == URL
    assert report["warning"].startswith("The connection has no inbox_path.")


@pytest.mark.usefixtures("in_environment")
def test_an_events_url_without_an_inbox_is_warned_of(
    connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["setup", "--events-url", URL]) == 0
    assert "The connection has no inbox_path." in capsys.readouterr().out
    connection["extra"]["inbox_path"] = "file:///tmp/inbox"
    monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", json.dumps(connection))
    assert cli.main(["setup", "--events-url", URL]) == 0
    assert "inbox_path" not in capsys.readouterr().out


@pytest.mark.usefixtures("in_environment")
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--kinesis", "arn"], "kinesis: is not an object"),
        (["--kinesis", "[]"], "kinesis: is not an object"),
        (["--number", "0177"], "number: has no country code"),
        (["--conn-id", "nowhere"], "Airflow has no connection 'nowhere'"),
        (["--write"], "does not come from Airflow's database"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    options: list[str], sentence: str, capsys: pytest.CaptureFixture[str], airflow_db: Path
) -> None:
    assert cli.main(["setup", *options]) == 1
    *_, said = capsys.readouterr().err.splitlines()
    assert said.startswith("flexsms setup: ")
    assert sentence in said


@pytest.mark.parametrize("command", ["setup", "doctor"])
def test_airflows_option_names_the_connection(
    command: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    airflow_db: Path,
) -> None:
    monkeypatch.setenv("AIRFLOW__FLEXSMS__TWILIO_CONN_ID", "nowhere")
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    assert cli.main([command]) == 1
    assert "Airflow has no connection 'nowhere'" in "".join(capsys.readouterr())
    assert cli.main([command, "--conn-id", "elsewhere"]) == 1
    assert "Airflow has no connection 'elsewhere'" in "".join(capsys.readouterr())


def test_the_extra_is_stored_and_everything_else_stays(
    stored: Callable[[], dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    before = stored()
    command = ["setup", "--conn-id", "twilio_setup", "--events-url", URL]
    assert cli.main(command) == 0
    assert stored() == before
    capsys.readouterr()
    assert cli.main([*command, "--write"]) == 0
    printed = capsys.readouterr().out
    assert "Stored in the Airflow connection 'twilio_setup'." in printed
    after = stored()
    assert after["extra"] == {**before["extra"], **extra_of(printed)}
    assert after["extra"]["timeout_s"] == 2
    assert {**after, "extra": None} == {**before, "extra": None}
    settings = TwilioHook("twilio_setup").settings
    assert settings.events_url == URL
    assert settings.sync_service_sid == extra_of(printed)["sync_service_sid"]
    # The address is known now: the second time needs no option and stores the same.
    assert cli.main(["setup", "--conn-id", "twilio_setup", "--write"]) == 0
    assert stored() == after


@pytest.mark.usefixtures("hurried")
def test_a_connection_that_is_stored_knows_one_way_of_the_events(
    stored: Callable[[], dict[str, Any]], sandbox: SandboxProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["setup", "--conn-id", "twilio_setup", "--write"]
    kinesis = ["--kinesis", json.dumps(KINESIS)]

    def way() -> tuple[str, str]:
        settings = TwilioHook("twilio_setup").settings
        return settings.events_url, settings.kinesis_stream

    assert cli.main([*command, "--events-url", URL]) == 0
    assert cli.main([*command, *kinesis]) == 1
    assert way() == (URL, ARN)
    test_id = sandbox.control.state()["tables"]["sinks"][-1]["test_id"]
    assert cli.main([*command, *kinesis, "--test-id", test_id]) == 0
    assert way() == ("", ARN)
    assert cli.main([*command, "--number", NUMBER]) == 0
    [sink] = sandbox.control.state()["tables"]["sinks"]
    assert (sink["type"], sink["status"]) == ("kinesis", "active")
    assert way() == ("", ARN)


def test_what_is_behind_the_environment_is_not_written(
    stored: Callable[[], dict[str, Any]],
    connection: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = stored()
    connection["extra"]["timeout_s"] = 3
    monkeypatch.setenv("AIRFLOW_CONN_TWILIO_SETUP", json.dumps(connection))
    assert cli.main(["setup", "--conn-id", "twilio_setup", "--write"]) == 1
    assert "the environment or a secrets backend; write the extra there." in capsys.readouterr().err
    assert stored() == before


@pytest.mark.usefixtures("in_environment")
def test_a_narrow_terminal_cuts_no_sid_and_no_url(
    sandbox: SandboxProcess, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    url = f"https://airflow.{'x' * 60}.example.com/flexsms/events"
    number = sandbox.settings["numbers"]["twilio"]
    assert cli.main(["setup", "--number", number, "--events-url", url]) == 0
    printed = capsys.readouterr().out
    assert "\x1b[" in printed
    lines = re.sub(r"\x1b\[[0-9;]*m", "", printed).splitlines()
    assert f"    {url}" in lines
    flows = [line for line in lines if line.startswith("Flex Flow")]
    assert {line.split()[-1] for line in flows} <= set(sandbox.settings["flex_flow_sids"].values())
    assert len(flows) == 2
    assert all(len(line) <= 80 for line in flows)
