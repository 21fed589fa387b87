"""Airflow's state stores, as far as an operator notices them."""

from __future__ import annotations

import json
from typing import Any


class Store(dict[str, Any]):
    """A state store that keeps what it is given as JSON, as Airflow's do."""

    def set(self, key: str, value: Any) -> None:
        """Keep a value."""
        kept = json.loads(json.dumps(value))
        assert kept == value  # a tuple is no JSON for Airflow
        self[key] = kept


class AnyAsset(dict[Any, Any]):
    """One value, whatever the asset."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def __missing__(self, _asset: object) -> Any:
        return self.value
