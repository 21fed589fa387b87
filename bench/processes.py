"""Servers in processes of their own, killed and started again on the same port."""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.context import ForkServerProcess, SpawnProcess
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"
PORTS = range(20_000, 32_000)
START_TIMEOUT_S = 120.0

# One process imports Airflow's API, which takes seconds; every start is a fork of that one.
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["flexsms.web.event_streams", "moto.server"])


class Server:
    """A context manager around a process that listens.

    :param serve: what the process does, given its port; a function of a module
    :param environment: what it finds in its environment beside ours
    :param is_forked: whether what it imports was imported before its environment is known, which is quicker
    """

    def __init__(
        self,
        serve: Callable[[int], None],
        environment: Mapping[str, str] | None = None,
        *,
        is_forked: bool = True,
    ) -> None:
        self.port = lasting_port()
        self.url = f"http://{HOST}:{self.port}"
        self.environment = dict(environment or {})
        self._serve = serve
        self._context = _forks if is_forked else multiprocessing.get_context("spawn")
        self._process: ForkServerProcess | SpawnProcess | None = None

    def start(self) -> None:
        """Until it listens.

        :raises RuntimeError: when it ends instead, or takes too long
        """
        environment = {**os.environ, **self.environment}
        self._process = self._context.Process(
            target=_run, args=(self._serve, self.port, environment), daemon=True
        )
        self._process.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with suppress(OSError), socket.create_connection((HOST, self.port), timeout=1):
                return
            if not self._process.is_alive() or time.monotonic() > deadline:
                raise RuntimeError(f"{self._serve.__name__} does not listen")
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL: it cannot finish anything."""
        if self._process:
            self._process.kill()
            self._process.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


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


def receiver(port: int) -> None:
    """The web app that the plugin mounts, without the Airflow around it whose login could be asked: all may pull."""
    import uvicorn

    from flexsms.web.access import may_track
    from flexsms.web.app import create_app

    app = create_app()
    app.dependency_overrides[may_track] = lambda: None
    uvicorn.run(app, host=HOST, port=port, log_level="critical")


def kinesis(port: int) -> None:
    """A Kinesis that answers like AWS."""
    from moto.server import main

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    main(["-H", HOST, "-p", str(port)])


def _run(serve: Callable[[int], None], port: int, environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    serve(port)
