"""What a run leaves for the next one."""

from __future__ import annotations

import json
from typing import Any


class Kept:
    """One JSON value, as Airflow's state stores keep it, and how often it was written."""

    def __init__(self) -> None:
        self.written = 0
        self._text: str | None = None

    def get(self) -> Any:
        return None if self._text is None else json.loads(self._text)

    def set(self, value: Any) -> None:
        self._text, self.written = json.dumps(value), self.written + 1
        assert json.loads(self._text) == value  # a tuple is no JSON for Airflow
