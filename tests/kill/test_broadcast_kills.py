"""A broadcast on either stack whose workers and triggerer are killed; `make kills` plays a large one."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flexsms.core.stack_name import StackName

ROOT = Path(__file__).parents[2]
TEXTS, KILLS = 300, 12


@pytest.fixture(scope="module")
def scripts() -> Iterator[dict[StackName, subprocess.Popen[str]]]:
    """One per stack, side by side: they mostly wait."""
    size = ("--texts", str(TEXTS), "--kills", str(KILLS))
    running = {
        stack: subprocess.Popen(
            [sys.executable, "-m", "tests.kill.broadcast", "--stack", stack, *size],
            cwd=ROOT,
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


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("stack", StackName)
def test_each_text_leaves_once_whoever_is_killed(
    stack: StackName, scripts: dict[StackName, subprocess.Popen[str]]
) -> None:
    told, _ = scripts[stack].communicate(timeout=1700)
    assert scripts[stack].returncode == 0, told
    assert "; each once, in " in told
    kills = re.search(r"kills: (\d+) triggerer, (\d+) worker", told)
    assert kills, told
    assert int(kills[1]) + int(kills[2]) == KILLS, told
    # Whom the triggerer kept waiting when it died, the next one did.
    anew = re.search(
        r"waits: (\d+) DateTimeTrigger, (\d+) FlexOpenTasksTrigger; (\d+) of them were run anew", told
    )
    assert anew, told
    assert int(anew[3]) > 0, told
