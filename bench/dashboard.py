"""The dashboard in a browser, with 90 days of runs behind it, beside a page of Airflow's own."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Page, sync_playwright
from rich.console import Console, Group

from bench.figures import Spread, Target
from bench.report import columns, targets_table
from flexsms.demo.local_airflow import USER, LocalAirflow
from flexsms.demo.story import DAGS

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OURS, THEIRS = "dashboard", "Airflow's list of runs"
PLOTS = 6
# By path, and what is there when the page is: all plots, the first row.
PAGES: Mapping[str, tuple[str, str]] = {
    OURS: ("/flexsms/dashboard", f"#plots > :nth-child({PLOTS}) svg"),
    THEIRS: ("/dags/flexsms_track/runs", "tbody tr"),
}


@dataclass(frozen=True, slots=True)
class Visit:
    """How often each page is loaded, and how much is behind them."""

    rounds: int = 15
    track_days: int = 90


QUICK = Visit(rounds=5, track_days=10)


@dataclass(frozen=True, slots=True)
class Loads:
    """What came of it.

    :param seconds: until a page was there, of every load
    """

    seconds: Mapping[str, Sequence[float]]

    @property
    def targets(self) -> list[Target]:
        """A page that is there at once, and not later than Airflow's."""
        ratios = [
            ours / theirs for ours, theirs in zip(self.seconds[OURS], self.seconds[THEIRS], strict=True)
        ]
        return [
            Target("dashboard", Spread.of(self.seconds[OURS]), 1.0, at_least=False, unit=" s"),
            Target("dashboard beside Airflow's page", Spread.of(ratios), 1.0, at_least=False, unit=" ×"),
        ]

    def to_json(self) -> dict[str, Any]:
        """All loads, and the targets."""
        return {
            "seconds": {name: [round(one, 3) for one in loads] for name, loads in self.seconds.items()},
            "targets": [target.to_json() for target in self.targets],
        }


def run(visit: Visit, say: Callable[[str], None]) -> Loads:
    """Load both pages in turn, in one browser that has been there before.

    :param say: told how far it has come
    """
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise RuntimeError("No browser: install Debian's `chromium`.")
    with TemporaryDirectory() as folder, LocalAirflow(Path(folder) / "airflow") as airflow:
        say("starting Airflow")
        airflow.wait_until_ready(DAGS, lambda _: None)
        say(f"making up {visit.track_days * 144:,} runs of tracking and 90 days of cleanups")
        airflow.run_module("flexsms.demo.history", "--track-days", str(visit.track_days))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1440, "height": 1000})
            page.goto(airflow.url)
            page.fill("input[name=username]", USER)
            page.fill("input[name=password]", airflow.password)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_selector("a[href='/dags']")
            for name in PAGES:
                _load(page, airflow.url, name)
            say(f"loading each page {visit.rounds} times")
            seconds: dict[str, list[float]] = {name: [] for name in PAGES}
            for _ in range(visit.rounds):
                for name, loads in seconds.items():
                    loads.append(_load(page, airflow.url, name))
            browser.close()
    return Loads(seconds)


def _load(page: Page, url: str, name: str) -> float:
    path, there = PAGES[name]
    began = time.monotonic()
    page.goto(url + path, wait_until="commit")
    page.wait_for_selector(there, state="attached")
    return time.monotonic() - began


def show_loads(console: Console, loads: Loads) -> None:
    """How long it took, and the targets."""
    table = columns("Until the page is there", "", "median", "fastest", "slowest")
    for name, seconds in loads.seconds.items():
        table.add_row(name, *(f"{one:.2f} s" for one in (median(seconds), min(seconds), max(seconds))))
    console.print(Group(table, targets_table(loads.targets)))
