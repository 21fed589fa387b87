"""Look whether the package's ranges leave every Airflow that they name a set of versions, without installing any.

    python scripts/resolve.py            resolve them all
    python scripts/resolve.py --newest   only say which the newest Airflow is, pre-releases included

They are resolved with the oldest Airflow, with the one of constraints.txt, with the newest, pre-releases included, and
once with the lowest versions of everything: a lower bound that no environment can have is none. Needs uv and its
registry.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
FILES = ("requirements.txt", "requirements-sandbox.txt", "requirements-kinesis.txt")
OLDEST_PYTHON, NEWEST_PYTHON = "3.11", "3.14"


def listed(name: str) -> list[Requirement]:
    """The requirements that a file names itself."""
    lines = (ROOT / name).read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def resolve(airflow: str, python: str, *options: str, files: Sequence[str] = FILES) -> dict[str, str]:
    """The versions that uv finds, by package.

    :param airflow: a requirement beside those of the files
    """
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    command += ["--cache-dir", str(ROOT / ".cache" / "uv-cache"), "--python-version", python, *options]
    found = subprocess.run(
        [*command, *files, "-"], cwd=ROOT, input=airflow, capture_output=True, text=True, check=False
    )
    if found.returncode:
        raise SystemExit(f"flexsms: {airflow} on Python {python} {' '.join(options)}\n{found.stderr}")
    return dict(re.findall(r"^([\w.-]+)==(\S+)", found.stdout, re.MULTILINE))


def newest(airflow: Requirement) -> str:
    """The newest Airflow within a range, pre-releases included."""
    found = resolve(str(airflow), NEWEST_PYTHON, "--no-deps", "--prerelease", "allow", files=())
    return found[airflow.name]


def main() -> None:
    """Resolve all, side by side, and say what was found."""
    [airflow] = [one for one in listed("requirements.txt") if one.name == "apache-airflow"]
    if sys.argv[1:] == ["--newest"]:
        print(newest(airflow))
        return
    [oldest] = [one.version for one in airflow.specifier if one.operator == ">="]
    [pinned] = [str(one) for one in listed("constraints.txt") if one.name == "apache-airflow"]
    with ThreadPoolExecutor() as pool:
        asked = {
            "oldest": pool.submit(resolve, f"apache-airflow=={oldest}", OLDEST_PYTHON),
            "pinned": pool.submit(resolve, pinned, NEWEST_PYTHON),
            "lowest": pool.submit(resolve, str(airflow), OLDEST_PYTHON, "--resolution", "lowest-direct"),
            "newest": pool.submit(resolve, f"apache-airflow=={newest(airflow)}", NEWEST_PYTHON),
        }
        found = {name: one.result() for name, one in asked.items()}
    for name, versions in found.items():
        print(
            f"flexsms: {name} versions resolved: Airflow {versions['apache-airflow']} and {len(versions) - 1} others"
        )
    bounds = {one.name: one.specifier for name in FILES for one in listed(name)}
    for name, specifier in bounds.items():
        [bound] = [one.version for one in specifier if one.operator == ">="]
        if Version(bound) != Version(lowest := found["lowest"][name]):
            raise SystemExit(f"flexsms: {name}>={bound} cannot be had, the others need at least {lowest}")


if __name__ == "__main__":
    main()
