"""Seconds, CPU seconds and calls of one piece of work against a sandbox."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from bench.figures import Measurement
from flexsms.sandbox.client import SandboxProcess
from flexsms.twilio.client.endpoints import endpoint

TOO_MANY = 429


def measure(
    sandbox: SandboxProcess,
    contender: str,
    things: int,
    work: Callable[[], Coroutine[Any, Any, int]],
) -> Measurement:
    """Do the work once on an event loop of its own. The journal is read when the clock has stopped.

    :param things: how many channels have to come out of it
    :raises RuntimeError: when another number comes out, because then the speed says nothing
    """
    sandbox.control.clear_journal()
    gc.collect()
    # What the benchmark itself holds, a library for plots among it, is no work for the contender's collector.
    gc.freeze()
    sandbox_cpu, client_cpu, began = cpu_s(sandbox), time.process_time(), time.perf_counter()
    done = asyncio.run(work())
    seconds = time.perf_counter() - began
    gc.unfreeze()
    client_cpu, sandbox_cpu = time.process_time() - client_cpu, cpu_s(sandbox) - sandbox_cpu
    if done != things:
        raise RuntimeError(f"{contender}: {done} of {things} channels")
    journal = sandbox.control.journal()
    return Measurement(
        contender,
        things,
        seconds,
        listing_s=_listing_s(journal),
        calls=Counter(endpoint(entry["method"], entry["host"], entry["path"]) for entry in journal),
        refused=sum(entry["status"] == TOO_MANY for entry in journal),
        client_cpu_s=client_cpu,
        sandbox_cpu_s=sandbox_cpu,
    )


def _listing_s(journal: list[dict[str, Any]]) -> float:
    """From the first call to the first that is not of the same list."""
    first = journal[0]
    others = (one for one in journal if (one["method"], one["path"]) != (first["method"], first["path"]))
    return (next(others, first)["wall_ms"] - first["wall_ms"]) / 1000


def cpu_s(sandbox: SandboxProcess) -> float:
    """CPU seconds that the sandbox has used so far; 0 where there is no /proc."""
    try:
        fields = Path(f"/proc/{sandbox.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
