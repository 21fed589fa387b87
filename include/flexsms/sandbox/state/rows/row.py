"""What every row has, and the JSON objects that Twilio keeps as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from ..clock import iso


@dataclass(slots=True)
class Row:
    sid: str
    seq: int
    created: float
    updated: float


def dates(row: Row) -> dict[str, str | None]:
    """When it was made and last changed, as nearly every product tells it."""
    return {"date_created": iso(row.created), "date_updated": iso(row.updated)}


def parse_attributes(attributes: str) -> dict[str, Any]:
    """Attributes as an object, empty when somebody stored something else."""
    try:
        parsed = orjson.loads(attributes)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
