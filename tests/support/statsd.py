"""Airflow's metrics over a real UDP socket, as a StatsD server gets them."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
from airflow.sdk._shared.observability.metrics.statsd_logger import SafeStatsdLogger
from airflow.sdk.observability import stats
from statsd import StatsClient

ARRIVES_WITHIN_S = 5.0
_LINE = re.compile(r"(?P<name>[^,:]+)(?P<tags>[^:]*):(?P<value>[^|]+)\|(?P<kind>\w+)")


class Server:
    """What has arrived."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(ARRIVES_WITHIN_S)
        self.port: int = self._socket.getsockname()[1]
        self.lines: list[str] = []

    def close(self) -> None:
        self._socket.close()

    def read(self, client: StatsClient) -> list[dict[str, Any]]:
        """Everything sent so far: name, tags, value and kind of each."""
        client.incr("end")
        while not (line := self._socket.recv(65_536).decode()).startswith("airflow.end:"):
            self.lines.append(line)
        return [_parsed(line) for line in self.lines]


def _parsed(line: str) -> dict[str, Any]:
    match = _LINE.fullmatch(line)
    assert match, line
    tags = dict(tag.split("=") for tag in match["tags"].split(",") if tag)
    return {"name": match["name"], "tags": tags, "value": float(match["value"]), "kind": match["kind"]}


class Metrics:
    """Both ends."""

    def __init__(self, client: StatsClient, server: Server) -> None:
        self._client, self._server = client, server

    def told(self) -> list[dict[str, Any]]:
        """All metrics of flexsms so far."""
        return [one for one in self._server.read(self._client) if one["name"].startswith("airflow.flexsms.")]

    def of(self, name: str) -> list[tuple[float, dict[str, str]]]:
        """Values and tags of one metric."""
        return [(one["value"], one["tags"]) for one in self.told() if one["name"] == f"airflow.{name}"]

    @property
    def lines(self) -> list[str]:
        return self._server.lines


@contextmanager
def statsd() -> Iterator[Metrics]:
    """Airflow's metrics go to a socket of the test for as long as the block lasts."""
    server = Server()
    client = StatsClient("127.0.0.1", server.port, prefix="airflow")
    logger: Any = SafeStatsdLogger(client, influxdb_tags_enabled=True, statsd_influxdb_enabled=True)
    stats.initialize(factory=lambda: logger, export_legacy_names=False)
    try:
        yield Metrics(client, server)
    finally:
        stats.initialize(factory=NoStatsLogger, export_legacy_names=False)
        client.close()
        server.close()
