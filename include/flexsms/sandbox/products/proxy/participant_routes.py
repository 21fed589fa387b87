"""proxy v1: the participants of a session, and the interactions between them (https://www.twilio.com/docs/proxy/api)."""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson

from ...http import Invalid, NotFound, Problem, Response, created, gone, ok
from ...routing.call import Call
from ...routing.paging import page, walk
from ...routing.params import Params, text
from ...routing.router import router
from ...state.account import EmulatedAccount
from ...state.clock import iso
from ...state.rows.proxy import Interaction, Participant, Session
from ...state.rows.row import dates
from . import contention, sessions
from .routes import HOST, check_number, session_of, session_url

api = router(HOST)
SESSION = "/v1/Services/{service}/Sessions/{session}"
PARTICIPANT = SESSION + "/Participants/{participant}"


def participant_json(account: EmulatedAccount, session: Session, one: Participant) -> dict[str, Any]:
    url = f"{session_url(session)}/Participants/{one.sid}"
    return {
        "sid": one.sid,
        "session_sid": session.sid,
        "service_sid": session.parent,
        "account_sid": account.account_sid,
        "friendly_name": one.friendly_name,
        "identifier": one.identifier,
        "proxy_identifier": one.proxy_identifier,
        "proxy_identifier_sid": one.proxy_identifier_sid,
        "date_deleted": iso(one.deleted),
        **dates(one),
        "url": url,
        "links": {"message_interactions": f"{url}/MessageInteractions"},
    }


def interaction_json(account: EmulatedAccount, session: Session, one: Interaction) -> dict[str, Any]:
    """An Interaction, or a MessageInteraction when it has a `participant_sid`.

    A MessageInteraction's inbound side is empty; its status is `unknown` because the schema's enumeration is
    not nullable (the example beside that schema has null).
    """
    body = {
        "sid": one.sid,
        "session_sid": session.sid,
        "service_sid": session.parent,
        "account_sid": account.account_sid,
        "data": orjson.dumps({"body": one.body}).decode(),
        "type": "message",
        **dates(one),
        "url": f"{session_url(session)}/Interactions/{one.sid}",
    }
    inbound = one.inbound
    if str(inbound.get("resource")).startswith("IM") and not account.settings.relay_names_message:
        inbound = {**inbound, "resource": None}
    for side, facts in (("inbound", inbound), ("outbound", one.outbound)):
        body[f"{side}_participant_sid"] = facts.get("participant")
        body[f"{side}_resource_sid"] = facts.get("resource")
        body[f"{side}_resource_status"] = facts.get("status")
        body[f"{side}_resource_type"] = facts.get("type")
        body[f"{side}_resource_url"] = _resource_url(account, facts.get("resource"))
    return body


def message_interaction_json(account: EmulatedAccount, session: Session, one: Interaction) -> dict[str, Any]:
    url = f"{session_url(session)}/Participants/{one.participant_sid}/MessageInteractions/{one.sid}"
    return {**interaction_json(account, session, one), "participant_sid": one.participant_sid, "url": url}


def _resource_url(account: EmulatedAccount, sid: str | None) -> str | None:
    if sid is None or not sid.startswith("SM"):
        return None
    return f"https://api.twilio.com/2010-04-01/Accounts/{account.account_sid}/Messages/{sid}.json"


@api.get(SESSION + "/Participants", paged=True)
def list_participants(call: Call, service: str, sid: str) -> Response:
    session = session_of(call, service, sid)
    rows = walk(call.account.store.participants.under(session.sid), keep=lambda one: one.deleted is None)
    return page(
        call, rows, partial(participant_json, call.account, session), key="participants", largest=1000
    )


@api.post(
    SESSION + "/Participants",
    Params(
        Identifier=text().must(), FriendlyName=text(255), ProxyIdentifier=text(), ProxyIdentifierSid=text()
    ),
)
def create_participant(call: Call, service: str, sid: str) -> Response:
    session = session_of(call, service, sid)
    if session.status == "closed":
        raise Problem(400, 80607, f"Session {session.sid} is closed and cannot be updated")
    if len(sessions.participants(call.account, session)) >= 2:
        raise Problem(400, 80609, f"Session {session.sid} already has two participants")
    check_number(call.account, call.p.get("ProxyIdentifier"))
    identifier = call.p["Identifier"]
    if any(one.identifier == identifier for one in sessions.participants(call.account, session)):
        raise Problem(400, 80103, f"The participant is already in session {session.sid}")
    contention.check(call.account, [identifier])
    sessions.check_free(call.account, identifier, call.p.get("ProxyIdentifier"))
    return created(participant_json(call.account, session, sessions.add(call.account, session, call.p)))


def _participant(call: Call, session: Session, sid: str) -> Participant:
    return call.found(call.account.store.participants.within(session.sid, sid))


@api.get(PARTICIPANT)
def fetch_participant(call: Call, service: str, sid: str, kp: str) -> Response:
    session = session_of(call, service, sid)
    return ok(participant_json(call.account, session, _participant(call, session, kp)))


@api.delete(PARTICIPANT)
def delete_participant(call: Call, service: str, sid: str, kp: str) -> Response:
    """A soft delete: it stays fetchable with `date_deleted`. The OpenAPI document lists 200 for it (https://www.twilio.com/docs/proxy/api)."""
    session = session_of(call, service, sid)
    one = _participant(call, session, kp)
    one.deleted = one.updated = call.account.clock.now()
    call.account.index_session(session)
    return Response(200)


@api.get(SESSION + "/Interactions", paged=True)
def list_interactions(call: Call, service: str, sid: str) -> Response:
    session = session_of(call, service, sid)
    rows = walk(call.account.store.interactions.under(session.sid))
    return page(
        call, rows, partial(interaction_json, call.account, session), key="interactions", largest=1000
    )


@api.get(SESSION + "/Interactions/{interaction}")
def fetch_interaction(call: Call, service: str, sid: str, ki: str) -> Response:
    session = session_of(call, service, sid)
    one = call.found(call.account.store.interactions.within(session.sid, ki))
    return ok(interaction_json(call.account, session, one))


@api.delete(SESSION + "/Interactions/{interaction}")
def delete_interaction(call: Call, service: str, sid: str, ki: str) -> Response:
    one = call.found(call.account.store.interactions.within(session_of(call, service, sid).sid, ki))
    call.account.store.interactions.drop(one)
    return gone()


@api.post(
    PARTICIPANT + "/MessageInteractions",
    Params(Body=text(1600), MediaUrl=text().repeated()),
)
def create_message(call: Call, service: str, sid: str, kp: str) -> Response:
    """Straight to one handset, without a chat message; 200, not 201 (https://www.twilio.com/docs/proxy/api)."""
    session = session_of(call, service, sid)
    one = _participant(call, session, kp)
    if session.status not in sessions.OPEN:
        raise Problem(400, 80607, f"Session {session.sid} is closed and cannot be updated")
    if not call.p.get("Body") and not call.p.get("MediaUrl"):
        raise Invalid("Missing required parameter Body in the post body")
    if one.identifier.startswith("CH"):
        raise Invalid(f"Participant {kp} has no handset", 80405)
    sms = sessions.send(call.account, session, one, call.p.get("Body", ""), {}, only_to=one.sid)
    interaction = call.account.store.interactions.get(sms.interaction_sid)
    assert interaction is not None  # noqa: S101 (made by send)
    return ok(message_interaction_json(call.account, session, interaction))


@api.get(PARTICIPANT + "/MessageInteractions", paged=True)
def list_messages(call: Call, service: str, sid: str, kp: str) -> Response:
    session = session_of(call, service, sid)
    one = _participant(call, session, kp)
    rows = walk(
        call.account.store.interactions.under(session.sid), keep=lambda row: row.participant_sid == one.sid
    )
    return page(
        call, rows, partial(message_interaction_json, call.account, session), key="interactions", largest=1000
    )


@api.get(PARTICIPANT + "/MessageInteractions/{interaction}")
def fetch_message(call: Call, service: str, sid: str, kp: str, ki: str) -> Response:
    session = session_of(call, service, sid)
    one = call.account.store.interactions.within(session.sid, ki)
    if one is None or one.participant_sid != kp:
        raise NotFound(call.request.path)
    return ok(message_interaction_json(call.account, session, one))
