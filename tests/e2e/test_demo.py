"""`flexsms demo` for real: Airflow, the sandbox, the story, the page, and nothing left behind.

A whole Airflow takes half a minute to start, so there is one start for each stack: Flex Conversations stays open and
serves all that has to be looked at, Programmable Chat leaves by itself.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from playwright.sync_api import Page, expect

from flexsms.demo.airflow_api import AirflowApi
from tests.support.demo_process import CLEAN_UP, END_TIMEOUT_S, STORY_TIMEOUT_S, Demo, Shell, alive

PROMISED_S = 90
A_MINUTE_S = 61.0
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


@pytest.mark.timeout(300)
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


@pytest.mark.timeout(300)
def test_on_chat_the_same_story_ends_by_itself(tmp_path: Path) -> None:
    demo = Demo(tmp_path, ("--stack", "chat", "--exit"))
    try:
        demo.wait_for("Everything as expected", STORY_TIMEOUT_S)
        family = demo.family()
        demo.wait_for("Ending Airflow", END_TIMEOUT_S)
        assert demo.process.wait(END_TIMEOUT_S) == 0
        assert alive(family) == []
        assert_told(demo, "chat")
        assert demo.text.count("session closed") == 1
        assert "Airflow is open" not in demo.text
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
