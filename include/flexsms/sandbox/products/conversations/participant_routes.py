"""conversations v1: participants, the conversations of a participant, and both in one request.

Sources: https://www.twilio.com/docs/conversations/api/conversation-participant-resource and
https://www.twilio.com/docs/conversations/api/participant-conversation-resource.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ...http import Invalid, Problem, Response, check_webhook_header, created, gone, ok
from ...routing.call import Call
from ...routing.paging import page, walk, walk_sorted
from ...routing.params import Params, integer, json_text, json_value, moment, text
from ...state.account import EmulatedAccount
from ...state.clock import iso
from ...state.rows.conversations import Conversation, Member
from ...state.rows.row import dates
from ...state.sids import looks_like
from . import behaviour as conversations
from .routes import (
    CONVERSATION,
    Scope,
    both,
    check_state,
    conversation_json,
    conversation_of,
    timers_json,
    values_of,
)

PARTICIPANTS = "/Conversations/{conversation}/Participants"
UPDATE = Params(
    {"MessagingBinding.ProxyAddress": text(), "MessagingBinding.ProjectedAddress": text()},
    Identity=text(256),
    Attributes=json_text(most_bytes=4 * 1024),
    RoleSid=text(),
    DateCreated=moment(),
    DateUpdated=moment(),
    LastReadMessageIndex=integer(0),
    LastReadTimestamp=text(),
)
CREATE = Params(
    {
        **{name: one for name, one in UPDATE.declared().items() if not name.startswith("LastRead")},
        "MessagingBinding.Address": text(),
    }
)
FIELDS = {
    "Identity": "identity",
    "MessagingBinding.Address": "address",
    "MessagingBinding.ProxyAddress": "proxy_address",
    "Attributes": "attributes",
    "RoleSid": "role_sid",
    "DateCreated": "created",
    "DateUpdated": "updated",
    "LastReadMessageIndex": "last_read",
    "LastReadTimestamp": "last_read_at",
}
MOST_AT_ONCE = 10


def binding_json(member: Member) -> dict[str, Any] | None:
    if not member.address:
        return None
    return {
        "type": conversations.binding_type(member),
        "address": member.address,
        "proxy_address": member.proxy_address,
        "projected_address": None,
        "name": None,
        "level": None,
    }


def participant_json(account: EmulatedAccount, scope: Scope, member: Member) -> dict[str, Any]:
    return {
        "sid": member.sid,
        "account_sid": account.account_sid,
        **scope.field,
        "conversation_sid": member.parent,
        "identity": member.identity,
        "attributes": member.attributes,
        "messaging_binding": binding_json(member),
        "role_sid": member.role_sid,
        **dates(member),
        "url": f"{scope.base}/Conversations/{member.parent}/Participants/{member.sid}",
        "last_read_message_index": member.last_read,
        "last_read_timestamp": member.last_read_at,
    }


def _values(p: dict[str, Any]) -> dict[str, Any]:
    if p.get("MessagingBinding.ProjectedAddress"):
        raise Problem(400, 50420, "Group messaging (a projected address) is not part of this sandbox")
    return {FIELDS[name]: value for name, value in p.items() if name in FIELDS}


def _member(call: Call, conversation: Conversation, name: str) -> Member:
    """By SID or identity."""
    if looks_like("MB", name):
        member = call.account.store.members.within(conversation.sid, name)
    else:
        people = conversations.members(call.account, conversation)
        member = next((one for one in people if one.identity == name), None)
    return call.found(member)


@both.get(PARTICIPANTS, paged=True)
def list_participants(call: Call, scope: Scope, name: str) -> Response:
    rows = walk(call.account.store.members.under(conversation_of(call, scope, name).sid))
    return page(call, rows, partial(participant_json, call.account, scope), key="participants", largest=100)


@both.post(PARTICIPANTS, CREATE)
def create_participant(call: Call, scope: Scope, name: str) -> Response:
    check_webhook_header(call.request)
    conversation = conversation_of(call, scope, name)
    member = conversations.add_member(call.account, conversation, **_values(call.p))
    return created(participant_json(call.account, scope, member))


@both.get(PARTICIPANTS + "/{participant}")
def fetch_participant(call: Call, scope: Scope, name: str, who: str) -> Response:
    conversation = conversation_of(call, scope, name)
    return ok(participant_json(call.account, scope, _member(call, conversation, who)))


@both.post(PARTICIPANTS + "/{participant}", UPDATE)
def update_participant(call: Call, scope: Scope, name: str, who: str) -> Response:
    check_webhook_header(call.request)
    conversation = conversation_of(call, scope, name)
    conversations.check_open(conversation)
    member = _member(call, conversation, who)
    values = _values(call.p)
    proxy = values.get("proxy_address", member.proxy_address)
    if member.address and proxy != member.proxy_address:
        conversations.check_binding(call.account, member.address, proxy)
    call.account.index_member(member, present=False)
    member.updated = call.account.clock.now()
    for field, value in values.items():
        setattr(member, field, value)
    call.account.index_member(member)
    return ok(participant_json(call.account, scope, member))


@both.delete(PARTICIPANTS + "/{participant}")
def delete_participant(call: Call, scope: Scope, name: str, who: str) -> Response:
    """Frees the pair of numbers, also in a closed conversation, which holds none."""
    check_webhook_header(call.request)
    conversation = conversation_of(call, scope, name)
    conversations.remove_member(call.account, conversation, _member(call, conversation, who))
    return gone()


@both.get("/ParticipantConversations", Params(Address=text(), Identity=text()), paged=True)
def list_participant_conversations(call: Call, scope: Scope) -> Response:
    """Of all states, by the SID of the conversation: not by time (https://www.twilio.com/docs/conversations/api/participant-conversation-resource)."""
    address, identity = call.p.get("Address"), call.p.get("Identity")
    if bool(address) == bool(identity):
        raise Invalid("Exactly one of Address and Identity is required")
    store = call.account.store
    found = []
    for sid in call.account.people.get(address or identity or "", {}):
        member = store.members.get(sid)
        conversation = store.conversations.within(scope.service_sid, member.parent) if member else None
        if (
            member
            and conversation
            and (member.address if address else member.identity) in (address, identity)
        ):
            found.append((conversation, member))
    rows = walk_sorted(found, lambda pair: (pair[0].sid, pair[1].sid))
    return page(
        call,
        rows,
        lambda pair: _participant_conversation_json(call.account, scope, *pair),
        key="conversations",
        largest=50,
    )


def _participant_conversation_json(
    account: EmulatedAccount, scope: Scope, conversation: Conversation, member: Member
) -> dict[str, Any]:
    url = f"{scope.base}/Conversations/{conversation.sid}"
    return {
        "account_sid": account.account_sid,
        "chat_service_sid": conversation.parent,
        "participant_sid": member.sid,
        "participant_user_sid": None,
        "participant_identity": member.identity,
        "participant_messaging_binding": binding_json(member),
        "conversation_sid": conversation.sid,
        "conversation_unique_name": conversation.name,
        "conversation_friendly_name": conversation.friendly_name,
        "conversation_attributes": conversation.attributes,
        "conversation_date_created": iso(conversation.created),
        "conversation_date_updated": iso(conversation.updated),
        "conversation_created_by": "system",
        "conversation_state": conversation.state,
        "conversation_timers": timers_json(conversation),
        "links": {"conversation": url, "participant": f"{url}/Participants/{member.sid}"},
    }


@both.post(
    "/ConversationWithParticipants",
    Params({**CONVERSATION.declared(), "Participant": json_value(dict).repeated()}),
)
def create_with_participants(call: Call, scope: Scope) -> Response:
    """All of it or nothing: 50425 for a pair that is taken. Always 201, though 202 is published, too."""
    check_webhook_header(call.request)
    check_state(call.p)
    people = call.p.pop("Participant", [])
    if len(people) > MOST_AT_ONCE:
        raise Invalid(f"Invalid Participant: more than {MOST_AT_ONCE}")
    wanted = [_entry(call.account, one) for one in people]
    conversation = conversations.start(call.account, scope.service_sid, **values_of(call.p))
    for values in wanted:
        conversations.add_member(call.account, conversation, **values)
    body = conversation_json(call.account, scope, conversation)
    del body["links"]["export"]
    return created(body)


def _entry(account: EmulatedAccount, one: dict[str, Any]) -> dict[str, Any]:
    """{"identity"} or {"messaging_binding": {"address", "proxy_address"}}, either with "attributes"."""
    if unknown := one.keys() - {"identity", "messaging_binding", "attributes"}:
        raise Invalid(f"Invalid Participant: unknown field {min(unknown)}")
    binding = one.get("messaging_binding") or {}
    if binding:
        conversations.check_binding(
            account, str(binding.get("address", "")), binding.get("proxy_address"), code=50425
        )
    elif not one.get("identity"):
        raise Invalid("Invalid Participant: identity or messaging_binding is needed")
    values = {"identity": one.get("identity"), "attributes": one.get("attributes", "{}")}
    return {**values, "address": binding.get("address"), "proxy_address": binding.get("proxy_address")}
