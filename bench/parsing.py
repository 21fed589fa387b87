"""How long Airflow takes to parse the DAG files, beside a DAG that does nothing.

Airflow's documentation measures a DAG file the same way: a fresh interpreter runs it
(https://airflow.apache.org/docs/apache-airflow/stable/best-practices.html, "DAG loader test").
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

DAGS = Path(__file__).resolve().parents[1] / "dags"
EMPTY = """
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

with DAG("empty"):
    EmptyOperator(task_id="nothing")
"""


def parse_times(rounds: int) -> Mapping[str, float]:
    """By DAG file, how many times as long as an empty DAG it takes to parse, the files in turn.

    CPU seconds of the interpreter, because parsing waits for nothing; of the rounds, the one that was disturbed least,
    as :mod:`timeit` advises: the same work never takes less than it needs.
    """
    with TemporaryDirectory() as folder:
        empty = Path(folder, "empty.py")
        empty.write_text(EMPTY)
        files = [empty, *sorted(DAGS.glob("*.py"))]
        for file in files:
            _cpu_s(file)  # from now on, all is compiled and in the file cache
        times: dict[Path, list[float]] = {file: [] for file in files}
        for _ in range(rounds):
            for file in files:
                times[file].append(_cpu_s(file))
    least = min(times.pop(empty))
    return {file.stem: min(seconds) / least for file, seconds in times.items()}


def _cpu_s(file: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, str(file)], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
