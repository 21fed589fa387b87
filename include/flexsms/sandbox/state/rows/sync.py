"""The rows of Sync."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .row import Row


@dataclass(slots=True)
class SyncObject(Row):
    """A Document, Map or List (by its SID prefix), or an item of one of the latter two."""

    parent: str
    name: str | None
    revision: int = 0
    data: Any = None
    expires: float | None = None
    index: int = 0
