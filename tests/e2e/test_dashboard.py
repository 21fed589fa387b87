"""The dashboard in a browser, in Airflow's own frame and on its own address. Its pictures stay in .cache/dashboard."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page, expect, sync_playwright

from flexsms.demo.history import FORBIDDEN, history
from flexsms.demo.made_up_runs import Run
from tests.conftest import ROOT
from tests.support import airflow_database as database
from tests.support import broadcast_runs
from tests.support.api_server import ApiServer
from tests.web.conftest import token_of

from .conftest import BROWSERS, QUIET

pytestmark = pytest.mark.timeout(300)

PICTURES = ROOT / ".cache" / "dashboard"
PAGE = "/flexsms/dashboard"
SID = "CH" + "a1" * 16
Open = Callable[..., Page]
Looks = Callable[[str], Iterator[tuple[Page, str, str]]]


@pytest.fixture(scope="module")
def airflow(airflow_db: Path) -> Iterator[ApiServer]:
    database.parse_dags()
    for dag_id in ("flexsms_cleanup", "flexsms_track", "flexsms_broadcast"):
        database.pause(dag_id, False)
    with ApiServer() as airflow:
        yield airflow
    database.empty()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.fail("No browser: install Debian's `chromium`.")
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", *QUIET])
        yield browser
        browser.close()


@pytest.fixture
def asked() -> list[str]:
    """The addresses that the browser has asked for."""
    return []


@pytest.fixture
def open_page(airflow: ApiServer, browser: Browser, asked: list[str]) -> Iterator[Open]:
    """Opens a path as somebody; whatever the page complains of in the console fails the test."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def open_page(
        path: str = PAGE, role: str = "viewer", theme: str = "light", width: int = 1440, **more: Any
    ) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 1000}, **more)
        contexts.append(context)
        if role:
            log_in(context, airflow.url, role)
        context.add_init_script(f"localStorage.theme ??= {theme!r}")
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        page.goto(airflow.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    # What the server refuses, the browser says by itself.
    assert [line for line in complaints if not line.startswith("Failed to load resource")] == []


def log_in(context: BrowserContext, url: str, role: str) -> None:
    context.add_cookies([{"name": COOKIE_NAME_JWT_TOKEN, "value": token_of(role), "url": url}])


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


def night(now: datetime, failed: int = 0) -> list[Run]:
    """One cleanup, in the last hours, and a text."""
    failures = [{"channel_sid": SID, "code": 20403, "message": FORBIDDEN}] * failed
    counts = {"due": 310, "deactivated": 306 - failed, "skipped_open_task": 4, "failed": failed}
    more = {
        "kind": "cleanup",
        "failures": failures,
        "failed_by_code": {"20403": failed} if failed else {},
        "channels": {"open": 412, "waiting": 3},
    }
    text = Run("flexsms_send", "send", "flexsms_text", now, {"kind": "send", "outcome": "sent", "code": None})
    return [database.cleanup(now - timedelta(hours=2), **counts, **more), text]


def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


ROLES = pytest.mark.parametrize("role", ["viewer", "user", "op"])


@pytest.fixture
def looks(open_page: Open, airflow: ApiServer) -> Looks:
    """The page as a role sees it: in each theme and width, loaded anew each time. Gives the theme and a name, too.

    All in one tab: to make one takes longer than such a look.
    """

    def looks(role: str) -> Iterator[tuple[Page, str, str]]:
        page = open_page(f"{PAGE}/x/icon.svg", role=role)
        for theme, width in product(("light", "dark"), (1440, 480)):
            log_in(page.context, airflow.url, role)
            page.set_viewport_size({"width": width, "height": 1000})
            page.evaluate("theme => localStorage.theme = theme", theme)
            page.goto(airflow.url + PAGE)
            yield page, theme, f"{role}-{theme}-{width}"

    return looks


@ROLES
def test_ninety_days(role: str, looks: Looks, now: datetime) -> None:
    database.fill(history(now))
    for page, theme, name in looks(role):
        expect(page.locator("#tiles .tile")).to_have_count(10)
        expect(page.locator("svg")).to_have_count(6)
        expect(page.locator("#plot-cleanup .column")).to_have_count(90)
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        expect(page.locator("#look-up")).to_be_visible(visible=role != "viewer")
        assert overflow(page) <= 0, name
        picture(page, f"history-{name}")


@ROLES
def test_a_night_with_failures(role: str, looks: Looks, now: datetime) -> None:
    database.fill(night(now, failed=38))
    for page, _, name in looks(role):
        expect(page.locator("#top .lead.bad")).to_have_text("38 channels failed in the last cleanup.")
        page.get_by_role("link", name="See why").click()
        expect(page.locator("#failures tbody tr")).to_have_count(1)
        expect(page.locator("#failures")).to_contain_text("add it to the key")
        expect(page.locator("#texts")).to_be_hidden()
        expect(page.locator(".tile[aria-current]")).to_contain_text("Failed")
        assert overflow(page) <= 0, name
        picture(page, f"failures-{name}")
        page.get_by_role("link", name="Show everything").click()
        expect(page.locator("#texts")).to_be_visible()


@ROLES
def test_an_empty_account_says_what_to_do_first(role: str, looks: Looks) -> None:
    database.empty()
    for page, _, name in looks(role):
        expect(page.locator("#first li")).to_have_count(4)
        expect(page.locator("#first li.done")).to_have_count(2)
        expect(page.locator("svg")).to_have_count(0)
        assert overflow(page) <= 0, name
        picture(page, f"empty-{name}")


# What each broadcast says of itself, and what is to be done; the newest first. Numbers have narrow spaces in them.
BROADCASTS = {
    "being-checked": "the list is being checked",
    "visits-of-tomorrow": r"702 of 2.500 sent, 4 failed, 6 opted out, the last at about \d\d:\d\d",
    "west-coast": r"310 of 2.000 sent, waits for its hours until \d\d:\d\d",
    "new-prices": r"waits for approval\s*Answer under Required Actions",
    "vouchers": r"stopped, because too many failed\. 40 of 2.000 rows texted \(40 delivered\); 1.945 stopped, 15 failed"
    r"\s*code 21408 × 15\s*21408: texts to this country are switched off; .*\. Then trigger the campaign again",
    "we-open-late": r"120 of 200 rows texted \(117 delivered, 3 not known yet\); 80 whose batch ended early"
    r"\s*Trigger the campaign again: it texts whoever has no text, and nobody twice\.",
    "typo": r"body: has \{firstname\}, .* did you mean \{first_name\}\?",
    "rehearsal": "dry run: nothing was sent",
    "open-on-sunday": r"rejected\. 0 of 820 rows texted; 820 stopped$",
    "we-have-moved": r"3.160 of 3.200 rows texted \(3.108 delivered, 52 not delivered\); 16 invalid, 24 opted out"
    r"\s*code 30003 × 38, code 30007 × 14$",
}


@pytest.mark.parametrize("role", ["viewer", "op"])
def test_each_broadcast_says_how_far_it_is_or_what_became_of_it(
    role: str, looks: Looks, now: datetime
) -> None:
    database.fill(broadcast_runs.each(now))
    database.ask_for_approval("flexsms_broadcast", "approve")
    for page, _, name in looks(role):
        tile = page.locator(".tile[data-topic=broadcasts]")
        expect(tile.locator("b")).to_have_text("4")
        tile.click()
        cells = [page.locator(f"#broadcasts tbody td:nth-child({column})") for column in (1, 3, 4)]
        expect(cells[0]).to_have_text(list(BROADCASTS))
        expect(cells[1]).to_have_text([*["running"] * 4, "stopped", *["failed"] * 2, *["success"] * 3])
        expect(cells[2]).to_have_text([re.compile(words) for words in BROADCASTS.values()])
        expect(page.locator("#broadcasts progress")).to_have_count(2)
        expect(page.locator("#top .lead.bad")).to_contain_text("1\u202f960 people have no text")
        # Nothing is cut off.
        inside = "document.querySelector('#broadcasts .scroll')"
        assert page.evaluate(f"{inside}.scrollHeight - {inside}.clientHeight") <= 1, name
        assert overflow(page) <= 0, name
        picture(page, f"broadcasts-{name}")


def test_an_approval_is_answered_one_click_from_its_broadcast(open_page: Open, now: datetime) -> None:
    database.fill(broadcast_runs.each(now))
    database.ask_for_approval("flexsms_broadcast", "approve")
    page = open_page(f"{PAGE}#broadcasts", role="op")
    page.get_by_role("link", name="Answer under Required Actions").click()
    page.wait_for_url(re.compile(r"/dags/flexsms_broadcast/runs/.*/required_actions"))


TO_CONSOLE = "https://console.twilio.com/us1/develop/conversations/manage"
# What a data team asks in the morning: where the page answers it, and what it says.
QUESTIONS = {
    "How many channels are open?": ("[data-topic=open] b", "412"),
    "How many were due last night?": ("[data-topic=due] small", "of 310"),
    "How many were retired last night?": ("[data-topic=retired] b", "268"),
    "How many failed last night?": ("[data-topic=failed] b", "38"),
    "How many are due now?": ("[data-topic=due] b", "38"),
    "Is tracking up to date?": ("[data-topic=behind] b", "4 s"),
    "When did it last look?": ("[data-topic=behind] small", "read at"),
    "Did last night's cleanup do well?": ("#top .lead", "38 channels failed in the last cleanup."),
    "What failed?": ("#failures tbody td:nth-child(1)", "20403"),
    "How often?": ("#failures tbody td:nth-child(2)", "38"),
    "Why, and what is to be done?": ("#failures tbody td:nth-child(3)", "add it to the key"),
    "What became of this text?": ("#latest tbody td:nth-child(3) .bad", "not delivered"),
    "Why did it not arrive?": ("#latest tbody td:nth-child(3) .advice", "switched off"),
    "Who was it for?": ("#latest tbody td:nth-child(2)", "…0142"),
    "Which run sent it?": ("#latest tbody td:nth-child(1) a[href*='/dags/flexsms_send/runs/']", ":"),
    "Where is it in the Console?": (f"#latest tbody a[href='{TO_CONSOLE}']", "Twilio Console"),
}


def morning(now: datetime) -> list[Run]:
    """A night with failures, tracking that keeps up, and a text that did not arrive."""
    [cleanup, _] = night(now, failed=38)
    track = {"kind": "track", "source": "events", "events": 3, "channels": 2, "behind_s": 4}
    text = {"kind": "send", "outcome": "sent", "code": None, "text": "a1" * 8, "to": "…0142"}
    sentence = "Not delivered: the handset is switched off; try again later (undelivered, error 30003)."
    return [
        cleanup,
        Run("flexsms_track", "track", "flexsms_channel_state", now - timedelta(minutes=1), track),
        Run(
            "flexsms_send",
            "send",
            "flexsms_text",
            now,
            {**text, "console_url": TO_CONSOLE},
            states={"send": "success", "delivery": "failed"},
            xcoms={("delivery", "failure", -1): {"error": "NotDelivered", "sentence": sentence}},
        ),
    ]


def test_what_a_data_team_asks_is_answered_one_click_from_the_list_of_dags(
    open_page: Open, now: datetime
) -> None:
    database.fill(morning(now))
    page = open_page("/dags")
    # In the navigation: each DAG has a link of this name, too, to its tag.
    page.get_by_test_id("nav-sidebar").get_by_role("link", name="flexsms").click()
    frame = page.frame_locator("iframe[title=flexsms]")
    for place, answer in QUESTIONS.values():
        expect(frame.locator(place)).to_contain_text(answer)
    picture(page, "questions")


@ROLES
def test_a_login_that_has_ended(role: str, looks: Looks, now: datetime) -> None:
    database.fill(night(now))
    for page, _, name in looks(role):
        expect(page.locator("#top .lead.good")).to_be_visible()
        page.context.clear_cookies()
        page.get_by_role("button", name="Refresh").click()
        expect(page.locator("#top")).to_contain_text("Your login has ended.")
        expect(page.locator("#tiles .tile")).to_have_count(10)
        assert overflow(page) <= 0, name
        picture(page, f"login-ended-{name}")
        page.get_by_role("button", name="Log in again").click()
        page.wait_for_url(re.compile("/auth/"))


def test_it_is_a_page_of_airflows_and_leads_to_runs(
    open_page: Open, now: datetime, airflow: ApiServer
) -> None:
    database.fill(night(now))
    page = open_page("/")
    page.get_by_role("link", name="flexsms", exact=True).click()
    frame = page.frame_locator("iframe[title=flexsms]")
    expect(frame.locator("#top .lead.good")).to_have_text("All is well.")
    page.wait_for_timeout(300)
    page.screenshot(path=PICTURES / "in-airflow.png")
    frame.locator(
        "#plot-cleanup .column:not([role])"
    ).last.click()  # before two in the morning it was yesterday
    page.wait_for_url(re.compile(r"/dags/flexsms_cleanup/runs/"))
    expect(page.get_by_text("flexsms: clean up").first).to_be_visible()


def last_column(frame: FrameLocator | Page) -> Any:
    return frame.locator("#plot-cleanup .column").last


def test_it_follows_airflows_theme_at_once(open_page: Open, now: datetime, airflow: ApiServer) -> None:
    database.fill(night(now))
    page = open_page()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    other = page.context.new_page()
    other.goto(f"{airflow.url}{PAGE}")
    other.evaluate("localStorage.theme = 'dark'")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_it_works_by_keyboard(open_page: Open, now: datetime) -> None:
    database.fill(history(now))
    page = open_page()
    column = last_column(page)
    expect(column).to_have_attribute("tabindex", "0")
    expect(page.locator("#plot-cleanup .column[tabindex='0']")).to_have_count(1)
    column.focus()
    newest = page.locator("#plot-cleanup output").text_content()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#plot-cleanup output")).not_to_have_text(newest)
    expect(page.locator("#plot-cleanup output")).to_contain_text("deactivated")
    page.locator("#tiles .tile").nth(3).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#tiles .tile").nth(3)).to_have_attribute("aria-current", "true")
    expect(page.locator("#tiles .tile").nth(3)).to_be_focused()


def test_every_plot_is_a_table_too(open_page: Open, now: datetime) -> None:
    database.fill(history(now))
    page = open_page()
    expect(page.locator(".plot")).to_have_count(6)
    for summary in page.locator(".plot summary").all():
        summary.click()
    assert page.locator("#plot-cleanup tbody tr").count() == 90
    assert page.locator(".plot caption").count() == 6
    page.get_by_role("button", name="Refresh").click()
    expect(page.locator("#plot-cleanup tbody tr")).to_have_count(90)


def test_the_figures_can_be_taken_along(open_page: Open, now: datetime, tmp_path: Path) -> None:
    database.fill(history(now))
    page = open_page()
    expect(page.locator(".plot")).to_have_count(6)
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    download.value.save_as(tmp_path / "flexsms.csv")
    lines = (tmp_path / "flexsms.csv").read_text().splitlines()
    assert len(lines) == 91
    assert lines[0].startswith("day,cleanup: deactivated,")


def test_opening_it_asks_airflow_and_nobody_else(
    open_page: Open, now: datetime, airflow: ApiServer, asked: list[str]
) -> None:
    """And no runs of flexsms_send, whose conf has the number and the text."""
    database.fill(history(now))
    page = open_page()
    expect(page.locator(".plot")).to_have_count(6)
    addresses = [urlsplit(one) for one in asked]
    assert {f"{one.scheme}://{one.netloc}" for one in addresses} == {airflow.url}
    paths = {one.path for one in addresses}
    assert all(path.startswith((PAGE, "/api/v2/")) for path in paths)
    assert "/api/v2/dags/flexsms_send/dagRuns" not in paths
    assert len(asked) < 45


def test_ninety_days_of_runs_every_ten_minutes_are_not_all_asked_for(
    open_page: Open, now: datetime, asked: list[str]
) -> None:
    """How long that takes, `make bench` measures."""
    database.fill(history(now, track_days=90))
    page = open_page()
    expect(page.locator(".plot")).to_have_count(6)
    assert len([one for one in asked if "/api/v2/" in one]) <= 20


def test_the_documentation_of_a_dag_leads_to_it(open_page: Open, now: datetime, airflow: ApiServer) -> None:
    database.fill(history(now))
    page = open_page("/dags/flexsms_track")
    page.get_by_role("button", name="Dag Docs").click()
    link = page.get_by_role("link", name="dashboard")
    assert link.evaluate("link => link.href") == f"{airflow.url}{PAGE}#behind"


def test_it_is_no_page_about_the_dags_of_others(open_page: Open, asked: list[str]) -> None:
    page = open_page(f"{PAGE}?dag=something_else")
    expect(page.locator("main")).to_have_text("This is no DAG of flexsms.")
    assert not [one for one in asked if "/api/v2/" in one]


def test_a_dags_tab_shows_what_belongs_to_it(open_page: Open, now: datetime) -> None:
    database.fill(history(now))
    page = open_page(f"{PAGE}?dag=flexsms_track")
    expect(page.locator(".tile[aria-current]")).to_contain_text("Events behind")
    expect(page.locator("#plot-lag")).to_be_visible()
    expect(page.locator("#plot-cleanup")).to_be_hidden()


def test_it_refreshes_itself_unless_it_is_hidden_or_told_not_to(
    open_page: Open, now: datetime, asked: list[str]
) -> None:
    database.fill(night(now))
    page = open_page("/flexsms/dashboard/x/icon.svg")
    page.clock.install()
    page.goto(page.url.replace("/x/icon.svg", ""))
    expect(page.locator("#top .lead.good")).to_be_visible()

    def asks_within(seconds: int) -> bool:
        asked.clear()
        page.clock.run_for(1000 * seconds)
        page.wait_for_timeout(500)
        return any("/assets/events" in one for one in asked)

    assert not asks_within(20)
    assert asks_within(11)
    expect(page.locator("#refresh")).to_be_enabled()
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert not asks_within(120)
    asked.clear()
    page.evaluate("Object.defineProperty(document, 'hidden', {value: false, configurable: true})")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(500)
    assert any("/assets/events" in one for one in asked)
    expect(page.locator("#refresh")).to_be_enabled()
    page.get_by_label("every 30 s").uncheck()
    assert not asks_within(120)


def test_a_refresh_brings_what_is_new(open_page: Open, now: datetime) -> None:
    """It asks only for that, and keeps the rest."""
    database.fill(history(now))
    page = open_page()
    expect(page.locator(".tile").nth(3)).to_contain_text("274")
    database.add(night(now))
    page.get_by_role("button", name="Refresh").click()
    expect(page.locator(".tile").nth(3)).to_contain_text("306")
    expect(page.locator("#plot-cleanup .column")).to_have_count(90)
    expect(page.locator("#plot-cleanup output")).not_to_be_empty()


def test_whoever_may_not_read_assets_is_told(open_page: Open, now: datetime) -> None:
    database.fill(night(now))
    page = open_page()
    page.route(
        "**/api/v2/assets/events*", lambda route: route.fulfill(status=403, json={"detail": "Forbidden"})
    )
    page.reload()
    expect(page.locator("#top")).to_contain_text("Your role may not read Airflow’s asset events")
    expect(page.locator("svg")).to_have_count(0)


def test_an_airflow_that_is_away_is_asked_again(open_page: Open, now: datetime) -> None:
    database.fill(night(now))
    page = open_page()
    expect(page.locator("#top .lead.good")).to_be_visible()
    page.route("**/api/v2/**", lambda route: route.abort())
    page.get_by_role("button", name="Refresh").click()
    expect(page.locator("#top")).to_contain_text("Airflow does not answer.")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#top .lead.good")).to_be_visible()


def test_an_error_of_airflows_is_not_taken_for_a_missing_right(open_page: Open, now: datetime) -> None:
    database.fill(night(now))
    page = open_page()
    expect(page.locator("#top .lead.good")).to_be_visible()
    page.route("**/api/v2/dags/flexsms_cleanup/dagRuns*", lambda route: route.fulfill(status=503, json={}))
    page.get_by_role("button", name="Refresh").click()
    expect(page.locator("#top .lead.bad")).to_have_text("Airflow answered with an error (503).")


def test_a_dag_that_no_longer_loads_is_told(open_page: Open, now: datetime) -> None:
    database.fill(night(now))
    database.stale("flexsms_cleanup", True)
    try:
        page = open_page()
        expect(page.locator("#top .lead.bad")).to_have_text("flexsms_cleanup is no longer loaded.")
        page.get_by_role("link", name="See import errors").click()
        page.wait_for_url(re.compile("/dags$"))
    finally:
        database.stale("flexsms_cleanup", False)


def test_the_step_leads_to_the_run_that_failed_last(open_page: Open, now: datetime) -> None:
    database.fill(night(now))
    earlier = Run("flexsms_cleanup", "report", "flexsms_channel_state", now - timedelta(minutes=30), None)
    database.add([earlier])
    page = open_page()
    step = page.get_by_role("link", name="Open the run")
    before = step.get_attribute("href")
    database.add([Run("flexsms_cleanup", "report", "flexsms_channel_state", now, None)])
    page.get_by_role("button", name="Refresh").click()
    expect(step).not_to_have_attribute("href", before or "")


def test_what_fails_from_the_first_run_on_is_told(open_page: Open, now: datetime) -> None:
    database.fill([Run("flexsms_cleanup", "report", "flexsms_channel_state", now, None)])
    page = open_page()
    expect(page.locator("#top .lead.bad")).to_have_text("The last cleanup ended without a report.")
    expect(page.locator("#first li")).to_have_count(4)


def test_a_look_up_tells_what_is_known(open_page: Open, now: datetime) -> None:
    """What the server knows, it asks Twilio for: tests/web/test_channel.py."""
    database.fill(night(now))
    page = open_page(role="user")
    expect(page.locator("#top .lead.good")).to_be_visible()
    known = {
        "channel_sid": SID,
        "stack": "conversations",
        "status": "open",
        "type": "sms",
        "open_tasks": ["WT" + "b" * 32],
        "last_ended_at": (now - timedelta(days=3)).isoformat(),
        "retired": None,
    }
    page.route(f"**/flexsms/channels/{SID}", lambda route: route.fulfill(json=known))
    page.fill("#channel", f" {SID} ")
    page.keyboard.press("Enter")
    expect(page.locator("#channel-state")).to_contain_text("open, with 1 task at work")
    expect(page.locator("#channel-state")).to_contain_text("3 days ago")
    picture(page, "look-up")


def test_a_look_up_tells_what_is_wrong(open_page: Open, now: datetime) -> None:
    """There is no connection here."""
    database.fill(night(now))
    page = open_page(role="user")
    page.fill("#channel", SID)
    page.get_by_role("button", name="Look up").click()
    expect(page.locator("#channel-state")).to_contain_text("no connection 'twilio_default'")
