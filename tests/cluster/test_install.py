"""The ways to install flexsms: each has versions that go together, and what is installed keeps its own."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.cluster.cluster import ROOT

PAGE = (ROOT / "docs" / "install.md").read_text()
CHAPTER = PAGE[: PAGE.index("\n## Versions")]
GUIDE = (ROOT / "docs" / "deployment.md").read_text()
LINES = re.findall(r"`pip install (-[cr] [^`]+)`", CHAPTER)
ADDED = [
    "-r requirements-kinesis.txt",
    *sorted(set(re.findall(r"`(apache-airflow-providers-(?:amazon|google|microsoft)[^`]*)`", CHAPTER))),
]
CELERY = next(line for line in LINES if "celery" in line)
PLAIN = str.maketrans("[] ", "---")  # brackets in a test's name have to be escaped on the command line
COMMANDS = [*LINES, *(f"{CELERY} {added}" for added in ADDED)]
# Some that Airflow needs and that install at once.
SMALL = ("certifi", "idna", "packaging", "python-dateutil", "urllib3")
PACKAGE = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "constraints.txt",
    *(path.name for path in ROOT.glob("req*.txt")),
)

# Once the cluster has ended, which would take half of the machine.
pytestmark = pytest.mark.last


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what an installation needs, because building leaves files behind."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in PACKAGE:
        shutil.copy(ROOT / name, copy)
    shutil.copytree(
        ROOT / "include", copy / "include", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    return copy


def uv(*arguments: str, cwd: Path) -> str:
    """Run uv, and see that it succeeds; returns what it tells of packages."""
    cache = str(ROOT / ".cache" / "uv-cache")
    command = [sys.executable, "-m", "uv", "--color", "never", "--cache-dir", cache, *arguments]
    done = subprocess.run(command, cwd=cwd, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


@pytest.fixture(scope="module")
def resolved(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[str]]]:
    """What becomes of each command in an empty environment. Side by side, because they wait for the registry."""
    environment = str(tmp_path_factory.mktemp("empty") / "environment")
    uv("venv", "--python", sys.executable, environment, cwd=checkout)
    asked = ["pip", "install", "--dry-run", "--python", environment]
    with ThreadPoolExecutor(len(COMMANDS)) as pool:
        yield {one: pool.submit(uv, *asked, *shlex.split(one), cwd=checkout) for one in COMMANDS}


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda one: one.translate(PLAIN))
def test_the_versions_of_a_command_go_together(resolved: dict[str, Future[str]], arguments: str) -> None:
    assert re.search(r"(?m)^ \+ flexsms\b", resolved[arguments].result())


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """flexsms, as the guide builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), "."]
    subprocess.run(build, cwd=checkout, check=True)
    [built] = folder.glob("*.whl")
    return built


def install_beside(installed: Path, wheel: Path, environment: Path) -> str:
    """What the guide's command for an environment that exists would do there, as uv says it."""
    [command] = re.findall(r"(?m)^pip install (-c installed\.txt .*)$", GUIDE)
    arguments = shlex.split(command)
    assert arguments[-1] == wheel.name
    arguments[-1] = str(wheel)
    return uv("pip", "install", "--dry-run", "--python", str(environment), *arguments, cwd=installed.parent)


def test_what_is_installed_keeps_its_version(wheel: Path, tmp_path: Path) -> None:
    environment, installed = tmp_path / "environment", tmp_path / "installed.txt"
    uv("venv", "--seed", "--python", sys.executable, str(environment), cwd=tmp_path)
    pins = dict(re.findall(r"(?m)^([\w-]+)==(\S+)$", (ROOT / "constraints.txt").read_text()))
    older = [f"{name}<{pins[name]}" for name in SMALL]
    uv("pip", "install", "--no-deps", "--python", str(environment), *older, cwd=tmp_path)
    assert "pip list --format=freeze > installed.txt" in GUIDE
    listed = subprocess.run(
        [environment / "bin" / "python", "-m", "pip", "list", "--format=freeze"],
        capture_output=True,
        text=True,
        check=True,
    )
    installed.write_text(listed.stdout)

    told = install_beside(installed, wheel, environment)

    assert re.search(r"(?m)^ \+ flexsms\b", told), told
    changed = re.findall(r"(?m)^ - (\S+)", told)
    assert changed == []


@pytest.mark.parametrize(
    "airflow", ["apache-airflow[celery,postgres]==3.3.1", "apache-airflow[celery,postgres]>=3.3.1"]
)
def test_an_airflow_without_our_constraints_takes_the_wheel(
    airflow: str, wheel: Path, tmp_path: Path
) -> None:
    environment, installed = tmp_path / "environment", tmp_path / "installed.txt"
    uv("venv", "--python", sys.executable, str(environment), cwd=tmp_path)
    (tmp_path / "airflow.in").write_text(airflow)
    compiled = ["--python", str(environment), "--no-header", "--output-file", str(installed), "airflow.in"]
    uv("pip", "compile", "--no-annotate", *compiled, cwd=tmp_path)

    told = install_beside(installed, wheel, environment)

    taken = dict(re.findall(r"(?m)^ \+ ([\w.-]+)==(\S+)$", told))
    had = dict(re.findall(r"(?m)^([\w.-]+)==(\S+)$", installed.read_text()))
    assert taken["apache-airflow"] == had["apache-airflow"]
    assert {name: version for name, version in taken.items() if had.get(name, version) != version} == {}


def test_the_wheel_pins_nothing(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        headers = HeaderParser().parsestr(archive.read(name).decode())
    required = headers.get_all("Requires-Dist") or []
    assert required
    assert [one for one in required if "==" in one.partition(";")[0]] == []
