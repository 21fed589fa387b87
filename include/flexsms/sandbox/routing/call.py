"""What a handler of a route gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from ..http import NotFound, Request
from ..state.account import EmulatedAccount

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Call:
    """The account, the request, and its parameters as they were declared."""

    account: EmulatedAccount
    request: Request
    p: dict[str, Any]

    def found(self, row: R | None) -> R:
        """The row that the request names; 404 where there is none."""
        if row is None:
            raise NotFound(self.request.path)
        return row
