"""events v1: what can be subscribed to, and the event types of a subscription (https://www.twilio.com/docs/events/event-streams/sink-resource).

The catalogue has the event types of TaskRouter and those of Messaging's texts, which this sandbox sends as far as they
happen here. The dates are made up. Unverified: that an unknown schema version is refused with the code of an unknown
type (91104), and the codes of a subscribed event that is there already or is not there.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ...http import Invalid, NotFound, Problem, Response, created, gone, ok
from ...routing.call import Call
from ...routing.paging import page, walk_sorted
from ...routing.params import Params, integer, text
from ...routing.router import router
from ...state.account import EmulatedAccount
from ...state.clock import iso
from ...state.rows.event_streams import Subscription
from .cloud_events import (
    INBOUND_SCHEMA,
    INBOUND_TYPE,
    MESSAGE_PREFIX,
    MESSAGE_SCHEMA,
    PREFIX,
    SCHEMA,
    SCHEMAS_URL,
)

HOST = "events.twilio.com"
api = router(HOST)
EVENTS = "/v1/Subscriptions/{subscription}/SubscribedEvents"

# https://www.twilio.com/docs/events/event-types, by what they are about.
TASKROUTER = {
    "task": "created updated canceled wrapup completed deleted system-deleted transfer-initiated "
    "transfer-attempt-failed transfer-failed transfer-canceled transfer-completed",
    "reservation": "created accepted rejected timeout canceled rescinded completed failed wrapup",
    "task-queue": "created deleted entered timeout moved expression.updated",
    "workflow": "entered target-matched timeout skipped",
    "worker": "created deleted activity.update attributes.update capacity.update channel.availability.update",
}
MESSAGES = "queued sent delivered undelivered failed read"
# Schema -> its newest version, as the pages of the event types have it.
VERSIONS = {SCHEMA: 4, MESSAGE_SCHEMA: 8, INBOUND_SCHEMA: 6}
TYPES = {
    **{f"{PREFIX}{group}.{name}": SCHEMA for group, names in TASKROUTER.items() for name in names.split()},
    **{MESSAGE_PREFIX + name: MESSAGE_SCHEMA for name in MESSAGES.split()},
    INBOUND_TYPE: INBOUND_SCHEMA,
}
PUBLISHED = iso(1_597_325_300)


def version_of(kind: Any, version: Any) -> int:
    """The schema version that is subscribed to, the newest one unless it is named; Problem if there is none."""
    schema = TYPES.get(kind) if isinstance(kind, str) else None
    if schema is None:
        raise Problem(400, 91104, f"Event type not found: {kind}")
    if version is None:
        return VERSIONS[schema]
    if not isinstance(version, int) or not 1 <= version <= VERSIONS[schema]:
        raise Problem(400, 91104, f"Event type {kind} has no schema version {version}")
    return version


def type_json(kind: str) -> dict[str, Any]:
    _, _, product, *rest = kind.split(".")
    return {
        "type": kind,
        "schema_id": TYPES[kind],
        "description": f"{product.title()} - {' '.join(rest)}",
        "status": "available",
        "documentation_url": None,
        "date_created": PUBLISHED,
        "date_updated": PUBLISHED,
        "url": f"https://{HOST}/v1/Types/{kind}",
        "links": {"schema": f"https://{HOST}/v1/Schemas/{TYPES[kind]}/Versions"},
    }


@api.get("/v1/Types", Params(SchemaId=text()), paged=True)
def list_types(call: Call) -> Response:
    wanted = call.p.get("SchemaId")
    rows = walk_sorted([kind for kind in TYPES if wanted in (None, TYPES[kind])], key=lambda kind: kind)
    return page(call, rows, type_json, key="types", largest=1000)


@api.get("/v1/Types/{type}")
def fetch_type(call: Call, kind: str) -> Response:
    if kind not in TYPES:
        raise NotFound(call.request.path, 91104)
    return ok(type_json(kind))


# Schemas


def version_json(schema: str, version: int) -> dict[str, Any]:
    return {
        "id": schema,
        "schema_version": version,
        "date_created": PUBLISHED,
        "url": f"https://{HOST}/v1/Schemas/{schema}/Versions/{version}",
        "raw": f"{SCHEMAS_URL}/{schema}/{version}",
    }


def _newest(call: Call, schema: str) -> int:
    if schema not in VERSIONS:
        raise NotFound(call.request.path)
    return VERSIONS[schema]


@api.get("/v1/Schemas/{schema}")
def fetch_schema(call: Call, schema: str) -> Response:
    url = f"https://{HOST}/v1/Schemas/{schema}"
    return ok(
        {
            "id": schema,
            "latest_version": _newest(call, schema),
            "latest_version_date_created": PUBLISHED,
            "url": url,
            "links": {"versions": f"{url}/Versions"},
        }
    )


@api.get("/v1/Schemas/{schema}/Versions", paged=True)
def list_versions(call: Call, schema: str) -> Response:
    rows = walk_sorted(range(1, _newest(call, schema) + 1), key=lambda version: version)
    return page(call, rows, partial(version_json, schema), key="schema_versions", largest=1000)


@api.get("/v1/Schemas/{schema}/Versions/{version}")
def fetch_version(call: Call, schema: str, version: str) -> Response:
    if not version.isdigit() or not 1 <= int(version) <= _newest(call, schema):
        raise NotFound(call.request.path)
    return ok(version_json(schema, int(version)))


# The event types of a subscription


def subscribed_json(account: EmulatedAccount, row: Subscription, kind: str) -> dict[str, Any]:
    return {
        "account_sid": account.account_sid,
        "subscription_sid": row.sid,
        "type": kind,
        "schema_version": row.types[kind],
        "url": f"https://{HOST}/v1/Subscriptions/{row.sid}/SubscribedEvents/{kind}",
    }


def subscription_of(account: EmulatedAccount, sid: str) -> Subscription:
    row = account.store.subscriptions.get(sid)
    if row is None:
        raise Problem(404, 91102, f"Subscription {sid} could not be found")
    return row


def _subscribed(call: Call, sid: str, kind: str) -> Subscription:
    row = subscription_of(call.account, sid)
    if kind not in row.types:
        raise NotFound(call.request.path)
    return row


@api.get(EVENTS, paged=True)
def list_subscribed(call: Call, sid: str) -> Response:
    row = subscription_of(call.account, sid)
    rows = walk_sorted(row.types, key=lambda kind: kind)
    return page(call, rows, lambda kind: subscribed_json(call.account, row, kind), key="types", largest=1000)


@api.post(EVENTS, Params(Type=text().must(), SchemaVersion=integer(1)))
def create_subscribed(call: Call, sid: str) -> Response:
    row, kind = subscription_of(call.account, sid), call.p["Type"]
    version = version_of(kind, call.p.get("SchemaVersion"))
    if kind in row.types:
        raise Invalid(f"Event type {kind} is subscribed to already", 91101)
    row.types[kind] = version
    return created(subscribed_json(call.account, row, kind))


@api.get(EVENTS + "/{type}")
def fetch_subscribed(call: Call, sid: str, kind: str) -> Response:
    return ok(subscribed_json(call.account, _subscribed(call, sid, kind), kind))


@api.post(EVENTS + "/{type}", Params(SchemaVersion=integer(1)))
def update_subscribed(call: Call, sid: str, kind: str) -> Response:
    row = _subscribed(call, sid, kind)
    row.types[kind] = version_of(kind, call.p.get("SchemaVersion"))
    return ok(subscribed_json(call.account, row, kind))


@api.delete(EVENTS + "/{type}")
def delete_subscribed(call: Call, sid: str, kind: str) -> Response:
    del _subscribed(call, sid, kind).types[kind]
    return gone()
