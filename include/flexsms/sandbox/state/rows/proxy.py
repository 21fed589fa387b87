"""The rows of Proxy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .row import Row


@dataclass(slots=True)
class Session(Row):
    parent: str  # the proxy service
    name: str | None
    mode: str
    status: str
    ttl: int
    expires: float | None = None
    closed_reason: str | None = None
    started: float | None = None
    ended: float | None = None
    last_interaction: float | None = None
    reopened: float | None = None


@dataclass(slots=True)
class Participant(Row):
    parent: str  # the session
    identifier: str
    proxy_identifier: str | None
    proxy_identifier_sid: str | None
    friendly_name: str | None
    deleted: float | None = None


@dataclass(slots=True)
class Interaction(Row):
    parent: str  # the session
    body: str
    inbound: dict[str, Any]  # participant, resource, status, type
    outbound: dict[str, Any]
    participant_sid: str | None = None  # for MessageInteractions
