"""flexsms_broadcast, run by Airflow: from a list to a line per recipient, nobody twice."""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flexsms.sandbox.client import SandboxProcess

from .conftest import Run, on_both_stacks
from .test_approval import Person

CUSTOMERS = [f"+141555502{n:02}" for n in range(6)]
ALWAYS = {"hours": "00:00-24:00", "max_per_second": 50, "delivery_minutes": 1, "approve_over": None}


class Campaign:
    """A list of six people, of whom one is written wrong and one has no first name."""

    def __init__(self, folder: Path, number: str) -> None:
        self.list = folder / "visits.csv"
        lines = [f"{customer},Customer{n}" for n, customer in enumerate(CUSTOMERS)]
        lines[4] = CUSTOMERS[4] + ","
        lines += ["+1415,Short"]
        self.list.write_text("to_number,first_name\n" + "\n".join(lines) + "\n", encoding="utf-8")
        self.conf = {
            **ALWAYS,
            "campaign": "visits",
            "recipients": self.list.as_uri(),
            "from_number": number,
            "body": "Dear {first_name}, your visit is tomorrow.",
        }

    def report(self) -> list[dict[str, str]]:
        """The newest report."""
        found = sorted(self.list.parent.rglob("report.csv"), key=lambda path: path.stat().st_mtime_ns)
        with found[-1].open(encoding="utf-8-sig") as file:
            return list(csv.DictReader(file))

    def files(self) -> set[str]:
        return {path.name for path in self.list.parent.rglob("*.*") if path.is_file()}


@pytest.fixture
def campaign(tmp_path: Path, number: str, sandbox: SandboxProcess) -> Campaign:
    sandbox.control.settings(sms_step_s=0)
    return Campaign(tmp_path, number)


def texted(sandbox: SandboxProcess) -> Counter[str]:
    """How many texts have left for whom."""
    return Counter(sms["to"] for sms in sandbox.control.outbox())


@on_both_stacks
def test_everybody_on_the_list_gets_one_text(
    run: Callable[..., Run], sandbox: SandboxProcess, campaign: Campaign, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox.control.settings(sms_outcomes={CUSTOMERS[1]: {"status": "undelivered", "error_code": 30003}})
    done = run("flexsms_broadcast", **campaign.conf)
    assert done.state == "success"
    wanted = [CUSTOMERS[n] for n in (0, 1, 2, 3, 5)]
    assert texted(sandbox) == Counter(wanted)
    assert {sms["body"] for sms in sandbox.control.outbox()} >= {"Dear Customer0, your visit is tomorrow."}
    summary = done.xcom("report")
    assert {
        name: summary[name]
        for name in ("rows", "texted", "delivered", "not_delivered", "invalid", "campaign")
    } == {
        "rows": 7,
        "texted": 5,
        "delivered": 4,
        "not_delivered": 1,
        "invalid": 2,
        "campaign": "visits",
    }
    assert summary["not_delivered_by_code"] == {"30003": 1}
    assert [line["outcome"] for line in campaign.report()] == [
        "delivered",
        "not_delivered",
        "delivered",
        "delivered",
        "invalid",
        "delivered",
        "invalid",
    ]
    assert "texts.jsonl" not in campaign.files()
    [event] = [one for one in done.events() if one.get("kind") == "broadcast"]
    assert event == summary
    # Neither a number nor a text is in a log, an XCom or a rendered field.
    left = capsys.readouterr().out + str(done.xcoms()) + str(done.rendered())
    assert not [secret for secret in (*CUSTOMERS, "Customer0", "your visit") if secret in left]


def test_before_its_first_moment_a_batch_waits_in_the_triggerer_and_then_sends(
    run: Callable[..., Run], sandbox: SandboxProcess, campaign: Campaign
) -> None:
    opens = datetime.now(UTC) + timedelta(seconds=15)
    done = run("flexsms_broadcast", **{**campaign.conf, "not_before": opens.isoformat()})
    assert done.state == "success"
    assert done.xcom("report")["texted"] == 5
    assert texted(sandbox) == Counter(CUSTOMERS[n] for n in (0, 1, 2, 3, 5))
    left = [str(sms["date_created"]) for sms in sandbox.control.outbox()]
    assert min(left) >= opens.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_the_same_campaign_again_texts_only_whoever_is_missing(
    run: Callable[..., Run], sandbox: SandboxProcess, campaign: Campaign
) -> None:
    run("flexsms_broadcast", **campaign.conf)
    lines = campaign.list.read_text(encoding="utf-8").replace(f"{CUSTOMERS[4]},", f"{CUSTOMERS[4]},Found")
    campaign.list.write_text(lines, encoding="utf-8")
    again = run("flexsms_broadcast", **{**campaign.conf, "body": "Another text, {first_name}."})
    summary = again.xcom("report")
    assert (summary["texted"], summary["texted_before"], summary["invalid"]) == (1, 5, 1)
    assert texted(sandbox) == Counter(CUSTOMERS)
    over = run("flexsms_broadcast", **campaign.conf).xcom("report")
    assert (over["texted"], over["texted_before"]) == (0, 6)
    assert texted(sandbox) == Counter(CUSTOMERS)


def test_a_dry_run_sends_nothing_and_says_what_it_would(
    run: Callable[..., Run],
    sandbox: SandboxProcess,
    campaign: Campaign,
    writes: Callable[[], list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = run("flexsms_broadcast", **campaign.conf, dry_run=True)
    assert done.state == "success"
    assert texted(sandbox) == Counter()
    assert done.states("delivery") == ["skipped"]
    assert (
        "Dry run: nothing was sent. 5 of 7 rows would be texted; left out: 2 invalid."
        in capsys.readouterr().out
    )
    assert [one for one in done.events() if one.get("kind") == "broadcast"] == []
    assert not [one for one in writes() if "Messages" in one or "Interactions" in one]


@pytest.mark.parametrize(
    ("answer", "name", "told"),
    [
        ("Approve", "ida", ""),
        ("Reject", "ida", "Nobody was texted: ida has rejected it."),
        ("", "", "Nobody was texted: nobody has approved it in time."),
    ],
)
def test_many_are_texted_only_when_somebody_has_approved(
    answer: str,
    name: str,
    told: str,
    run: Callable[..., Run],
    sandbox: SandboxProcess,
    campaign: Campaign,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    person = Person()
    person.will(answer, name)
    monkeypatch.setattr(time, "sleep", person.look)
    done = run("flexsms_broadcast", **{**campaign.conf, "approve_over": 4})
    assert done.state == "success"
    [asked] = person.asked
    assert asked.subject == "Approve a broadcast to 5 people"
    assert (
        "To …0200 (the longest, 1 segment):\n\n```\nDear Customer0, your visit is tomorrow.\n```"
        in asked.body
    )
    assert asked.defaults == ["Reject"]
    assert CUSTOMERS[0] not in asked.body
    assert told in capsys.readouterr().out
    summary = done.xcom("report")
    if answer == "Approve":
        assert (summary["texted"], summary["approval"]) == (5, "approved")
        return
    assert texted(sandbox) == Counter()
    assert (done.states("send"), done.states("delivery")) == (["skipped"], ["skipped"])
    assert (summary["texted"], summary["stopped"]) == (0, 5)
    assert "texts.jsonl" not in campaign.files()


@pytest.mark.parametrize(
    ("fault", "state"),
    [({"status": 400, "code": 50506}, "success"), ({"status": 503}, "failed")],
    ids=["never", "for now"],
)
def test_who_has_no_text_is_named_and_the_others_have_theirs(
    fault: dict[str, Any],
    state: str,
    run: Callable[..., Run],
    sandbox: SandboxProcess,
    campaign: Campaign,
    tries: Callable[[int], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What another try can heal makes the run red, for then somebody has to trigger one."""
    tries(1)
    match = {"method": "POST", "path": "/Messages$", "form": {"Body": "Customer0"}}
    sandbox.control.fault(match=match, action="status", **fault)
    done = run("flexsms_broadcast", **campaign.conf)
    assert (done.states("delivery"), done.states("report")) == (["success"], ["success"])
    summary = done.xcom("report")
    assert (summary["delivered"], summary["failed"]) == (4, 1)
    assert campaign.report()[0]["outcome"] == "failed"
    assert "Run the campaign again for those without a text" in capsys.readouterr().out
    assert done.state == state


@pytest.mark.parametrize(
    ("conf", "sentence"),
    [
        (
            {"recipients": None},
            "recipients: is empty; give the path of a CSV or JSON Lines file, or a query in sql.",
        ),
        ({"hours": "25:00-26:00"}, "hours: "),
        ({"campaing": "x"}, "conf: there is no 'campaing'; did you mean campaign?"),
    ],
)
def test_what_is_wrong_in_the_form_is_said_before_anything_is_sent(
    conf: dict[str, Any],
    sentence: str,
    run: Callable[..., Run],
    sandbox: SandboxProcess,
    campaign: Campaign,
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = run("flexsms_broadcast", **{**campaign.conf, **conf})
    assert done.state == "failed"
    assert sentence in capsys.readouterr().out
    assert texted(sandbox) == Counter()
