"""A demo that stays open, another terminal beside it, and a browser."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.support.demo_process import CLICK, INBOX, SEND, STORY_TIMEOUT_S, TOKEN, Demo, Shell

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    try:
        running.wait_for("✓ An agent completes", STORY_TIMEOUT_S)
        running.clicked = time.monotonic()
        running.wait_for("Ctrl-C ends", STORY_TIMEOUT_S)
        yield running
    finally:
        running.end()


@pytest.fixture(scope="module")
def shell(demo: Demo) -> Iterator[Shell]:
    """Another terminal, with the lines pasted that the demo ends with."""
    shell = Shell()
    try:
        exports = [line for line in demo.lines if line.startswith("export ")]
        assert len(exports) == 2
        assert shell.run("".join(exports)) == ""
        yield shell
    finally:
        shell.end()


@pytest.fixture(scope="module")
def clicked(shell: Shell) -> Shell:
    """The walk up to an agent's click, with the eye on Sync."""
    assert shell.run(TOKEN) == ""
    said = shell.run(SEND)
    assert said.startswith("success\n")
    assert "Hello Fay, your frames have come." in said
    event, stranger, unsigned = shell.run(INBOX).splitlines()
    assert event.startswith("com.twilio.taskrouter.task.")
    assert stranger.endswith(" 401")
    assert unsigned.endswith(" 403")
    shell.paste(CLICK)
    return shell


@pytest.fixture
def page() -> Iterator[Page]:
    """A page in a real browser."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.fail(
            "No browser: install Debian's `chromium`, or put one of " + ", ".join(BROWSERS) + " on the PATH."
        )
    with sync_playwright() as playwright:
        # Chromium's own sandbox refuses to run as root, which is who runs in containers.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", *QUIET])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(20_000)
        yield page
        browser.close()
