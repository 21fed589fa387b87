"""events v1: sinks and subscriptions (https://www.twilio.com/docs/events/event-streams/sink-resource).

Error codes are those of https://www.twilio.com/docs/api/errors/91000 to 91104. Twilio names no HTTP status for them:
404 where something is not found and 400 otherwise is decided here, and so is the code of a second subscription for one
sink (91100). The limit of 100 subscriptions cannot be reached with 100 sinks and one subscription each.

Sinks of Kinesis start as `initialized` and become `active` by a validated test event, webhooks are active at once:
so say the document's examples and the older of Twilio's pages. The newer page on Validate says that every sink is
active and everything validates. The older one is stricter, and the setting `sinks_to_validate` has the other.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urlsplit

from ...http import Invalid, Problem, Response, created, gone, ok
from ...routing.call import Call
from ...routing.paging import page, walk
from ...routing.params import Param, Params, boolean, enum, json_value, text
from ...routing.router import router
from ...state.account import EmulatedAccount, timer
from ...state.rows.event_streams import Sink, Subscription
from ...state.rows.row import dates
from . import publisher
from .event_type_routes import subscription_of, version_of

HOST = "events.twilio.com"
api = router(HOST)
SINK = "/v1/Sinks/{sink}"
SUBSCRIPTION = "/v1/Subscriptions/{subscription}"
STATUSES = ("initialized", "validating", "active", "failed")
MOST_SINKS = 100
# What a sink has to have, by its type (error 91000; segment as in the document's example; email is nowhere described).
NEEDED = {
    "webhook": ("destination", "method"),
    "kinesis": ("arn", "role_arn", "external_id"),
    "segment": ("write_key",),
    "email": (),
}


def described() -> Param:
    return text().must()


def sink_json(sink: Sink) -> dict[str, Any]:
    url = f"https://{HOST}/v1/Sinks/{sink.sid}"
    return {
        "sid": sink.sid,
        "description": sink.description,
        "sink_type": sink.type,
        "sink_configuration": sink.configuration,
        "status": sink.status,
        **dates(sink),
        "url": url,
        "links": {"sink_test": f"{url}/Test", "sink_validate": f"{url}/Validate"},
    }


def subscription_json(account: EmulatedAccount, row: Subscription) -> dict[str, Any]:
    url = f"https://{HOST}/v1/Subscriptions/{row.sid}"
    return {
        "sid": row.sid,
        "account_sid": account.account_sid,
        "sink_sid": row.sink_sid,
        "description": row.description,
        **dates(row),
        "url": url,
        "links": {"subscribed_events": f"{url}/SubscribedEvents"},
    }


def sink_of(account: EmulatedAccount, sid: str) -> Sink:
    sink = account.store.sinks.get(sid)
    if sink is None:
        raise Problem(404, 91001, f"Sink {sid} could not be found")
    return sink


def in_use(account: EmulatedAccount, sink_sid: str) -> bool:
    return any(row.sink_sid == sink_sid for row in account.store.subscriptions)


# Sinks


@api.post(
    "/v1/Sinks",
    Params(Description=described(), SinkConfiguration=json_value(dict).must(), SinkType=enum(*NEEDED).must()),
)
def create_sink(call: Call) -> Response:
    account, kind, configuration = call.account, call.p["SinkType"], call.p["SinkConfiguration"]
    if len(account.store.sinks) >= MOST_SINKS:
        raise Problem(400, 91003, "Account reached the max sink limit")
    _check_configuration(kind, configuration)
    if "method" in configuration:
        # As Twilio's command line shows it: https://developers.zipwhip.com/twilio/webhooks/
        configuration["method"] = str(configuration["method"]).lower()
    sink = Sink(*account.stamp("DG"), "sinks", call.p["Description"], kind, configuration, "initialized")
    account.store.sinks.add(sink)
    fails = any(one in ("*", sink.target) for one in account.settings.sink_failures)
    if fails or kind not in account.settings.sinks_to_validate:
        account.schedule(sink.created + account.settings.sink_setup_s, "sink.setup", sink.sid)
        account.run_due_timers()
    return created(sink_json(sink))


def _check_configuration(kind: str, configuration: dict[str, Any]) -> None:
    for name in NEEDED[kind]:
        if not configuration.get(name):
            raise Invalid(f"Sink could not be created: {name} is empty", 91000)
    if kind == "webhook":
        target = urlsplit(str(configuration["destination"]))
        if target.scheme not in ("http", "https") or not target.hostname:
            raise Invalid("Sink could not be created: destination is no URL", 91000)
        if str(configuration["method"]).upper() not in ("POST", "GET"):
            raise Invalid("Sink could not be created: method is neither POST nor GET", 91000)


@timer("sink.setup")
def _setup(account: EmulatedAccount, sid: str) -> None:
    sink = account.store.sinks.get(sid)
    if sink is not None and sink.status == "initialized":
        fails = any(one in ("*", sink.target) for one in account.settings.sink_failures)
        sink.status, sink.updated = "failed" if fails else "active", account.clock.now()


@api.get("/v1/Sinks", Params(InUse=boolean(), Status=enum(*STATUSES)), paged=True)
def list_sinks(call: Call) -> Response:
    account, p = call.account, call.p

    def keep(sink: Sink) -> bool:
        return p.get("Status", sink.status) == sink.status and (
            "InUse" not in p or in_use(account, sink.sid) == p["InUse"]
        )

    def shown(sink: Sink) -> dict[str, Any]:
        whole = sink_json(sink)
        return (
            whole if account.settings.sink_list_shows_configuration else {**whole, "sink_configuration": {}}
        )

    rows = walk(account.store.sinks.under("sinks"), keep=keep)
    return page(call, rows, shown, key="sinks", largest=1000)


@api.get(SINK)
def fetch_sink(call: Call, sid: str) -> Response:
    return ok(sink_json(sink_of(call.account, sid)))


@api.post(SINK, Params(Description=described()))
def update_sink(call: Call, sid: str) -> Response:
    """Only the description: another URL is another sink."""
    sink = sink_of(call.account, sid)
    sink.description, sink.updated = call.p["Description"], call.account.clock.now()
    return ok(sink_json(sink))


@api.delete(SINK)
def delete_sink(call: Call, sid: str) -> Response:
    sink = sink_of(call.account, sid)
    if in_use(call.account, sid):
        raise Invalid("Sink cannot be deleted because it is still in use", 91007)
    call.account.store.sinks.drop(sink)
    call.account.delivery_queue.forget(sid)
    return gone()


@api.post(SINK + "/Test")
def test_sink(call: Call, sid: str) -> Response:
    publisher.test(call.account, sink_of(call.account, sid))
    return created({"result": "submitted"})


@api.post(SINK + "/Validate", Params(TestId=text().must()))
def validate_sink(call: Call, sid: str) -> Response:
    """400 for another test event than the newest (which code is unverified); the status is then as before."""
    sink = sink_of(call.account, sid)
    if sink.type in call.account.settings.sinks_to_validate:
        if sink.test_id is None or call.p["TestId"] != sink.test_id:
            raise Invalid("TestId does not match the test event of this sink")
        sink.status, sink.updated = "active", call.account.clock.now()
    return created({"result": "valid"})


# Subscriptions


@api.post(
    "/v1/Subscriptions",
    Params(Description=described(), SinkSid=text().must(), Types=json_value(dict).repeated().must()),
)
def create_subscription(call: Call) -> Response:
    account = call.account
    sink = sink_of(account, call.p["SinkSid"])
    if sink.status != "active":
        raise Invalid("Creating subscription for sink failed: the sink is not in an active state", 91100)
    if in_use(account, sink.sid):
        raise Invalid("Creating subscription for sink failed: the sink is in use", 91100)
    types: dict[str, int] = {}
    for one in call.p["Types"]:
        name = one.get("type")
        if name in types:
            raise Invalid(f"Subscription creation failed: event type {name} is duplicated", 91101)
        types[name] = version_of(name, one.get("schema_version"))
    row = Subscription(*account.stamp("DF"), "subscriptions", call.p["Description"], sink.sid, types)
    return created(subscription_json(account, account.store.subscriptions.add(row)))


@api.get("/v1/Subscriptions", Params(SinkSid=text()), paged=True)
def list_subscriptions(call: Call) -> Response:
    sink_sid = call.p.get("SinkSid")
    order = call.account.store.subscriptions.under("subscriptions")
    rows = walk(order, keep=lambda row: sink_sid in (None, row.sink_sid))
    return page(call, rows, partial(subscription_json, call.account), key="subscriptions", largest=1000)


@api.get(SUBSCRIPTION)
def fetch_subscription(call: Call, sid: str) -> Response:
    return ok(subscription_json(call.account, subscription_of(call.account, sid)))


@api.post(SUBSCRIPTION, Params(Description=text()))
def update_subscription(call: Call, sid: str) -> Response:
    row = subscription_of(call.account, sid)
    row.description, row.updated = call.p.get("Description", row.description), call.account.clock.now()
    return ok(subscription_json(call.account, row))


@api.delete(SUBSCRIPTION)
def delete_subscription(call: Call, sid: str) -> Response:
    """The sink stays (https://www.twilio.com/docs/events/event-streams/sink-resource)."""
    call.account.store.subscriptions.drop(subscription_of(call.account, sid))
    return gone()
