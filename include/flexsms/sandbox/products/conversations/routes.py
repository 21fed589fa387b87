"""conversations v1: services and conversations (https://www.twilio.com/docs/conversations/api/conversation-resource).

Every path exists twice: under `/v1/Services/{service}`, and short for the account's default service, which is the
one that Programmable Chat uses, too (as Flex demands), unless `default_conversations_service` names another.
A chat channel is no conversation all the same: neither product here shows the other's rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ...http import Invalid, Problem, Response, check_webhook_header, created, gone, ok
from ...routing.call import Call
from ...routing.paging import page, walk
from ...routing.params import NONE, Params, duration, enum, json_text, moment, text
from ...routing.router import Handler, router
from ...state.account import EmulatedAccount
from ...state.clock import iso
from ...state.rows.conversations import Conversation
from ...state.rows.row import dates
from ...state.rows.shared import Service
from ...state.sids import looks_like
from . import behaviour as conversations

HOST = "conversations.twilio.com"
ROOT = f"https://{HOST}/v1"
api = router(HOST)

STATES = ("initializing", "inactive", "active", "closed")
CONVERSATION = Params(
    {
        "Timers.Inactive": duration(60),
        "Timers.Closed": duration(600),
        "Bindings.Email.Address": text(),
        "Bindings.Email.Name": text(),
    },
    FriendlyName=text(256),
    UniqueName=text(),
    Attributes=json_text(most_bytes=16 * 1024),
    MessagingServiceSid=text(),
    State=enum(*STATES),
    DateCreated=moment(),
    DateUpdated=moment(),
)
FIELDS = {
    "FriendlyName": "friendly_name",
    "UniqueName": "name",
    "Attributes": "attributes",
    "MessagingServiceSid": "messaging_service_sid",
    "State": "state",
    "DateCreated": "created",
    "DateUpdated": "updated",
    "Timers.Inactive": "inactive_after",
    "Timers.Closed": "closed_after",
}


@dataclass(frozen=True, slots=True)
class Scope:
    """Which of the two spellings was asked: the service, the beginning of its URLs, and the field it adds."""

    service_sid: str
    base: str
    field: dict[str, Any]


class Both:
    """Routes under both spellings. A handler gets the call, the scope, and the variable segments behind it."""

    def get(
        self, template: str, params: Params = NONE, *, paged: bool = False
    ) -> Callable[[Handler], Handler]:
        return self._twice(template, lambda path: api.get(path, params, paged=paged))

    def post(self, template: str, params: Params = NONE) -> Callable[[Handler], Handler]:
        return self._twice(template, lambda path: api.post(path, params))

    def delete(self, template: str) -> Callable[[Handler], Handler]:
        return self._twice(template, api.delete)

    def _twice(
        self, template: str, add: Callable[[str], Callable[[Handler], Handler]]
    ) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            def short(call: Call, *found: str) -> Response:
                return handler(call, Scope(call.account.default_service_sid, ROOT, {}), *found)

            def long(call: Call, service: str, *found: str) -> Response:
                sid = service_of(call, service).sid
                return handler(call, Scope(sid, f"{ROOT}/Services/{sid}", {"chat_service_sid": sid}), *found)

            add(f"/v1{template}")(short)
            add(f"/v1/Services/{{service}}{template}")(long)
            return handler

        return register


both = Both()


def service_of(call: Call, sid: str) -> Service:
    return call.found(call.account.store.services.within("chat", sid))


def conversation_of(call: Call, scope: Scope, name: str) -> Conversation:
    """By SID or unique name."""
    store = call.account.store.conversations
    by_sid = looks_like("CH", name)
    return call.found(
        store.within(scope.service_sid, name) if by_sid else store.named(scope.service_sid, name)
    )


def service_json(account: EmulatedAccount, service: Service) -> dict[str, Any]:
    url = f"{ROOT}/Services/{service.sid}"
    links = ("Conversations", "Users", "Roles", "Bindings", "Configuration", "ParticipantConversations")
    return {
        "sid": service.sid,
        "account_sid": account.account_sid,
        "friendly_name": service.name,
        **dates(service),
        "url": url,
        "links": {name.lower(): f"{url}/{name}" for name in links},
    }


def timers_json(conversation: Conversation) -> dict[str, Any]:
    dates = {"date_inactive": conversation.date_inactive, "date_closed": conversation.date_closed}
    return {name: iso(date) for name, date in dates.items() if date is not None}


def conversation_json(account: EmulatedAccount, scope: Scope, conversation: Conversation) -> dict[str, Any]:
    url = f"{scope.base}/Conversations/{conversation.sid}"
    return {
        "sid": conversation.sid,
        "account_sid": account.account_sid,
        "chat_service_sid": conversation.parent,
        "messaging_service_sid": conversation.messaging_service_sid,
        "friendly_name": conversation.friendly_name,
        "unique_name": conversation.name,
        "attributes": conversation.attributes,
        "state": conversation.state,
        **dates(conversation),
        "timers": timers_json(conversation),
        "bindings": {},
        "url": url,
        "links": {
            "participants": f"{url}/Participants",
            "messages": f"{url}/Messages",
            "webhooks": f"{url}/Webhooks",
            "export": f"{url}/Export",
        },
    }


@api.get("/v1/Services", paged=True)
def list_services(call: Call) -> Response:
    rows = walk(call.account.store.services.under("chat"))
    return page(call, rows, lambda service: service_json(call.account, service), key="services", largest=100)


@api.post("/v1/Services", Params(FriendlyName=text(256).must()))
def create_service(call: Call) -> Response:
    return created(
        service_json(call.account, call.account.make_service("chat", "IS", call.p["FriendlyName"]))
    )


@api.get("/v1/Services/{service}")
def fetch_service(call: Call, service: str) -> Response:
    return ok(service_json(call.account, service_of(call, service)))


@api.get("/v1/Configuration")
def fetch_configuration(call: Call) -> Response:
    """What the short paths mean."""
    service = call.account.default_service_sid
    links = {
        "service": f"{ROOT}/Services/{service}/Configuration",
        "webhooks": f"{ROOT}/Configuration/Webhooks",
    }
    return ok(
        {
            "account_sid": call.account.account_sid,
            "default_chat_service_sid": service,
            "default_messaging_service_sid": None,
            "default_inactive_timer": None,
            "default_closed_timer": None,
            "url": f"{ROOT}/Configuration",
            "links": links,
        }
    )


@both.get("/Conversations", Params(StartDate=moment(), EndDate=moment(), State=enum(*STATES)), paged=True)
def list_conversations(call: Call, scope: Scope) -> Response:
    """Of all states, oldest first; the dates are those of creation, and an end without a time is its whole day."""
    state, start, end = (call.p.get(name) for name in ("State", "StartDate", "EndDate"))
    if end is not None and len(call.request.query["EndDate"][-1]) == len("2026-11-21"):
        end += 86_400

    def keep(row: Conversation) -> bool:
        within = (start is None or row.created >= start) and (end is None or row.created < end)
        return within and state in (None, row.state)

    rows = walk(call.account.store.conversations.under(scope.service_sid), keep=keep)
    return page(call, rows, partial(conversation_json, call.account, scope), key="conversations", largest=100)


def values_of(p: dict[str, Any]) -> dict[str, Any]:
    """Fields of the row. A unique name that is empty is none."""
    if p.get("State") == "initializing":
        raise Invalid("Invalid State: Twilio itself sets initializing")
    name = p.get("UniqueName")
    if name and looks_like("CH", name):
        raise Invalid("Conversation unique name must not look like a Conversation SID")
    values = {FIELDS[key]: value for key, value in p.items() if key in FIELDS}
    return {**values, "name": name or None} if name is not None else values


def check_timers(call: Call) -> None:
    """A timer is at most as long as a switch says."""
    longest_s = call.account.settings.longest_timer_days * 86_400
    for name in ("Timers.Inactive", "Timers.Closed"):
        if longest_s and call.p.get(name, 0) > longest_s:
            raise Invalid(f"Invalid {name}: longer than {call.account.settings.longest_timer_days:g} days")


def check_state(p: dict[str, Any]) -> None:
    """What a new conversation cannot be: closed (50384), with timers but no state, or with one it contradicts (50382).

    Sources: https://www.twilio.com/docs/api/errors/50382, /50384.
    """
    state = p.get("State")
    if state == "closed":
        raise Problem(400, 50384, "The initial state of a conversation cannot be closed")
    timers = p.keys() & {"Timers.Inactive", "Timers.Closed"}
    if (timers and state is None) or (state == "inactive" and "Timers.Inactive" in p):
        raise Problem(400, 50382, "Timers cannot be set without a State that they fit")


@both.post("/Conversations", CONVERSATION)
def create_conversation(call: Call, scope: Scope) -> Response:
    check_webhook_header(call.request)
    check_state(call.p)
    check_timers(call)
    conversation = conversations.start(call.account, scope.service_sid, **values_of(call.p))
    return created(conversation_json(call.account, scope, conversation))


@both.get("/Conversations/{conversation}")
def fetch_conversation(call: Call, scope: Scope, name: str) -> Response:
    return ok(conversation_json(call.account, scope, conversation_of(call, scope, name)))


@both.post("/Conversations/{conversation}", CONVERSATION)
def update_conversation(call: Call, scope: Scope, name: str) -> Response:
    """Attributes and state may come in one request; a closed conversation takes neither (50377)."""
    check_webhook_header(call.request)
    check_timers(call)
    conversation = conversation_of(call, scope, name)
    conversations.change(call.account, conversation, **values_of(call.p))
    return ok(conversation_json(call.account, scope, conversation))


@both.delete("/Conversations/{conversation}")
def delete_conversation(call: Call, scope: Scope, name: str) -> Response:
    check_webhook_header(call.request)
    conversations.drop(call.account, conversation_of(call, scope, name))
    return gone()
