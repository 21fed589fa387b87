"""What was asked and what was answered: a bounded journal for tests, and a recording for the contract
check."""

from __future__ import annotations

import os
import secrets
from collections import deque
from itertools import islice
from pathlib import Path
from time import time
from typing import Any

import orjson

from ..http import Form, Request, Response
from ..state.clock import iso

LENGTH = 50_000
RECORDED_REQUEST_HEADERS = (b"if-match", b"x-twilio-webhook-enabled", b"content-type")


def _flat(form: Form) -> dict[str, str | list[str]]:
    return {name: values[0] if len(values) == 1 else values for name, values in form.items()}


class Journal:
    """One entry per API request, the oldest forgotten first. Entries are made into JSON when they are read."""

    def __init__(self) -> None:
        self.enabled = True
        self.count = 0
        self._entries: deque[tuple[int, float, float, Request, int | None, int | None, str | None]] = deque(
            maxlen=LENGTH
        )

    def add(self, at: float, request: Request, response: Response | None, fault: str | None) -> None:
        """`response` is None when the connection was cut."""
        if not self.enabled:
            return
        self.count += 1
        status, code = (response.status, response.code) if response else (None, None)
        self._entries.append((self.count, at, time() * 1000, request, status, code, fault))

    def clear(self) -> None:
        self._entries.clear()

    def after(self, number: int) -> list[dict[str, Any]]:
        # Numbers are consecutive, so the first wanted entry is at a known place.
        first = self._entries[0][0] if self._entries else 1
        return [
            {
                "n": n,
                "at": iso(at),
                "wall_ms": wall_ms,
                "method": request.method,
                "host": request.host,
                "path": request.path,
                "query": _flat(request.query),
                "form": _flat(request.form),
                "status": status,
                "code": code,
                "fault": fault,
            }
            for n, at, wall_ms, request, status, code, fault in islice(
                self._entries, max(number - first + 1, 0), None
            )
        ]


class Recorder:
    """Appends every exchange to one JSON-lines file per process, flushed line by line: processes get killed."""

    def __init__(self, directory: str) -> None:
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / f"{os.getpid()}-{secrets.token_hex(4)}.jsonl").open("ab", buffering=0)

    def add(self, request: Request, response: Response, fault: str | None) -> None:
        headers = {
            name.decode(): value.decode("latin-1")
            for name, value in request.headers.items()
            if name in RECORDED_REQUEST_HEADERS
        }
        line = {
            "method": request.method,
            "host": request.host,
            "path": request.path,
            "query": request.query,
            "form": request.form,
            "headers": headers,
            "status": response.status,
            "response_headers": {name.decode(): value.decode("latin-1") for name, value in response.headers},
            "body": orjson.Fragment(response.body) if response.body else None,
            "fault": fault,
        }
        self._file.write(orjson.dumps(line) + b"\n")
