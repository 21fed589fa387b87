"""The wheel, and an environment of its own for each test, which has an Airflow and nothing of the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.resolve import listed, newest
from tests.conftest import ROOT

CACHE = ROOT / ".cache" / "uv-cache"
BUNDLE = {"name": "flexsms", "classpath": "flexsms.bundle.FlexSmsDagBundle", "kwargs": {}}


def uv(*arguments: str | Path) -> None:
    """Run uv, and see that it succeeds."""
    done = subprocess.run(
        [sys.executable, "-m", "uv", "--quiet", "--cache-dir", str(CACHE), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy because building leaves files behind."""
    copy, out = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE", *(path.name for path in ROOT.glob("req*.txt"))):
        shutil.copy(ROOT / name, copy)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "include", copy / "include", ignore=ignored)
    uv("build", "--wheel", "--out-dir", out, copy)
    [built] = out.glob("*.whl")
    return built


def airflow_version(which: str) -> str:
    """The oldest one that requirements.txt allows, that of constraints.txt, or the newest, pre-releases included."""
    [allowed] = [one for one in listed("requirements.txt") if one.name == "apache-airflow"]
    if which == "newest":
        return newest(allowed)
    if which == "pinned":
        [allowed] = [one for one in listed("constraints.txt") if one.name == "apache-airflow"]
    return str(next(one.version for one in allowed.specifier if one.operator in (">=", "==")))


def installed(wheel: Path, airflow: str, environment: Path, *more: str) -> Path:
    """The Python of a new environment with the wheel and an Airflow.

    :param more: requirements beside these
    """
    python = environment / "bin" / "python"
    uv("venv", "--python", sys.executable, environment)
    requirements = (f"flexsms[sandbox] @ {wheel.as_uri()}", f"apache-airflow=={airflow}", *more)
    uv("pip", "install", "--python", python, *requirements)
    uv("pip", "check", "--python", python)
    return python


def environment_of(home: Path) -> dict[str, str]:
    """Nothing of the tests' own settings, and the bundle."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([BUNDLE]),
    }
