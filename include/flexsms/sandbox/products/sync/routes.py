"""sync v1: services, documents, maps and lists with their items (https://www.twilio.com/docs/sync/api/document-resource).

Documents, maps and lists differ in a prefix, a few error codes and what they hold; one `Kind` each says how.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...http import NotFound, Problem, Response, check_if_match, created, gone, ok
from ...routing import params
from ...routing.call import Call
from ...routing.paging import page, walk
from ...routing.params import Param, Params, boolean, integer, text
from ...routing.router import Router, router
from ...state.account import EmulatedAccount, timer
from ...state.clock import iso
from ...state.rows.row import dates
from ...state.rows.shared import Service
from ...state.rows.sync import SyncObject
from ...state.sids import SID, looks_like
from ...state.tables import Store, Table

HOST = "sync.twilio.com"
api: Router = router(HOST)

LARGEST_DATA = 16 * 1024


def data() -> Param:
    """A JSON object; see `check_size`."""
    return params.json_value(dict)


def check_size(call: Call) -> None:
    """Data has at most 16 KiB, measured as it is sent (54006)."""
    if any(len(raw.encode()) > LARGEST_DATA for raw in call.request.form.get("Data", [])):
        status = call.account.settings.sync_too_large_status
        raise Problem(status, 54006, "Request entity too large: data must not exceed 16 KiB")


def check_revision(call: Call, row: SyncObject, *, code: int, what: str) -> None:
    """If-Match against the row's revision; a switch says whether that has to be in quotes."""
    quoted = call.account.settings.sync_if_match == "quoted"
    check_if_match(call.request, revision(row), code=code, what=what, quoted=quoted)


def ttl() -> Param:
    return integer(0, params.YEAR_S)


@dataclass(frozen=True, slots=True)
class Kind:
    """One of Sync's objects, and the kind of its items if it has any."""

    path: str
    key: str
    prefix: str
    table: Callable[[Store], Table[SyncObject]]
    missing: int
    mismatch: int
    etag: bool = False


DOCUMENT = Kind("Documents", "documents", "ET", lambda store: store.documents, 54100, 54103, etag=True)
MAP = Kind("Maps", "maps", "MP", lambda store: store.maps, 54200, 54203)
LIST = Kind("Lists", "lists", "ES", lambda store: store.lists, 54150, 54153)


def revision(row: SyncObject) -> str:
    return f"{row.revision:x}"


def common_json(account: EmulatedAccount, row: SyncObject, url: str) -> dict[str, Any]:
    return {
        "account_sid": account.account_sid,
        "url": url,
        "revision": revision(row),
        "date_expires": iso(row.expires),
        **dates(row),
        "created_by": "system",
    }


def object_json(account: EmulatedAccount, kind: Kind, row: SyncObject) -> dict[str, Any]:
    url = f"https://{HOST}/v1/Services/{row.parent}/{kind.path}/{row.sid}"
    body = common_json(account, row, url)
    body.update(sid=row.sid, service_sid=row.parent, unique_name=row.name)
    body["links"] = {"permissions": f"{url}/Permissions"}
    if kind is DOCUMENT:
        body["data"] = row.data
    else:
        body["links"]["items"] = f"{url}/Items"
    return body


def expire_in(account: EmulatedAccount, row: SyncObject, seconds: int | None) -> None:
    """A Ttl given sets or (0) removes the expiry; none given leaves it."""
    if seconds is None:
        return
    row.expires = account.clock.now() + seconds if seconds else None
    if row.expires:
        account.schedule(row.expires, "sync.expiry", row.sid)


@timer("sync.expiry")
def _expiry(account: EmulatedAccount, sid: str) -> None:
    store = account.store
    for table in (store.documents, store.maps, store.lists, store.map_items, store.list_items):
        row = table.get(sid)
        if row is not None and row.expires is not None and row.expires <= account.clock.now():
            _drop(account, table, row)


def _drop(account: EmulatedAccount, table: Table[SyncObject], row: SyncObject) -> None:
    table.drop(row)
    for items in (account.store.map_items, account.store.list_items):
        if len(items.under(row.sid)):
            items.drop_under(row.sid)


def change(account: EmulatedAccount, row: SyncObject, p: dict[str, Any]) -> None:
    if "Data" in p:
        row.data = p["Data"]
    row.revision += 1
    row.updated = account.clock.now()


# Services

SERVICE = Params(
    FriendlyName=text(),
    WebhookUrl=text(),
    ReachabilityWebhooksEnabled=boolean(),
    AclEnabled=boolean(),
    ReachabilityDebouncingEnabled=boolean(),
    ReachabilityDebouncingWindow=integer(1000, 30_000),
    WebhooksFromRestEnabled=boolean(),
)
SWITCHES = {
    "WebhookUrl": ("webhook_url", None),
    "ReachabilityWebhooksEnabled": ("reachability_webhooks_enabled", False),
    "AclEnabled": ("acl_enabled", False),
    "ReachabilityDebouncingEnabled": ("reachability_debouncing_enabled", False),
    "ReachabilityDebouncingWindow": ("reachability_debouncing_window", 5000),
    "WebhooksFromRestEnabled": ("webhooks_from_rest_enabled", False),
}


def service_json(account: EmulatedAccount, service: Service) -> dict[str, Any]:
    url = f"https://{HOST}/v1/Services/{service.sid}"
    return {
        "sid": service.sid,
        "unique_name": None,
        "account_sid": account.account_sid,
        "friendly_name": service.name,
        **dates(service),
        **{field: service.settings.get(field, default) for field, default in SWITCHES.values()},
        "url": url,
        "links": {name.lower(): f"{url}/{name}" for name in ("Documents", "Lists", "Maps", "Streams")},
    }


def _service(call: Call, sid: str) -> Service:
    # `default` is Sync's own name for the account's first service.
    named = call.account.sync_service_sid if sid == "default" else sid
    return call.found(call.account.store.services.within("sync", named))


def _configure(service: Service, p: dict[str, Any]) -> None:
    service.name = p.pop("FriendlyName", service.name)
    service.settings.update({SWITCHES[name][0]: value for name, value in p.items()})


@api.get("/v1/Services", paged=True)
def list_services(call: Call) -> Response:
    rows = walk(call.account.store.services.under("sync"))
    return page(call, rows, lambda service: service_json(call.account, service), key="services", largest=100)


@api.post("/v1/Services", SERVICE)
def create_service(call: Call) -> Response:
    service = call.account.store.services.add(Service(*call.account.stamp("IS"), "sync", ""))
    _configure(service, call.p)
    return created(service_json(call.account, service))


@api.get("/v1/Services/{service}")
def fetch_service(call: Call, service: str) -> Response:
    return ok(service_json(call.account, _service(call, service)))


@api.post("/v1/Services/{service}", SERVICE)
def update_service(call: Call, service: str) -> Response:
    row = _service(call, service)
    _configure(row, call.p)
    row.updated = call.account.clock.now()
    return ok(service_json(call.account, row))


@api.delete("/v1/Services/{service}")
def delete_service(call: Call, service: str) -> Response:
    row = _service(call, service)
    for kind in (DOCUMENT, MAP, LIST):
        table = kind.table(call.account.store)
        for _, one in list(table.under(row.sid).forward()):
            _drop(call.account, table, one)
    call.account.store.services.drop(row)
    return gone()


# Documents, maps and lists


def find(call: Call, kind: Kind, service: str, name: str) -> SyncObject:
    """By SID or unique name. A missing SID is 54100 (54200, 54150); of a missing name the switch decides (https://www.twilio.com/docs/sync/api/document-resource)."""
    parent, table = _service(call, service).sid, kind.table(call.account.store)
    by_sid = looks_like(kind.prefix, name)
    row = table.within(parent, name) if by_sid else table.named(parent, name)
    if row is None:
        switch = call.account.settings.sync_missing
        if by_sid or switch == "object":
            raise Problem(404, kind.missing, f"{kind.path[:-1]} not found")
        if switch == "generic":
            raise NotFound(call.request.path)
        raise Problem(404, 54300, "Unique name not found")
    return row


def new_object(account: EmulatedAccount, kind: Kind, parent: str, p: dict[str, Any]) -> SyncObject:
    """Create one, with the unique-name rules: 54302 for what looks like a SID, 54301 for a taken one."""
    table, name = kind.table(account.store), p.get("UniqueName") or None
    if name is not None:
        if SID.fullmatch(name) or len(name) > account.settings.sync_longest_name:
            raise Problem(400, 54302, "Invalid unique name: too long, or it looks like a SID")
        if table.named(parent, name):
            raise Problem(409, 54301, "Unique name already exists")
    row = table.add(SyncObject(*account.stamp(kind.prefix), parent, name, data=p.get("Data", {})))
    expire_in(account, row, p.get("CollectionTtl", p.get("Ttl")))
    return row


def _collection(kind: Kind, create: Params, update: Params) -> None:
    """The five routes of a kind."""
    base = f"/v1/Services/{{service}}/{kind.path}"

    def answer(account: EmulatedAccount, row: SyncObject, status: int = 200) -> Response:
        return ok(object_json(account, kind, row), status, etag=revision(row) if kind.etag else None)

    @api.get(base, paged=True)
    def listing(call: Call, service: str) -> Response:
        rows = walk(kind.table(call.account.store).under(_service(call, service).sid))
        return page(call, rows, lambda row: object_json(call.account, kind, row), key=kind.key, largest=100)

    @api.post(base, create)
    def creation(call: Call, service: str) -> Response:
        check_size(call)
        return answer(call.account, new_object(call.account, kind, _service(call, service).sid, call.p), 201)

    @api.get(base + "/{object}")
    def fetch(call: Call, service: str, name: str) -> Response:
        return answer(call.account, find(call, kind, service, name))

    @api.post(base + "/{object}", update)
    def update_one(call: Call, service: str, name: str) -> Response:
        check_size(call)
        row = find(call, kind, service, name)
        check_revision(call, row, code=kind.mismatch, what=kind.path[:-1])
        change(call.account, row, call.p)
        expire_in(call.account, row, call.p.get("CollectionTtl", call.p.get("Ttl")))
        return answer(call.account, row)

    @api.delete(base + "/{object}")
    def delete(call: Call, service: str, name: str) -> Response:
        _drop(call.account, kind.table(call.account.store), find(call, kind, service, name))
        return gone()


_collection(DOCUMENT, Params(UniqueName=text(), Data=data(), Ttl=ttl()), Params(Data=data(), Ttl=ttl()))
for _kind in (MAP, LIST):
    _collection(
        _kind,
        Params(UniqueName=text(), Ttl=ttl(), CollectionTtl=ttl()),
        Params(Ttl=ttl(), CollectionTtl=ttl()),
    )
