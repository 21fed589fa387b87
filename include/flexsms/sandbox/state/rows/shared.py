"""Rows that several products have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .row import Row


@dataclass(slots=True)
class Service(Row):
    """A service of chat, proxy or sync."""

    parent: str  # the product: "chat", "proxy", "sync"
    name: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Fixture(Row):
    """What is only looked at: workspace, worker, queue, workflow, Studio flow, phone number."""

    parent: str
    name: str
    settings: dict[str, Any] = field(default_factory=dict)
