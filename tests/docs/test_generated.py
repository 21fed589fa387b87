"""The parts of docs/ that come from the code are as the code is now."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.docs import BLOCK, DOCS, written

PAGES = [page for page in sorted(DOCS.rglob("*.md")) if BLOCK.search(page.read_text())]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_up_to_date(page: Path) -> None:
    assert written(page.read_text()) == page.read_text(), "run make docs"


def test_every_example_is_on_a_page() -> None:
    shown = {
        found[3] for page in PAGES for found in BLOCK.finditer(page.read_text()) if found[2] == "example"
    }
    assert shown == {path.name for path in (DOCS / "examples").glob("*.py")}
