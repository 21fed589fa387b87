"""The pages that people read, taken apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.conftest import ROOT

MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Page:
    """A page of Markdown."""

    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def tokens(self) -> list[Token]:
        return MARKDOWN.parse(self.path.read_text())

    @cached_property
    def inline(self) -> list[Token]:
        """What is in the lines: texts, links, code."""
        return [child for token in self.tokens for child in token.children or ()]

    @cached_property
    def links(self) -> list[str]:
        """Where the links lead."""
        return [str(token.attrs["href"]) for token in self.inline if token.type == "link_open"]

    @cached_property
    def code(self) -> list[str]:
        """Code in lines of text."""
        return [token.content for token in self.inline if token.type == "code_inline"]

    @cached_property
    def blocks(self) -> list[tuple[str, str]]:
        """Blocks of code, each with its language."""
        return [(token.info, token.content) for token in self.tokens if token.type == "fence"]

    @cached_property
    def anchors(self) -> set[str]:
        """The anchors that GitHub gives the headings."""
        found: set[str] = set()
        for opened, heading in zip(self.tokens, self.tokens[1:], strict=False):
            if opened.type == "heading_open":
                text = "".join(child.content for child in heading.children or ())
                slug = re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-")
                found.add(next(one for one in _numbered(slug) if one not in found))
        return found

    @cached_property
    def tables(self) -> list[list[list[str]]]:
        """The cells of the tables, as they are written; the header is the first row."""
        tables: list[list[list[str]]] = []
        for token in self.tokens:
            if token.type == "table_open":
                tables.append([])
            elif token.type == "tr_open":
                tables[-1].append([])
            elif token.type == "inline" and tables and token.level > 2 and tables[-1]:
                tables[-1][-1].append(token.content)
        return tables

    def table(self, *header: str) -> dict[str, str]:
        """The first two columns of all tables that begin with a header; names of the first one without backticks."""
        return {
            row[0].strip("`"): row[1]
            for table in self.tables
            if tuple(table[0][: len(header)]) == header
            for row in table[1:]
        }


def _numbered(slug: str) -> Iterator[str]:
    yield slug
    for number in range(1, 100):
        yield f"{slug}-{number}"


PAGES = [
    Page(path)
    for path in (
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
        *sorted((ROOT / "docs").rglob("*.md")),
    )
]
BY_NAME = {page.path.stem: page for page in PAGES}
