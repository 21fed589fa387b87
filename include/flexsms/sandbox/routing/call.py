"""What a handler of a route gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..http import Request
from ..state.account import EmulatedAccount


@dataclass(frozen=True, slots=True)
class Call:
    """The account, the request, and its parameters as they were declared."""

    account: EmulatedAccount
    request: Request
    p: dict[str, Any]
