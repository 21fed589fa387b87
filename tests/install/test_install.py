"""`pip install` of the wheel is all that flexsms needs beside an Airflow, be it old or new."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from scripts.resolve import listed, newest
from tests.conftest import ROOT
from tests.install.inside import TEXT, TO

CACHE = ROOT / ".cache" / "uv-cache"
DAGS = ["flexsms_cleanup", "flexsms_send", "flexsms_setup", "flexsms_track"]
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


@pytest.fixture(scope="module")
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


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("which", ["oldest", "pinned", "newest"])
def test_the_wheel_is_enough(which: str, wheel: Path, tmp_path: Path) -> None:
    airflow, environment, home = airflow_version(which), tmp_path / "environment", tmp_path / "home"
    python = environment / "bin" / "python"
    uv("venv", "--python", sys.executable, environment)
    uv(
        "pip",
        "install",
        "--python",
        python,
        f"flexsms[sandbox] @ {wheel.as_uri()}",
        f"apache-airflow=={airflow}",
    )
    uv("pip", "check", "--python", python)
    home.mkdir()
    done = subprocess.run(
        [python, ROOT / "tests" / "install" / "inside.py"],
        cwd=home,
        env=environment_of(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["airflow"] == airflow
    assert Path(found["package"]).is_relative_to(environment)
    assert "flexsms" in found["providers"]
    [[name, source]] = [one for one in found["plugins"] if one[0] == "flexsms"]
    assert source.startswith(f"flexsms=={version('flexsms')}: EntryPoint(name='{name}'")
    assert found["statuses"] == {"unsigned post": 403, "no such route": 404}
    assert (found["dags"], found["import errors"]) == (DAGS, [])
    assert found["sent"] == [[TO, TEXT]]


def environment_of(home: Path) -> dict[str, str]:
    """Nothing of the tests' own settings, and the bundle."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([BUNDLE]),
    }
