"""A read that comes from a replica which is behind: it does not know yet what is new."""

from __future__ import annotations

from typing import Any

import orjson

from ..http import NotFound, Request, Response
from ..state.account import EmulatedAccount
from ..state.clock import parse_iso
from ..state.delivery_queue import draws


def check(account: EmulatedAccount, request: Request, response: Response) -> None:
    """NotFound when this read of one resource falls to the replica, and that has not heard of the resource."""
    config = account.settings
    if not config.replica_share or request.method != "GET" or response.status != 200:
        return
    account.reads += 1
    if draws(account.sids.seed, "replica", account.reads)[0] >= config.replica_share:
        return
    made = _made(account, orjson.loads(response.body))
    if made is not None and made > account.clock.now() - config.replica_lag_s:
        raise NotFound(request.path)


def _made(account: EmulatedAccount, body: dict[str, Any]) -> float | None:
    """When a resource was made; None for a list."""
    for table in account.store.tables().values():
        if row := table.get(body.get("sid")):
            return float(row.created)
    date = body.get("date_created")
    return parse_iso(date) if date else None
