"""The process that owns everything Airflow starts, and ends it all: `python -m flexsms.demo.process_supervisor
COMMAND…`.

`airflow standalone` leaves its api-server behind when it is terminated, and some of Airflow's processes move into
process groups of their own: neither the parent nor the group knows them all. The session does, and on Linux an orphan
is handed to us. The end comes when our standard input ends, which it also does when whoever started us was killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

import psutil

PATIENCE_S = 5.0
LOOK_EVERY_S = 0.1
PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>


def main(command: list[str]) -> int:
    """Run a command until it ends, standard input ends, or SIGTERM; then end every process it led to.

    :returns: the command's exit status, 0 when it was ended from outside
    """
    for wanted in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(wanted, _leave)
    _adopt_orphans()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 (given by the demo)
    try:
        while process.poll() is None:
            readable, _, _ = select.select([sys.stdin], [], [], LOOK_EVERY_S)
            if readable and not os.read(sys.stdin.fileno(), 1024):
                return 0
        return process.returncode
    except SystemExit:
        return 0
    finally:
        for wanted in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(wanted, signal.SIG_IGN)
        end_all(PATIENCE_S)


def end_all(patience_s: float) -> None:
    """End every other process of this session and everything below us: SIGTERM first, SIGKILL after `patience_s`."""
    asked: set[int] = set()
    deadline = time.monotonic() + patience_s
    while others := _others():
        out_of_patience = time.monotonic() > deadline
        for pid in others if out_of_patience else others - asked:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL if out_of_patience else signal.SIGTERM)
        asked |= others
        time.sleep(LOOK_EVERY_S)


def session_members(session: int) -> set[int]:
    """The processes of a session, those not counted that are only waiting to be waited for."""
    return {pid for pid in psutil.pids() if _session_of(pid) == session and not _is_zombie(pid)}


def _others() -> set[int]:
    _reap()
    below = {child.pid for child in psutil.Process().children(recursive=True) if not _is_zombie(child.pid)}
    ours = session_members(os.getsid(0)) if os.getsid(0) == os.getpid() else set()
    return (below | ours) - {os.getpid()}


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return True


def _adopt_orphans() -> None:
    # Elsewhere than on Linux orphans go to init, and the session alone has to do.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def _leave(*_: object) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
