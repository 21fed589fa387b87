"""FlexBroadcastCheckOperator: what it reads, what it writes, what it leaves, and who can read it."""

from __future__ import annotations

import csv
import gzip
import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.log import redact  # type: ignore[attr-defined]  # public, yet not in its __all__

from flexsms.core.broadcast import BroadcastBatch
from flexsms.core.exceptions import InvalidInput, NoConnection, TryReplaced
from flexsms.core.opt_out import Why
from flexsms.hooks.twilio import TwilioHook
from flexsms.operators.broadcast_check import FlexBroadcastCheckOperator
from flexsms.operators.broadcast_xcom import BroadcastPlan
from flexsms.operators.newest_try import KEY
from flexsms.recipients.folder import CHECK, LEFT_OUT, RESULTS, WORK_LIST, BroadcastFolder
from flexsms.sandbox.client import SandboxProcess
from flexsms.twilio.account import Account

from .conftest import FakeContext

pytestmark = pytest.mark.usefixtures("studio")

FROM = "+14155550100"
LIST = """\
to_number,first_name,zone
+14155550191,Ada,
+14155550192,Zoë’s {first_name} {{ conn.twilio_default.password }},Europe/Berlin
+14155550191,again,
+14155550193,,
4155550194,Grace,
"""


def operator(**more: Any) -> FlexBroadcastCheckOperator:
    values: dict[str, Any] = {
        "task_id": "check",
        "from_number": FROM,
        "body": "Hello {first_name}",
        "campaign": "spring 2026",
        "hours": "00:00-24:00",
    }
    return FlexBroadcastCheckOperator(**{**values, **more})


@pytest.fixture
def studio(stack: str, connection: Callable[..., None], sandbox: SandboxProcess) -> None:
    """Each of the two stacks, with what a reply runs."""
    connection(stack=stack, studio_flow_sid=sandbox.settings["studio_flow_sid"])


@pytest.fixture
def recipients(tmp_path: Path) -> str:
    path = tmp_path / "spring.csv"
    path.write_text(LIST)
    return path.as_uri()


@pytest.fixture
def run(
    context: FakeContext, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """Runs a check; returns its batches, its plan and its folder, and makes sure that nothing personal is told."""

    def run(**more: Any) -> Any:
        task: Any = operator(**more)
        with caplog.at_level(logging.INFO):
            task.render_template_fields(context)
            batches = task.execute(context)
        log = caplog.text + capsys.readouterr().out
        plan = BroadcastPlan.from_json(context.pushed["plan"])
        told = log + json.dumps([batches, context.pushed]) + str([task.recipients])
        for personal in ("5550191", "5550192", "5550194", "Ada", "Zoë", "Grace"):
            assert personal not in told
        return SimpleNamespace(
            batches=[BroadcastBatch.from_json(batch) for batch in batches],
            plan=plan,
            folder=BroadcastFolder(plan.folder),
            log=log,
        )

    return run


def test_a_list_becomes_texts_and_a_plan(run: Callable[..., Any], recipients: str) -> None:
    done = run(recipients=recipients)
    texts = [text for batch in done.batches for text in done.folder.texts(batch)]
    assert {(text.row, text.to_number, text.body, text.zones) for text in texts} == {
        (1, "+14155550191", "Hello Ada", ("America/Los_Angeles",)),
        (
            2,
            "+14155550192",
            "Hello Zoë’s {first_name} {{ conn.twilio_default.password }}",
            ("Europe/Berlin",),
        ),
    }
    plan = done.plan
    assert (plan.rows, plan.texts, plan.segments) == (5, 2, 2)
    assert plan.left_out == {"repeated": 1, "invalid": 2}
    assert plan.encodings == {"GSM-7": 1, "UCS-2": 1}
    assert plan.campaign == "spring 2026"
    assert plan.first_at
    # What a person is asked about later.
    assert (plan.hours, plan.senders, plan.route) == ("00:00-24:00, mon-sun", {"0100": 2}, "studio")
    assert re.fullmatch(r"\d\d:\d\d local time", plan.first_local)
    samples = [BroadcastBatch.from_json(sample) for sample in plan.samples]
    assert [[text.row for text in done.folder.texts(sample)] for sample in samples] == [[2], [1]]
    assert samples[0].label.endswith("UCS-2 because of U+00EB LATIN SMALL LETTER E WITH DIAERESIS")
    assert plan.problems[:2] == [
        "row 4, first_name: is empty; give it a value, or leave {first_name} out of the body. "
        "(Rows are counted below the header.)",
        "row 5, to_number: has no country code; write it in E.164, like +14155550100.",
    ]
    assert "2 of 5 rows are texted, in 2 segments" in done.log
    assert "left out: 2 invalid, 1 twice in the list." in done.log
    assert plan.folder.startswith(f"{recipients}.spring-2026-")
    with Path(done.folder.path(CHECK).path).open(encoding="utf-8-sig") as lines:
        assert [line["outcome"] for line in csv.DictReader(lines)] == [
            "ready",
            "ready",
            "repeated",
            "invalid",
            "invalid",
        ]


def test_who_was_texted_or_has_opted_out_is_left_out(run: Callable[..., Any], recipients: str) -> None:
    async def before(account: Account) -> None:
        campaign = await account.campaign("spring 2026")
        await campaign.add([campaign.digest_of("+14155550191")])
        await account.suppressions().learn("+14155550192", out=True, at=datetime.now(UTC), why=Why.STOP)

    TwilioHook().run(before)
    done = run(recipients=recipients)
    # Rows 1 and 3 have the same number.
    assert done.plan.left_out == {"texted_before": 2, "suppressed": 1, "invalid": 2}
    assert (done.plan.texts, done.plan.opted_out, done.plan.first_at) == (0, 1, None)
    (batch,) = done.batches
    assert (batch.texts, batch.label) == (0, "nobody is texted")
    assert "Nobody of 5 rows is texted" in done.log


def test_a_check_that_is_cleared_replaces_its_files(
    run: Callable[..., Any], recipients: str, tmp_path: Path
) -> None:
    first = run(recipients=recipients)
    first.folder.write_results(f"{RESULTS}/00001.jsonl", [])
    (tmp_path / "spring.csv").write_text("to_number,first_name\n+14155550191,Ada\n")
    again = run(recipients=recipients)
    assert again.folder.url == first.folder.url
    assert again.plan.texts == 1
    assert list(again.folder.results(LEFT_OUT)) == []
    assert len(again.folder.path(WORK_LIST).read_bytes().splitlines()) == 1
    assert not again.folder.path(f"{RESULTS}/00001.jsonl").exists()


@pytest.mark.parametrize("newest", [2, None], ids=["a newer try works", "a newer try is through"])
def test_a_try_that_was_replaced_leaves_the_files_alone(
    newest: int | None, context: FakeContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its worker was frozen while it read, and goes on when another one has checked the list."""
    monkeypatch.setenv("AIRFLOW__FLEXSMS__BROADCAST_PATH", tmp_path.as_uri())
    second = FakeContext(try_number=2)

    def check(context: FakeContext, rows: Any) -> None:
        task: Any = operator(recipients=rows)
        task.render_template_fields(context)
        task.execute(context)

    def frozen() -> Iterator[dict[str, str]]:
        check(second, [{"to_number": "+14155550192", "first_name": "Grace"}])
        context.tasks.clear()
        if newest:
            context.tasks.set(KEY, newest)
        yield {"to_number": "+14155550191", "first_name": "Ada"}

    with pytest.raises(TryReplaced, match="this one writes nothing more"):
        check(context, frozen())
    assert "plan" not in context.pushed
    folder = BroadcastFolder(second.pushed["plan"]["folder"])
    assert b"Grace" in folder.path(WORK_LIST).read_bytes()
    assert b"Ada" not in folder.path(WORK_LIST).read_bytes()


def test_a_try_that_begins_behind_a_newer_one_does_nothing(
    run: Callable[..., Any], recipients: str, context: FakeContext, tmp_path: Path
) -> None:
    context.tasks.set(KEY, 2)
    with pytest.raises(TryReplaced):
        run(recipients=recipients)
    assert [path.name for path in tmp_path.iterdir()] == ["spring.csv"]


def test_a_dry_run_writes_no_text(run: Callable[..., Any], recipients: str) -> None:
    done = run(recipients=recipients, preview=True)
    assert "2 of 5 rows would be texted" in done.log
    assert [batch.texts for batch in done.batches] == [0]
    assert (done.plan.texts, done.plan.rows) == (2, 5)
    assert not done.folder.path(WORK_LIST).exists()
    assert [result.outcome for result in done.folder.results(LEFT_OUT)] == [
        "stopped",
        "stopped",
        "repeated",
        "invalid",
        "invalid",
    ]


def test_what_an_upstream_task_returns_is_data_and_no_rendered_field(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = [{"to_number": "+14155550191", "first_name": "Ada"}]
    with pytest.raises(
        InvalidInput, match=r"Option \[flexsms\] broadcast_path: is empty; set it to a folder"
    ):
        run(recipients=rows)
    monkeypatch.setenv("AIRFLOW__FLEXSMS__BROADCAST_PATH", "broadcasts")
    with pytest.raises(
        InvalidInput, match=r"Option \[flexsms\] broadcast_path: is a relative path, and every worker has to"
    ):
        run(recipients=rows)
    monkeypatch.setenv("AIRFLOW__FLEXSMS__BROADCAST_PATH", tmp_path.as_uri())
    done = run(recipients=rows)
    assert done.plan.texts == 1
    assert done.plan.folder.startswith(f"{tmp_path.as_uri()}/spring-2026-")
    assert done.plan.folder.endswith("/dag/manual__1/task")
    assert (run(recipients=[]).plan.rows, run(recipients=[]).plan.texts) == (0, 0)


def test_a_query_is_a_list(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW__FLEXSMS__BROADCAST_PATH", tmp_path.as_uri())
    with pytest.raises(
        NoConnection, match="no connection 'warehouse'; create it, or give another sql_conn_id"
    ):
        run(sql="SELECT 1", sql_conn_id="warehouse")
    with pytest.raises(InvalidInput, match="sql_conn_id: is empty"):
        run(sql="SELECT 1")


def test_texts_wait_for_not_before_and_the_pace_is_that_of_all_senders(
    run: Callable[..., Any], recipients: str
) -> None:
    begin = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
    done = run(recipients=recipients, not_before=begin.isoformat(), max_per_second=0.5)
    assert done.plan.first_at == begin.isoformat()
    assert done.plan.last_at == (begin + timedelta(seconds=4)).isoformat()


def test_what_would_leave_too_late_and_what_it_costs_is_told(
    run: Callable[..., Any], recipients: str
) -> None:
    end = (datetime.now(UTC) + timedelta(days=2, seconds=1)).isoformat()
    begin = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    plan = run(recipients=recipients, not_before=begin, not_after=end, max_per_second=0.01).plan
    assert plan.problems[0] == "At 0.01 texts a second, some 2 texts would leave after not_after."
    # Two texts to numbers of the United States, whatever their time zone.
    assert plan.cost["currency"] == "USD"
    assert float(plan.cost["amount"]) > 0


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"recipients": None}, "recipients: is empty; give the path of a CSV"),
        ({"recipients": 7}, "recipients: is a number, not a list; give a list with an object for each"),
        ({"recipients": {"to_number": "+14155550191"}}, "recipients: is an object, not a list; give a list"),
        ({"sql": "SELECT 1"}, "recipients: is given, and sql as well; give one of them."),
        ({"from_number": " , "}, "from_number: is empty"),
        ({"from_number": "+14155550100,12"}, "from_number: "),
        ({"from_number": "+14155550100;+14155550101"}, "numbers divided by ';'; divide them by commas."),
        (
            {"from_number": "+12125550177"},
            "from_number: …0177 is no number of this account; give one that is.",
        ),
        ({"body": "Hi {{ '{{' }} name }}"}, "body: has '{{', and is no template of Jinja"),
        (
            {"body": "Hi {first_name"},
            "body: has '{first_name', a field with one brace only; write {first_name}.",
        ),
        ({"body": "Hi {frist_name}"}, "did you mean {first_name}?"),
        ({"campaign": " "}, "campaign: is empty; give it a name; nobody is texted twice under one."),
        ({"route": "pigeon"}, "route: 'pigeon' is not a route"),
        ({"hours": "day"}, "hours: 'day' is not from one time to another"),
        ({"days": "noday"}, "days: 'noday' is not a day of the week"),
        ({"not_after": "2020-01-01"}, "not_after: is over before the first text may leave"),
        ({"max_per_second": 0}, "max_per_second: is 0"),
        ({"preview": "perhaps"}, "dry_run: is 'perhaps'"),
    ],
)
def test_an_argument_that_is_wrong_is_named(
    wrong: dict[str, Any], sentence: str, run: Callable[..., Any], recipients: str
) -> None:
    with pytest.raises(InvalidInput) as raised:
        run(**{"recipients": recipients, **wrong})
    assert sentence in str(raised.value)


def test_a_number_that_cannot_text_is_named(
    run: Callable[..., Any], recipients: str, sandbox: SandboxProcess
) -> None:
    sandbox.control.settings(voice_only=[FROM])
    with pytest.raises(
        InvalidInput, match="from_number: …0100 cannot send SMS; give a number of this account"
    ):
        run(recipients=recipients)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("{tmp}/nowhere/spring.csv", "recipients: there is no such file; check the path."),
        ("{tmp}/wrong.csv", "recipients: has no column to_number"),
        ("{tmp}/plain.csv.gz", "recipients: is named .gz, and is no gzip file; pack it again, or leave .gz"),
        ("{tmp}/cut.csv.gz", "recipients: is cut off; copy the whole file again."),
        (
            "spring.csv",
            "is a relative path, and every worker has to reach it; give an absolute path or a URL.",
        ),
        ("./spring.csv", "is a relative path"),
        ("~/spring.csv", "is a relative path"),
        (
            "C:\\data\\spring.csv",
            "is a path of Windows, and every worker has to reach it; give an absolute path",
        ),
        (
            "nowhere://spring.csv",
            "is in a store that this Airflow does not know, nowhere; install its provider",
        ),
        (
            "https://example.com/spring.csv",
            "is on a web server, which does not take the files that a broadcast",
        ),
    ],
)
def test_a_list_that_cannot_be_read_is_named_and_gets_no_folder(
    path: str, sentence: str, run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spring.csv").write_text(LIST)
    (tmp_path / "wrong.csv").write_text("number\n+14155550191\n")
    (tmp_path / "plain.csv.gz").write_text(LIST)
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(LIST.encode())[:20])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InvalidInput) as raised:
        run(recipients=path.format(tmp=tmp_path))
    assert sentence in str(raised.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("native", [True, False])
def test_everything_personal_is_masked_once_rendered(native: bool, context: FakeContext) -> None:
    with DAG("dag", schedule=None, render_template_as_native_obj=native):
        task: Any = operator(from_number="{{ params.from }}", recipients=[{"to_number": "+14155550191"}])
    context["params"] = {"from": "+14155552671"}
    task.render_template_fields(context)
    assert task.from_number == "+14155552671"
    assert task.recipients == "objects of an upstream task"
    assert "4155552671" not in str(redact("From 14155552671: Hello {first_name}"))
    assert "Hello" not in str(redact("From 14155552671: Hello {first_name}"))
