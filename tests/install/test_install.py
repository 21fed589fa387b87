"""`pip install` of the wheel is all that flexsms needs beside an Airflow, be it old or new."""

from __future__ import annotations

import json
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

from .conftest import airflow_version, environment_of, installed
from .inside import TEXT, TO

DAGS = ["flexsms_broadcast", "flexsms_cleanup", "flexsms_send", "flexsms_setup", "flexsms_track"]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("which", ["oldest", "pinned", "newest"])
def test_the_wheel_is_enough(which: str, wheel: Path, tmp_path: Path) -> None:
    airflow, environment, home = airflow_version(which), tmp_path / "environment", tmp_path / "home"
    python = installed(wheel, airflow, environment)
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
