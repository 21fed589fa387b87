"""`flexsms demo` for real: Airflow, the sandbox, the story, the page, and nothing left behind.

A whole Airflow takes half a minute to start, so there is one start for each stack: Flex Conversations stays open and
serves all that has to be looked at, Programmable Chat leaves by itself.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
from playwright.sync_api import Page, expect

from flexsms.demo.airflow_api import AirflowApi
from flexsms.demo.dag_runs import finish
from flexsms.demo.history import history
from flexsms.sandbox.client import SandboxControl
from tests.support.demo_process import CLEAN_UP, END_TIMEOUT_S, STORY_TIMEOUT_S, Demo, Shell, alive

PROMISED_S = 90
A_MINUTE_S = 61.0
SLOW_MS = 120_000
NUMBERS = re.compile(r"\+1415555\d{4}")


def listening(url: str) -> bool:
    port = int(url.rsplit(":", 1)[1])
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def assert_told(demo: Demo, stack: str) -> None:
    """Everything came out, and the screen says so."""
    assert f"✓ Everything as expected on the {stack} stack" in demo.text
    rows = {
        name: next(line for line in demo.lines if f"│ {name} …" in line)
        for name in ("Ada", "Ben", "Cleo", "Dora", "Emil")
    }
    assert "INACTIVE, short-lived" in rows["Ada"]
    assert re.search(r"ended 3\.\d days ago .* retired", rows["Ada"])
    for name in ("Ben", "Cleo", "Dora", "Emil"):
        assert re.search(r"unchanged .* kept", rows[name])
    assert all("✓" in row for row in rows.values())
    assert re.search(r"right after +│ +20\d +│ +0 +│ +0 +│", demo.text)
    assert demo.text.count("│ delivered │") == 3
    assert "Cleo (goes on, delivered)" in demo.text
    assert "not sent again" in demo.text
    assert "Sink made, Subscription made" in demo.text
    # Fired, started, stored. That every post has arrived may be seen only after the trigger has fired for the first.
    [seconds] = re.findall(r"│ [\d.]+ s +│ ([\d.]+) s +│ ([\d.]+) s +│ ([\d.]+) s +│ 90 s +│ ✓", demo.text)
    stages = [float(one) for one in seconds]
    assert stages == sorted(stages)
    assert stages[-1] < PROMISED_S


def assert_made_up(demo: Demo) -> None:
    """Ninety days are in the database of an Airflow that has ended: the runs of each DAG, and what they said."""
    with closing(sqlite3.connect(demo.home / "flexsms-demo" / "airflow.db")) as found:
        runs = dict(
            found.execute("SELECT dag_id, count(*) FROM dag_run WHERE run_type = 'scheduled' GROUP BY dag_id")
        )
        told = found.execute(
            "SELECT count(*) FROM asset_event JOIN asset ON asset.id = asset_id"
            " WHERE asset.name = 'flexsms_broadcast' AND source_run_id LIKE 'scheduled%'"
        )
        events = told.fetchone()[0]
    made_up = Counter(run.dag_id for run in history(datetime.now(UTC)))
    assert runs == made_up
    assert events == made_up["flexsms_broadcast"] > 3


def assert_nobody_sees_a_number(demo: Demo) -> None:
    """Not on the screen, not in any log of Airflow or of a task (the `conf` of a run is Airflow's to show)."""
    assert not NUMBERS.search(demo.text)
    logs = [
        demo.home / "flexsms-demo" / "standalone.log",
        *(demo.home / "flexsms-demo" / "logs").rglob("*.log"),
    ]
    assert len(logs) > 8
    shown = [
        f"{log.relative_to(demo.home)}: {line.strip()[:300]}"
        for log in logs
        for line in log.read_text(errors="replace").splitlines()
        if NUMBERS.search(line)
    ]
    assert shown == []


@pytest.mark.timeout(450)
def test_the_story_comes_out_as_expected(demo: Demo) -> None:
    assert_told(demo, "conversations")
    assert demo.text.count("conversation closed") == 1
    assert demo.text.count("interaction closed") == 1


def test_nobody_sees_a_number(demo: Demo) -> None:
    assert_nobody_sees_a_number(demo)


def test_an_interaction_is_waited_for_in_the_triggerer(demo: Demo) -> None:
    [log] = (demo.home / "flexsms-demo" / "logs" / "dag_id=flexsms_send").rglob(
        "task_id=send/*.trigger.*.log"
    )
    assert "Trigger fired event" in log.read_text()


def test_the_api_is_there_for_whoever_logs_in(demo: Demo) -> None:
    api = AirflowApi(demo.url, "admin", demo.password)
    assert api.missing() == []
    with pytest.raises(Exception, match="401"):
        api.call("GET", "dags")
    api.log_in()
    assert api.dag_ids() >= {f"flexsms_{name}" for name in ("send", "setup", "track", "cleanup", "broadcast")}
    assert api.import_errors() == []
    connection = api.call("GET", "connections/twilio_default")
    assert connection["conn_type"] == "twilio"
    types = {dag_id: [run["run_type"] for run in api.runs(dag_id)] for dag_id in api.dag_ids()}
    by_hand = {dag_id: found for dag_id, found in types.items() if dag_id != "flexsms_track"}
    assert {run_type for found in by_hand.values() for run_type in found} == {"manual"}
    assert [len(by_hand[f"flexsms_{name}"]) for name in ("send", "setup", "cleanup", "broadcast")] == [
        4,
        1,
        2,
        1,
    ]
    # Nobody started it. Ada's last words may have started a second one.
    assert set(types["flexsms_track"]) == {"asset_triggered"}
    api.close()


def test_everything_is_kept_below_the_home(demo: Demo) -> None:
    assert sorted(path.name for path in demo.home.iterdir()) == ["flexsms-demo", "flexsms-demo.lock"]


def test_a_second_demo_in_the_same_home_is_refused(demo: Demo) -> None:
    second = Demo(demo.home)
    try:
        second.wait_for("Another demo is running", 30)
        family = second.family() if second.process.poll() is None else []
        assert second.process.wait(30) == 1
        assert alive(family) == []
    finally:
        second.end()


def test_the_walk_in_the_browser(demo: Demo, clicked: Shell, page: Page) -> None:
    """Meanwhile the other terminal waits for the state."""
    page.goto(f"{demo.url}/dags/flexsms_send")
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", demo.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_test_id("trigger-dag-button").click()
    for name, value in (
        ("from_number", "+14155550102"),
        ("to_number", "+14155550167"),
        ("to_name", "Gil Example"),
        ("body", "Hello Gil, your order is ready."),
    ):
        page.fill(f"#element_{name}", value)
    with page.expect_response(lambda answer: answer.url.endswith("/dagRuns")) as answer:
        page.get_by_test_id("trigger-dag-submit").click()
    run_id = answer.value.json()["dag_run_id"]

    page.get_by_role("link", name="Dags", exact=True).click()
    page.get_by_role("link", name="flexsms: track").first.click()
    page.get_by_role("link", name="Runs", exact=True).click()
    first = page.locator("tbody tr").last
    expect(first).to_contain_text("Asset Triggered")
    first.get_by_role("link", name="asset_triggered__").click()
    page.get_by_role("link", name="Asset Events").click()
    expect(page.get_by_role("link", name="flexsms_inbox")).to_be_visible()
    page.get_by_role("link", name="Task Instances").click()
    page.locator("tbody").get_by_role("link", name="track", exact=True).click()
    page.get_by_role("link", name="Storage").click()
    page.get_by_role("link", name="XCom").click()
    page.get_by_test_id("expand-all-button").click()
    # The editor shows the first lines only.
    expect(page.get_by_text("read_up_to")).to_be_visible()

    page.get_by_role("link", name="Dags", exact=True).click()
    page.get_by_role("link", name="flexsms: send").first.click()
    page.get_by_role("link", name="Runs", exact=True).click()
    expect(page.get_by_role("row").filter(has_text=run_id)).to_contain_text("Success", timeout=40_000)


def test_the_dashboard_has_counted_the_story(demo: Demo, page: Page) -> None:
    page.goto(demo.url)
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", demo.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="flexsms", exact=True).click()
    frame = page.frame_locator("iframe[title=flexsms]")
    expect(frame.locator("#top .lead.good")).to_have_text("All is well.")
    expect(frame.locator(".tile[data-topic=failed] b")).to_have_text("0")
    expect(frame.locator("#runs")).to_contain_text("deactivated")
    expect(frame.locator("#texts")).to_contain_text("1 not sent again")


def test_the_walk_of_a_broadcast_in_the_browser(demo: Demo, page: Page) -> None:
    """Trigger it, read the question, approve, watch it on the dashboard, read the report."""
    page.goto(f"{demo.url}/dags/flexsms_broadcast")
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", demo.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_test_id("trigger-dag-button").click()
    filled = broadcast_of(demo, "walk", "Dear {first_name}, see you.")
    hours = filled.pop("hours")
    for name, value in filled.items():
        page.fill(f"#element_{name}", value)
    page.get_by_role("button", name="When", exact=True).click()
    page.fill("#element_hours", hours)
    page.get_by_role("button", name="How fast", exact=True).click()
    page.get_by_role("spinbutton").first.fill("100")
    with page.expect_response(lambda answer: answer.url.endswith("/dagRuns")) as answer:
        page.get_by_test_id("trigger-dag-submit").click()
    run = f"{demo.url}/dags/flexsms_broadcast/runs/{answer.value.json()['dag_run_id']}"

    page.goto(run)
    page.get_by_text("Awaiting Input").first.wait_for(timeout=SLOW_MS)
    page.goto(f"{run}/required_actions")
    expect(page.get_by_text("Approve a broadcast to 200 people")).to_be_visible(timeout=SLOW_MS)
    for told in (
        "more than 100 people are texted",
        "at least",
        "Dear Ann, see you.",
        "To …3000 (the longest, 1 segment):",
        "…0102 (200 texts)",
    ):
        expect(page.get_by_text(told).first).to_be_visible()
    page.get_by_role("button", name="Approve", exact=True).click()

    page.goto(f"{demo.url}/plugin/flexsms#broadcasts")
    frame = page.frame_locator("iframe[title=flexsms]")
    row = frame.locator("#broadcasts tr").filter(has_text="walk")
    seen = ""
    deadline = time.monotonic() + SLOW_MS / 1000
    while "delivered" not in seen and time.monotonic() < deadline:
        frame.locator("#refresh:not([disabled])").click()
        expect(row).to_be_visible(timeout=SLOW_MS)
        seen = row.inner_text()
        time.sleep(1)
    assert "200 of 200 rows texted (200 delivered)" in seen
    row.get_by_role("link", name="walk").click()
    page.locator("tbody").get_by_role("link", name="report", exact=True).click()
    expect(page.get_by_text("200 rows: 200 texted (200 delivered).")).to_be_visible(timeout=SLOW_MS)


def test_pause_resume_and_cancel_do_to_texts_what_the_page_says(demo: Demo) -> None:
    api = AirflowApi(demo.url, "admin", demo.password)
    api.log_in()
    dag = "flexsms_broadcast"
    conf = {**broadcast_of(demo, "held", "Dear {first_name}, we open late."), "approve_over": None}

    def until(what: Callable[[], object]) -> None:
        deadline = time.monotonic() + SLOW_MS / 1000
        while not what():
            assert time.monotonic() < deadline, what
            time.sleep(0.5)

    def states(run: str) -> dict[str, str]:
        return {task["task_id"]: task["state"] for task in api.tasks(dag, run)}

    # Paused, nothing that has not begun begins.
    run = api.trigger(dag, {**conf, "max_per_second": 2})
    until(lambda: states(run)["check"] in ("running", "success"))
    api.call("PATCH", f"dags/{dag}", {"is_paused": True})
    until(lambda: states(run)["check"] == "success")
    before = states(run)["send"]
    time.sleep(10)
    assert states(run)["send"] == before
    begun = left(demo, "we open late")
    # Resumed, it goes on.
    api.call("PATCH", f"dags/{dag}", {"is_paused": False})
    until(lambda: left(demo, "we open late").total() >= 5)
    assert begun.total() < 5
    # Canceled, no further text leaves, and the report is written all the same.
    api.call("PATCH", f"dags/{dag}/dagRuns/{run}", {"state": "failed"})
    until(lambda: states(run)["report"] == "success")
    until(lambda: api.run_state(dag, run) == "failed")
    canceled = left(demo, "we open late")
    report = api.returned(dag, run, "report")
    assert 0 < report["texted"] <= canceled.total() < 200
    assert report["texted"] + report["unknown"] + report["stopped"] == 200
    time.sleep(10)
    assert left(demo, "we open late") == canceled
    # Run again, the campaign texts the others, and nobody twice.
    [again] = finish(api, dag, [{**conf, "max_per_second": 100}], lambda _: None)
    assert set(left(demo, "we open late").values()) == {1}
    assert left(demo, "we open late").total() == 200
    report = api.returned(dag, again, "report")
    assert report["texted"] == 200 - canceled.total()
    api.close()


def broadcast_of(demo: Demo, campaign: str, body: str) -> dict[str, Any]:
    """The params of a broadcast to the people of the story's, at any hour."""
    return {
        "campaign": campaign,
        "recipients": str(demo.home / "flexsms-demo" / "moved.csv"),
        "from_number": "+14155550102",
        "body": body,
        "hours": "00:00-24:00",
    }


def left(demo: Demo, part: str) -> Counter[str]:
    """How many texts with these words have left for whom."""
    [url] = re.findall(r"export SANDBOX=(\S+)", demo.text)
    control = SandboxControl(url)
    try:
        return Counter(sms["to"] for sms in control.outbox() if part in sms["body"])
    finally:
        control.close()


def test_the_walk_from_a_click_to_the_state_in_sync(clicked: Shell) -> None:
    said = clicked.said()
    found = re.search(
        r'^conversation\ncomplete\n"status":"ended"\nin Sync after (\d+) s\nasset_triggered$', said
    )
    assert found, said
    assert int(found[1]) < PROMISED_S


def test_the_walk_ends_with_a_cleanup(demo: Demo, clicked: Shell) -> None:
    time.sleep(max(0.0, A_MINUTE_S - (time.monotonic() - demo.clicked)))
    said = clicked.run(CLEAN_UP)
    assert said.startswith("success\n{")
    assert re.search(r"'deactivated': [1-9]", said)
    assert "'failed': 0" in said


def test_ctrl_c_leaves_no_process_behind(demo: Demo) -> None:
    url = demo.url
    [sandbox] = re.findall(r"Start the local Twilio +(http://\S+)", demo.text)
    family = demo.family()
    assert len(family) > 8
    # To nobody on another machine.
    open_at = {
        line.laddr.ip
        for process in family
        for line in process.net_connections("inet")
        if line.status == psutil.CONN_LISTEN
    }
    assert open_at == {"127.0.0.1"}
    assert demo.home.joinpath("flexsms-demo").stat().st_mode & 0o077 == 0
    assert listening(url)
    assert listening(sandbox)
    # As a terminal does it: to the whole foreground group, make and sandbox included.
    os.killpg(demo.process.pid, signal.SIGINT)
    assert demo.process.wait(END_TIMEOUT_S) == 0
    assert alive(family) == []
    assert not listening(url)
    assert not listening(sandbox)


@pytest.mark.timeout(450)
def test_on_chat_the_same_story_ends_by_itself(tmp_path: Path) -> None:
    demo = Demo(tmp_path, ("--stack", "chat", "--exit", "--history"))
    try:
        demo.wait_for("Everything as expected", STORY_TIMEOUT_S)
        family = demo.family()
        demo.wait_for("Ending Airflow", END_TIMEOUT_S)
        assert demo.process.wait(END_TIMEOUT_S) == 0
        assert alive(family) == []
        assert_told(demo, "chat")
        assert demo.text.count("session closed") == 1
        assert "Airflow is open" not in demo.text
        assert "✓ Make up 90 days" in demo.text
        assert_made_up(demo)
        assert_nobody_sees_a_number(demo)
    finally:
        demo.end()


def test_however_the_demo_ends_nothing_is_left(tmp_path: Path) -> None:
    ends = {signal.SIGTERM: 130, signal.SIGKILL: -signal.SIGKILL}
    demos = {how: Demo(tmp_path / how.name) for how in ends}
    try:
        for how, demo in demos.items():
            demo.wait_for("waiting for", 60)
            deadline = time.monotonic() + 60
            while len(family := demo.family()) < 6 and time.monotonic() < deadline:
                time.sleep(0.1)
            demo.process.send_signal(how)
            assert demo.process.wait(END_TIMEOUT_S) == ends[how]
            assert alive(family) == []
    finally:
        for demo in demos.values():
            demo.end()
