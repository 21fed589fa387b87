"""Python imports this when it starts, in every process of `make test-later`.

Python sleeps until a moment of the monotonic clock. libfaketime (0.9.10) refuses that when it leaves this clock alone,
as it has to: it would otherwise let every lock wait 400 days for its timeout. `select` waits for a span of time.
"""

from __future__ import annotations

import select
import time
from typing import SupportsIndex


def sleep(seconds: float | SupportsIndex, /) -> None:
    """As time.sleep."""
    span = float(seconds)
    if span < 0:
        raise ValueError("sleep length must be non-negative")
    select.select([], [], [], span)


time.sleep = sleep
