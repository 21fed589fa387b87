"""proxy v1: services, sessions, participants and interactions (facts A.6)."""

from __future__ import annotations

from typing import Any

import orjson

from .. import sessions
from ..clock import iso
from ..paging import page, walk
from ..params import Params, enum, integer, json_value, moment, text
from ..router import Call, router
from ..sids import looks_like
from ..store import Interaction, Participant, Service, Session
from ..wire import Invalid, NotFound, Problem, Response, created, gone, ok
from ..world import World

HOST = "proxy.twilio.com"
api = router(HOST)

STATUS = enum("open", "in-progress", "closed", "failed", "unknown")
PARTICIPANT = {"Identifier", "ProxyIdentifier", "ProxyIdentifierSid", "FriendlyName"}


def service_json(world: World, service: Service) -> dict[str, Any]:
    url = f"https://{HOST}/v1/Services/{service.sid}"
    return {
        "sid": service.sid,
        "unique_name": service.name,
        "account_sid": world.account_sid,
        "chat_instance_sid": service.settings.get("chat_instance_sid"),
        "callback_url": None,
        "default_ttl": 0,
        "number_selection_behavior": "prefer-sticky",
        "geo_match_level": "country",
        "intercept_callback_url": None,
        "out_of_session_callback_url": f"https://webhooks.twilio.com/v1/Accounts/{world.account_sid}/Proxy/{service.sid}",
        "date_created": iso(service.created),
        "date_updated": iso(service.updated),
        "url": url,
        "links": {
            "sessions": f"{url}/Sessions",
            "phone_numbers": f"{url}/PhoneNumbers",
            "short_codes": f"{url}/ShortCodes",
        },
    }


def _url(session: Session) -> str:
    return f"https://{HOST}/v1/Services/{session.parent}/Sessions/{session.sid}"


def session_json(world: World, session: Session) -> dict[str, Any]:
    url = _url(session)
    return {
        "sid": session.sid,
        "service_sid": session.parent,
        "account_sid": world.account_sid,
        "unique_name": session.name,
        "mode": session.mode,
        "status": session.status,
        "closed_reason": session.closed_reason,
        "ttl": session.ttl,
        "date_started": iso(session.started),
        "date_ended": iso(session.ended),
        "date_last_interaction": iso(session.last_interaction),
        "date_expiry": iso(session.expires),
        "date_created": iso(session.created),
        "date_updated": iso(session.updated),
        "url": url,
        "links": {"interactions": f"{url}/Interactions", "participants": f"{url}/Participants"},
    }


def participant_json(world: World, session: Session, one: Participant) -> dict[str, Any]:
    url = f"{_url(session)}/Participants/{one.sid}"
    return {
        "sid": one.sid,
        "session_sid": session.sid,
        "service_sid": session.parent,
        "account_sid": world.account_sid,
        "friendly_name": one.friendly_name,
        "identifier": one.identifier,
        "proxy_identifier": one.proxy_identifier,
        "proxy_identifier_sid": one.proxy_identifier_sid,
        "date_deleted": iso(one.deleted),
        "date_created": iso(one.created),
        "date_updated": iso(one.updated),
        "url": url,
        "links": {"message_interactions": f"{url}/MessageInteractions"},
    }


def interaction_json(world: World, session: Session, one: Interaction) -> dict[str, Any]:
    """An Interaction, or a MessageInteraction when it has a `participant_sid`.

    A MessageInteraction's inbound side is empty; its status is `unknown` because the schema's enumeration is
    not nullable (the example beside that schema has null).
    """
    body = {
        "sid": one.sid,
        "session_sid": session.sid,
        "service_sid": session.parent,
        "account_sid": world.account_sid,
        "data": orjson.dumps({"body": one.body}).decode(),
        "type": "message",
        "date_created": iso(one.created),
        "date_updated": iso(one.updated),
        "url": f"{_url(session)}/Interactions/{one.sid}",
    }
    for side, facts in (("inbound", one.inbound), ("outbound", one.outbound)):
        body[f"{side}_participant_sid"] = facts.get("participant")
        body[f"{side}_resource_sid"] = facts.get("resource")
        body[f"{side}_resource_status"] = facts.get("status", "unknown")
        body[f"{side}_resource_type"] = facts.get("type")
        body[f"{side}_resource_url"] = _resource_url(world, facts.get("resource"))
    return body


def message_interaction_json(world: World, session: Session, one: Interaction) -> dict[str, Any]:
    url = f"{_url(session)}/Participants/{one.participant_sid}/MessageInteractions/{one.sid}"
    return {**interaction_json(world, session, one), "participant_sid": one.participant_sid, "url": url}


def _resource_url(world: World, sid: str | None) -> str | None:
    if sid is None or not sid.startswith("SM"):
        return None
    return f"https://api.twilio.com/2010-04-01/Accounts/{world.account_sid}/Messages/{sid}.json"


def _service(call: Call, sid: str) -> Service:
    service = call.world.store.services.within("proxy", sid)
    if service is None:
        raise NotFound(call.request.path)
    return service


def _session(call: Call, service: str, sid: str) -> Session:
    session = call.world.store.sessions.within(_service(call, service).sid, sid)
    if session is None:
        raise NotFound(call.request.path)
    return session


@api.get("/v1/Services", paged=True)
def list_services(call: Call) -> Response:
    rows = walk(call.world.store.services.under("proxy"))
    return page(
        call.request, rows, lambda service: service_json(call.world, service), key="services", largest=1000
    )


@api.get("/v1/Services/{service}")
def fetch_service(call: Call, service: str) -> Response:
    return ok(service_json(call.world, _service(call, service)))


@api.get("/v1/Services/{service}/Sessions", paged=True)
def list_sessions(call: Call, service: str) -> Response:
    """At most 100 a page are answered, whatever PageSize up to 1000 was asked for (facts A.6)."""
    rows = walk(call.world.store.sessions.under(_service(call, service).sid))
    size = call.request.query.get("PageSize", ["50"])[-1]
    if size.isdigit() and 100 < int(size) <= 1000:
        call.request.query["PageSize"] = ["100"]
    return page(
        call.request, rows, lambda session: session_json(call.world, session), key="sessions", largest=1000
    )


@api.post(
    "/v1/Services/{service}/Sessions",
    Params(
        UniqueName=text(191),
        DateExpiry=moment(),
        Ttl=integer(0),
        Mode=enum("message-only", "voice-only", "voice-and-message"),
        Status=STATUS,
        Participants=json_value(dict).repeated(),
    ),
)
def create_session(call: Call, service: str) -> Response:
    people: list[dict[str, Any]] = call.p.get("Participants", [])
    for one in people:
        if not isinstance(one.get("Identifier"), str) or not one["Identifier"]:
            raise Invalid("Invalid Participants: an Identifier is missing", 80404)
        if unknown := one.keys() - PARTICIPANT:
            raise Invalid(f"Invalid Participants: unknown field {min(unknown)}")
        _check_number(call.world, one.get("ProxyIdentifier"))
    session = sessions.start(
        call.world,
        _service(call, service).sid,
        call.p.get("UniqueName"),
        people,
        mode=call.p.get("Mode", "voice-and-message"),
        status=call.p.get("Status", "open"),
        ttl=call.p.get("Ttl", 0),
        expires=call.p.get("DateExpiry"),
    )
    return created(session_json(call.world, session))


def _check_number(world: World, number: Any) -> None:
    if number is not None and number not in world.number_sids:
        raise Invalid(f"Proxy number {number} is not in this service's pool", 80404)


@api.get("/v1/Services/{service}/Sessions/{session}")
def fetch_session(call: Call, service: str, name: str) -> Response:
    """By SID or unique name; only GET knows unique names (facts L)."""
    if looks_like("KC", name):
        return ok(session_json(call.world, _session(call, service, name)))
    session = call.world.store.sessions.named(_service(call, service).sid, name)
    if session is None:
        raise Problem(404, 80308, f"Session with unique name {name} not found")
    return ok(session_json(call.world, session))


@api.post(
    "/v1/Services/{service}/Sessions/{session}", Params(DateExpiry=moment(), Ttl=integer(0), Status=STATUS)
)
def update_session(call: Call, service: str, sid: str) -> Response:
    session = _session(call, service, sid)
    if session.status == "closed" and call.p.get("Status") == "in-progress":
        sessions.limit(call.world, session, call.p.get("Ttl"), call.p.get("DateExpiry"))
        sessions.change_status(call.world, session, "in-progress")
    else:
        sessions.change_status(call.world, session, call.p.get("Status"))
        sessions.limit(call.world, session, call.p.get("Ttl"), call.p.get("DateExpiry"))
    return ok(session_json(call.world, session))


@api.delete("/v1/Services/{service}/Sessions/{session}")
def delete_session(call: Call, service: str, sid: str) -> Response:
    sessions.drop(call.world, _session(call, service, sid))
    return gone()


@api.get("/v1/Services/{service}/Sessions/{session}/Participants", paged=True)
def list_participants(call: Call, service: str, sid: str) -> Response:
    session = _session(call, service, sid)
    rows = walk(call.world.store.participants.under(session.sid), keep=lambda one: one.deleted is None)
    return page(
        call.request,
        rows,
        lambda one: participant_json(call.world, session, one),
        key="participants",
        largest=1000,
    )


@api.post(
    "/v1/Services/{service}/Sessions/{session}/Participants",
    Params(
        Identifier=text().must(), FriendlyName=text(255), ProxyIdentifier=text(), ProxyIdentifierSid=text()
    ),
)
def create_participant(call: Call, service: str, sid: str) -> Response:
    session = _session(call, service, sid)
    if session.status == "closed":
        raise Problem(400, 80607, f"Session {session.sid} is closed and cannot be updated")
    if len(sessions.participants(call.world, session)) >= 2:
        raise Problem(400, 80609, f"Session {session.sid} already has two participants")
    _check_number(call.world, call.p.get("ProxyIdentifier"))
    sessions.check_free(call.world, call.p["Identifier"], call.p.get("ProxyIdentifier"))
    return created(participant_json(call.world, session, sessions.add(call.world, session, call.p)))


def _participant(call: Call, session: Session, sid: str) -> Participant:
    one = call.world.store.participants.within(session.sid, sid)
    if one is None:
        raise NotFound(call.request.path)
    return one


@api.get("/v1/Services/{service}/Sessions/{session}/Participants/{participant}")
def fetch_participant(call: Call, service: str, sid: str, kp: str) -> Response:
    session = _session(call, service, sid)
    return ok(participant_json(call.world, session, _participant(call, session, kp)))


@api.delete("/v1/Services/{service}/Sessions/{session}/Participants/{participant}")
def delete_participant(call: Call, service: str, sid: str, kp: str) -> Response:
    """A soft delete: it stays fetchable with `date_deleted`. The OpenAPI document lists 200 for it (facts
    A.6)."""
    session = _session(call, service, sid)
    one = _participant(call, session, kp)
    one.deleted = one.updated = call.world.clock.now()
    call.world.index_session(session)
    return Response(200)


@api.get("/v1/Services/{service}/Sessions/{session}/Interactions", paged=True)
def list_interactions(call: Call, service: str, sid: str) -> Response:
    session = _session(call, service, sid)
    rows = walk(call.world.store.interactions.under(session.sid))
    return page(
        call.request,
        rows,
        lambda one: interaction_json(call.world, session, one),
        key="interactions",
        largest=1000,
    )


@api.get("/v1/Services/{service}/Sessions/{session}/Interactions/{interaction}")
def fetch_interaction(call: Call, service: str, sid: str, ki: str) -> Response:
    session = _session(call, service, sid)
    one = call.world.store.interactions.within(session.sid, ki)
    if one is None:
        raise NotFound(call.request.path)
    return ok(interaction_json(call.world, session, one))


@api.delete("/v1/Services/{service}/Sessions/{session}/Interactions/{interaction}")
def delete_interaction(call: Call, service: str, sid: str, ki: str) -> Response:
    one = call.world.store.interactions.within(_session(call, service, sid).sid, ki)
    if one is None:
        raise NotFound(call.request.path)
    call.world.store.interactions.drop(one)
    return gone()


@api.post(
    "/v1/Services/{service}/Sessions/{session}/Participants/{participant}/MessageInteractions",
    Params(Body=text(1600), MediaUrl=text().repeated()),
)
def create_message(call: Call, service: str, sid: str, kp: str) -> Response:
    """Straight to one handset, without a chat message; 200, not 201 (facts A.6)."""
    session = _session(call, service, sid)
    one = _participant(call, session, kp)
    if session.status not in sessions.OPEN:
        raise Problem(400, 80607, f"Session {session.sid} is closed and cannot be updated")
    if not call.p.get("Body") and not call.p.get("MediaUrl"):
        raise Invalid("Missing required parameter Body in the post body")
    if one.identifier.startswith("CH"):
        raise Invalid(f"Participant {kp} has no handset", 80405)
    sms = sessions.send(call.world, session, one, call.p.get("Body", ""), {}, only_to=one.sid)
    interaction = call.world.store.interactions.get(sms.interaction_sid)
    assert interaction is not None  # noqa: S101 (made by send)
    return ok(message_interaction_json(call.world, session, interaction))


@api.get(
    "/v1/Services/{service}/Sessions/{session}/Participants/{participant}/MessageInteractions", paged=True
)
def list_messages(call: Call, service: str, sid: str, kp: str) -> Response:
    session = _session(call, service, sid)
    one = _participant(call, session, kp)
    rows = walk(
        call.world.store.interactions.under(session.sid), keep=lambda row: row.participant_sid == one.sid
    )
    return page(
        call.request,
        rows,
        lambda row: message_interaction_json(call.world, session, row),
        key="interactions",
        largest=1000,
    )


@api.get(
    "/v1/Services/{service}/Sessions/{session}/Participants/{participant}/MessageInteractions/{interaction}"
)
def fetch_message(call: Call, service: str, sid: str, kp: str, ki: str) -> Response:
    session = _session(call, service, sid)
    one = call.world.store.interactions.within(session.sid, ki)
    if one is None or one.participant_sid != kp:
        raise NotFound(call.request.path)
    return ok(message_interaction_json(call.world, session, one))
