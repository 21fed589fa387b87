"""proxy v1: services, sessions, participants and interactions (https://www.twilio.com/docs/proxy/api)."""

from __future__ import annotations

from functools import partial
from typing import Any

from ...http import Invalid, NotFound, Problem, Response, created, gone, ok
from ...routing.call import Call
from ...routing.paging import page, walk
from ...routing.params import Params, enum, integer, json_value, moment, text
from ...routing.router import router
from ...state.account import EmulatedAccount
from ...state.clock import iso
from ...state.rows.proxy import Session
from ...state.rows.row import dates
from ...state.rows.shared import Service
from ...state.sids import looks_like
from . import sessions
from .contention import people_of

HOST = "proxy.twilio.com"
api = router(HOST)

STATUS = enum("open", "in-progress", "closed", "failed", "unknown")
PARTICIPANT = {"Identifier", "ProxyIdentifier", "ProxyIdentifierSid", "FriendlyName"}


def service_json(account: EmulatedAccount, service: Service) -> dict[str, Any]:
    url = f"https://{HOST}/v1/Services/{service.sid}"
    return {
        "sid": service.sid,
        "unique_name": service.name,
        "account_sid": account.account_sid,
        "chat_instance_sid": service.settings.get("chat_instance_sid"),
        "callback_url": None,
        "default_ttl": 0,
        "number_selection_behavior": "prefer-sticky",
        "geo_match_level": "country",
        "intercept_callback_url": None,
        "out_of_session_callback_url": f"https://webhooks.twilio.com/v1/Accounts/{account.account_sid}/Proxy/{service.sid}",
        **dates(service),
        "url": url,
        "links": {
            "sessions": f"{url}/Sessions",
            "phone_numbers": f"{url}/PhoneNumbers",
            "short_codes": f"{url}/ShortCodes",
        },
    }


def session_url(session: Session) -> str:
    return f"https://{HOST}/v1/Services/{session.parent}/Sessions/{session.sid}"


def session_json(account: EmulatedAccount, session: Session) -> dict[str, Any]:
    url = session_url(session)
    return {
        "sid": session.sid,
        "service_sid": session.parent,
        "account_sid": account.account_sid,
        "unique_name": session.name,
        "mode": session.mode,
        "status": session.status,
        "closed_reason": session.closed_reason,
        "ttl": session.ttl,
        "date_started": iso(session.started),
        "date_ended": iso(session.ended),
        "date_last_interaction": iso(session.last_interaction),
        "date_expiry": iso(session.expires),
        **dates(session),
        "url": url,
        "links": {"interactions": f"{url}/Interactions", "participants": f"{url}/Participants"},
    }


def _service(call: Call, sid: str) -> Service:
    return call.found(call.account.store.services.within("proxy", sid))


def session_of(call: Call, service: str, sid: str) -> Session:
    return call.found(call.account.store.sessions.within(_service(call, service).sid, sid))


@api.get("/v1/Services", paged=True)
def list_services(call: Call) -> Response:
    rows = walk(call.account.store.services.under("proxy"))
    return page(call, rows, lambda service: service_json(call.account, service), key="services", largest=1000)


@api.get("/v1/Services/{service}")
def fetch_service(call: Call, service: str) -> Response:
    return ok(service_json(call.account, _service(call, service)))


@api.get("/v1/Services/{service}/Sessions", paged=True)
def list_sessions(call: Call, service: str) -> Response:
    """Asked for up to 1000 a page, Proxy gives 100 (https://www.twilio.com/docs/proxy/api)."""
    rows = walk(call.account.store.sessions.under(_service(call, service).sid))
    return page(call, rows, partial(session_json, call.account), key="sessions", largest=1000, given=100)


@api.post(
    "/v1/Services/{service}/Sessions",
    Params(
        UniqueName=text(191),
        DateExpiry=moment(),
        Ttl=integer(0),
        Mode=enum("message-only", "voice-only", "voice-and-message"),
        Status=STATUS,
        Participants=json_value().repeated(),
    ),
)
def create_session(call: Call, service: str) -> Response:
    """`Participants` are objects in repeated fields, as the SDK sends them, or one list of them (https://www.twilio.com/docs/proxy/api)."""
    people: list[dict[str, Any]] = people_of(call.p.get("Participants", []))
    for one in people:
        if not isinstance(one, dict):
            raise Invalid("Invalid Participants: a JSON object is expected")
        if not isinstance(one.get("Identifier"), str) or not one["Identifier"]:
            raise Invalid("Invalid Participants: an Identifier is missing", 80404)
        if unknown := one.keys() - PARTICIPANT:
            raise Invalid(f"Invalid Participants: unknown field {min(unknown)}")
        check_number(call.account, one.get("ProxyIdentifier"))
    session = sessions.start(
        call.account,
        _service(call, service).sid,
        call.p.get("UniqueName"),
        people,
        mode=call.p.get("Mode", "voice-and-message"),
        status=call.p.get("Status", "open"),
        ttl=call.p.get("Ttl", 0),
        expires=call.p.get("DateExpiry"),
    )
    return created(session_json(call.account, session))


def check_number(account: EmulatedAccount, number: Any) -> None:
    if number is not None and number not in account.number_sids:
        raise Invalid(f"Proxy number {number} is not in this service's pool", 80404)


@api.get("/v1/Services/{service}/Sessions/{session}")
def fetch_session(call: Call, service: str, name: str) -> Response:
    """By SID or unique name; only GET knows unique names (facts L)."""
    if looks_like("KC", name):
        return ok(session_json(call.account, session_of(call, service, name)))
    if not call.account.settings.session_by_name:
        raise NotFound(call.request.path)
    session = call.account.store.sessions.named(_service(call, service).sid, name)
    if session is None:
        raise Problem(404, 80308, f"Session with unique name {name} not found")
    return ok(session_json(call.account, session))


@api.post(
    "/v1/Services/{service}/Sessions/{session}", Params(DateExpiry=moment(), Ttl=integer(0), Status=STATUS)
)
def update_session(call: Call, service: str, sid: str) -> Response:
    session = session_of(call, service, sid)
    if session.status == "closed" and call.p.get("Status") == "in-progress":
        # An expired session can be reopened when the same request gives it more time.
        sessions.limit(call.account, session, call.p.get("Ttl"), call.p.get("DateExpiry"))
        sessions.change_status(call.account, session, "in-progress")
    else:
        sessions.change_status(call.account, session, call.p.get("Status"))
        sessions.limit(call.account, session, call.p.get("Ttl"), call.p.get("DateExpiry"))
    return ok(session_json(call.account, session))


@api.delete("/v1/Services/{service}/Sessions/{session}")
def delete_session(call: Call, service: str, sid: str) -> Response:
    sessions.drop(call.account, session_of(call, service, sid))
    return gone()
