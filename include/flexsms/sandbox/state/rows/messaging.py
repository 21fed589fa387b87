"""The rows of Messaging."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .row import Row


@dataclass(slots=True)
class Sms(Row):
    """What left for a handset."""

    parent: str  # the session or conversation
    to: str
    from_: str
    body: str
    status: str
    channel_sid: str | None
    message_sid: str | None = None
    interaction_sid: str | None = None  # Proxy's
    error_code: int | None = None
    history: list[list[Any]] = field(default_factory=list)
