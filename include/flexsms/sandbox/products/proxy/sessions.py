"""Proxy's behaviour: sessions bind a customer and a channel to a Twilio number, and carry texts between them.

Source: https://www.twilio.com/docs/proxy/api/session. A session is open as `open` or `in-progress`; only then does it
hold its number pairs.
"""

from __future__ import annotations

from typing import Any

import orjson

from ...http import Problem
from ...state.account import EmulatedAccount, timer
from ...state.rows.chat import Channel, Message
from ...state.rows.messaging import Sms
from ...state.rows.proxy import Interaction, Participant, Session
from ..messaging import outbox
from . import contention

OPEN = ("open", "in-progress")


def start(
    account: EmulatedAccount,
    service_sid: str,
    name: str | None,
    people: list[dict[str, Any]],
    *,
    mode: str = "voice-and-message",
    status: str = "open",
    ttl: int = 0,
    expires: float | None = None,
) -> Session:
    """A new session with its participants.

    Parameters
    ----------
    name: its unique name; Flex uses the SID of the chat channel.
    people: per participant `Identifier`, `ProxyIdentifier`, `ProxyIdentifierSid`, `FriendlyName`.
    ttl: seconds since the last interaction, 0 = for ever (the default is unverified).
    """
    if name and account.store.sessions.named(service_sid, name):
        raise Problem(400, 80603, f"Session UniqueName must be unique: {name}")
    identifiers = [str(one["Identifier"]) for one in people]
    if len(set(identifiers)) < len(identifiers):
        raise Problem(400, 80103, "The same participant is given twice")
    contention.check(account, identifiers)
    for one in people:
        check_free(account, str(one["Identifier"]), one.get("ProxyIdentifier"))
    session = account.store.sessions.add(
        Session(*account.stamp("KC"), service_sid, name, mode, status, ttl, expires=expires)
    )
    for one in people:
        add(account, session, one)
    _schedule_expiry(account, session)
    stamp_channel(account, session)
    return session


def add(account: EmulatedAccount, session: Session, one: dict[str, Any]) -> Participant:
    number = one.get("ProxyIdentifier") or next(iter(account.number_sids))
    participant = Participant(
        *account.stamp("KP"),
        session.sid,
        one["Identifier"],
        number,
        one.get("ProxyIdentifierSid") or account.number_sids.get(number),
        one.get("FriendlyName"),
    )
    account.store.participants.add(participant)
    account.index_session(session)
    return participant


def check_free(
    account: EmulatedAccount, identifier: str, number: str | None, *, code: int | None = None
) -> None:
    """A participant whose pair another open session holds: `pair_taken_code`, and which session is nobody's to know."""
    holder = account.pairs.get((identifier, number or next(iter(account.number_sids))))
    if holder is None:
        return
    if account.settings.pair_taken_names_session:
        sentence = f"Participant is already in session {holder} with the same Proxy number"
    else:
        sentence = "Proxy identifier already in use with the requested identifier"
    raise Problem(400, code or account.settings.pair_taken_code, sentence)


def stamp_channel(account: EmulatedAccount, session: Session) -> None:
    """Flex writes the session into the channel's attributes; a switch turns that off."""
    channel = account.store.channels.get(session.name)
    if channel is not None and account.settings.stamp_proxy_session:
        attributes = orjson.dumps({**channel.parsed_attributes(), "proxySession": session.sid}).decode()
        channel.attributes, channel.updated = attributes, account.clock.now()


def change_status(account: EmulatedAccount, session: Session, status: str | None) -> None:
    """closed -> in-progress reopens, open or in-progress -> closed closes; the codes for the rest are Proxy's."""
    if session.status == "closed":
        if status in ("open", "failed", "unknown"):
            raise Problem(400, 80608, f"Session {session.sid} can only be reopened as in-progress")
        if status != "in-progress":
            raise Problem(400, 80607, f"Session {session.sid} is closed and cannot be updated")
        _reopen(account, session)
    elif status == "closed":
        _end(account, session, "api")
    elif status is not None:
        raise Problem(400, 80608, f"Session {session.sid} cannot go from {session.status} to {status}")
    session.updated = account.clock.now()
    account.index_session(session)


def _reopen(account: EmulatedAccount, session: Session) -> None:
    now = account.clock.now()
    if session.expires is not None and session.expires <= now:
        raise Problem(400, 80904, f"Session {session.sid} has expired")
    for one in participants(account, session):
        check_free(account, one.identifier, one.proxy_identifier, code=account.settings.reopen_taken_code)
    session.status, session.closed_reason, session.ended = "in-progress", None, None
    session.reopened = now
    _schedule_expiry(account, session)


def limit(account: EmulatedAccount, session: Session, ttl: int | None, expires: float | None) -> None:
    """New Ttl or DateExpiry; DateExpiry overrides Ttl."""
    if ttl is not None:
        session.ttl, session.expires = ttl, None
    if expires is not None:
        session.expires = expires
    session.updated = account.clock.now()
    _schedule_expiry(account, session)


def drop(account: EmulatedAccount, session: Session) -> None:
    account.store.sessions.drop(session)
    account.index_session(session)
    for table in (account.store.participants, account.store.interactions):
        table.drop_under(session.sid)


def participants(account: EmulatedAccount, session: Session) -> list[Participant]:
    return [one for _, one in account.store.participants.under(session.sid).forward() if one.deleted is None]


def of_pair(account: EmulatedAccount, customer: str, number: str) -> Session | None:
    """The open session in which this customer and this Twilio number meet."""
    return account.store.sessions.get(account.pairs.get((customer, number)))


def of_channel(account: EmulatedAccount, channel: Channel) -> Session | None:
    """The open session that the channel is a participant of."""
    for number in [channel.number] if channel.number else list(account.number_sids):
        if session := of_pair(account, channel.sid, number):
            return session
    return None


def partner(
    account: EmulatedAccount, session: Session, identifier: str
) -> tuple[Participant | None, Participant | None]:
    """The participant of that identifier, and the one on the other side."""
    mine = other = None
    for one in participants(account, session):
        if one.identifier == identifier:
            mine = one
        else:
            other = other or one
    return mine, other


def relay(account: EmulatedAccount, channel: Channel, message: Message) -> Sms | None:
    """A chat message goes to the handset, if an open session joins the two. Otherwise it stays in the chat."""
    session = of_channel(account, channel)
    if session is None:
        return None
    mine, other = partner(account, session, channel.sid)
    if mine is None or other is None:
        return None
    inbound = {"participant": mine.sid, "resource": message.sid, "status": "delivered", "type": "Message"}
    return send(account, session, other, message.body or "", inbound, channel_sid=channel.sid)


def send(
    account: EmulatedAccount,
    session: Session,
    to: Participant,
    body: str,
    inbound: dict[str, Any],
    *,
    channel_sid: str | None = None,
    only_to: str | None = None,
) -> Sms:
    """A text to a participant's handset: an SMS in the outbox and an Interaction that shows its status."""
    number = to.proxy_identifier or ""
    sms = outbox.dispatch(
        account,
        session.sid,
        to.identifier,
        number,
        body,
        channel_sid=channel_sid,
        message_sid=inbound.get("resource"),
    )
    outbound = {"participant": to.sid, "resource": sms.sid, "status": sms.status, "type": "Message"}
    interaction = account.store.interactions.add(
        Interaction(*account.stamp("KI"), session.sid, body, inbound, outbound, only_to)
    )
    sms.interaction_sid = interaction.sid
    _interacted(account, session)
    return sms


def receive(
    account: EmulatedAccount, session: Session, frm: Participant, to: Participant | None, text: Sms
) -> Interaction:
    """A customer's text arrives in a session."""
    inbound = {
        "participant": frm.sid,
        "resource": text.sid,
        "status": "received",
        "type": "Message",
    }
    outbound = {"participant": to and to.sid, "resource": None, "status": "unknown", "type": "Message"}
    _interacted(account, session)
    return account.store.interactions.add(
        Interaction(*account.stamp("KI"), session.sid, text.body, inbound, outbound)
    )


def _interacted(account: EmulatedAccount, session: Session) -> None:
    now = account.clock.now()
    if session.status == "open":
        session.status, session.started = "in-progress", now
    session.last_interaction = session.updated = now
    _schedule_expiry(account, session)


def _due(session: Session) -> float | None:
    if session.expires is not None:
        return session.expires
    since = max(session.created, session.last_interaction or 0, session.reopened or 0)
    return since + session.ttl if session.ttl else None


def _schedule_expiry(account: EmulatedAccount, session: Session) -> None:
    if (due := _due(session)) is not None:
        account.schedule(due, "session.expiry", session.sid)


@timer("session.expiry")
def _expiry(account: EmulatedAccount, sid: str) -> None:
    session = account.store.sessions.get(sid)
    due = _due(session) if session else None
    if session is not None and due is not None and due <= account.clock.now() and session.status in OPEN:
        _end(account, session, "ttl-expired")
        session.updated = account.clock.now()
        account.index_session(session)


def _end(account: EmulatedAccount, session: Session, reason: str) -> None:
    session.status, session.closed_reason, session.ended = "closed", reason, account.clock.now()
