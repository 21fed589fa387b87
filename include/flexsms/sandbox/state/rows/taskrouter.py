"""The rows of TaskRouter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .row import Row


@dataclass(slots=True)
class Task(Row):
    parent: str  # the workspace
    attributes: str
    status: str
    priority: int
    timeout: int
    workflow_sid: str
    queue_sid: str
    channel_name: str
    channel_sid: str | None  # of its attributes: the chat channel
    conversation_sid: str | None  # of its attributes, too
    routing_target: str | None = None
    ignore_capacity: bool = False
    virtual_start: float | None = None
    version: int = 0
    reason: str | None = None
    ended: float | None = None
    worker_sid: str | None = None
    reservation_sid: str | None = None


@dataclass(slots=True)
class Event(Row):
    parent: str  # the workspace
    type: str
    ms: int
    resource_type: str
    resource_sid: str
    actor_type: str
    actor_sid: str
    description: str
    data: Any
