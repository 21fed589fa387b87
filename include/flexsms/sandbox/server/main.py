"""The process: command line, uvicorn on uvloop and httptools, one ready line, and an end with its parent."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import socket
import sys
import webbrowser
from threading import Thread

import orjson
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ..control.journal import Recorder
from ..control.routes import Control
from ..options import add_arguments
from .app import App
from .delivery_worker import DeliveryWorker
from .guard import ANY, names_of

PARENT_CHECK_S = 0.25


class Protocol(HttpToolsProtocol):
    """uvicorn's, which also tells the application how to cut the connection (faults drop_…).

    What was sent by then still arrives.
    """

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {"flexsms.cut": self.transport.close}  # type: ignore[dict-item]


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM, SIGINT or the parent's end. Returns the exit status."""
    parent = os.getppid()
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn shuts down gracefully and then raises the signal again: being told to end is no failure.
        signal.signal(number, lambda *_: sys.exit(0))
    control = Control(args.random_seed)
    own = {"seed": args.seed, "rate_limits": args.rate_limits, "latency_ms": args.latency_ms}
    control.reset({**own, **dict(args.set)})
    names = names_of(args.host, args.allow_host)
    app = App(control, Recorder(args.record) if args.record else None, names)
    # The seeded rows live as long as the process: keep the garbage collector from walking them again and
    # again.
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((args.host, args.port))
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=Protocol,
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        timeout_keep_alive=120,
        timeout_graceful_shutdown=1,
        backlog=4096,
    )
    port = listener.getsockname()[1]
    base_url = f"http://{args.host}:{port}"
    # Where it listens on every address, a browser of this machine takes the one that no other machine has.
    page = (
        f"http://{'127.0.0.1' if args.host in ANY else args.host}:{port}/_sandbox/handsets"
        if args.open
        else ""
    )
    server = _Server(config, base_url, control, parent, app.delivery_worker, page)
    server.run(sockets=[listener])
    return 0


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        base_url: str,
        control: Control,
        parent: int,
        delivery_worker: DeliveryWorker,
        page: str,
    ) -> None:
        super().__init__(config)
        self._parent = parent
        self._base_url = base_url
        self._control = control
        self._courier = delivery_worker
        self._page = page

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        ready = {"base_url": self._base_url, "pid": os.getpid(), "settings": self._control.settings()}
        sys.stdout.write(orjson.dumps(ready).decode() + "\n")
        sys.stdout.flush()
        if self._page:
            # Some browsers are programs of the terminal, and return when they are left.
            Thread(target=_open, args=(self._page,), daemon=True).start()
        self._watch = asyncio.create_task(self._watch_parent())
        self._deliveries = asyncio.create_task(self._courier.run())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._deliveries.cancel()
        await asyncio.wait([self._deliveries])
        await super().shutdown(sockets)

    async def _watch_parent(self) -> None:
        # Not prctl(PR_SET_PDEATHSIG): that fires when the *thread* ends which started us, and is Linux only.
        while os.getppid() == self._parent:  # noqa: ASYNC110 (there is no event to wait for)
            await asyncio.sleep(PARENT_CHECK_S)
        self.should_exit = True


def _open(page: str) -> None:
    if not webbrowser.open(page):
        print(f"flexsms sandbox: no browser here; open {page} in one.", file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="flexsms sandbox", description="A stateful local Twilio.")
    add_arguments(parser)
    return run(parser.parse_args(argv))
