"""Twenty kills of every job on either stack, and twenty races, by the script beside this file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kill_and_retry.py")
JOBS = {"chat": ("send", "cleanup"), "conversations": ("send", "wait", "cleanup")}


@pytest.mark.parametrize("stack", JOBS)
def test_nothing_is_doubled_lost_or_half_done(stack: str) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--stack", stack, "--instants", "20"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for job in JOBS[stack]:
        assert f"{job}: 20 killed" in done.stdout
    assert "race: 20 times" in done.stdout
