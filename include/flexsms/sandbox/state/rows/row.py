"""What every row has, and the JSON objects that Twilio keeps as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(slots=True)
class Row:
    sid: str
    seq: int
    created: float
    updated: float


def parse_attributes(attributes: str) -> dict[str, Any]:
    """Attributes as an object, empty when somebody stored something else."""
    try:
        parsed = orjson.loads(attributes)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
