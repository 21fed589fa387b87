"""What the pages say of the product is so: links, commands, options, params, fields."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import takewhile
from pkgutil import resolve_name
from typing import Any
from urllib.parse import urlsplit

import pytest

from flexsms.cli.main import parser
from flexsms.core.assumptions import ASSUMPTIONS
from flexsms.core.setup_report import STREAM_NAME
from flexsms.provider_info import CONFIG, CONNECTION_FIELDS
from tests.conftest import ROOT
from tests.dags.conftest import DAGS
from tests.support.pages import BY_NAME, PAGES, Page

every_page = pytest.mark.parametrize("page", PAGES, ids=str)
# Options of commands of others.
OF_OTHERS = {"--queues", "--skip-archive", "--proxy-headers"}
# What a path may begin in: those of the product are named without their first folders.
BELOW = (ROOT, ROOT / "include" / "flexsms", ROOT / "docs", ROOT / "docs" / "deployment")
PATH = re.compile(r"[\w.-]+(/[\w.-]+)*/?")
SUFFIXES = (".py", ".md", ".txt", ".toml", ".env", ".yaml", ".json")
# Files and folders that a command or a reader makes, and those of others.
MADE = {".airflow/", ".cache/", ".cache/chaos/", ".cache/cluster/", "connection.json", "findings.json"}
MADE |= {"site.env", "passwords.json", "installed.txt", "rejected/*.txt"}
MAKE = re.compile(r"make(?: [A-Z_]+=\S+)* ([a-z][a-z-]*)")


def commands(page: Page) -> Iterator[str]:
    """The command lines on a page, continued lines joined."""
    yield from page.code
    for language, block in page.blocks:
        if language in ("", "bash"):
            yield from (line.strip() for line in block.replace("\\\n", " ").splitlines())


@every_page
def test_every_link_leads_somewhere(page: Page) -> None:
    for link in page.links:
        if "://" in link:
            there = urlsplit(link)
            assert there.scheme == "https", link
            assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", there.netloc), link
            continue
        target, _, anchor = link.partition("#")
        path = (page.path.parent / target).resolve() if target else page.path
        assert path.exists(), link
        if anchor:
            assert anchor in Page(path).anchors, link


def test_every_page_is_reached_from_the_readme() -> None:
    readme = BY_NAME["README"]
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in readme.links if "://" not in link}
    assert {page.path for page in PAGES} - {readme.path} <= linked


@every_page
def test_every_make_target_is_one(page: Page) -> None:
    targets = set(re.findall(r"(?m)^([a-z][a-z-]*):", (ROOT / "Makefile").read_text()))
    named = {found[1] for line in commands(page) if (found := MAKE.match(line))}
    assert named <= targets


@every_page
def test_every_command_of_flexsms_is_one(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    for line in commands(page):
        words = line.removeprefix(".venv/bin/").removeprefix("airflow ")
        if not words.startswith("flexsms ") or words == STREAM_NAME:
            continue
        try:
            parser().parse_args(shlex.split(words, comments=True)[1:])
        except SystemExit:
            pytest.fail(f"{line}: {capsys.readouterr().err}")


@every_page
def test_every_option_of_a_command_is_one(page: Page) -> None:
    """Those in tables and sentences, too, where the command is named elsewhere."""
    known = {option for one in _commands().values() for option in one._option_string_actions}
    named = {code.split()[0] for code in page.code if code.startswith("--")}
    assert named - known <= OF_OTHERS


@every_page
def test_every_option_of_flexsms_is_one(page: Page) -> None:
    text = page.path.read_text()
    named = {*re.findall(r"\[flexsms\] (\w+)", text)}
    named |= {name.lower() for name in re.findall(r"AIRFLOW__FLEXSMS__(\w+)", text)}
    assert named <= set(CONFIG["flexsms"]["options"])


def test_the_readme_shows_an_option_as_an_environment_variable() -> None:
    assert re.search(r"`AIRFLOW__FLEXSMS__RETENTION_DAYS=\d+`", BY_NAME["README"].path.read_text())


def test_installing_ends_where_a_cleanup_runs_and_somebody_is_told_of_failures() -> None:
    text = BY_NAME["install"].path.read_text()
    first_day, upgrade = text.partition("## The first day\n")[2].split("\n## ")[:2]
    steps = (
        "`flexsms setup`, `flexsms setup --write` and `flexsms doctor`",
        "Unpause `flexsms_track`",
        "[the first send](../README.md#the-first-send)",
        "Unpause `flexsms_cleanup`",
        "[the first dry run](../README.md#the-first-dry-run)",
        "told of failures",
        "airflow_local_settings.py",
    )
    places = [first_day.find(step) for step in steps]
    assert -1 not in places
    assert places == sorted(places)
    assert upgrade.startswith("Upgrade\n")
    first_run = (
        BY_NAME["README"].path.read_text().partition("## The first dry run\n")[2].partition("\n## ")[0]
    )
    assert first_run.index("with *Dry run*") < first_run.index("without *Dry run*, with `limit`")


@every_page
def test_every_option_of_airflow_is_one(page: Page) -> None:
    named = set(re.findall(r"`\[(\w+)\] (\w+)", page.path.read_text()))
    assert [pair for pair in named if not _is_option(*pair)] == []


@pytest.mark.airflow
@pytest.mark.parametrize(
    "dag_id", ["flexsms_send", "flexsms_broadcast", "flexsms_track", "flexsms_cleanup", "flexsms_setup"]
)
def test_every_param_is_told_with_its_default(dag_id: str, airflow_db: object) -> None:
    params = _dags()[dag_id].params
    told = BY_NAME[dag_id.removeprefix("flexsms_")].table("param", "default")
    assert told == {name: _default(params.get_param(name)) for name in params}


def test_every_dag_has_its_page() -> None:
    dags = {path.stem for path in DAGS.glob("flexsms_*.py")}
    assert {name.removeprefix("flexsms_") for name in dags} <= set(BY_NAME)


def test_every_field_of_the_connection_is_told() -> None:
    told = [*BY_NAME["connection"].table("field", "meaning")]
    assert sorted(told) == sorted(["login", "password", *CONNECTION_FIELDS])


def test_every_assumption_that_is_explained_is_one() -> None:
    page = BY_NAME["verification"]
    explained = {name for line in page.path.read_text().splitlines() for name in _explained(line)}
    assert explained
    assert explained <= set(ASSUMPTIONS)


@every_page
def test_every_path_is_one(page: Page) -> None:
    top = {path.name for folder in BELOW for path in folder.iterdir()}
    for code in page.code:
        first, slash, _ = code.partition("/")
        if (
            PATH.fullmatch(code)
            and (code.endswith(SUFFIXES) or (slash and first in top))
            and code not in MADE
        ):
            assert any((folder / code).exists() for folder in BELOW), code


@every_page
def test_every_name_of_the_package_is_one(page: Page) -> None:
    rooms = {path.stem for path in (ROOT / "include" / "flexsms").iterdir()}
    for name, room in re.findall(r"\b(flexsms\.(\w+)(?:\.\w+)*)", page.path.read_text()):
        if room in rooms:
            assert resolve_name(name), name


def test_the_map_of_the_house_shows_every_room() -> None:
    [text] = [block for _, block in BY_NAME["CONTRIBUTING"].blocks if "include/flexsms/ " in block]
    shown: set[str] = set()
    above: list[str] = []
    for line in text.splitlines():
        indent, words = re.findall(r"^((?:[│ ]   )*(?:[├└]── )?)(\S.*)$", line)[0]
        names = list(takewhile(lambda word: word.endswith(("/", ".py", ".json")), words.split()))
        del above[len(indent) // 4 :]
        shown |= {"".join([*above, name]) for name in names}
        above.append(names[-1])
    assert {path for path in shown if not (ROOT / path).exists()} == set()
    package = ROOT / "include" / "flexsms"
    floors = (
        package,
        package / "twilio",
        package / "twilio" / "stacks",
        package / "sandbox",
        ROOT / "tests" / "support",
    )
    rooms = {path.parent for floor in floors for path in floor.glob("*/*.py")} | {floors[-1]}
    assert {f"{path.relative_to(ROOT)}/" for path in rooms} <= shown


def _explained(line: str) -> list[str]:
    """The names before the colon of `* `name`, `name`: sentence`."""
    found = re.match(r"\* ((?:`[\w-]+`(?:, )?)+):", line)
    return re.findall(r"`([\w-]+)`", found[1]) if found else []


def _default(param: Any) -> str:
    """How a page writes a default."""
    value = param.value
    if not param.has_value:
        return "none" if "null" in param.schema["type"] else "required"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _commands() -> dict[str, Any]:
    [choices] = [action.choices for action in parser()._actions if action.choices]
    return dict(choices)


@cache
def _dags() -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(DAGS)
    assert bag.import_errors == {}
    return dict(bag.dags)


@cache
def _options() -> dict[str, Any]:
    from airflow.providers_manager import ProvidersManager
    from airflow.sdk.configuration import conf

    ProvidersManager().initialize_providers_configuration()
    return dict(conf.configuration_description)


def _is_option(section: str, name: str) -> bool:
    """Whether Airflow, a provider that is installed or flexsms has an option."""
    return name in _options().get(section, {}).get("options", {})
