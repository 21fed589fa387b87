"""How long something took, summed up over many."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percentiles(seconds: Sequence[float]) -> dict[str, float | int | None]:
    """The median, the 95th percentile and the count; a percentile is one of the values, None where there are none."""
    ordered = sorted(seconds)
    found = {
        f"p{percent}": round(ordered[math.ceil(len(ordered) * percent / 100) - 1], 3) if ordered else None
        for percent in (50, 95)
    }
    return {**found, "n": len(ordered)}
