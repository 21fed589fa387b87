"""A webhook of a customer's, in a thread: keeps what it gets, and answers what the test says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from twilio.request_validator import RequestValidator


def eventually(happened: Callable[[], bool], timeout_s: float = 15.0) -> None:
    """Wait for something that another process does by itself."""
    until = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


@dataclass
class Delivery:
    method: str
    target: str  # path and query, as they came
    headers: dict[str, str]
    body: bytes

    @property
    def events(self) -> list[dict[str, Any]]:
        found = json.loads(self.body)
        return found if isinstance(found, list) else [found]


# What to answer to the n-th request (from 0): a status, and a JSON body if it has one.
Answering = Callable[[int, Delivery], "int | tuple[int, Any]"]


@dataclass
class Receiver:
    """Listens on a free port of this machine.

    :param answer: what is said to each request
    :param hang_s: how long it thinks about it
    """

    answer: Answering = lambda _n, _delivery: 200
    hang_s: float = 0.0
    deliveries: list[Delivery] = field(default_factory=list)

    def __enter__(self) -> Receiver:
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(handler) -> None:
                length = int(handler.headers.get("Content-Length") or 0)
                body = handler.rfile.read(length)
                delivery = Delivery(handler.command, handler.path, dict(handler.headers.items()), body)
                with lock:
                    self.deliveries.append(delivery)
                    number = len(self.deliveries) - 1
                answer = self.answer(number, delivery)
                time.sleep(self.hang_s)
                status, content = answer if isinstance(answer, tuple) else (answer, None)
                raw = b"" if content is None else json.dumps(content).encode()
                handler.send_response(status)
                handler.send_header("Content-Length", str(len(raw)))
                if 300 <= status < 400:
                    handler.send_header("Location", "/elsewhere")
                handler.end_headers()
                handler.wfile.write(raw)

            do_GET = do_POST

            def log_message(handler, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 64

            def handle_error(server, *args: Any) -> None:
                pass  # a sender that did not wait for the answer

        self._server = Server(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for delivery in list(self.deliveries) for event in delivery.events]

    def is_signed(self, delivery: Delivery, auth_token: str, body: str | None = None) -> bool:
        """What the official SDK says of a delivery, with its own body or another."""
        validator = RequestValidator(auth_token)  # type: ignore[no-untyped-call]
        given = delivery.body.decode() if body is None else body
        found: bool = validator.validate(
            f"{self.base_url}{delivery.target}", given, delivery.headers["X-Twilio-Signature"]
        )
        return found
