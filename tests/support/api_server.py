"""Airflow's API server as a process that can be killed, and is back in a moment.

One process loads it, which takes ten seconds, and every start is a fork of that one: so does Airflow itself with
`[api] server_type = gunicorn`. What is served is what `airflow api-server` serves, in the same way.
"""

from __future__ import annotations

import multiprocessing
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from bench.processes import Server
from tests.web.conftest import signed

APP = "airflow.api_fastapi.main"


def serve(port: int) -> None:
    """What a fork does."""
    import uvicorn

    uvicorn.run(
        f"{APP}:app", port=port, log_level="warning", access_log=False, log_config=None, proxy_headers=False
    )


class ApiServer(Server):
    """Airflow's API server on a port of its own, with the environment as it is when it starts."""

    def __init__(self, *, is_forked: bool = True) -> None:
        super().__init__(serve, {"_AIRFLOW_PROCESS_CONTEXT": "server"}, is_forked=is_forked)
        multiprocessing.get_context("forkserver").set_forkserver_preload([APP])

    def request(self, body: bytes, **signing: Any) -> dict[str, Any]:
        """What a client needs to post a body as Twilio would."""
        request = signed(body, **signing)
        return {"url": f"{self.url}{request['url']}", "headers": request["headers"]}

    def until_closed(self, head: list[str], *chunks: bytes) -> bytes:
        """All that is answered to a request on a bare socket, until the server closes it."""
        with self._sent(head, *chunks) as line:
            return b"".join(iter(lambda: line.recv(1000), b""))

    def raw(self, head: list[str], *chunks: bytes, hang_up: bool = False) -> int:
        """The status that a request on a bare socket is answered with; 0 when the line is just cut."""
        with self._sent(head, *chunks) as line:
            if hang_up:
                line.shutdown(socket.SHUT_WR)
            with suppress(ConnectionError):
                answer = line.recv(100)
                return int(answer.split()[1]) if answer else 0
        return 0

    @contextmanager
    def _sent(self, head: list[str], *chunks: bytes) -> Iterator[socket.socket]:
        request = signed(b"[1]")
        headers = [f"{name}: {value}" for name, value in request["headers"].items()]
        lines = [f"POST {request['url']} HTTP/1.1", "host: inside", *headers, *head, "", ""]
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as line:
            with suppress(ConnectionError):
                for chunk in ("\r\n".join(lines).encode(), *chunks):
                    line.sendall(chunk)
            yield line
