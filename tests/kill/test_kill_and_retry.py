"""Twenty kills of every job on either stack, and twenty races, by the script beside this file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kill_and_retry.py")
JOBS = {"chat": ("send", "cleanup"), "conversations": ("send", "wait", "cleanup")}


@pytest.fixture(scope="module")
def scripts() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """One per stack, side by side: they mostly wait."""
    running = {
        stack: subprocess.Popen(
            [sys.executable, str(SCRIPT), "--stack", stack, "--instants", "20"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for stack in JOBS
    }
    yield running
    for script in running.values():
        script.kill()
        script.communicate()


@pytest.mark.parametrize("stack", JOBS)
def test_nothing_is_doubled_lost_or_half_done(stack: str, scripts: dict[str, subprocess.Popen[str]]) -> None:
    told, _ = scripts[stack].communicate(timeout=300)
    assert scripts[stack].returncode == 0, told
    for job in JOBS[stack]:
        assert f"{job}: 20 killed" in told
    assert "race: 20 times" in told
