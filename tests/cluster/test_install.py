"""README's ways to install flexsms: each has versions that go together, and the wheel leaves others a choice."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.cluster.cluster import ROOT

README = (ROOT / "README.md").read_text()
CHAPTER = README[README.index("\n## Run it on your own Airflow") : README.index("\n## What it stands on")]
LINES = re.findall(r"`pip install (-[cr] [^`]+)`", CHAPTER)
ADDED = [
    "-r requirements-kinesis.txt",
    *sorted(set(re.findall(r"`(apache-airflow-providers-(?:amazon|google|microsoft)[^`]*)`", CHAPTER))),
]
CELERY = next(line for line in LINES if "celery" in line)
PLAIN = str.maketrans("[] ", "---")  # brackets in a test's name have to be escaped on the command line
PACKAGE = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "constraints.txt",
    *(path.name for path in ROOT.glob("req*.txt")),
)


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


def uv(*arguments: str, cwd: Path) -> None:
    """Run uv, and see that it succeeds."""
    cache = str(ROOT / ".cache" / "uv-cache")
    command = [sys.executable, "-m", "uv", "--quiet", "--cache-dir", cache, *arguments]
    done = subprocess.run(command, cwd=cwd, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize(
    "arguments",
    [
        *(pytest.param(line, id="celery" if line == CELERY else "plain") for line in LINES),
        *(pytest.param(f"{CELERY} {added}", id=added.translate(PLAIN)) for added in ADDED),
    ],
)
def test_the_versions_of_a_command_go_together(checkout: Path, tmp_path: Path, arguments: str) -> None:
    environment = str(tmp_path / "environment")
    uv("venv", "--python", sys.executable, environment, cwd=checkout)
    uv("pip", "install", "--dry-run", "--python", environment, *shlex.split(arguments), cwd=checkout)


def test_the_wheel_pins_nothing(checkout: Path, tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), "."]
    subprocess.run(build, cwd=checkout, check=True)
    [wheel] = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        headers = HeaderParser().parsestr(archive.read(name).decode())
    required = headers.get_all("Requires-Dist") or []
    assert required
    assert [one for one in required if "==" in one.partition(";")[0]] == []
