"""The rows of Flex's flows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .row import Row


@dataclass(slots=True)
class FlexFlow(Row):
    parent: str
    friendly_name: str
    chat_service_sid: str
    channel_type: str
    contact_identity: str | None
    enabled: bool
    integration_type: str
    integration: dict[str, Any]
    long_lived: bool
    janitor_enabled: bool
