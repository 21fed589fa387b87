"""sync v1: the items of maps and lists. They are walked by key (maps) or by index (lists)."""

from __future__ import annotations

from functools import partial
from typing import Any

from ...http import Invalid, Problem, Response, gone, ok
from ...routing.call import Call
from ...routing.paging import page, walk
from ...routing.params import Params, enum, text
from ...routing.router import router
from ...state.account import EmulatedAccount
from ...state.rows.sync import SyncObject
from .routes import (
    HOST,
    LIST,
    MAP,
    Kind,
    change,
    check_revision,
    check_size,
    common_json,
    data,
    expire_in,
    find,
    revision,
    ttl,
)

api = router(HOST)

LONGEST_KEY = 320
MAP_ITEM = Kind("Items", "items", "MP", lambda store: store.map_items, 54201, 54205, etag=True)
LIST_ITEM = Kind("Items", "items", "ES", lambda store: store.list_items, 54151, 54155, etag=True)


def item_json(account: EmulatedAccount, kind: Kind, owner: SyncObject, row: SyncObject) -> dict[str, Any]:
    key = row.name if kind is MAP_ITEM else row.index
    owner_kind = MAP if kind is MAP_ITEM else LIST
    body = common_json(
        account, row, f"https://{HOST}/v1/Services/{owner.parent}/{owner_kind.path}/{owner.sid}/Items/{key}"
    )
    body.update(service_sid=owner.parent, data=row.data)
    body.update(
        {"key": key, "map_sid": owner.sid} if kind is MAP_ITEM else {"index": key, "list_sid": owner.sid}
    )
    return body


def _items(owner_kind: Kind, kind: Kind) -> None:
    """The five routes of the items. They are walked by key (maps) or index (lists)."""
    base = f"/v1/Services/{{service}}/{owner_kind.path}/{{owner}}/Items"
    content = {"Data": data(), "Ttl": ttl(), "ItemTtl": ttl(), "CollectionTtl": ttl()}
    key = {"Key": text(LONGEST_KEY).must()} if kind is MAP_ITEM else {}

    def answer(account: EmulatedAccount, owner: SyncObject, row: SyncObject, status: int = 200) -> Response:
        return ok(item_json(account, kind, owner, row), status, etag=revision(row))

    def locate(call: Call, service: str, name: str, item: str) -> tuple[SyncObject, SyncObject]:
        owner = find(call, owner_kind, service, name)
        row = kind.table(call.account.store).get(f"{owner.sid}/{item}")
        if row is None:
            raise Problem(404, kind.missing, f"{owner_kind.path[:-1]} item not found")
        return owner, row

    def limit(account: EmulatedAccount, owner: SyncObject, row: SyncObject, p: dict[str, Any]) -> None:
        expire_in(account, row, p.get("ItemTtl", p.get("Ttl")))
        expire_in(account, owner, p.get("CollectionTtl"))

    @api.get(
        base,
        Params({"From": text()}, Order=enum("asc", "desc"), Bounds=enum("inclusive", "exclusive")),
        paged=True,
    )
    def listing(call: Call, service: str, name: str) -> Response:
        owner = find(call, owner_kind, service, name)
        order, descending = kind.table(call.account.store).under(owner.sid), call.p.get("Order") == "desc"
        rows = walk(order, descending=descending)
        if "From" in call.p and "PageToken" not in call.request.query:
            start = call.p["From"] if kind is MAP_ITEM else _index(call.p["From"])
            inclusive = call.p.get("Bounds", "inclusive") == "inclusive"
            way = order.backward if descending else order.forward
            rows = lambda _start, _back: way(start, inclusive=inclusive)  # noqa: E731
        return page(call, rows, partial(item_json, call.account, kind, owner), key="items", largest=100)

    @api.post(base, Params({**content, **key, "Data": data().must()}))
    def creation(call: Call, service: str, name: str) -> Response:
        check_size(call)
        owner, table = find(call, owner_kind, service, name), kind.table(call.account.store)
        index = owner.index
        sid = f"{owner.sid}/{call.p['Key'] if kind is MAP_ITEM else index}"
        if table.get(sid):
            raise Problem(409, 54208, "An Item with given key already exists in the Map")
        owner.index += 1
        now = call.account.clock.now()
        row = SyncObject(
            sid,
            call.account.store.next(),
            now,
            now,
            owner.sid,
            call.p.get("Key"),
            data=call.p["Data"],
            index=index,
        )
        table.add(row)
        change(call.account, owner, {})
        limit(call.account, owner, row, call.p)
        return answer(call.account, owner, row, 201)

    @api.get(base + "/{item}")
    def fetch(call: Call, service: str, name: str, item: str) -> Response:
        return answer(call.account, *locate(call, service, name, item))

    @api.post(base + "/{item}", Params(content))
    def update_one(call: Call, service: str, name: str, item: str) -> Response:
        check_size(call)
        owner, row = locate(call, service, name, item)
        check_revision(call, row, code=kind.mismatch, what=f"{owner_kind.path[:-1]} item")
        change(call.account, row, call.p)
        change(call.account, owner, {})
        limit(call.account, owner, row, call.p)
        return answer(call.account, owner, row)

    @api.delete(base + "/{item}")
    def delete(call: Call, service: str, name: str, item: str) -> Response:
        owner, row = locate(call, service, name, item)
        check_revision(call, row, code=kind.mismatch, what=f"{owner_kind.path[:-1]} item")
        kind.table(call.account.store).drop(row)
        change(call.account, owner, {})
        return gone()


def _index(raw: str) -> int:
    if not raw.isdigit():
        raise Invalid(f"Invalid From: {raw!r} is no index")
    return int(raw)


_items(MAP, MAP_ITEM)
_items(LIST, LIST_ITEM)
