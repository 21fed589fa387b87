"""Kill the workers and the triggerer of a broadcast, lose answers, and see that each text left once and is told of.

    python -m tests.kill.broadcast --stack conversations --texts 5000 --kills 20 --seed 7

Each try of a task is the operator in a process of its own, against a sandbox over real HTTP, and the triggerer is
Airflow's; SIGKILL gives none of them a chance to tidy up. What Airflow's scheduler would do is done here. The clock of
the contact centre goes on when all wait, and some hours end while texts leave.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from flexsms.core.stack_name import StackName
from flexsms.sandbox.client import SandboxProcess

from . import worker
from .broadcast import Broadcast
from .centre import Centre
from .database import Database
from .promises import judge


def main() -> int:
    """Play one broadcast."""
    parser = argparse.ArgumentParser(prog="make kills ARGS=…", description=__doc__)
    parser.add_argument("--stack", type=StackName, choices=list(StackName), default=StackName.CONVERSATIONS)
    parser.add_argument("--texts", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, SandboxProcess() as sandbox:
        folder = Path(scratch)
        log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        chance = random.Random(options.seed)
        centre = Centre(sandbox, folder / "list.csv", options.stack, options.texts, chance)
        worker.load()
        database = Database(folder / "airflow.db")
        database.create()
        broadcast = Broadcast(centre, database, options.kills, log)
        try:
            broadcast.play()
            outcomes = judge(broadcast)
            happened = broadcast.told()
        except BaseException:
            print((folder / "log").read_text()[-20_000:], flush=True)
            raise
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    print(f"{options.texts} texts: {told}; each once, in {time.monotonic() - began:.0f} s")
    print(happened)
    return 0


if __name__ == "__main__":
    sys.exit(main())
