"""A broadcast on either stack whose workers are killed, by the script beside this file; `--texts 5000` is large."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flexsms.core.stack_name import StackName

SCRIPT = Path(__file__).with_name("broadcast_kills.py")
TEXTS, KILLS = 300, 20


@pytest.fixture(scope="module")
def scripts() -> Iterator[dict[StackName, subprocess.Popen[str]]]:
    """One per stack, side by side: they mostly wait."""
    running = {
        stack: subprocess.Popen(
            [sys.executable, str(SCRIPT), "--stack", stack, "--texts", str(TEXTS), "--kills", str(KILLS)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for stack in StackName
    }
    yield running
    for script in running.values():
        script.kill()
        script.communicate()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("stack", StackName)
def test_each_text_leaves_once_whoever_is_killed(
    stack: StackName, scripts: dict[StackName, subprocess.Popen[str]]
) -> None:
    told, _ = scripts[stack].communicate(timeout=800)
    assert scripts[stack].returncode == 0, told
    assert f"{TEXTS} texts: 294 sent, 6 suppressed; each once" in told
    killed = re.search(r"(\d+) killed", told)
    assert killed, told
    assert int(killed[1]) >= KILLS // 2, told
