"""Peak memory of one cleanup, in a process of its own: ``python -m bench.memory`` is that process."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.contenders import flexsms
from flexsms.twilio.client.settings import TwilioSettings

KIB_PER_MB = 1024.0


@dataclass(frozen=True, slots=True)
class Peak:
    """What the process reported.

    :param states: documents that the scan went through
    :param peak_mb: the most that was resident at any time, MiB, the interpreter and the SDK included
    :param seconds: of the cleanup, imports left out
    """

    states: int
    retired: int
    peak_mb: float
    seconds: float


def peak_of_cleanup(connection: dict[str, Any], batch_size: int) -> Peak:
    """Clean up in a fresh process and ask it for its peak.

    :param connection: login, password and extra of the connection
    """
    done = subprocess.run(
        [sys.executable, "-m", "bench.memory"],
        input=json.dumps({**connection, "batch_size": batch_size}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the measured process failed: {done.stderr.strip()[-2000:]}")
    return Peak(**json.loads(done.stdout))


def peak_mb() -> float:
    """The peak of this process. Not ru_maxrss where it can be helped: on Linux that starts at the parent's."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        scale = KIB_PER_MB**2 if sys.platform == "darwin" else KIB_PER_MB
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
    high_water = next(line for line in lines if line.startswith("VmHWM"))
    return int(high_water.split()[1]) / KIB_PER_MB


def main() -> None:
    """Read the connection from stdin, clean up, print the figures."""
    asked = json.load(sys.stdin)
    settings = TwilioSettings.from_connection(asked["login"], asked["password"], asked["extra"])
    began = time.perf_counter()
    scan, retired = asyncio.run(flexsms(settings, asked["batch_size"]))
    seconds = time.perf_counter() - began
    figures = {"states": scan.scanned, "retired": retired, "peak_mb": peak_mb(), "seconds": seconds}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
