"""`flexsms suppress`: asked, added, lifted, imported and exported."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flexsms.cli import main as cli
from flexsms.core.opt_out import Why
from flexsms.hooks.twilio import TwilioHook
from flexsms.sandbox.client import SandboxProcess
from flexsms.twilio.account import Account

NUMBER, OTHER = "+14155550199", "+14155550198"
WRITES = ("POST", "DELETE")


@pytest.fixture(autouse=True)
def connection(
    sandbox: SandboxProcess, connection_extra: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    value = {
        "conn_type": "twilio",
        "login": sandbox.settings["account_sid"],
        "password": sandbox.settings["auth_token"],
        "extra": {**connection_extra, "timeout_s": 2, "rate_limits": "off"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", json.dumps(value))
    TwilioHook().run(Account.number_digest)
    sandbox.control.clear_journal()


@pytest.fixture
def suppress(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run it: exit status, standard output and standard error."""

    def suppress(*argv: str) -> tuple[int, str, str]:
        status = cli.main(["suppress", *argv])
        out, err = capsys.readouterr()
        return status, out, err

    return suppress


Suppress = Callable[..., tuple[int, str, str]]


def is_out(number: str) -> bool:
    return TwilioHook().run(lambda account: account.suppressions().is_out(number))


def learn(number: str, *, out: bool = True, why: Why = Why.STOP, day: int = 1) -> None:
    at = datetime(2026, 11, day, 12, tzinfo=UTC)
    TwilioHook().run(lambda account: account.suppressions().learn(number, out=out, at=at, why=why))


def test_check_says_since_when_and_why(suppress: Suppress) -> None:
    assert suppress("check", NUMBER)[:2] == (0, "…0199 has not opted out.\n")
    learn(NUMBER)
    said = "…0199 has opted out since 2026-11-01 12:00 UTC: by a word like STOP.\n"
    assert suppress("check", "+1 (415) 555-0199")[:2] == (1, said)
    learn(NUMBER, out=False, why=Why.START, day=2)
    said = "…0199 is in again since 2026-11-02 12:00 UTC: by a word like START.\n"
    assert suppress("check", NUMBER)[:2] == (0, said)
    status, out, _ = suppress("check", NUMBER, "--json")
    assert (status, json.loads(out)) == (
        0,
        {"number": "…0199", "opted_out": False, "since": "2026-11-02T12:00:00+00:00", "why": "start"},
    )


def test_nothing_is_written_without_write(
    suppress: Suppress, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    learn(OTHER)
    file = tmp_path / "out.txt"
    file.write_text(f"{NUMBER}\n")
    sandbox.control.clear_journal()
    assert suppress("add", NUMBER)[0] == 0
    assert suppress("lift", OTHER)[0] == 0
    status, out, _ = suppress("import", str(file))
    assert (status, out) == (
        0,
        "1 number. Nothing was written. Run it with --write to opt out whom it names.\n",
    )
    assert not [entry for entry in sandbox.control.journal() if entry["method"] in WRITES]
    assert (is_out(NUMBER), is_out(OTHER)) == (False, True)


def test_a_number_is_added_and_lifted(suppress: Suppress) -> None:
    status, out, _ = suppress("add", NUMBER, "--write")
    assert (status, is_out(NUMBER)) == (0, True)
    assert "…0199 has opted out since 20" in out
    assert suppress("add", NUMBER, "--write")[0] == 0
    status, out, _ = suppress("lift", NUMBER, "--write")
    assert (status, is_out(NUMBER)) == (0, False)
    assert out.endswith("If the customer has sent STOP, Twilio blocks texts until they send START.\n")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.txt", f"{NUMBER}\r\n\r\n +1 415 555 0198 \r\nno number\r\n{NUMBER}\n"),
        ("bom.txt", f"\ufeff{NUMBER}\n{OTHER}\nno number\n{NUMBER}"),
        ("list.csv", f"name,number\nAda,{NUMBER}\nBob,{OTHER}\nEve,no number\nAda,{NUMBER}\n"),
        ("list.jsonl", "".join(f'{{"number": "{one}"}}\n' for one in (NUMBER, OTHER, "no number", NUMBER))),
    ],
)
def test_a_file_is_imported_whatever_is_wrong_with_a_row(
    name: str, content: str, suppress: Suppress, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_bytes(content.encode())
    status, out, _ = suppress("import", str(file), "--write")
    assert status == 1
    assert out.splitlines()[0] in (
        "Opted out now: 2 numbers. As before: 1.",
        "Opted out now: 3 numbers. As before: 0.",  # the same number twice at the same time
    )
    assert out.splitlines()[1] == "Left out: 1 row."
    assert "number: " in out
    assert (is_out(NUMBER), is_out(OTHER)) == (True, True)
    status, out, _ = suppress("import", str(file), "--write", "--json")
    told = json.loads(out)
    assert (told["numbers"], told["changed"], told["left_out"], told["written"]) == (3, 0, 1, True)


@pytest.mark.parametrize("name", ["opted out.txt", "50% off.txt", "d#1?.txt", "désinscrits.txt"])
def test_a_file_is_found_whatever_its_name_is(
    name: str, suppress: Suppress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(f"{NUMBER}\n")
    assert suppress("import", name, "--write")[:2] == (0, "Opted out now: 1 number. As before: 0.\n")
    assert is_out(NUMBER)


def test_a_list_is_compared_with_what_is_known_by_the_hundred(
    suppress: Suppress, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    file, numbers = tmp_path / "list.txt", [f"+1415555{number:04}" for number in range(60)]
    for some, changed, most in ((numbers[:40], 40, 3 * 40), (numbers, 20, 20 + 2 * 16), (numbers, 0, 0)):
        file.write_text("\n".join(some))
        sandbox.control.clear_journal()
        status, out, _ = suppress("import", str(file), "--write", "--json")
        assert (status, json.loads(out)["changed"]) == (0, changed)
        calls = Counter(entry["method"] for entry in sandbox.control.journal())
        # The key of the digests, and each of the 16 maps. Numbers that come while there is no map yet take two more.
        assert calls["GET"] == 17
        assert changed <= calls["POST"] <= most


def test_a_later_word_of_the_customer_counts_more_than_an_import(suppress: Suppress, tmp_path: Path) -> None:
    learn(NUMBER, out=False, why=Why.START, day=3)
    learn(OTHER, out=False, why=Why.START, day=1)
    file = tmp_path / "list.csv"
    file.write_text(f"number,at\n{NUMBER},2026-11-02\n{OTHER},2026-11-02T10:00:00Z\n")
    status, _, _ = suppress("import", str(file), "--write")
    assert (status, is_out(NUMBER), is_out(OTHER)) == (0, False, True)


@pytest.mark.parametrize("at", ["03/11/2026", "2126-01-01", "1970-01-01"])
def test_who_opted_out_at_a_time_that_cannot_be_read_is_out_as_of_now(
    at: str, suppress: Suppress, tmp_path: Path
) -> None:
    learn(NUMBER, out=False, why=Why.START, day=3)
    file = tmp_path / "list.csv"
    file.write_text(f"number,at\n{NUMBER},{at}\n")
    status, out, _ = suppress("import", str(file), "--write")
    assert (status, is_out(NUMBER)) == (1, True)
    first, second, problem = out.splitlines()
    assert first == "Opted out now: 1 number. As before: 0."
    assert second == "Opted out as of now, for the time cannot be read: 1 row."
    assert problem.startswith("Row 1: at: is ")
    status, out, _ = suppress("import", str(file), "--json")
    told = json.loads(out)
    assert (status, told["numbers"], told["undated"], told["left_out"]) == (1, 1, 1, 0)


def test_a_long_line_and_another_encoding_are_named_and_hold_up_nobody(
    suppress: Suppress, tmp_path: Path
) -> None:
    file = tmp_path / "odd.txt"
    file.write_bytes(b"1" * (3 * 2**20) + b"\n\xff\xfe\n" + NUMBER.encode())
    status, out, _ = suppress("import", str(file), "--write")
    assert (status, is_out(NUMBER)) == (1, True)
    assert "Row 1: number: is longer than 1 MiB" in out
    assert "Row 2: number: is not UTF-8" in out


def test_an_export_of_nobody_has_a_header(suppress: Suppress) -> None:
    status, out, err = suppress("export")
    assert (status, out) == (0, "digest,opted_out,since,why\n")
    assert "0 numbers, by digest" in err


def test_an_export_has_digests_and_no_number(suppress: Suppress) -> None:
    learn(NUMBER)
    learn(OTHER, out=False, why=Why.START)
    status, out, err = suppress("export")
    rows = {row["why"]: row for row in csv.DictReader(io.StringIO(out))}
    assert (status, rows["stop"]["opted_out"], rows["start"]["opted_out"]) == (0, "True", "False")
    assert len(rows["stop"]["digest"]) == 32
    assert "2 numbers, by digest: the numbers themselves are not stored." in err
    assert "1415555" not in out + err
    status, out, _ = suppress("export", "--json")
    assert {json.loads(line)["since"] for line in out.splitlines()} == {"2026-11-01T12:00:00+00:00"}


@pytest.mark.parametrize(
    ("argv", "status", "says"),
    [
        (["check"], 2, "give NUMBER"),
        (["import"], 2, "give FILE"),
        (["export", NUMBER], 2, "give nothing else"),
        (["check", "4711"], 1, "NUMBER: "),
        (["import", "/nowhere.txt"], 1, "FILE: there is no such file"),
        (["import", "/nowhere.csv"], 1, "FILE: there is no such file"),
        (
            ["import", "/nowhere.xlsx"],
            1,
            "FILE: is neither a text, a CSV nor a JSON Lines file by its name; let it",
        ),
        (["import", "/nowhere.xlsx"], 1, "let it end with .txt, .csv or .jsonl."),
        (["import", "nowhere://list.txt"], 1, "FILE: is in a store that this Airflow does not know, nowhere"),
        (["check", NUMBER, "--conn-id", "nobody"], 1, "Airflow has no connection 'nobody'"),
        (["check", NUMBER, "--conn-id", "nobody"], 1, "or give another --conn-id."),
        (["check", NUMBER, "--conn-id", "no body"], 1, "--conn-id: is no name of an Airflow connection"),
        # Whoever redirects it has no file that looks as if nobody had opted out.
        (["export", "--conn-id", "nobody"], 1, "or give another --conn-id."),
    ],
)
def test_what_is_wrong_is_one_sentence(argv: list[str], status: int, says: str, suppress: Suppress) -> None:
    found, out, err = suppress(*argv)
    assert (found, out) == (status, "")
    assert says in err
    assert "Traceback" not in err


def test_a_file_without_the_column_is_named(suppress: Suppress, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text(f"{NUMBER}\n{OTHER}\n")
    status, _, err = suppress("import", str(file))
    assert status == 1
    assert "FILE: has no column 'number'" in err
    assert "1415555" not in err
