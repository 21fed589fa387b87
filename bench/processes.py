"""Servers of their own processes, started on a free port, killed, and started again on the same one."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from fastapi import FastAPI

from flexsms.web.app import create_app

HOST = "127.0.0.1"
PORTS = range(20_000, 32_000)
START_TIMEOUT_S = 120.0
ROOT = Path(__file__).resolve().parents[1]


def lasting_port() -> int:
    """A free port that stays free while nobody listens on it.

    The system takes the ports from 32768 on for connections that go out: one of those may be gone when a server that
    was killed comes back.
    """
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise RuntimeError("no port is free")


class Server:
    """A context manager around a process that listens.

    :param module: what `python -m` starts, and its arguments; ``{port}`` stands for the port
    :param environment: what it finds in its environment beside ours
    :param quiet: whether nothing of what it says on stderr is shown
    """

    def __init__(
        self, module: Sequence[str], environment: Mapping[str, str] | None = None, *, quiet: bool = False
    ) -> None:
        self.port = lasting_port()
        self.url = f"http://{HOST}:{self.port}"
        self._command = [sys.executable, "-m", *(part.format(port=self.port) for part in module)]
        self.environment = dict(environment or {})
        self._stderr = subprocess.DEVNULL if quiet else None
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start it, and do not wait."""
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env={**os.environ, **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=self._stderr,
        )

    def wait(self) -> None:
        """Until it listens.

        :raises RuntimeError: when it ends instead, or takes too long
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with suppress(OSError), socket.create_connection((HOST, self.port), timeout=1):
                return
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{' '.join(self._command[2:])} does not listen")
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL: it cannot finish anything."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def __enter__(self) -> Self:
        self.launch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


class Receiver(Server):
    """The web app that the plugin mounts, without the Airflow around it."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        factory = f"{__name__}:create_open_app"
        super().__init__(
            ["uvicorn", "--factory", factory, "--port", "{port}", "--log-level", "critical"], environment
        )


class Kinesis(Server):
    """A Kinesis that answers like AWS."""

    def __init__(self) -> None:
        super().__init__(["moto.server", "-H", HOST, "-p", "{port}"], quiet=True)


def create_open_app() -> FastAPI:
    """The app, from which everybody may pull: there is no Airflow here whose login could be asked."""
    from flexsms.web.events import may_pull

    app = create_app()
    app.dependency_overrides[may_pull] = lambda: None
    return app
