"""Writes the parts of docs/ that the code knows: error codes, fields, options, assumptions, routes, examples.

A page holds `<!-- docs: NAME ARGUMENT -->` and `<!-- end -->`; what is between them comes from here.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from scripts import connection_form

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"(<!-- docs: (\w+) ?(\S*) -->\n).*?(<!-- end -->)", re.DOTALL)
# `    20404,  # of any product`, below `    NotFound: (`
CODE = re.compile(r"^ {8}(\d+),  # (.+)$")
CLASS = re.compile(r"^ {4}(\w+): \($")
# What the comments of a class name.
MEANINGS = {
    "NotFound": "what is missing",
    "AlreadyExists": "what exists",
    "RevisionMismatch": "what has changed",
}


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    lines = [[*header]]
    lines += [["---"] * len(lines[0])]
    lines += [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def example(name: str) -> str:
    """A file of docs/examples, as it is."""
    return f"```python\n{(DOCS / 'examples' / name).read_text()}```"


def delivery(_: str) -> str:
    """Why a text did not arrive."""
    from flexsms.core import delivery_status as deliveries

    rows = ((f"`{code}`", *told.split("; ", 1)) for code, told in deliveries.REASONS.items())
    return table(("code", "what happened", "what to do"), rows)


def codes(kind: str) -> str:
    """The codes of one class of errors. What each means is a comment in the code."""
    from flexsms.core import twilio_codes as known

    meanings: dict[str, dict[int, str]] = {}
    for line in inspect.getsource(known).splitlines():
        if begun := CLASS.match(line):
            meanings[begun[1]] = {}
        elif (code := CODE.match(line)) and meanings:
            meanings[[*meanings][-1]][int(code[1])] = code[2]
    expected = {cls.__name__: [*numbers] for cls, numbers in known._CODES.items()}
    found = {name: [*of_class] for name, of_class in meanings.items()}
    if found != expected:
        raise ValueError("a code in _CODES has no comment that says what it means")
    rows = [(f"`{code}`", meaning, known.advice(0, code)) for code, meaning in meanings[kind].items()]
    header = ("code", MEANINGS.get(kind, "meaning"), "what to do")
    if any(row[2] for row in rows):
        return table(header, rows)
    return table(header[:2], (row[:2] for row in rows))


def statuses(_: str) -> str:
    """What a person can do about an answer that has no code of its own class."""
    from flexsms.core import twilio_codes as known

    others = (code for code in sorted(known.ADVICE) if code not in known._CLASS_OF)
    return table(("status or code", "what to do"), ((f"`{one}`", known.ADVICE[one]) for one in others))


def assumptions(_: str) -> str:
    """What `flexsms verify` tries."""
    from flexsms.core.assumptions import ASSUMPTIONS

    rows = ((one.about, f"`{one.name}`", one.question, one.assumed) for one in ASSUMPTIONS.values())
    return table(("product", "assumption", "question", "assumed"), rows)


def routes(_: str) -> str:
    """What the sandbox serves, by host."""
    import flexsms.sandbox.products  # noqa: F401 (registers the routes)
    from flexsms.sandbox.routing.router import ROUTERS, Route

    def served(tree: dict[object, object]) -> Iterable[Route]:
        for below in tree.values():
            if isinstance(below, Route):
                yield below
            elif isinstance(below, dict):
                yield from served(below)

    parts = []
    for host, router in sorted(ROUTERS.items()):
        methods: dict[str, set[str]] = {}
        for route in served(router._tree):
            methods.setdefault(route.template, set()).add(route.method)
        rows = ((f"`{template}`", " ".join(sorted(methods[template]))) for template in sorted(methods))
        parts.append(f"### {host}\n\n{table(('path', 'methods'), rows)}")
    return "\n\n".join(parts)


def switches(_: str) -> str:
    """The switches of the sandbox."""
    from flexsms.sandbox.state.settings import Settings

    def source(told: str) -> str:
        return f"[page]({told})" if told.startswith("https://") else told

    rows = (
        (f"`{one['name']}`", f"`{json.dumps(one['default'])}`", one["doc"], source(one["source"]))
        for one in Settings().report()
    )
    return table(("switch", "default", "meaning", "source"), rows)


def fields(_: str) -> str:
    """The fields of the connection, by the sections of its form."""
    form = json.loads(connection_form.form())
    sections: dict[str, list[tuple[str, str, str]]] = {}
    for name, one in form.items():
        section = one["schema"].get("section", "Extra Fields")
        sections.setdefault(section, []).append((f"`{name}`", one["description"], one["label"]))
    header = ("field", "meaning", "in the form")
    return "\n\n".join(f"### {section}\n\n{table(header, rows)}" for section, rows in sections.items())


def options(_: str) -> str:
    """The options of Airflow's configuration."""
    from flexsms.provider_info import CONFIG

    rows = (
        (
            f"`[flexsms] {name}`",
            f"`AIRFLOW__FLEXSMS__{name.upper()}={one['example']}`",
            f"`{one['default']}`" if one["default"] else "none",
            one["description"],
        )
        for name, one in CONFIG["flexsms"]["options"].items()
    )
    return table(("option", "as an environment variable", "default", "meaning"), rows)


PARTS: dict[str, Callable[[str], str]] = {
    part.__name__: part
    for part in (example, delivery, codes, statuses, assumptions, routes, switches, fields, options)
}


def written(page: str) -> str:
    """A page with its parts as they should be."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{PARTS[found[2]](found[3])}\n\n{found[4]}", page)


def main() -> int:
    """Write all pages."""
    for path in sorted(DOCS.rglob("*.md")):
        before = path.read_text()
        after = written(before)
        if after != before:
            path.write_text(after)
            print(f"written: {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
