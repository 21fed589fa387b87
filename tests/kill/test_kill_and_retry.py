"""Twenty kills of a send and twenty of a cleanup, by the script beside this file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("kill_and_retry.py")


def test_nothing_is_doubled_lost_or_half_done() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--instants", "20"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "send: 20 killed" in done.stdout
    assert "cleanup: 20 killed" in done.stdout
