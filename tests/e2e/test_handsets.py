"""The sandbox's page to read and answer texts, in a browser. Its pictures stay in .cache/handsets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from flexsms.sandbox.client import SandboxProcess
from tests.conftest import ROOT

pytestmark = pytest.mark.timeout(300)

FAY = "+14155550166"
GIL = "+14155550177"
PICTURES = ROOT / ".cache" / "handsets"
WAIT_MS = 60_000


class Handsets:
    """The page, and the sandbox behind it."""

    def __init__(self, page: Page, sandbox: SandboxProcess) -> None:
        self.page, self.control = page, sandbox.control
        self.number = sandbox.settings["numbers"]["conversations"]
        self.errors: list[str] = []
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        self.address = f"{sandbox.base_url}/_sandbox/handsets"
        page.goto(self.address)

    @property
    def texts(self) -> Locator:
        return self.page.locator("#texts .bubble")

    @property
    def notes(self) -> Locator:
        return self.page.locator("#texts .note")

    def answer(self, body: str) -> None:
        box = self.page.get_by_label("Answer as the customer")
        box.fill(body)
        box.press("Enter")
        expect(box).to_have_value("")

    def write(self, task_sid: str, body: str) -> None:
        self.control.agent("write", task_sid=task_sid, body=body)

    def picture(self, name: str) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png")


@pytest.fixture
def handsets(page: Page, sandbox: SandboxProcess) -> Iterator[Handsets]:
    handsets = Handsets(page, sandbox)
    yield handsets
    assert handsets.errors == []
    assert sandbox.control.health() == {"ok": True, "errors": []}


def test_a_person_reads_a_text_and_answers_and_stops(handsets: Handsets) -> None:
    page = handsets.page
    expect(page.get_by_text("No text yet.")).to_be_visible()
    task_sid = handsets.control.customer(FAY, handsets.number, "Hello?")["task_sid"]
    handsets.control.agent("accept", task_sid=task_sid)
    expect(page.get_by_role("heading", name="Handset …0166")).to_be_visible(timeout=WAIT_MS)
    handsets.write(task_sid, "Hello Fay, your frames have come. <img src=x onerror=alert(1)>")
    expect(handsets.texts.nth(1)).to_have_text(
        "Hello Fay, your frames have come. <img src=x onerror=alert(1)>", timeout=WAIT_MS
    )
    expect(handsets.notes.nth(1)).not_to_contain_text("on its way", timeout=WAIT_MS)

    handsets.answer("I am on my way.")
    expect(handsets.texts.last).to_have_text("I am on my way.")
    state = handsets.control.state()["tables"]
    [conversation] = state["conversations"]
    assert [row["body"] for row in state["messages"] if row["parent"] == conversation["sid"]][
        -1
    ] == "I am on my way."
    assert [row["sid"] for row in state["tasks"] if row["conversation_sid"] == conversation["sid"]] == [
        task_sid
    ]

    handsets.answer("STOP")
    expect(handsets.texts).to_have_count(5, timeout=WAIT_MS)
    expect(handsets.notes.last).to_contain_text("Twilio's own answer")
    expect(page.get_by_text("has opted out", exact=True)).to_be_visible()
    handsets.write(task_sid, "It costs nothing.")
    expect(handsets.notes.last).to_contain_text(
        "did not arrive: the customer has opted out (21610)", timeout=WAIT_MS
    )
    handsets.picture("wide")

    handsets.answer("START")
    expect(page.get_by_text("has opted out", exact=True)).to_be_hidden(timeout=WAIT_MS)
    assert FAY not in page.inner_text("body")
    assert page.url.endswith("#0166")


def test_by_keyboard_alone(handsets: Handsets) -> None:
    page, press = handsets.page, handsets.page.keyboard.press
    for customer in (FAY, GIL):
        handsets.control.customer(customer, handsets.number, f"I am …{customer[-4:]}.")
    expect(page.get_by_role("heading", name="Handset …0177")).to_be_visible(timeout=WAIT_MS)
    page.get_by_label("Find by last digits").focus()
    press("Tab")
    expect(page.get_by_role("button", name="…0177")).to_be_focused()
    press("ArrowDown")
    expect(page.get_by_role("button", name="…0166")).to_be_focused()
    press("Enter")
    expect(page.get_by_role("heading", name="Handset …0166")).to_be_visible()
    expect(page.get_by_label("Answer as the customer")).to_be_focused()
    page.keyboard.type("First line")
    press("Shift+Enter")
    page.keyboard.type("Second line")
    handsets.control.customer(GIL, handsets.number, "A text for the other one.")
    expect(page.locator("#handsets li").first).to_contain_text("…0177", timeout=WAIT_MS)
    press("Enter")
    expect(handsets.texts.last).to_have_text("First line\nSecond line")
    press("Escape")
    expect(page.get_by_role("button", name="…0166")).to_be_focused()


def test_a_customer_writes_first(handsets: Handsets) -> None:
    page = handsets.page
    page.get_by_text("Another customer writes first").click()
    page.get_by_label("Customer's number").fill(GIL)
    page.locator("#first-to").select_option(handsets.number)
    page.get_by_label("Text", exact=True).fill("Is anybody there?")
    page.get_by_role("button", name="Write").click()
    expect(page.get_by_role("heading", name="Handset …0177")).to_be_visible()
    expect(handsets.texts).to_have_text(["Is anybody there?"])
    [task] = handsets.control.state()["tables"]["tasks"]
    assert task["status"] == "pending"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_narrow_screen(handsets: Handsets, scheme: str) -> None:
    page = handsets.page
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 480, "height": 760})
    for number in range(12):
        handsets.control.customer(f"+1415555{1000 + number}", handsets.number, "x" * 300)
    page.reload()
    page.get_by_role("button", name="…1003").click(timeout=WAIT_MS)
    expect(page.get_by_role("heading", name="Handset …1003")).to_be_focused()
    expect(page.get_by_label("Find by last digits")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") == 480
    handsets.picture(f"narrow-{scheme}")
    page.get_by_role("button", name="Handsets").click()
    expect(page.get_by_role("button", name="…1003")).to_be_focused()
    page.get_by_label("Find by last digits").fill("1011")
    expect(page.locator("#handsets li")).to_have_count(1, timeout=WAIT_MS)
    colors = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    lightness = [sum(map(int, color[4:-1].split(","))) for color in colors]
    assert (lightness[0] < lightness[1]) == (scheme == "dark")


def test_a_sandbox_that_is_gone_is_told_in_words(page: Page) -> None:
    with SandboxProcess() as sandbox:
        page.goto(f"{sandbox.base_url}/_sandbox/handsets")
        expect(page.get_by_text("No text yet.")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("The sandbox does not answer", timeout=WAIT_MS)
