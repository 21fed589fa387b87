"""What the processes of a long run do: play a schedule, shrink one."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import tempfile
import time
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / ".cache" / "chaos"
Found = tuple[str, int, list[tuple[str, str]], int, float]


def play(wanted: tuple[str, int]) -> Found:
    """Play the schedule of a stack and a seed; also tells the requests and the seconds of CPU it took."""
    from .schedule import make
    from .story import tell

    began = time.process_time()
    try:
        verdict = tell(make(*wanted))
    except Exception as error:
        raise RuntimeError(f"the harness itself failed at {wanted[0]}:{wanted[1]}") from error
    broken = [(one.name, one.detail) for one in verdict.broken]
    return *wanted, broken, verdict.requests, time.process_time() - began


def shrunk(chosen: tuple[str, str, int]) -> dict[str, Any]:
    """Shrink the schedule of a stack and a seed that breaks a promise, and write it into a file."""
    from .promise import PROMISES
    from .schedule import make
    from .shrink import shrink
    from .story import tell

    stack, name, seed = chosen
    small = shrink(make(stack, seed), lambda schedule: name in tell(schedule).names)
    detail = next(one.detail for one in tell(small).broken if one.name == name)
    path = FOLDER / f"{name.replace(' ', '-')}-{stack}-{seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"breaks": name, "detail": detail, **small.to_json()}, indent=1) + "\n")
    return {
        "breaks": name, "promise": PROMISES[name], "detail": detail, "steps": small.steps,
        "file": os.path.relpath(path),
    }  # fmt: skip


def hunted(wanted: tuple[int, int, int]) -> tuple[int, int | None, str]:
    """How many schedules it takes to notice a mutation, by its place in the list."""
    from .mutations import MUTATIONS

    number, most, first = wanted
    return number, *MUTATIONS[number].hunt(most, first)


def pool(jobs: int) -> Any:
    """Processes that have imported everything already."""
    from . import story  # noqa: F401

    return multiprocessing.get_context("fork").Pool(jobs)


def calm_airflow() -> None:
    """Airflow's settings, before anything imports it: a home of its own, and nothing on the screen."""
    os.environ["AIRFLOW_HOME"] = str(Path(tempfile.gettempdir()) / "flexsms-chaos")
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
    logging.disable(logging.NOTSET)
